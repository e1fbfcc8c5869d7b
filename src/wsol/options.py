"""One typed reader of options, from the command line and from YAML: dataclasses name and explain them."""

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, Namespace

from wsol.errors import UsageError
from wsol.typed import told

Options = TypeVar("Options")


def add_options(
    parser: ArgumentParser, kind: type[Any], prefix: str = "", leave_out: Collection[str] = ()
) -> None:
    """An option for each field of a dataclass, with the help of its docstring: ``min_area`` is --min-area.

    A field that is a dataclass gives an option for each of its own: ``training.epochs`` is --training.epochs.
    A yes or no, as ``overwrite``, is --overwrite, or --overwrite false.
    """
    docstring = parse_docstring(kind.__doc__ or "")
    explained = [parse_docstring(base.__doc__ or "") for base in reversed(kind.__mro__) if is_dataclass(base)]
    helps = {each.arg_name: each.description for part in explained for each in part.params}
    group = parser.add_argument_group((docstring.short_description or "").rstrip("."))
    types = get_type_hints(kind)
    nested = []
    for field in fields(kind):
        if field.name in leave_out:
            continue
        if is_dataclass(types[field.name]):
            nested.append(field.name)
            continue
        flags = [
            f"--{prefix}{field.name.replace('_', '-')}",
            *(["--model"] if field.name == "backbone" else []),
        ]
        yes_or_no = types[field.name] in (bool, bool | None)
        switch: dict[str, Any] = {"nargs": "?", "const": True} if yes_or_no else {}
        group.add_argument(
            *flags, type=types[field.name], default=field.default, help=helps[field.name], **switch
        )
    for name in nested:
        add_options(parser, types[name], f"{prefix}{name}.")


def options_of(kind: type[Options], options: Namespace) -> Options:
    """The dataclass that was given; a field that is no option has its default.

    Raises:
        UsageError: a value is out of its range, or does not go with another.
    """
    made: Options = _options_of(kind, options, "")
    return made


def _options_of(kind: type[Any], options: Namespace, prefix: str) -> Any:  # noqa: ANN401
    types = get_type_hints(kind)
    for field in fields(kind):  # an empty value in YAML
        if field.name in options and options[field.name] is None and not _optional(types[field.name]):
            raise UsageError(f"{prefix}{field.name} must be {told(types[field.name])}, got None")
    values = {
        field.name: _options_of(types[field.name], options[field.name], f"{prefix}{field.name}.")
        if is_dataclass(types[field.name])
        else options[field.name]
        for field in fields(kind)
        if field.name in options
    }
    try:
        return kind(**values)
    except ValueError as error:
        raise UsageError(f"{prefix}{error}") from error


def _optional(kind: Any) -> bool:  # noqa: ANN401
    return NoneType in get_args(kind)
