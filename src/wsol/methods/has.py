"""TO BE WRITTEN."""

from dataclasses import dataclass

from wsol.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class HaSOptions:
    """TO BE WRITTEN."""


class HaS(Method):
    """TO BE WRITTEN."""
