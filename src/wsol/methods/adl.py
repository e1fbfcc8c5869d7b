"""TO BE WRITTEN."""

from dataclasses import dataclass

from wsol.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class ADLOptions:
    """TO BE WRITTEN."""


class ADL(Method):
    """TO BE WRITTEN."""
