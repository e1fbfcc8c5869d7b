"""``wsol compare``."""

import shutil
import sys
from pathlib import Path
from typing import Literal, get_args

from jsonargparse import Namespace

from wsol.commands.parser import ArgumentParser

Format = Literal["terminal", "markdown", "html", "latex"]
Known = Literal["cub", "imagenet", "openimages"]
SUFFIXES: dict[str, Format] = {".md": "markdown", ".html": "html", ".htm": "html", ".tex": "latex"}


def compare_parser() -> ArgumentParser:
    """Options of ``wsol compare``."""
    parser = ArgumentParser(
        allow_abbrev=False,
        description="Put results of wsol evaluate side by side. Numbers of different protocols never share a "
        "column; results that differ only in their seed are averaged.",
        epilog="Exit code: 0 all well, 1 an error, 2 wrong usage.",
    )
    parser.add_argument(
        "results", nargs="+", help="folders of results or that hold such, or a result.json", metavar="RESULT"
    )
    parser.add_argument(
        "--format",
        type=Format | None,
        help="how to write the table; default: as --output is called (.md, .html, .tex), else terminal",
    )
    parser.add_argument("--output", type=str | None, help="file to write to; default: the terminal")
    parser.add_argument(
        "--numbers",
        nargs="+",
        action="extend",
        default=[],
        help="numbers to show, as MaxBoxAccV2 or PxAP; default: all but the accuracies at single IoU "
        "thresholds (BoxAcc@0.5 largest, …)",
        metavar="NAME",
    )
    parser.add_argument(
        "--intervals", action="store_true", help="add the 95 % interval to each single number"
    )
    parser.add_argument(
        "--published",
        nargs="+",
        action="extend",
        choices=get_args(Known),
        default=[],
        help="show published numbers of these data sets; those of the results' data sets are shown anyway",
        metavar="DATA",
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse results on the same data set of different protocols"
    )
    parser.add_argument(
        "--test",
        type=bool | None,
        help="paired tests against the first result, over the same images; default: if there are two results",
    )
    return parser


def compare(options: Namespace) -> int:
    """Run ``wsol compare``; returns the exit code."""
    from wsol.evaluation.compare import check_same_protocol
    from wsol.evaluation.compare import compare as compare_results
    from wsol.evaluation.rows import load_results
    from wsol.evaluation.tables import render
    from wsol.export.files import atomic_write

    results, notes = load_results(options.results)
    for note in notes:
        print(note, file=sys.stderr)
    if options.strict:
        check_same_protocol(results)
    comparison = compare_results(
        results,
        numbers=options.numbers,
        intervals=options.intervals,
        literature=options.published,
        test=options.test,
    )
    suffix = Path(options.output or "").suffix.lower()
    form: Format = options.format or SUFFIXES.get(suffix, "terminal")
    shown = options.output is None and form == "terminal" and sys.stdout.isatty()
    text = render(comparison, form, shutil.get_terminal_size().columns if shown else None)
    if options.output is None:
        print(text, end="")
    else:
        with atomic_write(Path(options.output)) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        print(options.output)
    return 0
