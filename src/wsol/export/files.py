"""Output files: written whole or not at all."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4
from xml.etree import ElementTree

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to: renamed to ``path`` at the end, removed on an error.

    Missing parent folders are made. What stood at ``path`` before stays until the new file is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json_array(file: TextIO, items: Iterable[dict[str, Any]]) -> None:
    """Write a JSON array item by item, one a line."""
    file.write("[")
    for index, item in enumerate(items):
        file.write((",\n" if index else "\n") + json.dumps(item))
    file.write("\n]")


def xml_text(text: str) -> str:
    """The text with U+FFFD for every character that XML cannot hold, escaped or not."""
    return _NOT_XML.sub("\ufffd", text)


def write_xml(root: ElementTree.Element, path: Path) -> None:
    """Write an XML document, indented, in UTF-8."""
    ElementTree.indent(root)
    with atomic_write(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)
