"""The command line: ``wsol demo``, ``wsol localize``, ``wsol evaluate``, …"""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from jsonargparse import Namespace

from wsol.commands import EXIT_INTERRUPTED, EXIT_USAGE
from wsol.commands.app import app, app_parser
from wsol.commands.compare import compare, compare_parser
from wsol.commands.data import add_data_commands, data, data_parser
from wsol.commands.evaluate import evaluate, evaluate_parser
from wsol.commands.export import export, export_parser
from wsol.commands.localize import demo, demo_parser, localize, localize_parser
from wsol.commands.parser import ArgumentParser
from wsol.commands.train import train, train_parser

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ROOM = ". What was written before is whole: make room, and call the same command again"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0: all well. 1: an error that the message explains. 2: wrong usage. 3: finished, but images were
    skipped. 130: interrupted; what was done is kept.
    """
    parser = _parser()
    options = parser.parse_args(
        [_dashed(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    )
    command = options.subcommand
    for stream in (sys.stdout, sys.stderr):  # a file name may hold what a terminal cannot show
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    from wsol.errors import SharedError, UsageError, WsolError

    try:
        return _COMMANDS[command](options[command])
    except (WsolError, ValueError, OSError) as error:
        if os.environ.get("WSOL_TRACEBACK"):
            raise
        if not isinstance(error, SharedError) or _is_first():
            advice = ROOM if getattr(error, "errno", None) in NO_ROOM else ""
            print(f"wsol {command}: {error}{advice}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        if _is_first():
            print(f"wsol {command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _is_first() -> bool:
    from wsol.processes import is_first

    return is_first()


def _dashed(word: str) -> str:
    """--training.batch_size, as the key is called in a file, is --training.batch-size too."""
    option, equals, value = word.partition("=")
    named = option.startswith("--") and not option.startswith("--print_config")
    return option.replace("_", "-") + equals + value if named else word


def _parser() -> ArgumentParser:
    from wsol import __version__

    parser = ArgumentParser(
        allow_abbrev=False,
        prog="wsol",
        description="Boxes and masks from class labels alone.",
        version=__version__,
    )
    commands = parser.add_subcommands(required=True)
    commands.add_subcommand("demo", demo_parser(), help="localise the built-in photographs")
    commands.add_subcommand("localize", localize_parser(), help="localise photographs into a folder")
    commands.add_subcommand(
        "train", train_parser(), help="train a classifier that localises, from labels alone"
    )
    commands.add_subcommand(
        "evaluate", evaluate_parser(), help="measure a model or saved maps by the protocol"
    )
    commands.add_subcommand("compare", compare_parser(), help="one table of several results, tested in pairs")
    commands.add_subcommand(
        "export", export_parser(), help="write a model with its map as one graph (ONNX, torch.export)"
    )
    commands.add_subcommand("app", app_parser(), help="look at photographs in the browser; correct boxes")
    about_data = data_parser()
    commands.add_subcommand("data", about_data, help="check, find or convert a data set")
    add_data_commands(about_data)  # jsonargparse takes commands level by level
    return parser


_COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "demo": demo,
    "localize": localize,
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "export": export,
    "app": app,
    "data": data,
}
