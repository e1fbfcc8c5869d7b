"""The built-in data set: drawn creatures of which one small part alone tells the class, with exact masks.

Each picture shows one creature of several parts (:mod:`wsol.data.creatures`) on a textured ground, with
things lying around (:mod:`wsol.data.scenes`). Kind of creature, pose, size, colours, patterns, ground and
things are drawn from the same distributions for every class. The class is the badge somewhere on the
creature, which covers a few percent of it: classifying asks for the badge, localizing for the whole
creature, and that is the gap that methods of weakly supervised localization are about.

A picture is a function of seed, split and index. Its mask is 255 where the creature covers at least half of
a pixel's 16 sample points, else 0; its box is the mask's extent.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from wsol.cores import usable_cores
from wsol.data.dataset import Example
from wsol.data.scenes import CLASSES, Picture, draw
from wsol.data.writers import Content, extent, write_official
from wsol.errors import DataError

VERSION = 1
"""Of the drawing: another one never meets files of this one."""

COUNTS: Mapping[str, int] = {"train": 400, "val": 100, "test": 200}
"""Pictures by split."""


def picture(seed: int, split: str, index: int) -> Picture:
    """One picture of the data set; classes take turns.

    Args:
        seed: of the data set.
        split: ``train``, ``val`` or ``test``.
        index: from 0.
    """
    rng = np.random.default_rng([VERSION, seed, tuple(COUNTS).index(split), index])
    return draw(rng, index % len(CLASSES))


def synthetic(
    folder: str | Path,
    *,
    seed: int = 0,
    counts: Mapping[str, int] = COUNTS,
    progress: bool = False,
) -> Path:
    """Draw the data set and write it in the official format (:mod:`wsol.data.official`).

    ``metadata/`` has boxes, ``metadata-masks/`` masks, of ``val`` and ``test``; of ``train`` both have labels
    alone. The folder appears whole or not at all; if another process is faster, what it wrote stays.

    Args:
        folder: does not exist, or is empty.
        seed: of all pictures.
        counts: pictures by split.
        progress: show a progress bar on a terminal.

    Returns:
        The folder.

    Raises:
        DataError: something is there, or it cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already; choose a folder that does not exist")
    _draw(folder, seed, counts, progress)
    return folder


def _draw(folder: Path, seed: int, counts: Mapping[str, int], progress: bool) -> None:
    with _appearing(folder) as fresh:
        work = [(split, index) for split, count in counts.items() for index in range(count)]
        with ThreadPoolExecutor(usable_cores()) as pool:
            drawn = pool.map(lambda each: _write(fresh, seed, *each), work)
            shown = tqdm(drawn, "Drawing", len(work), unit="picture", disable=None if progress else True)
            examples = dict(zip(work, shown, strict=True))
        splits = {split: [examples[split, index] for index in range(counts[split])] for split in counts}
        _write_tables(fresh, splits)


def cached(seed: int = 0, *, progress: bool = True) -> Path:
    """The data set in the user's cache, drawn if it is not there yet.

    It lies in ``$XDG_CACHE_HOME/wsol`` or else ``~/.cache/wsol``, under a name with version and seed.

    Raises:
        DataError: it is not there and cannot be written.
    """
    place = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(place) if Path(place).is_absolute() else Path.home() / ".cache"
        folder = root / "wsol" / f"synthetic-{VERSION}-{seed}"
        if not (folder / "classes.txt").is_file():
            _draw(folder, seed, COUNTS, progress)
    except (OSError, RuntimeError, DataError) as error:  # RuntimeError: there is no home
        raise DataError(
            f"the synthetic data set cannot be kept: {error}; set XDG_CACHE_HOME to a folder that can be "
            "written"
        ) from error
    return folder


def _write(folder: Path, seed: int, split: str, index: int) -> tuple[Example, tuple[str, ...]]:
    """Write one picture, with its mask outside ``train``: its example with a box, and its masks."""
    drawn = picture(seed, split, index)
    height, width = drawn.mask.shape
    name = f"{split}/{index:04d}.png"
    example = Example(name, drawn.label, (height, width))
    _save(drawn.pixels, folder / "images" / name)
    if split == "train":
        return example, ()
    _save(drawn.mask.astype(np.uint8) * 255, folder / "masks" / name)
    return replace(example, boxes=(extent(drawn.mask),)), (name,)


def _save(values: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, compress_level=3)


def _write_tables(folder: Path, splits: Mapping[str, list[tuple[Example, tuple[str, ...]]]]) -> None:
    masked = {
        split: [replace(example, boxes=(), masks=masks) for example, masks in rows]
        for split, rows in splits.items()
    }
    boxed = {split: [example for example, _ in rows] for split, rows in splits.items()}
    write_official(folder, Content(masked, CLASSES, lambda _: []))
    (folder / "metadata").rename(folder / "metadata-masks")
    write_official(folder, Content(boxed, CLASSES, lambda _: []))


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder beside, which takes this name at the end unless another process was faster."""
    fresh = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.tmp")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        try:
            fresh.rename(folder)
        except OSError:
            if not (folder / "classes.txt").is_file():
                raise
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
