"""The same pictures in the forms that bulk work reads."""

import csv
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_tar(path: Path, files: Iterable[Path], mode: str = "w") -> Path:
    """An archive of these files, under their names."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for file in files:
            archive.add(file, file.name)
    return path


def write_paths(path: Path, files: Iterable[Path]) -> Path:
    """A CSV table of paths relative to its folder."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("label", "path"))
        rows.writerows(("cat", each.relative_to(path.parent)) for each in files)
    return path


def write_bytes(path: Path, files: Iterable[Path], rows_a_group: int) -> Path:
    """A Parquet table of the pictures themselves, as Hugging Face writes it."""
    rows = [{"image": {"bytes": file.read_bytes(), "path": file.name}, "label": 0} for file in files]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=rows_a_group)
    return path
