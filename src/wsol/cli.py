"""The command line: ``wsol demo`` and ``wsol localize``."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, Namespace

if TYPE_CHECKING:
    from wsol.inference.run import RunSummary

Options = TypeVar("Options")

EXIT_SKIPPED = 3
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0: all well. 1: an error that the message explains. 2: wrong usage. 3: finished, but images were
    skipped. 130: interrupted; what was done is kept.
    """
    parser = _parser()
    options = parser.parse_args(None if arguments is None else list(arguments))
    command = options.subcommand
    for stream in (sys.stdout, sys.stderr):  # a file name may hold what a terminal cannot show
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    from wsol.errors import WsolError

    try:
        return _COMMANDS[command](options[command])
    except (WsolError, ValueError, OSError) as error:
        if os.environ.get("WSOL_TRACEBACK"):
            raise
        print(f"wsol {command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"wsol {command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> ArgumentParser:
    from wsol import __version__

    parser = ArgumentParser(
        prog="wsol", description="Boxes and masks from class labels alone.", version=__version__
    )
    commands = parser.add_subcommands(required=True)
    commands.add_subcommand("demo", _demo_parser(), help="localise the built-in photographs")
    commands.add_subcommand("localize", _localize_parser(), help="localise photographs into a folder")
    return parser


def _demo_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Localise photographs that come with scikit-image, with the offline ImageNet classifier."
    )
    parser.add_argument("--output", type=str, default="wsol-demo", help="folder for the results")
    return parser


def _localize_parser() -> ArgumentParser:
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.inference.run import TARGETS
    from wsol.models import ModelOptions

    parser = ArgumentParser(
        description="Find the object of a class in each photograph: boxes, masks, a report. Images that an "
        "earlier run into the same folder has done are not done again.",
        epilog="Exit code: 0 all well, 1 an error, 2 wrong usage, 3 finished but images were skipped, "
        "130 interrupted (what was done is kept).",
    )
    parser.add_argument("paths", nargs="+", help="files, folders, globs", metavar="PATH")
    parser.add_argument("--output", type=str, required=True, help="folder for the results")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=tuple(TARGETS),
        default=["coco"],
        help="what to write, any of them at once",
    )
    parser.add_argument(
        "--label",
        type=str | None,
        help="class to look for: name, index or synset; default: the most probable",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="forget what an earlier run left in the folder"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    for kind in (ModelOptions, LocalizerOptions, RuntimeOptions):
        _add_options(parser, kind)
    return parser


def _add_options(parser: ArgumentParser, kind: type[Any]) -> None:
    """An option for each field of a dataclass, with the help of its docstring: ``min_area`` is --min-area."""
    docstring = parse_docstring(kind.__doc__ or "")
    helps = {parameter.arg_name: parameter.description for parameter in docstring.params}
    group = parser.add_argument_group((docstring.short_description or "").rstrip("."))
    types = get_type_hints(kind)
    for field in fields(kind):
        flags = ["--" + field.name.replace("_", "-"), *(["--model"] if field.name == "backbone" else [])]
        group.add_argument(*flags, type=types[field.name], default=field.default, help=helps[field.name])


def _options_of(kind: type[Options], options: Namespace) -> Options:
    return kind(**{field.name: options[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def _localize(options: Namespace) -> int:
    from wsol.inference.localizer import Localizer
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.inference.run import localize_files
    from wsol.models import ModelOptions, build

    model_options: ModelOptions = _options_of(ModelOptions, options)
    localizer_options: LocalizerOptions = _options_of(LocalizerOptions, options)
    runtime: RuntimeOptions = _options_of(RuntimeOptions, options)
    localizer = Localizer(build(model_options), localizer_options, runtime)
    summary = localize_files(
        localizer,
        model_options,
        options.paths,
        Path(options.output),
        label=options.label,
        formats=options.format,
        overwrite=options.overwrite,
        progress=not options.quiet,
    )
    return _tell(summary, quiet=options.quiet)


def _demo(options: Namespace) -> int:
    from wsol.data.samples import sample_photographs
    from wsol.inference.localizer import Localizer
    from wsol.inference.run import localize_files
    from wsol.models import ModelOptions, build

    model_options = ModelOptions()
    summary = localize_files(
        Localizer(build(model_options)),
        model_options,
        sample_photographs(),
        Path(options.output),
        formats=["coco", "overlays", "report"],
        overwrite=True,
    )
    return _tell(summary, quiet=False)


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
    if summary.ignored:
        print(f"{summary.ignored} other files in the folders are not images by their names.", file=sys.stderr)
    if summary.skipped:
        print(f"Skipped, {len(summary.skipped)} in all:", file=sys.stderr)
        for path, reason in summary.skipped:
            print(f"  {path}: {reason}", file=sys.stderr)
    if summary.interrupted:
        print("Interrupted: the same command goes on where it stopped.", file=sys.stderr)
        return EXIT_INTERRUPTED
    if not len(summary.journal):
        return 1
    return EXIT_SKIPPED if summary.skipped else 0


def _print_table(summary: "RunSummary", rows: int = 10) -> None:
    from wsol.export.names import common_root, image_names

    print(f"{'image':<28} {'class':<28} {'probability':>11}  box (x0, y0, x1, y1)")
    for name, result in islice(image_names(summary.journal, common_root(summary.journal.paths)), rows):
        boxes = " ".join(str(tuple(box)) for box in result.boxes.tolist()) or "nothing found"
        print(f"{name:<28.28} {result.label:<28.28} {result.probability:>11.3f}  {boxes}")
    if len(summary.journal) > rows:
        print(f"… and {len(summary.journal) - rows} more")


_COMMANDS: dict[str, Callable[[Namespace], int]] = {"demo": _demo, "localize": _localize}
