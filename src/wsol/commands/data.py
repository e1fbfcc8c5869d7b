"""``wsol data check``, ``wsol data guide`` and ``wsol data convert``."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from jsonargparse import Namespace

from wsol.commands import EXIT_SKIPPED
from wsol.commands.parser import ArgumentParser

if TYPE_CHECKING:
    from wsol.data.check import Report, SplitReport

SHOWN = 10
"""Missing files and problems that are listed of each split, unless all are asked for."""

Expect = Literal["cub", "imagenet", "openimages", "none"]


def data_parser() -> ArgumentParser:
    """``wsol data``, to which :func:`add_data_commands` adds its commands."""
    return ArgumentParser(
        allow_abbrev=False, description="Data sets: check one, learn where to get one, convert one."
    )


def add_data_commands(parser: ArgumentParser) -> None:
    """Add ``check``, ``guide`` and ``convert``; jsonargparse wants this after ``data`` itself was added."""
    commands = parser.add_subcommands(required=True)
    commands.add_subcommand(
        "check", _check_parser(), help="say what is missing, miscounted or out of the frame"
    )
    commands.add_subcommand("guide", _guide_parser(), help="say where to get a data set and where to put it")
    commands.add_subcommand("convert", _convert_parser(), help="write a data set in another format")


def data(options: Namespace) -> int:
    """Run ``wsol data``; returns the exit code."""
    commands = {"check": _check, "guide": _guide, "convert": _convert}
    return commands[options.subcommand](options[options.subcommand])


def _add_places(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("Parts of the data set that lie elsewhere")
    group.add_argument("--images", type=str | None, help="folder that image paths are relative to")
    group.add_argument(
        "--metadata", type=str | None, help="folder of the official text files, or a COCO or CSV file"
    )
    group.add_argument("--masks", type=str | None, help="folder that mask paths are relative to")


def _check_parser() -> ArgumentParser:
    parser = ArgumentParser(
        allow_abbrev=False,
        description="Read a data set's tables and look at every file they name: what is missing, miscounted, "
        "out of the frame, or in two splits. Images are not decoded.",
        epilog="Exit code: 0 all well, 1 problems, 2 wrong usage.",
    )
    parser.add_argument("path", type=str, help="folder of the data set, or a COCO or CSV file", metavar="DIR")
    _add_places(parser)
    parser.add_argument(
        "--expect",
        type=Expect | None,
        help="known set whose numbers must be met; by default it is found out and said, with none it is not",
    )
    parser.add_argument(
        "--all", action="store_true", help=f"list all problems, not the first {SHOWN} of a split"
    )
    return parser


def _guide_parser() -> ArgumentParser:
    parser = ArgumentParser(
        allow_abbrev=False,
        description="Where to get a data set of the official evaluation. Nothing is downloaded.",
    )
    parser.add_argument(
        "name", choices=("cub", "imagenet", "openimages"), help="the data set", metavar="NAME"
    )
    return parser


def _convert_parser() -> ArgumentParser:
    parser = ArgumentParser(
        allow_abbrev=False,
        description="Write all splits of a data set in another format, pictures included.",
        epilog="Exit code: 0 all well, 1 an error, 2 wrong usage, 3 finished but pictures were skipped.",
    )
    parser.add_argument(
        "source", type=str, help="folder of the data set, or a COCO or CSV file", metavar="SOURCE"
    )
    parser.add_argument(
        "target", type=str, help="folder that does not exist yet, or is empty", metavar="TARGET"
    )
    parser.add_argument(
        "--to",
        type=Literal["official", "csv", "coco", "voc", "folder"],
        required=True,
        help="format of the target",
    )
    _add_places(parser)
    parser.add_argument(
        "--link",
        type=Literal["copy", "symlink", "none"],
        default="copy",
        help="copy pictures and masks, link to them, or write tables only (read them with --images, --masks)",
    )
    parser.add_argument(
        "--truth",
        type=Literal["boxes", "masks"] | None,
        help="boxes: of masks, their extents; masks: of COCO, its segmentations as mask files; "
        "default: what the source has, if the target can hold it",
    )
    return parser


def _guide(options: Namespace) -> int:
    from wsol.data.guide import guide

    print(guide(options.name), end="")
    return 0


def _check(options: Namespace) -> int:
    from wsol.data.check import check
    from wsol.data.dataset import open_data
    from wsol.data.known import KNOWN

    opened = open_data(options.path, images=options.images, metadata=options.metadata, masks=options.masks)
    expect = KNOWN.get(options.expect)
    report = check(opened, expect, guess=options.expect is None, progress=sys.stderr.isatty())
    limit = None if options.all else SHOWN
    _print_head(report)
    for part in report.splits:
        _print_list(f"{part.name}: {len(part.missing):,} files are missing", part.missing, limit)
        _print_list(f"{part.name}: {len(part.problems):,} problems", part.problems, limit)
    _print_list("Of the whole", report.problems, None)
    for note in report.notes:
        print(note)
    print("All well." if report.well else "Not well: see above.")
    return 0 if report.well else 1


def _print_head(report: "Report") -> None:
    from tabulate import tabulate

    data = report.data
    print(f"{data.name}: format {data.format}, {len(data.classes) or 'no'} class names")
    print(f"images  {data.images}")
    if data.masks is not None and any(part.split and part.split.truth == "masks" for part in report.splits):
        print(f"masks   {data.masks}")
    for name, table in data.tables.items():
        print(f"{name:<7} {table}")
    print(report.taken_for)
    print()
    print(tabulate([_row(part) for part in report.splits], headers="keys", intfmt=","))
    print()


def _row(part: "SplitReport") -> dict[str, str | int]:
    examples = part.split.examples if part.split else ()
    return {
        "split": part.name,
        "images": len(examples),
        "classes": len({example.label for example in examples}),
        "truth": part.split.truth if part.split else "unreadable",
        "boxes": sum(len(example.boxes) for example in examples),
        "masks": sum(len(example.masks) for example in examples),
        "missing files": len(part.missing),
        "problems": len(part.problems),
    }


def _print_list(title: str, items: Sequence[str], limit: int | None) -> None:
    if not items:
        return
    print(f"{title}:")
    for item in items[:limit]:
        print(f"  {item}")
    if limit is not None and len(items) > limit:
        print(f"  … and {len(items) - limit:,} more; --all lists them")
    print()


def _convert(options: Namespace) -> int:
    from wsol.data.convert import convert
    from wsol.data.dataset import open_data

    source = open_data(options.source, images=options.images, metadata=options.metadata, masks=options.masks)
    done = convert(source, options.target, to=options.to, link=options.link, truth=options.truth)
    counts = ", ".join(f"{name} {count:,}" for name, count in done.counts.items())
    print(f"{source.name}, {source.format}, written as {options.to} to {done.target}: {counts} pictures.")
    if options.link == "none":
        masks = "" if source.masks is None else f" --masks {source.masks}"
        print(f"The pictures stay where they are: read it with --images {source.images}{masks}")
    for loss in done.lost:
        print(f"Not carried over: {loss}.")
    if done.skipped:
        print(f"Skipped, {len(done.skipped):,} in all:", file=sys.stderr)
        for problem in done.skipped:
            print(f"  {problem}", file=sys.stderr)
    return EXIT_SKIPPED if done.skipped else 0
