"""Files wherever they are kept: local disks, and what fsspec reaches (S3, GCS, HDFS, …)."""

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast
from uuid import uuid4

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from wsol.data.images import SUFFIXES
from wsol.errors import DataError


def locate(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a path or URL (``s3://bucket/photos``), and the path in it.

    Raises:
        DataError: no such kind of store, or the package that reaches it is missing; the message names it.
    """
    if "://" not in address:  # where "::", "~" and the like are parts of names
        return LocalFileSystem(), os.path.abspath(address)  # noqa: PTH100 - resolve() follows links
    try:
        found: tuple[AbstractFileSystem, str] = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise DataError(f"{address} cannot be reached: {error}") from error
    return found


def address_of(system: AbstractFileSystem, path: str) -> str:
    """How a path is called from outside: local ones as they are, others with their protocol."""
    return path if is_local(system) else str(system.unstrip_protocol(path))


def is_local(system: AbstractFileSystem) -> bool:
    """Whether paths are those of this machine's file system."""
    return isinstance(system, LocalFileSystem)


def walk(system: AbstractFileSystem, folder: str) -> Iterator[tuple[str, bool]]:
    """All files below a folder in the order of their paths, with one listing a level in memory.

    Names that begin with a dot are left out; links to folders are not followed.

    Yields:
        A path, and whether it is a folder that cannot be listed.
    """
    try:
        entries = system.ls(folder, detail=True)
        system.invalidate_cache(folder)  # some stores would remember every listing
    except PermissionError:
        yield folder, True
        return
    for entry in sorted(entries, key=lambda entry: posixpath.basename(entry["name"].rstrip("/"))):
        path = entry["name"].rstrip("/")
        if posixpath.basename(path).startswith(".") or path == folder.rstrip("/"):
            continue
        if entry["type"] == "directory" and not entry.get("islink"):
            yield from walk(system, path)
        elif not (entry.get("islink") and system.isdir(path)):
            yield path, False


def is_image(path: str) -> bool:
    """Whether a name counts as a photograph's."""
    return posixpath.splitext(path)[1].lower() in SUFFIXES


@contextmanager
def writing(address: str) -> Iterator[IO[bytes]]:
    """A file that appears whole or not at all; its folder is made."""
    system, path = locate(address)
    system.makedirs(posixpath.dirname(path), exist_ok=True)
    temporary = posixpath.join(posixpath.dirname(path), f".{uuid4().hex}.tmp")
    try:
        with system.open(temporary, "wb") as file:
            yield cast("IO[bytes]", file)
        system.mv(temporary, path)
    except BaseException:
        if system.exists(temporary):
            system.rm_file(temporary)
        raise


def write(address: str, data: bytes) -> None:
    """Write a file of these bytes, whole or not at all."""
    with writing(address) as file:
        file.write(data)


def read(address: str) -> bytes | None:
    """The bytes of a file; None if there is none."""
    system, path = locate(address)
    try:
        return bytes(system.cat_file(path))
    except FileNotFoundError:
        return None


def exists(address: str) -> bool:
    """Whether there is such a file or folder."""
    system, path = locate(address)
    return bool(system.exists(path))


def remove_left(folder: str) -> None:
    """Remove the files of a folder that were being written when a process was killed."""
    for name in names(folder):
        if name.startswith(".") and name.endswith(".tmp"):
            remove(join(folder, name))


def remove(address: str) -> None:
    """Take a file or a folder away, if it is there."""
    system, path = locate(address)
    if system.exists(path):
        system.rm(path, recursive=True)


def names(folder: str) -> list[str]:
    """Names of the files of a folder; none if it is not there."""
    system, path = locate(folder)
    try:
        found = system.ls(path, detail=False, refresh=True)
    except FileNotFoundError:
        return []
    return [posixpath.basename(name) for name in found]


def join(folder: str, *parts: str) -> str:
    """A path below a folder or URL."""
    return "/".join((folder.rstrip("/"), *parts))
