"""``wsol train``: every option takes effect, from the command line and from a file."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import yaml

from wsol.cli import main
from wsol.methods import METHODS
from wsol.training.config import TrainConfig
from wsol.training.recipes import read_config

Names = tuple[str, ...]


def options(kind: type[Any] = TrainConfig, path: Names = ()) -> Iterator[tuple[Names, Any, Any]]:
    """Name, type and default of everything that can be chosen."""
    types = get_type_hints(kind)
    for field in fields(kind):
        if is_dataclass(types[field.name]):
            yield from options(types[field.name], (*path, field.name))
        elif field.name != "classes":  # come from the data
            yield (*path, field.name), types[field.name], field.default


TUPLES: dict[Any, tuple[Any, ...]] = {
    int: (2, 3, 4),
    float: (0.1, 0.2, 0.3),
    str: ("a.", "b.", "c."),
}


def another(kind: Any, default: Any) -> Any:
    """A value of the type that is not the default."""
    choices = [each for each in get_args(kind) if each is not NoneType]
    if get_origin(kind) is Literal:
        return next(each for each in choices if each != default)
    if get_origin(kind) is tuple:
        return TUPLES.get(choices[0]) or (another(choices[0], None),)
    if choices:
        return another(choices[0], default)
    if kind is float:
        return (default or 0.5) / 2
    return {bool: not default, int: 41, str: "elsewhere"}[kind]


EVERY = [(path, another(kind, default), default) for path, kind, default in options()]
NEEDS: dict[str, dict[str, Any]] = {
    "validation.percentile": {"validation.threshold": "percentile"},
    "training.schedule": {"training.decay_every": 3},
    "training.decay_epochs": {"training.schedule": "step"},
    "training.decay_every": {"training.schedule": "step"},
}
"""What else has to be said, so that an option can be."""


def with_needs(path: Names, value: Any) -> dict[str, Any]:
    needs = {"method": path[0]} if path[0] in METHODS else NEEDS.get(".".join(path), {})
    return needs | {".".join(path): value}


def flags(values: dict[str, Any]) -> list[str]:
    """As they are typed."""
    words: list[str] = []
    for name, value in values.items():
        text = json.dumps(value) if isinstance(value, (bool, tuple)) else str(value)
        words += [f"--{name.replace('_', '-')}", text]
    return words


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """As they are written into a file."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        inner = whole
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = list(value) if isinstance(value, tuple) else value
    return whole


def expected(values: dict[str, Any]) -> TrainConfig:
    """The configuration, made without any parser."""
    parts: dict[str, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for name, value in values.items():
        part, _, last = name.rpartition(".")
        if part:
            parts.setdefault(part, {})[last] = value
        else:
            own[name] = value
    usual = TrainConfig()
    return TrainConfig(
        **own, **{part: replace(getattr(usual, part), **inner) for part, inner in parts.items()}
    )


@pytest.mark.parametrize(("path", "value", "default"), EVERY, ids=[".".join(path) for path, *_ in EVERY])
def test_every_option_arrives(
    path: Names, value: Any, default: Any, given: list[TrainConfig], tmp_path: Path
) -> None:
    assert value != default
    values = with_needs(path, value)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(nested(values)), encoding="utf-8")
    assert main(["train", "--quiet", *flags(values)]) == 0
    assert main(["train", "--quiet", "--config", str(file)]) == 0
    assert given == [expected(values)] * 2
    assert read_config(file) == given[0]


def test_without_options(given: list[TrainConfig]) -> None:
    assert main(["train", "--quiet"]) == 0
    assert given == [TrainConfig()] and len(EVERY) > 70
