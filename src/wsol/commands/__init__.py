"""The commands: each module has the parser of one and runs it; logic lives elsewhere."""

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, Namespace

from wsol.errors import UsageError

Options = TypeVar("Options")

EXIT_USAGE = 2
EXIT_SKIPPED = 3
EXIT_INTERRUPTED = 130
EXIT_CODES = (
    "Exit code: 0 all well, 1 an error, 2 wrong usage, 3 finished but images were skipped, "
    "130 interrupted (what was done is kept)."
)


def add_options(
    parser: ArgumentParser, kind: type[Any], prefix: str = "", leave_out: Collection[str] = ()
) -> None:
    """An option for each field of a dataclass, with the help of its docstring: ``min_area`` is --min-area.

    A field that is a dataclass gives an option for each of its own: ``training.epochs`` is --training.epochs.
    """
    docstring = parse_docstring(kind.__doc__ or "")
    helps = {parameter.arg_name: parameter.description for parameter in docstring.params}
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
        group.add_argument(*flags, type=types[field.name], default=field.default, help=helps[field.name])
    for name in nested:
        add_options(parser, types[name], f"{prefix}{name}.")


def options_of(kind: type[Options], options: Namespace) -> Options:
    """The dataclass that a command was given.

    Raises:
        UsageError: a value is out of its range, or does not go with another.
    """
    made: Options = _options_of(kind, options, "")
    return made


def _options_of(kind: type[Any], options: Namespace, prefix: str) -> Any:  # noqa: ANN401
    types = get_type_hints(kind)
    values = {
        field.name: _options_of(types[field.name], options[field.name], f"{prefix}{field.name}.")
        if is_dataclass(types[field.name])
        else options[field.name]
        for field in fields(kind)
    }
    try:
        return kind(**values)
    except ValueError as error:
        raise UsageError(f"{prefix}{error}") from error
