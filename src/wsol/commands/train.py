"""``wsol train``."""

import sys
from argparse import SUPPRESS
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from wsol.commands import EXIT_CODES, EXIT_SKIPPED, options_of
from wsol.commands.parser import ArgumentParser

if TYPE_CHECKING:
    from wsol.training.directory import Run


def train_parser() -> ArgumentParser:
    """Options of ``wsol train``."""
    from wsol.training.recipes import add_config_options

    parser = ArgumentParser(
        allow_abbrev=False,
        description="Train a classifier that localises, from class labels alone. The same command again goes "
        "on where it was stopped. Boxes or masks of val choose the best epoch, without them the last one is "
        "used; where there is no val, a part of the training images is held out. Test is never looked at.",
        epilog=EXIT_CODES,
    )
    parser.add_argument(
        "--config",
        action="config",
        help="a YAML file of these options, as recipes are; several: later ones win",
    )
    parser.add_argument(  # no default: it is no field of the configuration that --print_config prints
        "--quiet", action="store_true", default=SUPPRESS, help="no progress bar and no line an epoch"
    )
    add_config_options(parser)
    return parser


def train(options: Namespace) -> int:
    """Run ``wsol train``; returns the exit code."""
    from wsol.processes import is_first
    from wsol.training.config import TrainConfig
    from wsol.training.run import train as run

    quiet = options.get("quiet", False)
    done = run(options_of(TrainConfig, options), progress=not quiet)
    if is_first():
        for line in done.skipped:
            print(f"skipped: {line}", file=sys.stderr)
        if not quiet:
            _tell(done)
        return EXIT_SKIPPED if done.skipped else 0
    return 0  # for another code torchrun would end the first process, which may still write


def _tell(done: "Run") -> None:
    best = done.best
    used = f"Epoch {best['epoch']:g} is" if "epoch" in best else f"All {best['step']:g} steps together are"
    by = done.criterion or "Top-1 Cls"
    why = "by" if done.criterion else "with"
    if not done.criterion and "epoch" in best:
        why = "the last, for there are no boxes to choose by;"
    known = f", {why} {by} on val: {100 * best[f'val {by}']:.1f}" if f"val {by}" in best else ""
    print("" if done.trained else "This training was finished before; --overwrite begins anew.")
    print(f"{used} used{known}.")
    ratios = {"balanced": done.balanced_ratio, "fast": done.ratio}
    told = [f"{ratio:.3f} (--preset {preset})" for preset, ratio in ratios.items() if ratio is not None]
    if told:
        print(f"The threshold τ was chosen on val, and is used by wsol localize: {', '.join(told)}.")
    print(f"\n{done.folder}\n\n    wsol localize PHOTOS --model {done.folder} --output found")
