"""Every code block of README and docs/: Python runs whole, commands run or are parsed (``shell.py``)."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.docs.blocks import Block, blocks, commands, pages
from tests.docs.shell import PARSED, perform
from wsol.training.recipes import read_yaml

TEXT = ("", "text", "diff")
"""Languages of blocks that are not run here; test_method.py applies the diff."""

QUICKER = {"epochs=10": "epochs=1"}
"""What a block of Python is made shorter by."""


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_blocks_of_a_page(
    page: str,
    place: Path,
    tables: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
                perform(words, f"{page}:{block.line}: {' '.join(words)}", monkeypatch)
        else:
            assert block.language in TEXT, f"{page}:{block.line}: {block.language} is not covered"
    capsys.readouterr()


def test_what_is_only_parsed_is_there() -> None:
    """No line of the list is one that no page has any more."""
    shell = [block for page in pages() for block in blocks(page) if block.language in ("sh", "bash")]
    lines = {" ".join(words[1:]) for block in shell for words in commands(block) if words[0] == "wsol"}
    assert {line for lines in PARSED.values() for line in lines} <= lines


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
