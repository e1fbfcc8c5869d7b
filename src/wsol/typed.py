"""JSON as typed values: what a file holds is checked before anything relies on it."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Part = TypeVar("Part")

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a word",
    "dict": "an object",
    "tuple": "values in brackets, as '[1,2]'",
}
"""What a user would call a type."""

LARGEST = 10**300
"""Of whole numbers that stand for floats."""


def told(kind: Any) -> str:  # noqa: ANN401
    """A type in a user's words: "a whole number" of int | None."""
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return " or ".join(told(each) for each in get_args(kind) if each is not NoneType)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        count = "" if others == [...] else f"{len(others) + 1} "
        return f"a list of {count}values, each {told(first)}"
    if is_dataclass(kind):
        return WORDS["dict"]
    name: str = kind.__name__
    return WORDS.get(name, name)


def typed(kind: Any, value: Any, name: str) -> Any:  # noqa: ANN401 - a type that is no class, too
    """A value of JSON as what an annotation says.

    Args:
        kind: a dataclass (an object, with no other keys than its fields), ``dict[str, X]``, ``tuple[X, ...]``
            or ``tuple[X, Y]`` (lists), a Literal, a union, int, float (a whole number too), bool, str, None,
            or Any.
        value: as :mod:`json` gives it.
        name: what it is called, for the message.

    Returns:
        The same, with tuples for lists and dataclasses for objects.

    Raises:
        ValueError: it is something else, or what a dataclass itself refuses.
    """
    if kind is Any or type(value) is kind:
        return value
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _one_of(kind, value, name)
    if origin is Literal and any(value == part and type(value) is type(part) for part in parts):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return _tuple(kind, value, name)
    if (origin is dict or is_dataclass(kind)) and isinstance(value, Mapping):
        return _object(kind, value, name)
    if kind is float and type(value) is int and abs(value) < LARGEST:
        return float(value)
    raise _fault(kind, value, name)


def relied_on(kind: type[Part], values: Mapping[str, Any], name: str) -> Part:
    """The fields of a dataclass among values that hold more, which another version may have written.

    Raises:
        ValueError: see :func:`typed`.
    """
    known = {each.name: values[each.name] for each in fields(kind) if each.name in values}  # type: ignore[arg-type]
    part: Part = typed(kind, known, name)
    return part


def _fault(kind: Any, value: object, name: str) -> ValueError:  # noqa: ANN401
    return ValueError(f"{name} must be {told(kind)}, got {reprlib.repr(value)}")


def _one_of(kind: Any, value: object, name: str) -> Any:  # noqa: ANN401
    for part in get_args(kind):
        try:
            return typed(part, value, name)
        except ValueError:
            continue
    raise _fault(kind, value, name)


def _tuple(kind: Any, values: Sequence[Any], name: str) -> tuple[Any, ...]:  # noqa: ANN401
    first, *others = get_args(kind)
    kinds = [first] * len(values) if others == [...] else [first, *others]
    if len(kinds) != len(values):
        raise _fault(kind, values, name)
    pairs = enumerate(zip(kinds, values, strict=True))
    return tuple(typed(each, value, f"{name}[{place}]") for place, (each, value) in pairs)


def _object(kind: Any, values: Mapping[Any, Any], name: str) -> Any:  # noqa: ANN401
    if not all(isinstance(key, str) for key in values):
        raise _fault(kind, values, name)
    if get_origin(kind) is dict:
        return {key: typed(get_args(kind)[1], value, f"{name}.{key}") for key, value in values.items()}
    types = _types(kind)
    needed = {
        each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING
    }
    if missing := needed - values.keys():
        raise ValueError(f"{name} lacks {', '.join(sorted(missing))}")
    if unknown := values.keys() - types.keys():
        raise ValueError(f"{name} has no {', '.join(map(reprlib.repr, sorted(unknown)))}")
    return kind(**{key: typed(types[key], value, f"{name}.{key}") for key, value in values.items()})


@cache
def _types(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    """Of the fields; other annotations of a class are no keys."""
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}
