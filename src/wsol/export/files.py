"""Output files: written whole or not at all."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO
from uuid import uuid4
from xml.etree import ElementTree

from wsol.errors import WsolError

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to: renamed to ``path`` at the end, removed on an error.

    Missing parent folders are made. What stood at ``path`` before stays until the new file is complete.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with named(path, temporary):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def named(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """An error that names no file, as that of a full disk, or the temporary one, names ``path`` instead."""
    try:
        yield
    except OSError as error:
        of_another = error.filename is not None and str(error.filename) != str(temporary or path)
        if error.errno is None or of_another:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def open_folder(folder: Path) -> None:
    """Make a folder, with missing parents, and make sure that files can be made in it.

    Raises:
        WsolError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()  # it has no name, so that a kill leaves nothing
    except OSError as error:
        raise WsolError(
            f"cannot write into {folder}: {error.strerror or error}; choose another --output"
        ) from error


def is_left(path: Path) -> bool:
    """Whether it is a file that was being written when a process was killed."""
    return path.name.startswith(".") and path.suffix == ".tmp" and path.is_file()


def remove_left(folder: Path) -> None:
    """Remove the files of a folder that were being written when a process was killed."""
    for path in filter(is_left, folder.iterdir()):
        path.unlink()


def write_json_array(file: TextIO, items: Iterable[dict[str, Any]]) -> None:
    """Write a JSON array item by item, one a line."""
    file.write("[")
    for index, item in enumerate(items):
        file.write((",\n" if index else "\n") + json.dumps(item))
    file.write("\n]")


def xml_text(text: str) -> str:
    """The text with U+FFFD for every character that XML cannot hold, escaped or not."""
    return _NOT_XML.sub("\ufffd", text)


def write_xml(root: ElementTree.Element, path: Path, *, declaration: bool = True) -> None:
    """Write an XML document, indented, in UTF-8, which its declaration says."""
    ElementTree.indent(root)
    with atomic_write(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=declaration)
