"""Configurations as YAML files: recipes, and what a run directory keeps."""

import re
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from wsol.data.records import read_text
from wsol.errors import DataError, UsageError
from wsol.export.files import atomic_write
from wsol.methods import MethodOptions
from wsol.models import ModelOptions
from wsol.options import add_options, options_of
from wsol.training.config import DataOptions, TrainConfig
from wsol.typed import told

LONGEST, DEEPEST = 100_000, 8
"""Characters of a configuration, and how deep its values are nested: more is none."""


def add_config_options(parser: ArgumentParser) -> None:
    """An option for each field but ``classes``, which come from the data."""
    parts = (DataOptions, ModelOptions, MethodOptions)
    inherited = [each.name for part in parts for each in fields(part)]
    add_options(parser, TrainConfig, leave_out=inherited)
    for part in parts:
        add_options(parser, part, leave_out=("classes",))


def read_config(path: str | Path) -> TrainConfig:
    """A configuration from a YAML file, as :func:`write_config` writes it and recipes are.

    Raises:
        UsageError: a key that does not exist, or a value that cannot be.
    """
    return compose([path])


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The plain values of a YAML file: no tags, which name types, and no aliases, which can fill the memory.

    Raises:
        UsageError: it cannot be read, or holds something else; the message names the line.
    """
    try:
        text = read_text(Path(path))
        _check_plain(text, path)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"cannot read {path}{line}: not YAML: {error.problem}") from error
    except (DataError, yaml.YAMLError, ValueError) as error:
        reason = error if isinstance(error, DataError) else f"{path}: {error}"
        raise UsageError(f"cannot read {reason}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} is no configuration: expected keys with values")
    return values


def _check_plain(text: str, path: str | Path) -> None:
    """Before anything is built of it: PyYAML follows nesting by recursion, as deep as the file says."""
    if len(text) > LONGEST:
        raise UsageError(f"cannot read {path}: it has more than {LONGEST:,} characters")
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"cannot read {path}, line {event.start_mark.line + 1}"  # type: ignore[union-attr]
        if isinstance(event, yaml.AliasEvent):
            raise UsageError(f"{where}: *{event.anchor} stands for another value: write it out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise UsageError(f"{where}: the tag {tag} is refused: values are plain")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UsageError(f"{where}: values inside values, more than {DEEPEST} deep")


def compose(paths: list[str | Path]) -> TrainConfig:
    """A configuration from several YAML files, later ones over earlier ones, as ``--config`` twice does it.

    Raises:
        UsageError: a file that cannot be read, a key that does not exist, or a value that cannot be.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        _merge(merged, read_yaml(path))
    parser = ArgumentParser(exit_on_error=False)
    add_config_options(parser)
    try:
        _check_names(TrainConfig, merged, "")
        config: TrainConfig = options_of(TrainConfig, parser.parse_object(merged))
    except (ArgumentError, UsageError, ValueError) as error:
        reason = _type_error(str(error), merged)
        raise UsageError(f"{', '.join(map(str, paths))}: {reason}") from error
    return config


def write_config(config: TrainConfig, path: Path) -> None:
    """Write every field as YAML but ``classes``, which is none; paths are told as they were given."""
    values = {name: _plain(value) for name, value in asdict(config).items() if name != "classes"}
    with atomic_write(path) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def differences(one: TrainConfig, other: TrainConfig) -> list[str]:
    """ "training.epochs: 10, 20" for each field in which two configurations differ."""
    left, right = _flat(asdict(one)), _flat(asdict(other))
    return [f"{name}: {left[name]!r}, {right[name]!r}" for name in left if left[name] != right[name]]


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _check_names(kind: type[Any], values: dict[str, Any], prefix: str) -> None:
    types = get_type_hints(kind)
    known = [each.name for each in fields(kind) if each.name != "classes"]
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"no field {prefix}{name!s:.80}; there are {', '.join(known)}")
        if is_dataclass(types[name]):
            if not isinstance(value, dict):
                raise ValueError(f"{prefix}{name} holds fields of its own, got {value!r:.120}")
            _check_names(types[name], value, f"{prefix}{name}.")


def _type_error(message: str, values: Any) -> str:  # noqa: ANN401
    """What jsonargparse says of a value of the wrong type, in a line."""
    if (found := re.match(r'Parser key "([\w.]+)"', message)) is None:
        return message
    kind: Any = TrainConfig
    for name in found[1].split("."):
        kind, values = get_type_hints(kind)[name], values[name]
    return f"{found[1]} must be {told(kind)}, got {values!r:.120}"


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
