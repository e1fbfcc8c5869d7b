"""From the records of runs to numbers: mean over seeds, spread, and paired differences from the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.measure import records_file
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.records import AnyRecords, BoxRecords, load_records
from wsol.evaluation.result import Quantity
from wsol.evaluation.scoring import TOPK, choose_ratios, knows, measure_of
from wsol.metrics import Measure, paired_test

NUMBERS = ("GT-known@0.5", "GT-known@0.7", "BoxAccV2", "PxAP", "Top-1 Loc", "Top-1 Cls")
GOALS = NUMBERS[:4]
ORACLE = NUMBERS[:3]
"""Also given with the best τ on the measured images themselves, as papers report them."""

BOXES: dict[str, Quantity] = {
    "GT-known@0.5": Quantity(name="Loc", contours="largest", iou_thresholds=(0.5,)),
    "GT-known@0.7": Quantity(name="Loc", contours="largest", iou_thresholds=(0.7,)),
    "any box@0.5": Quantity(name="Any", contours="all", iou_thresholds=(0.5,)),
    "any box@0.7": Quantity(name="Any", contours="all", iou_thresholds=(0.7,)),
    "BoxAccV2": Quantity(name="V2", contours="all", iou_thresholds=(0.3, 0.5, 0.7)),
    "Top-1 Loc": Quantity(name="Top-1 Loc", contours="largest", iou_thresholds=(0.5,)),
    "Top-1 Cls": Quantity(name="Top-1 Cls"),
}


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        title: what it is.
        training: name of its runs.
        maps: which of the maps that they were measured with.
        percentile: of PaS; 100 is MaS. Masks have no PaS: their number is that of the map.
        ratio: τ instead of the one chosen on val.
    """

    title: str
    training: str
    maps: str = "cam"
    percentile: float = 100.0
    ratio: float | None = None


@lru_cache(maxsize=64)
def _records(folder: Path, maps: str, split: str, truth: str) -> AnyRecords:
    return load_records(records_file(folder, maps, split, truth), truth)  # type: ignore[arg-type]


def has_records(folder: Path, row: Row) -> bool:
    """Whether the run is measured with the row's map."""
    return records_file(folder, row.maps, "test", "masks").is_file()


def runs_of(records: Path, row: Row, seeds: Sequence[int]) -> list[Path]:
    """Folders of the records that a row has, one a seed; without seeds, of the one that has none."""
    names = [f"{row.training}-seed{seed}" for seed in seeds] or [row.training]
    return [records / name for name in names if has_records(records / name, row)]


def paired(records: Path, row: Row, baseline: Row, seeds: Sequence[int]) -> tuple[list[Path], list[Path]]:
    """Folders of the records of a row, and those of the baseline, of the seeds that both have."""
    pairs = [
        (mine, theirs)
        for seed in seeds
        for mine in runs_of(records, row, (seed,))
        for theirs in runs_of(records, baseline, (seed,))
    ]
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]


def measures(folder: Path, row: Row, *, split: str, policy: str = "transferred") -> dict[str, Measure]:
    """Every number of one run as a function of a split's images; τ is chosen on val, or is the oracle's."""
    standard = "max" if row.percentile == 100 else "percentile"
    protocol = Protocol(
        split=split, truth="boxes", policy="transferred", selected_on="val", label_source="true",
        standard=standard, percentile=row.percentile,  # type: ignore[arg-type]
    )  # fmt: skip
    boxes = _records(folder, row.maps, split, "boxes")
    chosen_on = boxes if policy == "oracle" else _records(folder, row.maps, "val", "boxes")
    ratios = choose_ratios(chosen_on, protocol)
    if row.ratio is not None and policy != "oracle":
        ratios = dict.fromkeys(ratios, row.ratio)
    found = {}
    for name, quantity in BOXES.items():
        contours, deltas = quantity.contours, quantity.iou_thresholds
        taus = tuple(ratios[contours, delta] for delta in deltas) if contours else ()
        if name in TOPK and not knows(boxes, name):
            continue
        asked = replace(quantity, policy="transferred" if contours else None, ratios=taus)
        found[name] = measure_of(asked, boxes, protocol)
    masks = _records(folder, row.maps, split, "masks")
    found["PxAP"] = measure_of(Quantity(name="PxAP"), masks, replace(protocol, truth="masks"))
    return found


def ratio_of(folder: Path, maps: str) -> float:
    """τ of a run's map, a share of the maximum: the best on val for the largest contour at IoU 0.5."""
    protocol = Protocol(
        split="val", truth="boxes", policy="oracle", selected_on="val", label_source="true"
    )  # fmt: skip
    return choose_ratios(_records(folder, maps, "val", "boxes"), protocol)["largest", 0.5]


def over_seeds(parts: Sequence[Measure]) -> Measure:
    """The mean over seeds of a number, as a function of the images that all seeds share."""
    widths = np.cumsum([part.statistics.shape[1] for part in parts])[:-1]

    def value(sums: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        split = np.split(sums, widths, axis=1)
        values = [part.value(each, weight) for part, each in zip(parts, split, strict=True)]
        return np.asarray(np.mean(values, axis=0))

    return Measure(np.concatenate([part.statistics for part in parts], axis=1), value)


@dataclass(frozen=True)
class Cell:
    """A number over seeds, in percent.

    Attributes:
        values: of each seed.
        difference: from the baseline, mean over seeds, with its 95 % interval; None of the baseline itself.
    """

    values: tuple[float, ...]
    difference: tuple[float, float, float] | None

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """Standard deviation over seeds; NaN of a single one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")


def cells(
    runs: Sequence[Path], row: Row, baseline: Row | None, base_runs: Sequence[Path], *, split: str
) -> dict[str, Cell]:
    """The numbers of a row, each with its paired difference from the baseline of the same seeds."""
    mine = [measures(run, row, split=split) for run in runs]
    theirs = [] if baseline is None else [measures(run, baseline, split=split) for run in base_runs]
    found = {}
    for name in NUMBERS:
        if name not in mine[0]:
            continue
        parts = [each[name] for each in mine]
        difference = None
        if theirs and name in theirs[0]:
            test = paired_test(over_seeds(parts), over_seeds([each[name] for each in theirs]))
            difference = (100 * test.difference, 100 * test.low, 100 * test.high)
        found[name] = Cell(tuple(100 * part.estimate for part in parts), difference)
    return found


def table(work: Path, data: str, rows: Sequence[Row], *, split: str, seeds: Sequence[int]) -> str:
    """A Markdown table; the first row is the baseline, rows without records are left out."""
    records = work / "records" / data
    baseline = rows[0]

    header = [f"{data}, {split}", "seeds", *NUMBERS, f"oracle: {', '.join(ORACLE)}"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for row in rows:
        runs, shared = paired(records, row, baseline, seeds)
        if not seeds:
            runs, shared = runs_of(records, row, ()), runs_of(records, baseline, ())
        if not runs:
            continue
        found = cells(runs, row, None if row is baseline else baseline, shared, split=split)
        shown = [_shown(found[name], name in GOALS) if name in found else "" for name in NUMBERS]
        oracle = [measures(run, row, split=split, policy="oracle") for run in runs]
        shown.append(", ".join(f"{100 * np.mean([e[name].estimate for e in oracle]):.1f}" for name in ORACLE))
        lines.append(f"| {row.title} | {len(runs)} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def limits(work: Path, data: str, rows: Sequence[Row], *, seeds: Sequence[int]) -> str:
    """A Markdown table of what a threshold could reach on test, and how often the peak is off the object."""
    header = [
        f"{data}, test",
        "seeds",
        "τ of val",
        "any component's box",
        "best τ of each image",
        "peak off every box",
    ]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for row in rows:
        runs = runs_of(work / "records" / data, row, seeds)
        found = []
        for run in runs:
            boxes = _records(run, row.maps, "test", "boxes")
            assert isinstance(boxes, BoxRecords)
            reached = measures(run, row, split="test")
            best = boxes.largest.max(axis=1)
            found.append(
                [
                    *(
                        reached[f"{name}@{delta}"].estimate
                        for name in ("GT-known", "any box")
                        for delta in (0.5, 0.7)
                    ),
                    *((best >= delta).mean() for delta in (0.5, 0.7)),
                    (boxes.largest[:, 254] == 0).mean(),
                ]
            )
        if found:
            mean = [f"{100 * value:.1f}" for value in np.mean(found, axis=0)]
            pairs = [*(f"{mean[i]}, {mean[i + 1]}" for i in (0, 2, 4)), mean[6]]
            lines.append(f"| {row.title} | {len(runs)} | " + " | ".join(pairs) + " |")
    return "\n".join(lines)


def _shown(cell: Cell, compared: bool) -> str:
    spread = "" if len(cell.values) == 1 else f" ± {cell.spread:.1f}"
    if cell.difference is None or not compared:
        return f"{cell.mean:.1f}{spread}"
    difference, low, high = cell.difference
    return f"{cell.mean:.1f}{spread} ({difference:+.1f}: {low:+.1f} to {high:+.1f})"
