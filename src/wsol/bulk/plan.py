"""The plan of a run: which images belong to which shard, kept as a file, so that a later run does the same.

A Parquet file whose row group *i* is shard *i*. A row is an image file; or an archive or a row group of a
table, which then is the only row of its shard. It is written as the images are found and read a row group at
a time, so that no more than the places of the shards are in memory.
"""

import json
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile

import pyarrow as pa
import pyarrow.parquet as pq

from wsol.bulk import storage
from wsol.bulk.search import Entry, Search
from wsol.errors import DataError
from wsol.typed import typed

_SCHEMA = pa.schema(
    [("kind", pa.string()), ("file", pa.binary()), ("group", pa.int32()), ("images", pa.int64())]
)
_KEY = "wsol"


@dataclass(frozen=True)
class Totals:
    """What a plan amounts to.

    Attributes:
        shards: how many.
        images: how many are known of; those in archives are counted as they are read.
        root: the deepest folder that holds all files; "" if there is none.
        ignored: files in the folders that are not images by their names.
        counts: images that are known of in each shard.
    """

    shards: int
    images: int
    root: str
    ignored: int
    counts: tuple[int, ...]


class Plan:
    """A plan that was written; opening it reads no more than the places of the shards."""

    def __init__(self, address: str) -> None:
        """Open it.

        Raises:
            DataError: no plan.
        """
        system, path = storage.locate(address)
        try:
            self._file = pq.ParquetFile(system.open(path, "rb"))
            totals = (self._file.metadata.metadata or {}).get(_KEY.encode(), b"null")
            self.totals: Totals = typed(Totals, json.loads(totals), "its description")
        except (OSError, pa.ArrowException, ValueError) as error:
            raise DataError(
                f"{address} is not the plan of a run ({error}); start anew with --overwrite"
            ) from error

    def entries(self, shard: int) -> list[Entry]:
        """What belongs to a shard."""
        rows = self._file.read_row_group(shard).to_pylist()
        return [Entry(**row | {"file": os.fsdecode(row["file"])}) for row in rows]


def write_plan(address: str, paths: Sequence[str], *, shard_size: int, column: str | None) -> Totals:
    """Find the images and write their plan.

    Args:
        address: of the plan.
        paths: see :class:`wsol.bulk.search.Search`.
        shard_size: image files in a shard.
        column: see :class:`wsol.bulk.search.Search`.

    Raises:
        DataError: nothing is there, or a table cannot be read.
    """
    search = Search(paths, column)
    counts: list[int] = []
    root = None
    with storage.writing(address) as file, pq.ParquetWriter(file, _SCHEMA, write_statistics=False) as writer:
        for entries in _shards(search, shard_size):
            rows = [asdict(entry) | {"file": os.fsencode(entry.file)} for entry in entries]
            writer.write_table(pa.Table.from_pylist(rows, _SCHEMA), row_group_size=len(rows))
            counts.append(sum(entry.images for entry in entries))
            for entry in entries:
                root = _common(root, posixpath.dirname(entry.file))
        if not counts:
            raise DataError(search.nothing())
        totals = Totals(len(counts), sum(counts), root or "", search.ignored, tuple(counts))
        writer.add_key_value_metadata({_KEY: json.dumps(asdict(totals))})
    return totals


def _shards(entries: Search, size: int) -> Iterator[list[Entry]]:
    """Image files, so many together; anything else by itself."""
    images: list[Entry] = []
    for entry in entries:
        if entry.kind != "image":
            yield [entry]
            continue
        images.append(entry)
        if len(images) == size:
            yield images
            images = []
    if images:
        yield images


def _common(root: str | None, folder: str) -> str:
    """The deepest folder that holds both; "" if there is none."""
    if root is None:
        return folder
    both = zip(root.split("/"), folder.split("/"), strict=False)
    return "/".join(mine for mine, _ in takewhile(lambda pair: pair[0] == pair[1], both))
