"""The protocol of an evaluation: what makes two numbers comparable."""

from dataclasses import dataclass
from typing import Literal

Policy = Literal["transferred", "fixed", "oracle"]
LabelSource = Literal["true", "predicted", "asked", "unstated"]
Standard = Literal["max", "percentile", "ivr"]

FRAME = 224
"""Side of the official evaluation frame, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What makes two numbers comparable.

    Attributes:
        split: that was evaluated.
        truth: what it is measured against, boxes or masks.
        policy: where τ comes from: ``transferred`` (best on another split), ``fixed`` (given), or
            ``oracle`` (best on the evaluated split itself: the official MaxBoxAcc).
        selected_on: the split that τ was chosen on; None for ``fixed``.
        label_source: class of the maps: ``true``, ``predicted`` (top-1), ``asked``, or ``unstated`` by who
            made them.
        standard: what τ is a share of: ``max`` (MaS), ``percentile`` (PaS), or ``ivr`` (maps divided by a
            percentile before MaS).
        percentile: of PaS and IVR; 100 for MaS.
        step: between the thresholds tried.
    """

    split: str
    truth: Literal["boxes", "masks"]
    policy: Policy
    selected_on: str | None
    label_source: LabelSource
    standard: Standard = "max"
    percentile: float = 100.0
    step: float = 0.001

    def __post_init__(self) -> None:
        if not (0 <= self.percentile <= 100 and 0.0001 <= self.step <= 1):
            raise ValueError(
                f"percentile must be in [0, 100], step in [0.0001, 1], got {self.percentile} and {self.step}"
            )

    @property
    def level_percentile(self) -> float:
        """The percentile that levels T are a share of; IVR has divided the maps already."""
        return self.percentile if self.standard == "percentile" else 100.0
