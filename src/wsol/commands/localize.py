"""``wsol localize`` and ``wsol demo``."""

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from wsol.commands import EXIT_CODES, EXIT_INTERRUPTED, EXIT_SKIPPED, add_options, one_line, options_of
from wsol.commands.parser import ArgumentParser
from wsol.errors import UsageError

if TYPE_CHECKING:
    from wsol.bulk.run import BulkSummary
    from wsol.inference.localizer import Label, LabelOf
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.inference.run import RunSummary
    from wsol.models import ModelOptions


def demo_parser() -> ArgumentParser:
    """Options of ``wsol demo``."""
    parser = ArgumentParser(
        allow_abbrev=False,
        description="Localise photographs that come with scikit-image, with the offline ImageNet classifier; "
        "then train CAM and Bridging the Gap on the built-in data set, evaluate both, and compare them.",
    )
    parser.add_argument("--output", type=str, default="wsol-demo", help="folder for the results")
    return parser


def localize_parser() -> ArgumentParser:
    """Options of ``wsol localize``."""
    from wsol.bulk.options import RayOptions
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.inference.run import TARGETS
    from wsol.models import ModelOptions

    parser = ArgumentParser(
        allow_abbrev=False,
        description="Find the object of a class in each photograph: boxes, masks, a report. Images that an "
        "earlier run into the same folder has done are not done again.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("paths", nargs="+", help="files, folders, globs", metavar="PATH")
    parser.add_argument("--output", type=str, required=True, help="folder for the results")
    parser.add_argument(
        "--format",
        nargs="+",
        action="extend",
        choices=tuple(TARGETS),
        help="what to write, any of them at once; default: coco",
    )
    parser.add_argument(
        "--label",
        type=str | None,
        help="class to look for: name, index or synset; default: the most probable",
    )
    parser.add_argument(
        "--label-from-folder",
        action="store_true",
        help="look for the class that the photograph's folder is named after: photos/CLASS/1.jpg",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="forget what an earlier run left in the folder"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local: this process and its reading processes; ray: bulk work by Ray Data on one machine or a "
        "cluster, from tables and archives too, of any store (s3://…), into Parquet and COCO files; see "
        "docs/scale.md",
    )
    for kind in (ModelOptions, LocalizerOptions, RuntimeOptions, RayOptions):
        add_options(parser, kind)
    return parser


def localize(options: Namespace) -> int:
    """Run ``wsol localize``; returns the exit code."""
    from wsol.bulk.options import RayOptions
    from wsol.inference.localizer import Localizer
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.inference.run import localize_files
    from wsol.methods.saved import load_model
    from wsol.models import ModelOptions

    model_options: ModelOptions = options_of(ModelOptions, options)
    localizer_options: LocalizerOptions = options_of(LocalizerOptions, options)
    runtime: RuntimeOptions = options_of(RuntimeOptions, options)
    if options.engine == "ray":
        return _localize_bulk(options, model_options, localizer_options, runtime)
    if options_of(RayOptions, options) != RayOptions():
        raise UsageError("actors, shard_size and column are for --engine ray")
    _refuse_bulk_paths(options.paths)
    localizer = Localizer(load_model(model_options), localizer_options, runtime)
    summary = localize_files(
        localizer,
        model_options,
        options.paths,
        Path(options.output),
        label=_label(options),
        formats=options.format or ["coco"],
        overwrite=options.overwrite,
        progress=not options.quiet,
    )
    return _tell(summary, quiet=options.quiet)


def _label(options: Namespace) -> "Label | LabelOf | None":
    from wsol.inference.localizer import folder_label

    if options.label_from_folder and options.label is not None:
        raise UsageError("--label and --label-from-folder both tell the class; give one of them")
    asked: Label | None = options.label
    return folder_label if options.label_from_folder else asked


def _refuse_bulk_paths(paths: list[str]) -> None:
    """Tables, archives and other stores, if that is all there is: the local engine reads none of them."""
    from wsol.bulk.options import ARCHIVES, TABLES

    others = [path for path in paths if "://" in path or path.lower().endswith((*TABLES, *ARCHIVES))]
    if len(others) == len(paths) and not any(Path(path).is_dir() for path in others):
        raise UsageError(f"{others[0]} is for --engine ray, which reads tables, archives and other stores")


def _localize_bulk(
    options: Namespace,
    model_options: "ModelOptions",
    localizer_options: "LocalizerOptions",
    runtime: "RuntimeOptions",
) -> int:
    from wsol.bulk.options import RayOptions
    from wsol.methods.saved import load_model

    if other := set(options.format or ()) - {"coco"}:
        raise UsageError(f"--engine ray writes Parquet and COCO, not {', '.join(sorted(other))}")
    if runtime.workers is not None:
        raise UsageError("workers are for --engine local; Ray reads by one task a core")
    try:
        from wsol.bulk.run import localize_bulk
    except ModuleNotFoundError as error:
        raise UsageError(f"--engine ray needs {error.name}: pip install 'wsol[ray]'") from error
    summary = localize_bulk(
        load_model(model_options),
        model_options,
        options.paths,
        options.output,
        options=localizer_options,
        runtime=runtime,
        bulk=options_of(RayOptions, options),
        label=_label(options),
        overwrite=options.overwrite,
        progress=not options.quiet,
    )
    return _tell_bulk(summary, quiet=options.quiet)


def demo(options: Namespace) -> int:
    """Run ``wsol demo``; returns the exit code."""
    from tabulate import tabulate

    from wsol.data.samples import sample_photographs
    from wsol.evaluation.wording import percent, protocol_parts
    from wsol.inference.localizer import Localizer
    from wsol.inference.run import localize_files
    from wsol.methods.saved import load_model
    from wsol.models import ModelOptions
    from wsol.training.demo import demonstrate

    model_options = ModelOptions()
    summary = localize_files(
        Localizer(load_model(model_options)),
        model_options,
        sample_photographs(),
        Path(options.output),
        formats=["coco", "overlays", "report"],
        overwrite=True,
    )
    code = _tell(summary, quiet=False)
    if code:
        return code
    print("\nNow CAM and Bridging the Gap are trained on drawn creatures; a small badge tells the class.")
    results, page = demonstrate(Path(options.output))
    names = ("GT-known Loc", "BoxAccV2", "Top-1 Cls")
    rows = [[result.name, *(percent(result.score(name).value) for name in names)] for result in results]
    print("\n" + " · ".join(protocol_parts(results[0], results[0].data["images"])))
    print(
        "\n"
        + tabulate(rows, ["%", *names], disable_numparse=True, colalign=("left", "right", "right", "right"))
    )
    print(f"\nEach {page.parent / '*-evaluation' / 'report.html'} tells more; side by side:\n{page}")
    return 0


def _tell(summary: "RunSummary", *, quiet: bool) -> int:
    """Print what was found and where it lies; returns the exit code."""
    if not quiet:
        _print_table(summary)
        print(
            f"{summary.done} localised now, in {summary.seconds:.1f} s; {summary.resumed} were done before; "
            f"{len(summary.journal)} in the folder."
        )
        for name, target in summary.written.items():
            print(f"{name:<12} {target}")
    listed = f"Skipped, {len(summary.skipped)} in all:"
    return _end(summary, listed, summary.skipped, found=len(summary.journal) > 0)


def _tell_bulk(summary: "BulkSummary", *, quiet: bool) -> int:
    """Print what the folder holds; returns the exit code."""
    output = summary.output.rstrip("/")
    if not quiet:
        rate = f" ({summary.done / summary.seconds:.1f} a second)" if summary.done else ""
        print(
            f"{summary.done} images done now, in {summary.seconds:.1f} s{rate}; {summary.resumed} of "
            f"{summary.shards} shards were written before; {summary.images} images in the folder."
        )
        if summary.images:
            print(f"{output}/boxes/*.parquet\n{output}/coco/*.json")
    listed = f"Skipped, {summary.skipped} in all, listed in {output}/skipped.csv:"
    return _end(summary, listed, summary.examples, found=summary.images > summary.skipped)


def _end(
    summary: "RunSummary | BulkSummary", listed: str, skipped: "list[tuple[str, str]]", *, found: bool
) -> int:
    """Print what was left out; returns the exit code."""
    if summary.ignored:
        print(f"{summary.ignored} other files in the folders are not images by their names.", file=sys.stderr)
    if skipped:
        print(listed, file=sys.stderr)
        for path, reason in skipped:
            print(f"  {one_line(path)}: {one_line(reason)}", file=sys.stderr)
    if summary.interrupted:
        print("Interrupted: the same command goes on where it stopped.", file=sys.stderr)
        return EXIT_INTERRUPTED
    if not found:
        return 1
    return EXIT_SKIPPED if skipped else 0


def _end_of(name: str, length: int = 28) -> str:
    """Names of photographs differ at their end."""
    return name if len(name) <= length else "…" + name[1 - length :]


def _print_table(summary: "RunSummary", rows: int = 10) -> None:
    from wsol.export.names import common_root, image_names

    print(f"{'image':<28} {'class':<28} {'probability':>11}  box (x0, y0, x1, y1)")
    for name, result in islice(image_names(summary.journal, common_root(summary.journal.paths)), rows):
        boxes = " ".join(str(tuple(box)) for box in result.boxes.tolist()) or "nothing found"
        words = [_end_of(one_line(word)) for word in (name, result.label)]
        print(f"{words[0]:<28} {words[1]:<28} {result.probability:>11.3f}  {boxes}")
    if len(summary.journal) > rows:
        print(f"… and {len(summary.journal) - rows} more")
