"""TO BE WRITTEN."""

from dataclasses import dataclass

from wsol.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class SPGOptions:
    """TO BE WRITTEN."""


class SPG(Method):
    """TO BE WRITTEN."""
