"""From a shard's entries to encoded images, and on to batches in the network's frame."""

import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Never, Self

import pyarrow.parquet as pq

from wsol.bulk import storage
from wsol.bulk.search import Entry, holds_text, image_column
from wsol.data.images import StoredImage, UnusableError
from wsol.errors import DataError

FETCHES = 16
"""Images that are fetched at once over a network, which waits more than it works."""

MAX_BYTES = 2**30
"""Larger files in an archive are refused: what unpacks to more is no photograph."""

NAMES = ("path", "file_name", "image_id", "key", "id", "name", "__key__")
"""Columns of a table of images that are taken for their names, the first there is."""

Item = Path | StoredImage


def chunks(entries: Iterable[Entry], column: str | None, size: int) -> Iterator[tuple[list[Item], bool]]:
    """A shard's images, so many at a time, and whether these are the last; an empty shard is one empty chunk.

    Whatever cannot be read, of an archive or a table too, is an image whose reading says why.
    """
    items = (item for entry in entries for item in _items(entry, column))
    with ThreadPoolExecutor(FETCHES) as pool:
        chunk = list(islice(items, size))
        while True:
            following = list(islice(items, size)) if len(chunk) == size else []
            yield list(pool.map(_fetched, chunk)), not following
            if not following:
                return
            chunk = following


def _items(entry: Entry, column: str | None) -> Iterator[Item]:
    if entry.kind == "archive":
        return _members(entry.file)
    if entry.kind == "table":
        return _rows(entry, column)
    try:
        system, path = storage.locate(entry.file)
    except DataError as error:
        return iter([_unreadable(entry.file, str(error))])
    if storage.is_local(system):
        return iter([Path(path)])
    return iter([StoredImage(entry.file, partial(system.cat_file, path))])


class _Member(tarfile.TarInfo):
    """A member whose header is whole: of a damaged one tarfile itself says that the archive ends."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _members(address: str) -> Iterator[StoredImage]:
    """The images of an archive, read from its start to its end; nothing is unpacked to a disk."""
    try:
        system, path = storage.locate(address)
        with (
            system.open(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r|*", tarinfo=_Member) as archive,
        ):
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it remembers every one
                name = f"{address}/{member.name}"
                if not member.isfile() or not storage.is_image(member.name):
                    continue
                if member.size > MAX_BYTES:
                    yield _unreadable(name, f"{member.size} bytes, which is no photograph")
                    continue
                content = archive.extractfile(member)
                yield _held(name, b"" if content is None else content.read())
    except Exception as error:  # noqa: BLE001 - of damaged archives, and of stores
        yield _unreadable(address, f"the archive breaks off here: {error}")


def _rows(entry: Entry, column: str | None) -> Iterator[StoredImage]:
    """The images of a row group of a table."""
    try:
        system, path = storage.locate(entry.file)
        with system.open(path, "rb") as file:
            table = pq.ParquetFile(file)
            schema = table.schema_arrow
            column = image_column(schema, column, entry.file)
            texts = (name for name in NAMES if name in schema.names and holds_text(schema.field(name).type))
            named = next((name for name in texts if name != column), None)
            row = sum(table.metadata.row_group(group).num_rows for group in range(entry.group))
            wanted = [column, *([named] if named else [])]
            for batch in table.iter_batches(64, row_groups=[entry.group], columns=wanted):
                for values in batch.to_pylist():
                    row += 1
                    yield _row(values[column], values[named] if named else None, entry.file, row)
    except Exception as error:  # noqa: BLE001 - of damaged tables, and of stores
        yield _unreadable(f"{entry.file}, row group {entry.group}", f"cannot be read: {error}")


def _row(value: Any, name: str | None, table: str, row: int) -> StoredImage:  # noqa: ANN401 - a cell
    place = f"{table}, row {row}"
    if isinstance(value, dict):
        name, value = value.get("path") or name, value["bytes"]
    name = place if name is None else f"{table}/{name}"
    return _unreadable(name, f"no bytes in {place}") if value is None else _held(name, value)


def _held(name: str, data: bytes) -> StoredImage:
    return StoredImage(name, partial(bytes, data))


def _unreadable(name: str, reason: str) -> StoredImage:
    return StoredImage(name, partial(_refuse, reason))


def _refuse(reason: str) -> Never:
    raise UnusableError(reason)


def _fetched(item: Item) -> Item:
    """With its bytes in memory, or the reason why there are none."""
    if isinstance(item, Path):
        return item
    try:
        return _held(item.name, item.read())
    except UnusableError as error:
        return _unreadable(item.name, str(error))
    except FileNotFoundError:
        return _unreadable(item.name, "No such file or directory")
    except Exception as error:  # noqa: BLE001 - stores raise errors of their own kinds
        return _unreadable(item.name, f"cannot be read ({type(error).__name__}: {error})")
