"""``wsol evaluate``."""

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from wsol.commands import EXIT_SKIPPED, add_options, backbone_of, options_of
from wsol.commands.parser import ArgumentParser

if TYPE_CHECKING:
    from wsol.data.dataset import DataSet
    from wsol.evaluation.measure import KeptMaps
    from wsol.evaluation.options import EvaluationOptions
    from wsol.evaluation.result import Result
    from wsol.evaluation.sources import MapSource


def evaluate_parser() -> ArgumentParser:
    """Options of ``wsol evaluate``."""
    from wsol.evaluation.options import EvaluationOptions
    from wsol.inference.options import MapOptions, RuntimeOptions
    from wsol.models import ModelOptions

    parser = ArgumentParser(
        allow_abbrev=False,
        description="Measure a model, or score maps that other code made, by the official protocol. By "
        "default the threshold is chosen on val and applied to test; the best on test itself (the published "
        "MaxBoxAcc) is told beside it.",
        epilog="Exit code: 0 all well, 1 an error, 2 wrong usage, 3 finished but images were skipped, 130 "
        "interrupted (nothing is written).",
    )
    parser.add_argument(
        "model", nargs="?", type=str | None, help="the same as --backbone: a name of a model", metavar="MODEL"
    )
    parser.add_argument("--data", type=str, required=True, help="data set: a folder, COCO file or CSV table")
    parser.add_argument("--images", type=str | None, help="its images; default: images/ in it")
    parser.add_argument(
        "--metadata", type=str | None, help="its tables; default: metadata/ in it, with train/, val/, test/"
    )
    parser.add_argument("--masks", type=str | None, help="its masks; default: masks/ in it")
    parser.add_argument(
        "--maps", type=str | None, help="a folder of score maps, <image id>.npy, instead of a model"
    )
    parser.add_argument(
        "--predictions", type=str | None,
        help="for --maps: a CSV file: image id, then classes from the most probable down",
    )  # fmt: skip
    parser.add_argument(
        "--records",
        type=str | None,
        help="the folder of an earlier result, to be scored by another policy, threshold or percentile "
        "without any map",
    )
    parser.add_argument(
        "--output",
        type=str | None,
        help="folder for the result; default: a name of its own in evaluations/",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    for kind in (EvaluationOptions, ModelOptions, MapOptions, RuntimeOptions):
        add_options(parser, kind)
    return parser


def evaluate(options: Namespace) -> int:
    """Run ``wsol evaluate``, in all processes of torchrun together; returns the exit code."""
    from wsol.processes import together

    with together():
        return _evaluate(options)


def _evaluate(options: Namespace) -> int:
    from wsol.data.dataset import open_data
    from wsol.evaluation.options import EvaluationOptions
    from wsol.evaluation.run import check_output
    from wsol.evaluation.run import evaluate as run
    from wsol.processes import process

    first = process()[0] == 0
    options.quiet = options.quiet or not first
    chosen: EvaluationOptions = options_of(EvaluationOptions, options)
    data = open_data(options.data, images=options.images, metadata=options.metadata, masks=options.masks)
    output = Path(options.output or _default_output(options, data, chosen))
    check_output(output, options.overwrite)
    data.split(chosen.split)  # what is wrong with it is told before a model is loaded
    source = _source(options, data, chosen)
    result = run(source, data, chosen, output, overwrite=options.overwrite, progress=not options.quiet)
    for kind, lines in (("note", result.notes), ("skipped", result.skipped)):
        for line in lines if first else ():
            print(f"{kind}: {line}", file=sys.stderr)
    if not options.quiet:
        _print(result, output)
    return EXIT_SKIPPED if result.skipped and first else 0


def _source(options: Namespace, data: "DataSet", chosen: "EvaluationOptions") -> "MapSource | KeptMaps":
    from wsol.errors import UsageError
    from wsol.evaluation.measure import KeptMaps

    if sum(given is not None for given in (options.model, options.maps, options.records)) > 1:
        raise UsageError("give one of a model, --maps and --records")
    if options.predictions is not None and options.maps is None:
        raise UsageError("--predictions go with --maps")
    if options.maps is not None or options.records is not None:
        _refuse_model_options(options)
    if options.records is not None:
        if chosen.label_source is not None or chosen.class_map is not None:
            raise UsageError("--records are of the maps that were measured: their label source stays")
        return KeptMaps(Path(options.records))
    return _maps_source(options, data, chosen) if options.maps else _model_source(options, data, chosen)


def _refuse_model_options(options: Namespace) -> None:
    """Options of a model say nothing about maps that are there already."""
    from wsol.errors import UsageError
    from wsol.inference.options import MapOptions
    from wsol.models import ModelOptions

    given = [
        f"--{field.name.replace('_', '-')}"
        for kind in (ModelOptions, MapOptions)
        for field in fields(kind)
        if options[field.name] != field.default
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: for a model; --maps and --records are of maps made already")


def _class_count(data: "DataSet", chosen: "EvaluationOptions") -> int:
    """How many classes the data has: those named, or up to the highest label of what is read."""
    if data.classes:
        return len(data.classes)
    splits = {chosen.split} | (
        {chosen.select_on} & {*data.tables} if chosen.policy == "transferred" else set()
    )
    return 1 + max(example.label for name in splits for example in data.split(name).examples)


def _model_source(options: Namespace, data: "DataSet", chosen: "EvaluationOptions") -> "MapSource":
    from wsol.evaluation.labels import match_labels
    from wsol.evaluation.sources import ModelMaps
    from wsol.inference.mapmaker import MapMaker
    from wsol.inference.options import LocalizerOptions, MapOptions, RuntimeOptions
    from wsol.methods.saved import load_model
    from wsol.models import ModelOptions

    options.backbone = backbone_of(options)
    maps = options_of(MapOptions, options)
    localizer = MapMaker(
        load_model(options_of(ModelOptions, options)),
        LocalizerOptions(**vars(maps)),
        options_of(RuntimeOptions, options),
    )
    count = _class_count(data, chosen)
    labels = match_labels(data.classes, count, localizer.model.classes, chosen)
    if chosen.label_source is None and not options.quiet:
        print(f"Maps are of the {labels.source} class ({labels.note}).", file=sys.stderr)
    return ModelMaps(localizer, labels)


def _maps_source(options: Namespace, data: "DataSet", chosen: "EvaluationOptions") -> "MapSource":
    from wsol.errors import UsageError
    from wsol.evaluation.sources import SavedMaps
    from wsol.inference.reading import usual_workers

    if chosen.class_map is not None:
        raise UsageError("--class-map is of a model's classes; --predictions are in those of the data")
    return SavedMaps(
        Path(options.maps),
        label_source=chosen.label_source or "unstated",
        asked=chosen.label,
        predictions=None if options.predictions is None else Path(options.predictions),
        classes=data.classes,
        class_count=_class_count(data, chosen),
        processes=usual_workers() if options.workers is None else options.workers,
    )


def _default_output(options: Namespace, data: "DataSet", chosen: "EvaluationOptions") -> str:
    """A folder for each model, data set and protocol."""
    from wsol.inference.options import MapOptions

    made_by = options.maps or options.records
    parts = [
        chosen.name or (Path(made_by).name if made_by else options.model or options.backbone),
        options.map or "",
        re.sub(r"[ ,]+", "_", options_of(MapOptions, options).told()),
        "" if options.records else data.name,
        Path(options.metadata).name if options.metadata and not options.records else "",
        "" if options.records else chosen.split,
        chosen.threshold if chosen.threshold != "max" else "",
        f"{chosen.percentile:g}" if chosen.percentile is not None else "",
        chosen.policy if chosen.policy != "transferred" else "",
        f"{chosen.ratio:g}" if chosen.ratio is not None else "",
        chosen.label_source or "",
        chosen.label or "",
    ]
    return "evaluations/" + re.sub(r"[^\w.-]+", "_", "-".join(filter(None, parts)))


def _print(result: "Result", output: Path) -> None:
    from tabulate import tabulate

    from wsol.evaluation.wording import contour_words, interval, percent, policy_words, protocol_parts

    rows = [
        (
            score.name,
            percent(score.value),
            interval(score),
            contour_words(score.contours),
            " ".join(f"{delta:g}" for delta in score.iou_thresholds),
            policy_words(score.policy, score.selected_on),
            " ".join(f"{ratio:.3f}" for ratio in score.ratios),
        )
        for score in result.scores
    ]
    heads = ("", "%", "95 % interval", "boxes of", "IoU ≥", "threshold", "τ")
    print("\n" + " · ".join(protocol_parts(result, result.data["images"])))
    print("\n" + tabulate(rows, heads, disable_numparse=True, colalign=("left", "right")))
    if result.skipped:
        print(f"\nWithout {len(result.skipped)} images that could not be used (listed first).")
    print(f"\n{output / 'report.html'}")
