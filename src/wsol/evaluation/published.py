"""Numbers of the literature, to print beside one's own: always marked, never measured here."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
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


EVALUATION = {
    "Choe et al. 2020": ("/last.safetensors", "--policy oracle"),
    "Kim et al. 2022": ("", "--policy oracle"),
    "Bae et al. 2020": ("", "--map nwc --threshold percentile --policy fixed --ratio 0.35"),
}
"""Which weights of a run each paper's numbers are of, and its options of ``wsol evaluate``."""


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
        recipes: that train it, later ones over earlier ones, as paths in the repository; empty where the
            method is not in this package.
    """

    method: str
    backbone: str
    data: str
    metric: str
    value: str
    protocol: Literal["official", "own"]
    source: str
    recipes: tuple[str, ...] = ()


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
    rows = csv.DictReader(text.splitlines())
    return tuple(Published(**row | {"recipes": tuple(row["recipes"].split())}) for row in rows)


def recipe_tables() -> str:
    """The numbers with the commands that train and measure them, in Markdown: docs/recipes.md holds it."""
    lines = []
    for data, known in KNOWN.items():
        lines += [f"### {known.title}", "", "| method | published | commands |", "|---|---|---|"]
        rows: defaultdict[tuple[str, str, str], list[Published]] = defaultdict(list)
        for number in published([data]):
            rows[number.method, number.backbone, number.source].append(number)
        for (method, backbone, source), numbers in rows.items():
            named = f"{method} · {backbone}" if backbone else method
            cited = "" if source == method else f" ({source})"
            values = ", ".join(f"{number.metric} {number.value}{MARK}" for number in numbers)
            lines.append(f"| {named}{cited} | {values} | {_commands(numbers[0])} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _commands(number: Published) -> str:
    if not number.recipes:
        return "not in this package"
    data = number.data.upper()
    parts = [PurePosixPath(path).stem for path in number.recipes]
    run = f"runs/{'-'.join([number.data, *parts])}"
    configs = " ".join(f"--config {path}" for path in number.recipes)
    weights, options = EVALUATION[number.source]
    return (
        f"`wsol train {configs} --data {data} --output {run}`<br>"
        f"`wsol evaluate {run}{weights} --data {data} {options}`"
    )
