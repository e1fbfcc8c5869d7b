"""What paths, folders, globs, tables and archives stand for, one after the other, wherever they are kept."""

import csv
import glob
import io
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from wsol.bulk import storage
from wsol.bulk.options import ARCHIVES
from wsol.errors import DataError

PATHS = ("image", "path", "file_name", "image_path", "file", "uri", "url")
"""Columns of a table that are taken for paths of images, the first there is."""


@dataclass(frozen=True)
class Entry:
    """What is read as one.

    Attributes:
        kind: an image file, a row group of a table that holds images, or an archive of images.
        file: its path or URL.
        group: which row group; 0 of others.
        images: how many are known of.
    """

    kind: Literal["image", "table", "archive"]
    file: str
    group: int = 0
    images: int = 1


class Search:
    """Iterates over what paths stand for, each file once; rows of tables as they come.

    A folder stands for the images in it, through all levels, as in :func:`wsol.data.images.find_images`; a
    table (``.csv``, ``.parquet``) for the images that a column names, or holds; an archive (``.tar``,
    compressed or not, as WebDataset's) for those in it; a glob for what it matches; any other name for an
    image, if it is one by its name even if it is missing, so that reading it says so. Relative paths in a
    table start at the folder ``images`` beside it if that exists, else at its own.

    Attributes:
        ignored: files in the folders that are not images by their names.
    """

    def __init__(self, paths: Sequence[str], column: str | None = None) -> None:
        """Name what to search.

        Args:
            paths: as on the command line.
            column: of tables, the one that names or holds images; None: the only one that holds bytes, else
                the first of :data:`PATHS`.
        """
        self.ignored = 0
        self._paths = paths
        self._column = column
        self._others: Counter[str] = Counter()
        self._files: set[str] = set()  # that were named, or matched by a glob
        self._folders: set[str] = set()

    def __iter__(self) -> Iterator[Entry]:
        """What is there.

        Raises:
            DataError: a table or a store that cannot be read, or a folder, table or archive that is missing.
            ValueError: an empty path.
        """
        for path in self._paths:
            if not path:
                raise ValueError("an empty path names nothing; is a variable not set?")
            system, place = storage.locate(path)
            for match, is_folder in _matches(system, place):
                yield from self._of(system, match, is_folder)

    def nothing(self) -> str:
        """Why there is nothing to do."""
        held = ", ".join(f"{count} {suffix}" for suffix, count in self._others.most_common(3))
        other = f"; the folders hold {held}: tables and archives are to be named, or a glob" if held else ""
        return f"no images in {', '.join(self._paths)}{other}"

    def _of(self, system: AbstractFileSystem, path: str, is_folder: bool) -> Iterator[Entry]:
        address = storage.address_of(system, path)
        if is_folder:
            yield from self._in_folder(system, path)
            self._folders.add(address.rstrip("/"))
            return
        if address in self._files or (self._seen(address) and system.exists(path)):
            return
        if not storage.is_image(path) and not system.exists(path):
            raise DataError(f"{address} does not exist")
        self._files.add(address)
        if path.lower().endswith(".parquet"):
            yield from self._in_parquet(system, path)
        elif path.lower().endswith(".csv"):
            yield from self._in_csv(system, path)
        else:
            yield _file(address)

    def _seen(self, address: str) -> bool:
        """Whether an earlier path stood for it; a folder does not stand for what is passed over in it."""
        if address in self._files:
            return True
        parent, slash, name = address.rpartition("/")
        found = storage.is_image(address)
        while slash and found and not name.startswith("."):
            if parent in self._folders:
                return True
            parent, slash, name = parent.rpartition("/")
        return False

    def _in_folder(self, system: AbstractFileSystem, folder: str) -> Iterator[Entry]:
        for path, closed in storage.walk(system, folder):
            address = storage.address_of(system, path)
            if self._seen(address):
                continue
            if closed or storage.is_image(path):  # reading a closed folder says that it is
                yield Entry("image", address)
            else:
                self.ignored += 1
                self._others[posixpath.splitext(path)[1]] += 1

    def _in_parquet(self, system: AbstractFileSystem, path: str) -> Iterator[Entry]:
        address = storage.address_of(system, path)
        try:
            with system.open(path, "rb") as file:
                table = pq.ParquetFile(file)
                column = self._chosen(table.schema_arrow, address)
                if holds_bytes(table.schema_arrow.field(column).type):
                    for group in range(table.num_row_groups):
                        rows = table.metadata.row_group(group).num_rows
                        yield Entry("table", address, group, images=rows)
                    return
                base, row = _base(system, path), 0
                for batch in table.iter_batches(columns=[column]):
                    for value in batch.column(0).to_pylist():
                        row += 1
                        yield _named(system, base, value, f"{address}, row {row}")
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{address} cannot be read: {error}") from error

    def _in_csv(self, system: AbstractFileSystem, path: str) -> Iterator[Entry]:
        address = storage.address_of(system, path)
        try:
            with system.open(path, "rb") as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
                table = csv.DictReader(text)
                names = [(name or "").strip() for name in table.fieldnames or ()]
                table.fieldnames = names
                column = self._chosen(pa.schema([(name, pa.string()) for name in names]), address)
                base = _base(system, path)
                for row in table:
                    yield _named(system, base, row[column], f"{address}, line {table.line_num}")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{address} cannot be read: {error}") from error

    def _chosen(self, schema: pa.Schema, address: str) -> str:
        return image_column(schema, self._column, address)


def image_column(schema: pa.Schema, asked: str | None, address: str) -> str:
    """The column of a table that names or holds images.

    Raises:
        DataError: there is none, several might be meant, or it holds neither.
    """
    holding = [name for name in schema.names if holds_bytes(schema.field(name).type)]
    found = [asked] if asked else holding or [name for name in PATHS if name in schema.names][:1]
    if len(found) != 1 or found[0] not in schema.names:
        raise DataError(
            f"{address}: {f'there is no column {asked}.' if asked else 'which column has the images?'} "
            f"Name it with --column; there are {', '.join(schema.names) or 'none'}"
        )
    kind = schema.field(found[0]).type
    if not (holds_bytes(kind) or holds_text(kind)):
        raise DataError(f"{address}: the column {found[0]} holds {kind}, neither paths nor bytes of images")
    return found[0]


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds encoded images: bytes, or as Hugging Face keeps them, a struct with a path."""
    if pa.types.is_struct(kind):
        parts = {field.name: field.type for field in kind}
        plain = set(parts) <= {"bytes", "path"} and holds_text(parts.get("path", pa.string()))
        return plain and holds_bytes(parts.get("bytes", pa.null()))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def holds_text(kind: pa.DataType) -> bool:
    """Whether a column holds plain text: values of other types may be what runs code as it is read."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _file(address: str) -> Entry:
    if address.lower().endswith(ARCHIVES):
        return Entry("archive", address, images=0)
    return Entry("image", address)


def _matches(system: AbstractFileSystem, path: str) -> list[tuple[str, bool]]:
    """What a glob matches, and which are folders; another name, or a glob without a match, is itself."""
    if not glob.has_magic(path) or system.exists(path):
        return [(path, bool(system.isdir(path)))]
    fixed = len(posixpath.dirname(path[: re.search(r"[*?[]", path).start()]))  # type: ignore[union-attr]
    hidden = "/." in path[fixed:]
    found = sorted(system.glob(path, detail=True).items(), key=lambda match: match[0].split("/"))
    return [
        (name, entry["type"] == "directory" or bool(entry.get("islink") and system.isdir(name)))
        for name, entry in found
        if hidden or "/." not in name[fixed:]
    ] or [(path, False)]


def _base(system: AbstractFileSystem, table: str) -> str:
    folder = posixpath.dirname(table)
    images = posixpath.join(folder, "images")
    return images if system.isdir(images) else folder


def _named(system: AbstractFileSystem, base: str, value: str | None, place: str) -> Entry:
    """The image of a cell; an empty one is called by its place, under which reading finds nothing."""
    value = (value or "").strip()
    if not value:
        return Entry("image", place)
    return _file(value if "://" in value else storage.address_of(system, posixpath.join(base, value)))
