"""Figures of the study: ``python -m benchmarks.study.figures DATA [DATA …] --output docs/images``.

``differences-DATA``: every row against the baseline. ``weights``: the curves of Bridging the Gap's losses, on
val; ``length``: the same after each epoch. ``diagnostics-DATA``: what both papers argue with. None of them
shows a photograph.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.study.diagnose import Diagnosis, best_shares, file_of, load
from benchmarks.study.grid import BRIDGING_SEARCH, DEFAULT, LEAD, SEEDS, USUAL, WEIGHTS
from benchmarks.study.measure import records_file
from benchmarks.study.report import FREE, ROWS, TOGETHER
from benchmarks.study.tables import GOALS, Row, cells, has_records, measures, paired
from benchmarks.study.train import folder
from wsol.evaluation.records import load_records
from wsol.export.files import atomic_write
from wsol.report.curves import INK, QUIET, plot_style
from wsol.report.overlay import PALETTE
from wsol.training.directory import CONFIG, METRICS
from wsol.training.recipes import read_config

TITLES = {
    "cam": "CAM",
    "tap": "TAP",
    "bridging": "Bridging",
    LEAD.name: "its simi-\nlarity loss\nalone",
    "bridging-tap": "Bridging\n+ TAP",
}
LINES = {"cam": "CAM", "bridging": "Bridging", LEAD.name: "similarity loss alone"}
CURVES = ("BoxAccV2", "PxAP")


def differences(records: Path) -> Figure:
    """What each row gains over the baseline on test, with intervals, in points; open dots are of one seed."""
    base, chosen = ROWS[0], [*ROWS[1:], *FREE[-2:], *TOGETHER[3:]]
    found = {}
    for row in chosen:
        runs, shared = paired(records, row, base, SEEDS)
        if runs:
            found[row.title.replace("**", "").split(":")[0]] = cells(runs, row, base, shared, split="test")
    figure = Figure(figsize=(11, 1.2 + 0.27 * len(found)), layout="constrained")
    panels = figure.subplots(1, len(GOALS), sharey=True)
    places = np.arange(len(found))[::-1]
    for axes, name in zip(panels, GOALS, strict=True):
        axes.axvline(0, color=INK, linewidth=1)
        for place, numbers in zip(places, found.values(), strict=True):
            difference = numbers[name].difference
            assert difference is not None  # the baseline has the same seeds
            mean, low, high = difference
            colour = PALETTE[3] if low > 0 else PALETTE[0] if high < 0 else QUIET
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
            filled = colour if len(numbers[name].values) > 1 else "white"  # one seed says little
            axes.plot(mean, place, "o", color=colour, markerfacecolor=filled, markersize=5)
        axes.set_title(name)
        axes.set_xlabel("points over plain CAM")
    panels[0].set_yticks(places, list(found))
    return figure


def weights(work: Path, sets: Sequence[str]) -> Figure:
    """How Bridging the Gap depends on each weight, the others as chosen; val, seed 0."""
    figure = Figure(figsize=(12, 2.9 * len(sets)), layout="constrained")
    panels = figure.subplots(len(sets), 4, squeeze=False, sharey="row")
    without = ("bridging-without-similarity", "bridging-without-norm", "bridging-without-drop")
    for line, data in zip(panels, sets, strict=True):
        records = work / "records" / data
        plain = measures(records / "cam-seed0", Row("", "cam"), split="val")
        alone = {given[0]: each.name for given, each in BRIDGING_SEARCH.items() if given[1:] == (0, 0)}
        curves = {"similarity alone": {0.0: "cam"} | alone}
        for place, name in enumerate(("similarity", "norm", "consistency")):
            curves[f"{name}, with the others"] = {WEIGHTS[place]: "bridging", 0.0: without[place]} | {
                given[place]: training.name
                for given, training in BRIDGING_SEARCH.items()
                if [i for i in range(3) if given[i] != WEIGHTS[i]] == [place]
            }
        for axes, (name, points) in zip(line, curves.items(), strict=True):
            measured = {
                weight: measures(records / f"{training}-seed0", Row("", training), split="val")
                for weight, training in sorted(points.items())
                if has_records(records / f"{training}-seed0", Row("", training))
            }
            for number, colour in zip(CURVES, PALETTE[1:], strict=False):
                values = [100 * each[number].estimate for each in measured.values()]
                spots = range(len(measured))
                axes.plot(spots, values, "o-", color=colour, label=f"Bridging, {number}")
                axes.axhline(100 * plain[number].estimate, color=colour, linewidth=1, linestyle="--")
            axes.set_xticks(range(len(measured)), [f"{weight:g}" for weight in measured])
            axes.set_title(f"{data}: {name}", fontsize=9)
            axes.set_xlabel("its weight")
        line[0].set_ylabel("%, val, seed 0")
    panels[0, 0].plot([], [], color=QUIET, linewidth=1, linestyle="--", label="plain CAM")
    panels[0, 0].legend(fontsize=8)
    return figure


def length(work: Path, sets: Sequence[str]) -> Figure:
    """BoxAccV2 and the similarity loss after each epoch of the length that users train; val, seed 0."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    panels = figure.subplots(1, 2 * len(sets), squeeze=False)[0]
    shown = (*USUAL.items(), ("the default", DEFAULT))
    for data, boxes, loss in zip(sets, panels[::2], panels[1::2], strict=True):
        for (title, training), colour in zip(shown, PALETTE[1:], strict=False):
            path = folder(work, data, training.name, 0) / METRICS
            if not path.is_file():
                continue
            with path.open(encoding="utf-8", newline="") as file:
                epochs = list(csv.DictReader(file))
            weight = read_config(path.parent / CONFIG).bridging.similarity or 1.0
            for axes, name, unit in ((boxes, "val MaxBoxAccV2", 100.0), (loss, "similarity", 1 / weight)):
                there = [each for each in epochs if each.get(name)]
                values = [unit * float(each[name]) for each in there]
                spots = [int(each["epoch"]) for each in there]
                if values:
                    axes.plot(spots, values, "o-", color=colour, markersize=4, label=title)
        boxes.set_title(f"{data}: BoxAccV2, val, %", fontsize=9)
        loss.set_title(f"{data}: similarity loss, train", fontsize=9)
        for axes in (boxes, loss):
            axes.set_xlabel("epoch")
    named = {
        label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if named:
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named), fontsize=8)
    return figure


def diagnostics(work: Path, data: str) -> Figure:
    """Six arguments of the two papers, on test images."""
    found: dict[str, list[Diagnosis]] = {}
    for name in TITLES:
        paths = [file_of(work, data, f"{name}-seed{seed}") for seed in SEEDS]
        found[name] = [load(path) for path in paths if path.is_file()]
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    panels = figure.subplots(2, 3)
    _covered(panels[0, 0], found)
    _similarity(panels[0, 1], found)
    _areas(panels[0, 2], found)
    _area_and_weight(panels[1, 0], found)
    _negative(panels[1, 1], found["cam"])
    _standards(panels[1, 2], work / "records" / data)
    return figure


def _covered(axes: Axes, found: dict[str, list[Diagnosis]]) -> None:
    there = {name: runs for name, runs in found.items() if runs}
    for part, colour, label in (("object", PALETTE[3], "object"), ("background", QUIET, "background")):
        means = [100 * np.mean([getattr(run, part)[0].mean() for run in runs]) for runs in there.values()]
        shift = -0.2 if part == "object" else 0.2
        bars = axes.bar(np.arange(len(there)) + shift, means, 0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xticks(range(len(there)), [TITLES[name] for name in there], fontsize=8)
    axes.set_ylim(0, 118)
    axes.set_ylabel("% of its pixels")
    axes.legend(fontsize=8, ncols=2, loc="upper right")
    axes.set_title("Above the threshold")


def _similarity(axes: Axes, found: dict[str, list[Diagnosis]]) -> None:
    for name, style in (("cam", ":"), ("bridging", "--"), (LEAD.name, "-")):
        for place, colour in enumerate((PALETTE[3], QUIET)):
            values = [run.similarity[place] for run in found[name]]
            label = LINES[name] if place == 0 else ""
            _outline(axes, values, np.linspace(-0.2, 1, 49), colour=colour, style=style, label=label)
    axes.plot([], [], color=QUIET, linewidth=1.7, label="off the object")
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    axes.set_xlabel("cosine similarity S, mean of an image")
    axes.set_ylabel("images")
    axes.set_yticklabels([])
    _legend(axes)
    axes.set_title("Alignment of features and class weight")


def _areas(axes: Axes, found: dict[str, list[Diagnosis]]) -> None:
    for name, colour, label in (("cam", PALETTE[1], "GAP"), ("tap", PALETTE[0], "TAP")):
        values = [run.area[np.isfinite(run.area)] for run in found[name]]
        _outline(axes, values, np.linspace(0, 1, 41), colour=colour, style="-", label=label)
    axes.set_xlabel("share of the map where it is active")
    axes.set_ylabel("channels")
    axes.set_yticklabels([])
    _legend(axes)
    axes.set_title("Activated area of channels")


def _area_and_weight(axes: Axes, found: dict[str, list[Diagnosis]]) -> None:
    axes.axhline(0, color=INK, linewidth=1)
    for name, colour, label in (("cam", PALETTE[1], "GAP"), ("tap", PALETTE[0], "TAP")):
        curves = [curve for run in found[name] for curve in _weights_by_area(run)]
        if not curves:
            continue
        mean, spread = np.mean(curves, axis=0), np.std(curves, axis=0)
        places = (np.arange(len(mean)) + 0.5) / len(mean)
        axes.fill_between(places, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
        axes.plot(places, mean, "o-", markersize=4, color=colour, label=label)
    axes.set_xlabel("channels by activated area, small to large")
    axes.set_ylabel("weight / standard deviation")
    _legend(axes)
    axes.set_title("Weight of a class by area")


def _weights_by_area(run: Diagnosis, parts: int = 10) -> Iterable[np.ndarray]:
    for area, weight in zip(run.area, run.weight, strict=True):
        order = np.argsort(area[np.isfinite(area)])
        mine = (weight / weight.std())[np.isfinite(area)][order]
        yield np.array([part.mean() for part in np.array_split(mine, parts)])


def _negative(axes: Axes, runs: list[Diagnosis]) -> None:
    covered = np.concatenate([run.covered for run in runs])
    negative = np.concatenate([run.negative for run in runs])
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1)
    axes.plot(covered, negative, "o", markersize=3, alpha=0.35, color=PALETTE[1], markeredgewidth=0)
    axes.set_xlabel("share of the picture that is object")
    axes.set_ylabel("share of the negative part on it")
    axes.annotate(
        "if it were spread evenly", (0.55, 0.55), (0.98, 0.2), ha="right", fontsize=8,
        arrowprops={"arrowstyle": "->", "color": INK},
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_title("Negative weights fire on the object")


def _standards(axes: Axes, records: Path) -> None:
    kept = [records_file(records / f"cam-seed{seed}", "cam", "test", "boxes") for seed in SEEDS]
    pairs = [best_shares(load_records(path, "boxes")) for path in kept if path.is_file()]  # type: ignore[arg-type]
    for place, (label, colour) in enumerate((("maximum", PALETTE[1]), ("90th percentile", PALETTE[0]))):
        shares = [pair[place] / pair[place].mean() for pair in pairs]
        spread = np.mean([share.std() for share in shares])
        told = f"of the {label} (spread {spread:.2f})"
        _outline(axes, shares, np.linspace(0, 3, 41), colour=colour, style="-", label=told)
    axes.set_ylim(0, 1.35 * axes.get_ylim()[1])
    axes.set_xlabel("best τ of an image / mean of all")
    axes.set_ylabel("images")
    axes.set_yticklabels([])
    _legend(axes)
    axes.set_title("How far the best thresholds differ")


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _outline(
    axes: Axes, values: Sequence[np.ndarray], edges: np.ndarray, *, colour: str, style: str, label: str
) -> None:  # fmt: skip
    if values:
        counts, _ = np.histogram(np.clip(np.concatenate(values), edges[0], edges[-1]), edges)
        share = counts / counts.sum()
        axes.stairs(share, edges, color=colour, linestyle=style, linewidth=1.7, label=label)


def main() -> None:
    """Draw what is measured and diagnosed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.figures", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders of the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="folder of the runs")
    parser.add_argument("--output", type=Path, default=Path("docs/images"), help="folder of the figures")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    sets = [folder.name for folder in asked.data]
    with plot_style():
        drawn = {"weights": weights(asked.work, sets), "length": length(asked.work, sets)}
        for data in sets:
            drawn[f"differences-{data}"] = differences(asked.work / "records" / data)
            if file_of(asked.work, data, "cam-seed0").is_file():
                drawn[f"diagnostics-{data}"] = diagnostics(asked.work, data)
            else:
                print(f"{data} is not diagnosed: python -m benchmarks.study.diagnose")
        for name, figure in drawn.items():
            with atomic_write(asked.output / f"{name}.png") as temporary:
                figure.savefig(temporary, format="png", dpi=110)
            print(asked.output / f"{name}.png")


if __name__ == "__main__":
    main()
