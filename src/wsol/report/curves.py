"""Plots of an evaluation, drawn by Matplotlib without pyplot: the same bytes for the same numbers."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from wsol.component_tree import Contours
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.records import BoxRecords, MaskRecords
from wsol.evaluation.scoring import accuracy_curves
from wsol.evaluation.wording import contour_words
from wsol.export.files import atomic_write
from wsol.metrics import V2_IOU_THRESHOLDS, pixel_edges, precision_recall, thresholds
from wsol.report.overlay import PALETTE

INK, QUIET, PAPER = "#1a1d23", "#5b6472", "#ffffff"
"""Text, secondary marks, background; in the page they follow its theme."""

SERIES = (PALETTE[1], PALETTE[0], "#98690c")
"""A colour for each IoU threshold δ, told apart by their line widths too."""

WIDTHS = (1.6, 2.6, 1.6)
STYLES = ("-", "-", "-.")

_STYLE = {
    "svg.hashsalt": "wsol", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 10.5,
    "text.color": INK, "axes.edgecolor": QUIET, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": PAPER,
    "axes.facecolor": "none", "axes.titlesize": 11, "axes.titlelocation": "left", "legend.frameon": False,
    "axes.grid": True, "grid.color": QUIET, "grid.alpha": 0.25, "grid.linewidth": 0.7, "axes.axisbelow": True,
}  # fmt: skip


@contextmanager
def plot_style() -> Iterator[None]:
    """Matplotlib's own defaults and the style of these plots, whatever the user has configured."""
    with mpl.style.context(["default", _STYLE]):
        yield


def save_plot(figure: Figure, folder: Path, name: str) -> str:
    """Write ``name.svg`` and ``name.png``; returns the SVG's text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    with atomic_write(folder / f"{name}.svg") as temporary:
        temporary.write_text(buffer.getvalue(), encoding="utf-8")
    with atomic_write(folder / f"{name}.png") as temporary:
        figure.savefig(temporary, format="png", dpi=200)
    return buffer.getvalue()


def accuracy_figure(
    records: Mapping[str, BoxRecords],
    contours: Contours,
    chosen: Mapping[tuple[Contours, float], tuple[float, float]],
    protocol: Protocol,
) -> Figure:
    """Share of images localized over τ, for each δ.

    Args:
        records: of the evaluated split, by its name; then of the split that τ was chosen on, if it is
            another, which is drawn dashed.
        contours: whose boxes count.
        chosen: τ and the accuracy at it by contours and δ, marked by a dot where it is known.
        protocol: the steps of τ, and what it is a share of.
    """
    ratios = thresholds(protocol.step).numpy()
    figure, axes = _canvas(f"Accuracy over τ, {contour_words(contours)}", "images localized")
    for number, each in enumerate(records.values()):
        curves = accuracy_curves(each, contours, protocol)  # (δ, τ)
        for delta, curve, *look in zip(V2_IOU_THRESHOLDS, curves, SERIES, WIDTHS, STYLES, strict=True):
            label = f"IoU ≥ {delta:g}" if number == 0 else None
            _line(axes, ratios, curve, look, label=label, dashed=number > 0)
            if number == 0 and (contours, delta) in chosen:
                _dot(axes, chosen[contours, delta], str(look[0]))
    axes.set_xlabel("threshold τ")
    _percent(axes)
    _legend(axes, list(records), any(key[0] == contours for key in chosen))
    return figure


def mask_iou_figure(records: Mapping[str, MaskRecords], chosen: tuple[float, float], step: float) -> Figure:
    """Mean IoU of map and mask over τ; the chosen τ and the number at it marked."""
    ratios = thresholds(step).numpy()
    figure, axes = _canvas("Mask IoU over τ", "mean IoU over images")
    look = (SERIES[1], WIDTHS[1], "-")
    for number, each in enumerate(records.values()):
        curve = each.overlaps()[:, : len(ratios)].mean(axis=0)
        _line(axes, ratios, curve, look, label=None if number else "Mask IoU", dashed=number > 0)
    _dot(axes, chosen, SERIES[1])
    axes.set_xlabel("threshold τ")
    _percent(axes)
    _legend(axes, list(records), True)
    return figure


def precision_recall_figure(records: MaskRecords, area: float, step: float) -> Figure:
    """Precision over recall of all pixels together, τ written at some points.

    Args:
        records: of the evaluated split.
        area: PxAP.
        step: width of the bins.
    """
    pooled = torch.from_numpy(records.histograms.sum(axis=0, dtype=np.int64))
    precision, recall = (values.numpy() for values in precision_recall(pooled))
    figure, axes = _canvas(f"Precision and recall of pixels, PxAP {100 * area:.1f} %", "precision")
    gained = np.diff(recall, prepend=0) > 0  # elsewhere P counts for nothing: PxAP = Σ P · ΔR
    steps = np.append(0, recall[gained]), np.append(precision[gained][:1], precision[gained])
    axes.plot(*steps, color=SERIES[0], linewidth=2, drawstyle="steps-pre")
    axes.fill_between(*steps, color=SERIES[0], alpha=0.12, linewidth=0, step="pre")
    edges = pixel_edges(step).numpy()[:-1][::-1]
    for ratio in (0.2, 0.4, 0.6, 0.8):
        at = np.abs(edges - ratio).argmin()
        axes.plot(recall[at], precision[at], "o", color=SERIES[0], markersize=5)
        axes.annotate(
            f"{ratio:g}", (recall[at], precision[at]), (4, 5), textcoords="offset points", fontsize=9
        )
    axes.set_xlabel("recall (numbers at the dots: τ)")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    _percent(axes)
    return figure


def overlap_figure(overlaps: NDArray[np.float64], marks: Sequence[float]) -> Figure:
    """How many images have which IoU.

    Args:
        overlaps: (N,), IoU of each image.
        marks: IoU thresholds of a hit, each drawn with the share of images that reach it.
    """
    figure, axes = _canvas("IoU of each image", "images")
    counts, edges = np.histogram(overlaps, np.linspace(0, 1, 21))
    axes.bar(edges[:-1], counts, width=0.05, align="edge", color=SERIES[0], edgecolor=PAPER, linewidth=0.8)
    axes.set_ylim(0, max(counts.max(), 1) * (1.24 if marks else 1.05))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    for mark in marks:
        axes.axvline(mark, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
        share = (overlaps >= mark).mean()
        text = f"{100 * share:.0f} %\n≥ {mark:g}"
        axes.annotate(text, (mark, 1), (4, -2), xycoords=("data", "axes fraction"),
                      textcoords="offset points", va="top", fontsize=9)  # fmt: skip
    axes.set_xlabel("IoU at the chosen τ")
    axes.set_xlim(0, 1)
    axes.grid(visible=False, axis="x")
    return figure


def error_figure(errors: Mapping[str, float]) -> Figure:
    """Share of images of each kind of error."""
    figure, axes = _canvas("What goes wrong at the chosen τ", "")
    names, shares = list(errors), list(errors.values())
    colours = [SERIES[0] if name == "correct" else SERIES[1] for name in names]
    axes.barh(names, shares, color=colours, height=0.68)
    axes.invert_yaxis()
    for row, share in enumerate(shares):
        axes.annotate(f"{100 * share:.1f} %", (share, row), (4, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, max([*shares, 0.01]) * 1.25)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("images")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    return figure


def _canvas(title: str, label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.3, 3.5), layout="constrained")
    axes: Axes = figure.subplots()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    axes.set_ylabel(label)
    return figure, axes


def _line(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], look: Sequence[object], *,
    label: str | None, dashed: bool,
) -> None:  # fmt: skip
    colour, width, style = look
    if dashed:
        axes.plot(x, y, color=str(colour), linewidth=1.1, linestyle=(0, (3, 2.5)))
    else:
        axes.plot(x, y, color=str(colour), linewidth=width, linestyle=style, label=label)


def _dot(axes: Axes, place: tuple[float, float], colour: str) -> None:
    axes.plot(*place, "o", color=colour, markersize=8, markeredgecolor=PAPER, zorder=5, clip_on=False)


def _percent(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axis: Axis = axes.yaxis
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _legend(axes: Axes, splits: Sequence[str], marked: bool) -> None:
    """Above the axes, where it can cover no curve."""
    names = [name.encode("ascii", "replace").decode() for name in splits]  # what the font surely has
    if len(names) > 1:
        axes.plot([], [], color=QUIET, linewidth=1.6, label=f"on {names[0]}")
        axes.plot([], [], color=QUIET, linewidth=1.1, linestyle=(0, (3, 2.5)), label=f"on {names[1]}")
    if marked:
        axes.plot([], [], "o", color=QUIET, markersize=6, label="chosen τ")
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=9.5, handlelength=1.5,
        columnspacing=1.2, borderpad=0.2, borderaxespad=0.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)  # a split may be called "$5"
