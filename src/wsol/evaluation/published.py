"""Numbers of the literature, to print beside one's own: always marked, never measured here."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from wsol.data.known import KNOWN
from wsol.errors import DataError

MARK = "†"
"""Stands at every published number."""

NOTE = (
    "published, not measured here, and not all checked against the papers. In a column with other numbers "
    "they are of the official protocol: τ, a share of the maximum (MaS), chosen on the evaluated split "
    "itself (oracle) in steps of 0.001, map of the true class; rows measured here with PaS or IVR are named "
    "so. Elsewhere the protocol is the papers' own, τ as a rule chosen on the evaluated split too."
)


@dataclass(frozen=True)
class Published:
    """A number of a paper.

    Attributes:
        method: the row.
        backbone: "" if it is not stated.
        data: "cub", "imagenet" or "openimages".
        metric: named as in :mod:`wsol.evaluation.wording`.
        value: in %, as printed.
        protocol: ``official`` (Choe et al., CVPR 2020: oracle, MaS), or the paper's ``own``.
        source: where it is from.
    """

    method: str
    backbone: str
    data: str
    metric: str
    value: str
    protocol: Literal["official", "own"]
    source: str


def published(data: Sequence[str]) -> tuple[Published, ...]:
    """What the literature says of these data sets.

    Args:
        data: any of "cub", "imagenet", "openimages".

    Raises:
        DataError: another name.
    """
    for name in data:
        if name not in KNOWN:
            raise DataError(f"published numbers are of {', '.join(KNOWN)}, got {name!r}")
    return tuple(number for number in _read() if number.data in data)


@cache
def _read() -> tuple[Published, ...]:
    text = resources.files("wsol.evaluation").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(Published(**row) for row in csv.DictReader(text.splitlines()))  # type: ignore[arg-type]
