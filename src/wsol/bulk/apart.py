"""Images whose decoding took a process with it, read again where that harms nothing else."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import torch

from wsol.errors import ImageError
from wsol.inference.reading import Batch, read_batch


def read_apart(items: Sequence[Any], input_size: tuple[int, int]) -> Batch:
    """As :func:`wsol.inference.reading.read_batch`, in another process; one that dies is an image's error."""
    batches = []
    left = list(items)
    while left:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            try:
                while left:
                    batches.append(pool.submit(read_batch, left[:1], input_size).result())
                    left.pop(0)
            except BrokenProcessPool:
                error = ImageError(str(left.pop(0)), "its decoding ended the process")
                batches.append(Batch(torch.empty(0, 3, *input_size, dtype=torch.uint8), [], [], [(0, error)]))
    return Batch(
        images=torch.cat([batch.images for batch in batches if batch.indices] or [batches[0].images]),
        indices=[place for place, batch in enumerate(batches) for _ in batch.indices],
        sizes=[size for batch in batches for size in batch.sizes],
        errors=[(place, error) for place, batch in enumerate(batches) for _, error in batch.errors],
    )
