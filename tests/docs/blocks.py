"""The fenced blocks of the pages, and the commands in them."""

import re
import shlex
from dataclasses import dataclass
from itertools import dropwhile, groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: of the repository.
        line: where it begins, counted from 1.
        language: as the fence says; "" where it does not.
        text: what is inside.
    """

    page: str
    line: int
    language: str
    text: str


def pages() -> list[str]:
    """README and all pages of docs/, by their path in the repository."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(page.relative_to(ROOT).as_posix() for page in found)]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    fences = len(re.findall(r"^\s*```", text, re.MULTILINE))
    found = [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in BLOCK.finditer(text)
    ]
    if fences != 2 * len(found):
        raise ValueError(f"{page}: {fences} fences, but {len(found)} blocks that begin at a line's start")
    return found


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block as words, one a line or between ``&&``; no comments, no variables."""
    found: list[list[str]] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        for chained, part in groupby(words, key=lambda word: word == "&&"):
            if not chained:
                found.append(list(dropwhile(VARIABLE.fullmatch, part)))
    return found
