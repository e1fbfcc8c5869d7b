"""What can be chosen about bulk work; nothing here needs Ray."""

from dataclasses import dataclass

TABLES = (".csv", ".parquet")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Names of files, but images, that ``--engine ray`` reads."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Bulk work on one machine or many (engine ray).

    Attributes:
        actors: models that work at once; default: one a GPU, without GPUs one a core but one.
        shard_size: image files whose results are written, and after a kill are done again, as one; an
            archive, and a row group of a table that holds images, is a shard by itself.
        column: of tables, which names or holds the images; default: the only one that holds bytes, else
            image, path, file_name, ….
    """

    actors: int | None = None
    shard_size: int = 1024
    column: str | None = None

    def __post_init__(self) -> None:
        if self.actors is not None and self.actors < 1:
            raise ValueError(f"actors must be at least 1, got {self.actors}")
        if self.shard_size < 1:
            raise ValueError(f"shard_size must be at least 1, got {self.shard_size}")
