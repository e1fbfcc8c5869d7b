"""Pictures that two splits share under different names: the same file, or the same photograph saved anew.

A photograph is known again by two thumbnails in grey. The difference hash is 64 bits: in 8 rows of 9 cells,
whether a cell is brighter than the one before it. Hashes that differ in few bits are candidates, and the
correlation of 32 × 32 cells decides. A photograph saved with another quality, size or contrast, or somewhat
brighter, is found; one that is cropped or mirrored is not.
"""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol.data.images import read_image
from wsol.errors import ImageError

LIMIT = 20_000
"""More images than this in both parts together take minutes to read: callers say that nobody looked."""

DISTANCE = 6
"""Bits in which hashes may differ: of 200 photographs, none saved at half the size or with JPEG quality 30
did in more."""

LIKENESS = 0.95
"""Least correlation: those photographs had 0.98 and more, others with hashes so near 0.86 and less."""

MARGIN = 2
"""Grey levels by which a cell must be brighter: less is noise of compression on an even background."""

CONTRAST = 2.0
"""Least standard deviation in grey levels: below it there is nothing to compare but the files themselves."""

SIDE = 32
THREADS = 16
BLOCK = 512
"""Images that are compared with all others at a time, which bounds the memory: 40 MB for 20,000 others."""


@dataclass(frozen=True)
class _Prints:
    """What images are known again by.

    Attributes:
        paths: N files, without those that cannot be read.
        digests: of their bytes.
        bits: (N, 64) float32, the hash, of −1 and 1; rows of 0 for pictures without contrast.
        cells: (N, 1024) float32, the grey cells less their mean, of length 1, so that products are
            correlations.
    """

    paths: list[Path]
    digests: list[bytes]
    bits: NDArray[np.float32]
    cells: NDArray[np.float32]


def near_duplicates(one: Sequence[Path], other: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pictures of ``other`` that are in ``one`` too.

    Files that cannot be read are passed over: who reads them later says why.

    Args:
        one: files, of training say.
        other: files, of validation say.

    Returns:
        (file of ``one``, file of ``other``) for each of ``other`` that is found, in its order; with several
        in ``one``, an identical file, or else the one most alike.
    """
    with ThreadPoolExecutor(THREADS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of oddities in metadata
        left, right = _prints(one, pool), _prints(other, pool)
    if not left.paths or not right.paths:
        return []
    found = dict(_alike(left, right))
    identical = {digest: place for place, digest in reversed([*enumerate(left.digests)])}
    for place, digest in enumerate(right.digests):
        if digest in identical:
            found[place] = identical[digest]
    return [(left.paths[found[place]], right.paths[place]) for place in sorted(found)]


def _alike(left: _Prints, right: _Prints) -> Iterator[tuple[int, int]]:
    """(place in ``right``, place in ``left``) of pictures that look the same."""
    for start in range(0, len(right.paths), BLOCK):
        # bits of −1 and 1: their product is 64 − 2 · (bits that differ), exact in float32; 0 for rows of 0
        products = right.bits[start : start + BLOCK] @ left.bits.T  # (block, N)
        near = products >= 64 - 2 * DISTANCE
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        near = near[np.ix_(rows, columns)]
        if not near.size:
            continue
        likeness = np.where(near, right.cells[start + rows] @ left.cells[columns].T, -1)
        best = likeness.argmax(axis=1)
        for row in np.flatnonzero(likeness.max(axis=1) >= LIKENESS):
            yield int(start + rows[row]), int(columns[best[row]])


def _prints(paths: Sequence[Path], pool: ThreadPoolExecutor) -> _Prints:
    kept, digests, bits, cells = [], [], [], []
    for path, found in zip(paths, pool.map(_look, paths), strict=True):
        if found is not None:
            kept.append(path)
            digests.append(found[0])
            bits.append(found[1])
            cells.append(found[2])
    return _Prints(kept, digests, _matrix(bits, 64), _matrix(cells, SIDE**2))


def _matrix(rows: Sequence[NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    """(N, width), for no rows too."""
    return np.array(rows, np.float32).reshape(-1, width)


def _look(path: Path) -> tuple[bytes, NDArray[np.float32], NDArray[np.float32]] | None:
    """Digest, bits and cells of a file; None if it cannot be read."""
    try:
        picture = read_image(path, (SIDE, SIDE))[0].convert("L")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except (ImageError, OSError):
        return None
    coarse = np.asarray(picture.resize((9, 8), Image.Resampling.BOX), np.int16)  # (8, 9)
    fine = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32).ravel()
    fine = fine - fine.mean()
    if fine.std() < CONTRAST:
        return digest, np.zeros(64, np.float32), np.zeros_like(fine)
    brighter = (np.diff(coarse, axis=1) > MARGIN).ravel()  # (64,)
    return digest, np.where(brighter, 1, -1).astype(np.float32), fine / np.linalg.norm(fine)
