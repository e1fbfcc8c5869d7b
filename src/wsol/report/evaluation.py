"""An evaluation as one HTML page without scripts, and its plots as files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from wsol.data.dataset import DataSet
from wsol.evaluation import wording
from wsol.evaluation.records import BoxRecords, MaskRecords
from wsol.evaluation.result import Result, Score
from wsol.evaluation.scoring import CONTOURS, TOPK
from wsol.export.files import atomic_write
from wsol.metrics import V2_IOU_THRESHOLDS
from wsol.report import curves
from wsol.report.examples import cards, pick
from wsol.report.html import policy_hash
from wsol.report.svg import inline_svg

GROUPS = {
    "best": ("Best", "highest IoU"),
    "median": ("Median", "around the middle"),
    "worst": ("Worst", "lowest IoU first"),
}
"""Headings of the groups of images."""

HEADLINES = 4
"""Numbers shown large at the top."""


def write_evaluation_report(result: Result, data: DataSet, folder: Path) -> None:
    """Write ``report.html`` and ``plots/*.png``, ``plots/*.svg``; each file appears whole or not at all.

    Args:
        result: read from its folder, or saved into it: the records must lie there.
        data: the data set that was evaluated; a photograph that cannot be read shows as a grey field.
        folder: the result's own.

    Raises:
        DataError: the records are missing or damaged.
        OSError: a file cannot be written.
    """
    overlaps = result.overlaps()
    groups = {name: places for name, places in pick(overlaps).items() if places}
    style = Markup("\n" + resources.files("wsol.report").joinpath("evaluation.css").read_text("utf-8"))
    environment = Environment(
        loader=PackageLoader("wsol", "report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": wording.percent, "interval": wording.interval}
    text = environment.get_template("evaluation.html").render(
        result=result,
        protocol=wording.protocol_parts(result, len(overlaps)),
        headlines=_headlines(result)[:HEADLINES],
        tables=_tables(result),
        plots=list(_plots(result, folder / "plots")),
        groups=[(*GROUPS[name], found) for name, found in cards(result, data, groups).items()],
        masks=isinstance(result.records, MaskRecords),
        settings=_settings(result),
        style=style,
        policy=f"default-src 'none'; img-src data:; style-src {policy_hash(style)}",
    )
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


@dataclass(frozen=True)
class _Row:
    """A score in the table."""

    score: Score
    oracle: bool
    detail: bool
    explanation: str
    policy: str
    contours: str
    deltas: str
    ratios: str


@dataclass(frozen=True)
class _Plot:
    svg: Markup
    name: str
    caption: str


def _rows(result: Result) -> list[_Row]:
    return [
        _Row(
            score=score,
            oracle=score.policy == "oracle",
            detail=wording.is_part(score.name),
            explanation=wording.explain(score.name),
            policy=wording.policy_words(score.policy, score.selected_on),
            contours=wording.contour_words(score.contours),
            deltas=", ".join(f"{delta:g}" for delta in score.iou_thresholds),
            ratios=", ".join(f"{ratio:g}" for ratio in score.ratios),
        )
        for score in result.scores
    ]


def _headlines(result: Result) -> list[_Row]:
    """The numbers of the result's own policy, and those without one."""
    own = (result.protocol.policy, None)
    return [row for row in _rows(result) if row.score.policy in own and not row.detail]


def _tables(result: Result) -> dict[str, list[tuple[str, list[_Row]]]]:
    """Rows under a heading each: the numbers, those of the oracle apart, and the details of both."""
    rows = _rows(result)
    split = result.protocol.split
    official = ", as the official MaxBoxAcc does" if result.protocol.truth == "boxes" else ""
    warning = f"Oracle: τ chosen on the {split} images themselves{official}"
    numbers = [("", [row for row in rows if not row.oracle]), (warning, [row for row in rows if row.oracle])]
    return {
        name: [
            (title, kept)
            for title, all_ in numbers
            if (kept := [row for row in all_ if row.detail == detail])
        ]
        for name, detail in (("main", False), ("details", True))
    }


def _plots(result: Result, folder: Path) -> Iterator[_Plot]:
    """Each plot, drawn, written and made ready for the page."""
    with curves.plot_style():
        for name, figure, caption in _figures(result):
            svg = curves.save_plot(figure, folder, name)
            yield _Plot(inline_svg(svg, name.replace("_", "-"), caption), name, caption)


def _figures(result: Result) -> Iterator[tuple[str, Figure, str]]:
    """File name, plot and caption."""
    records, protocol = result.records, result.protocol
    shown = {protocol.split: records, **_selected(result)}
    drawn = f"On {protocol.split}; the dots are at the chosen τ."
    if len(shown) > 1:
        drawn += f" Thin dashed: on {protocol.selected_on}, where τ was chosen."
    if isinstance(records, MaskRecords):
        masks = {name: each for name, each in shown.items() if isinstance(each, MaskRecords)}
        yield from _mask_figures(result, masks, drawn)
    else:
        boxes = {name: each for name, each in shown.items() if isinstance(each, BoxRecords)}
        yield from _box_figures(result, boxes, drawn)


def _box_figures(
    result: Result, records: Mapping[str, BoxRecords], drawn: str
) -> Iterator[tuple[str, Figure, str]]:
    chosen = _chosen(result)
    for contours in CONTOURS:
        figure = curves.accuracy_figure(records, contours, chosen, result.protocol)
        words = wording.contour_words(contours)
        yield f"accuracy_{contours}", figure, f"Share of images whose box ({words}) is right. {drawn}"
    figure = curves.overlap_figure(result.overlaps(), V2_IOU_THRESHOLDS)
    yield "overlaps", figure, (
        "How well the box of the largest contour meets a true one, and the share of images that reach each "
        f"IoU threshold, at τ = {result.headline_ratio:g}."
    )  # fmt: skip
    if result.errors:
        judged = result.records.depth > 0  # else no class can be called wrong
        errors = {name: share for name, share in result.errors.items() if judged or name != "wrong class"}
        figure = curves.error_figure(errors)
        yield "errors", figure, (
            "Kind of error of the largest contour's box; the first kind that fits an image counts."
        )  # fmt: skip


def _mask_figures(
    result: Result, records: Mapping[str, MaskRecords], drawn: str
) -> Iterator[tuple[str, Figure, str]]:
    split, step = result.protocol.split, result.protocol.step
    score = result.score("Mask IoU", result.protocol.policy)
    figure = curves.precision_recall_figure(records[split], result.score("PxAP").value, step)
    caption = f"All pixels of {split} together; the area under the steps is PxAP."
    yield "precision_recall", figure, caption
    figure = curves.mask_iou_figure(records, (score.ratios[0], score.value), step)
    yield "mask_iou", figure, f"Mean IoU of the map above τ and the true mask. {drawn}"
    figure = curves.overlap_figure(result.overlaps(), ())
    yield "overlaps", figure, f"How well the map above τ = {score.ratios[0]:g} meets the true mask."


def _selected(result: Result) -> dict[str, BoxRecords | MaskRecords]:
    """Records of the split that τ was chosen on, if it is another one and they are there."""
    split = result.protocol.selected_on
    if split in (None, result.protocol.split) or result.folder is None:
        return {}
    return {split: result.records_of(split)} if (result.folder / f"{split}.npz").is_file() else {}


def _chosen(result: Result) -> dict[tuple[Any, float], tuple[float, float]]:
    """τ of the result's own policy and the accuracy at it, by contours and δ."""
    return {
        (score.contours, score.iou_thresholds[0]): (score.ratios[0], score.value)
        for score in result.scores
        if score.policy == result.protocol.policy
        and len(score.iou_thresholds) == 1
        and score.name not in TOPK
    }


def _settings(result: Result) -> dict[str, dict[str, str]]:
    """What repeats the result, under headings."""
    protocol = vars(result.protocol) | ({} if result.seed is None else {"seed": result.seed})
    return {
        "Model": dict(_flat(result.model)),
        "Data": dict(_flat(result.data)),
        "Protocol": dict(_flat(protocol)),
        "Versions": dict(_flat(result.versions)) | {"created": result.created},
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as lines: "weights sha256", "abc…"."""
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(_text, value))
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"  # result.json has every digit
    return "–" if value is None else str(value)
