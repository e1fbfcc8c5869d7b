"""TO BE WRITTEN."""

from dataclasses import dataclass

from wsol.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class CutMixOptions:
    """TO BE WRITTEN."""


class CutMix(Method):
    """TO BE WRITTEN."""
