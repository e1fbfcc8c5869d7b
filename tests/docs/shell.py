"""What is done with the commands of the pages: most run, made short; the others are parsed at least."""

import argparse
import re
import runpy
import tomllib
import warnings
from pathlib import Path
from typing import Any, NoReturn

import pytest
from torch.distributed.run import get_args_parser

from tests.docs.blocks import ROOT
from wsol.cli import _parser, main

QUICK = {
    "train": ("--training.epochs", "1", "--input-size", "96", "--trainer.workers", "0"),
    "export": ("--preset", "fast"),
    "localize": ("--workers", "0"),
}
"""What commands are made short by: options that go behind their own."""

PARSED = {
    "the papers' data sets": (
        "data check CUB --expect cub",
        "data check IMAGENET --expect imagenet",
        "data check OPENIMAGES --expect openimages",
        "evaluate efficientnet_lite0 --data IMAGENET",
        "evaluate resnet50 --data IMAGENET",
        "evaluate runs/cub-resnet50-bridging --data CUB",
        "evaluate runs/cub-resnet50-bridging --data CUB --policy oracle",
        "evaluate runs/openimages-resnet50-bridging --data OPENIMAGES",
        "train --config mine.yaml --data CUB --training.epochs 10",
        "train --config recipes/cub/resnet50_bridging.yaml --data CUB --output runs/cub-resnet50-bridging",
        "train --config recipes/cub/vgg16.yaml --config recipes/methods/cam.yaml --data CUB "
        "--output runs/cub-vgg16-cam",
        "train --config recipes/cub/vgg16.yaml --config recipes/methods/has.yaml --data CUB "
        "--training.seed 1",
        "train --config recipes/cub/vgg16_rethinking.yaml --data CUB --output runs/cub-vgg16-rethinking",
        "train --config recipes/imagenet/resnet50_bridging.yaml --data IMAGENET "
        "--output runs/imagenet-resnet50-bridging",
        "train --config recipes/imagenet/vgg16.yaml --config recipes/methods/cam.yaml --data IMAGENET "
        "--output runs/imagenet-vgg16-cam",
        "train --config recipes/openimages/resnet50_bridging.yaml --data OPENIMAGES "
        "--output runs/openimages-resnet50-bridging",
        "train --config recipes/openimages/vgg16.yaml --config recipes/methods/cam.yaml --data OPENIMAGES "
        "--output runs/openimages-vgg16-cam",
        "train --data CUB --config recipes/cub/resnet50_bridging.yaml",
    ),
    "masks beside the boxes": ("evaluate RUN --data DATA --metadata DATA/metadata-masks --output masks",),
    "minutes of training": ("demo", "train"),
    "Ray, or a store of its own (tests/bulk)": (
        "localize photos/ --engine ray --output found",
        "localize photos/ --engine ray --output found --shard-size 64",
        "localize photos/ --engine ray --output found-mine --model runs/mine",
        "localize s3://photos/2026 --model runs/mine --engine ray --output s3://results/photos",
    ),
    "eight devices": ("train --data photos --trainer.devices 8",),
}
"""Lines of ``wsol`` that are parsed and do not run, by the reason. Every other one runs."""

DEFAULT_OUTPUT = Path("runs", "photos-efficientnet_lite0-cam-seed0")
"""Of ``wsol train --data photos``."""

UNTOUCHED = ("export", "label-studio", "ray", "xargs")
"""First words of commands that only set a variable of the shell, or start what other machines share."""


def perform(words: list[str], where: str, patch: pytest.MonkeyPatch) -> None:
    """Run a command, or check of it what can be checked here.

    Args:
        words: of the command.
        where: page and line, for messages.
        patch: of the test.
    """
    first, rest = words[0], words[1:]
    if first == "wsol":
        _wsol(rest, where)
    elif first in ("torchrun", "srun"):
        _launch(words, where)
    elif first == "python":
        _python(rest, where, patch)
    elif first == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {*rest} <= {*targets}, where
    elif first == "pip":
        _pip(rest, where)
    elif first == "cd":
        assert Path(*rest).is_dir(), where
    else:
        assert first in UNTOUCHED, f"{where}: a command that no test knows"


def is_parsed(words: list[str]) -> bool:
    """Whether a command of ``wsol`` (its words behind that) does not run."""
    is_server = words[0] == "app"  # until it is stopped; tests/app starts it
    return is_server or any(" ".join(words) in lines for lines in PARSED.values())


def _wsol(words: list[str], where: str) -> None:
    if "--print_config" in words:  # which parses, prints, and leaves
        with pytest.raises(SystemExit, match="0"):
            main(words)
        return
    _parser().parse_args(words)
    if is_parsed(words):
        return
    words = [*words, *QUICK.get(words[0], ())]
    if words[0] == "train":  # in place of the stand-in of that name
        at = words.index("--output") + 1 if "--output" in words else None
        output = Path(words[at]) if at else DEFAULT_OUTPUT
        if output.is_symlink():
            output.unlink()
    assert main(words) == 0, where


def _launch(words: list[str], where: str) -> None:
    """Launchers of several processes: the options of torchrun, and those of the command behind it."""
    at = words.index("wsol")
    _parser().parse_args(words[at + 1 :])
    if "torchrun" in words:
        asked = get_args_parser().parse_args(words[words.index("torchrun") + 1 :])
        assert asked.module and asked.training_script == "wsol", where


def _python(words: list[str], where: str, patch: pytest.MonkeyPatch) -> None:
    """A program of the repository: it reads its arguments, and examples run."""
    module = words[0] == "-m"
    name, *rest = words[module:]
    arguments = [each for word in rest for each in (sorted(map(str, Path().glob(word))) or [word])]
    if name.startswith("examples/"):
        patch.setattr("sys.argv", [name, *arguments])
        runpy.run_path(name, run_name="__main__")
        return
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        parse(parser, arguments)
        raise SystemExit("understood")

    warned = warnings.catch_warnings(action="ignore")
    with patch.context() as here, warned, pytest.raises(SystemExit, match="understood"):
        here.setattr("argparse.ArgumentParser.parse_args", only_parse)
        (runpy.run_module if module else runpy.run_path)(name, run_name="__main__")


def _pip(words: list[str], where: str) -> None:
    """Extras are those of the package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words[1:]:
        if found := re.fullmatch(r"\.\[(.*)\]", word):
            assert {*found[1].split(",")} <= {*extras}, where
