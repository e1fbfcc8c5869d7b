"""TO BE WRITTEN."""

from dataclasses import dataclass

from wsol.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class ACoLOptions:
    """TO BE WRITTEN."""


class ACoL(Method):
    """TO BE WRITTEN."""
