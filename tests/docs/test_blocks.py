"""Every code block of README and docs/ runs: Python whole, commands are parsed and the cheap ones run."""

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.docs.blocks import ROOT, Block, blocks, commands, pages
from wsol.cli import _parser, main
from wsol.training.recipes import read_yaml

TEXT = ("", "text")
"""Languages of blocks that are not run."""

ELSEWHERE = {"cd", "export", "git", "label-studio", "make", "pip", "ray"}
"""First words of commands that install, build, or start what other machines share: they are not run."""

LAUNCHERS = {"srun", "torchrun"}
"""First words of commands that start ``wsol``, whose options are parsed."""

QUICKER = {"epochs=10": "epochs=1"}
"""What a block is made shorter by."""

ANY_FILE = re.compile(r"photos/\*|\*\.jpg|…|://|HOST|HEAD|CUB|IMAGENET|OPENIMAGES|^RUN$")


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_blocks_of_a_page(page: str, place: Path, tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the page, in one folder and one Python."""
    if page == "docs/scale.md":
        shutil.copytree(tables, place / "found")
    if page == "docs/annotate.md":
        (place / "val.json").write_text(json.dumps([*_corrected(place)]))
    known: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            _execute(block, known)
        elif block.language == "yaml":
            _keep(block, place)
        elif block.language in ("sh", "bash"):
            for words in commands(block):
                _try(words, block)
        else:
            assert block.language in TEXT, f"{page}:{block.line}: {block.language} is not covered"
    capsys.readouterr()


def _corrected(place: Path) -> Iterator[dict[str, Any]]:
    """What Label Studio exports of photographs that a person has drawn boxes in."""
    for path in sorted((place / "photos").rglob("*.jpg")):
        box = {"x": 10, "y": 10, "width": 50, "height": 60, "rectanglelabels": [path.parent.name]}
        with Image.open(path) as photo:
            size = {"original_width": photo.width, "original_height": photo.height}
        region = {"type": "rectanglelabels", "value": box, **size}
        address = f"/data/local-files/?d={path.relative_to(place)}"
        yield {"data": {"image": address}, "annotations": [{"result": [region]}]}


def _execute(block: Block, known: dict[str, object]) -> None:
    text = block.text
    for long, short in QUICKER.items():
        text = text.replace(long, short)
    lines = "\n" * block.line  # so that a traceback has the page's line
    exec(compile(lines + text, block.page, "exec"), known)


def _keep(block: Block, place: Path) -> None:
    """A file that later commands read; its first line is a comment with its name."""
    name = block.text.splitlines()[0].removeprefix("# ")
    assert re.fullmatch(r"[\w-]+\.yaml", name), f"{block.page}:{block.line}: which file is it?"
    (place / name).write_text(block.text)
    read_yaml(name)


def _try(words: list[str], block: Block) -> None:
    where = f"{block.page}:{block.line}: {' '.join(words)}"
    if words[0] == "wsol":
        _wsol(words[1:], where)
    elif words[0] in LAUNCHERS:
        at = words.index("wsol")
        _parser().parse_args(words[at + 1 :])
    elif words[0] == "python":
        _python(words[1:], where)
    else:
        assert words[0] in ELSEWHERE, f"{where}: neither wsol nor known to be run elsewhere"


def _python(words: list[str], where: str) -> None:
    """A program of the repository, which has tests of its own."""
    if words[0] == "-m":
        name = words[1]
        assert name == "wsol" or importlib.util.find_spec(name), where
    else:
        assert (ROOT / words[0]).is_file(), where


def _wsol(words: list[str], where: str) -> None:
    if "--print_config" in words:  # which parses, prints, and leaves
        with pytest.raises(SystemExit, match="0"):
            main(words)
        return
    _parser().parse_args(words)
    if _is_cheap(words):
        assert main(words) == 0, where


def _is_cheap(words: list[str]) -> bool:
    """Commands of seconds, whose inputs are there: not the papers' data sets, nor a reader's own."""
    if words[:2] == ["data", "guide"]:
        return True
    named = any(ANY_FILE.search(word) for word in words)
    return words[0] in ("compare", "data", "evaluate", "localize") and not named and "ray" not in words
