"""From files to batches: images are read and resized by worker processes while the network works."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wsol.cores import usable_cores
from wsol.data.images import StoredImage, read_image
from wsol.data.inputs import to_image
from wsol.errors import ImageError, WsolError


@dataclass
class Batch:
    """Images that could be read, and the reasons of those that could not.

    Attributes:
        images: (B, 3, h, w), uint8, channels-last in memory: whole photographs in the input frame.
        indices: (B,), places in the list of items.
        sizes: (B,), (height, width) of the originals.
        errors: place and reason of each image that could not be read.
    """

    images: Tensor
    indices: list[int]
    sizes: list[tuple[int, int]]
    errors: list[tuple[int, ImageError]]

    def pin_memory(self) -> "Batch":
        """For the loader: page-locked images copy to a GPU while it works."""
        return Batch(self.images.pin_memory(), self.indices, self.sizes, self.errors)


class _Inputs(Dataset[tuple[int, Tensor | ImageError, tuple[int, int]]]):
    def __init__(
        self, items: Sequence[Any], input_size: tuple[int, int], *, draft: bool, upright: bool
    ) -> None:
        self.items = items
        self.input_size = input_size
        self.draft = draft
        self.upright = upright

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[int, Tensor | ImageError, tuple[int, int]]:
        item = self.items[index]
        try:
            image, size = self._open(item, index)
        except ImageError as error:
            return index, error, (0, 0)
        return index, to_frame(image, self.input_size), size

    def _open(self, item: Any, index: int) -> tuple[Image.Image, tuple[int, int]]:  # noqa: ANN401
        if isinstance(item, (str, Path, StoredImage)):
            return read_image(item, self.input_size if self.draft else None, upright=self.upright)
        try:
            image = to_image(item)
        except (ValueError, OSError) as error:  # a PIL image may be decoded here, and be damaged
            raise ImageError(f"image {index}", str(error)) from error
        return image, (image.height, image.width)


def to_frame(image: Image.Image, input_size: tuple[int, int]) -> Tensor:
    """The whole picture resized to the input frame (PIL bilinear, no crop): (h, w, 3), uint8."""
    resized = image.resize((input_size[1], input_size[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized))


def _collate(samples: list[tuple[int, Tensor | ImageError, tuple[int, int]]]) -> Batch:
    good = [(index, image, size) for index, image, size in samples if isinstance(image, Tensor)]
    images = (
        torch.stack([image for _, image, _ in good]) if good else torch.empty(0, 1, 1, 3, dtype=torch.uint8)
    )
    return Batch(
        images=images.permute(0, 3, 1, 2),  # (B, 3, h, w)
        indices=[index for index, _, _ in good],
        sizes=[size for _, _, size in good],
        errors=[(index, error) for index, error, _ in samples if isinstance(error, ImageError)],
    )


def read_batch(items: Sequence[Any], input_size: tuple[int, int]) -> Batch:
    """One batch of these items, read by this process; see :func:`read_batches`."""
    inputs = _Inputs(items, input_size, draft=True, upright=True)
    return _collate([inputs[index] for index in range(len(items))])


def quiet_worker(_: int) -> None:
    """Start of a reading process: one thread, and Ctrl-C is the main process's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which stops the workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which is how it does that
    torch.set_num_threads(1)


def usual_workers() -> int:
    """Reading processes where nobody said how many: one less than there are cores, at most 8."""
    return min(8, max(1, usable_cores() - 1))


def read_batches(
    items: Sequence[Any],
    input_size: tuple[int, int],
    *,
    batch_size: int,
    workers: int | None,
    pin: bool = False,
    draft: bool = True,
    upright: bool = True,
) -> Iterator[Batch]:
    """Read items in order, a batch at a time.

    Args:
        items: paths, stored images, or images from memory (see :func:`wsol.data.inputs.to_image`).
        input_size: (height, width) of the frame.
        batch_size: images a batch.
        workers: reading processes; None: one less than there are cores, at most 8; 0: this process.
        pin: page-lock the images, for a GPU.
        draft: decode large JPEGs at a fraction of their size; see :func:`wsol.data.images.read_image`.
        upright: turn files by their EXIF orientation.
    """
    workers = min(usual_workers() if workers is None else workers, -(-len(items) // batch_size))
    loader = DataLoader(
        _Inputs(items, input_size, draft=draft, upright=upright),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=quiet_worker if workers else None,
        pin_memory=pin,
    )
    with deaths_told():
        yield from loader


@contextmanager
def deaths_told() -> Iterator[None]:
    """A loader's process that dies within the block is told as an error.

    Raises:
        WsolError: it died.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise WsolError(f"a reading process died ({error}); is memory short? Try fewer workers") from error
