"""Training images: every draw is a function of (seed, epoch, image), so that a run can go on as it began."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from tqdm import tqdm

from wsol.cores import usable_cores
from wsol.data.dataset import DataSet, Example
from wsol.data.images import read_image
from wsol.errors import DataError, ImageError, UsageError
from wsol.inference.reading import quiet_worker, usual_workers
from wsol.training.config import Augmentation, Cache

Draw = tuple[int, int]
"""Epoch, from 0, and the image's place."""

MARGIN: dict[Augmentation, float] = {"protocol": 8 / 7, "crops": 1.5, "none": 1.0}
"""Side of the frame that images are resized to, in sides of the input: 256 for 224."""

CACHE_BYTES = 2**30
TRIES = 20


@dataclass
class Images:
    """A batch as it comes from the reading processes.

    Attributes:
        images: (B, 3, H, W), uint8.
        labels: (B,), int64.
        errors: images that could not be read; another one stands in the place of each.
    """

    images: Tensor
    labels: Tensor
    errors: list[ImageError]

    def pin_memory(self) -> "Images":
        """For the loader."""
        return Images(self.images.pin_memory(), self.labels.pin_memory(), self.errors)

    def to(self, device: torch.device, **options: Any) -> "Images":  # noqa: ANN401
        """On a device; Lightning asks for it."""
        return Images(self.images.to(device, **options), self.labels.to(device, **options), self.errors)


@dataclass(frozen=True)
class Erased:
    """What adversarial erasing takes away from the training images.

    Attributes:
        pixels: (N, bytes), uint8: for each image the pixels of the frame, packed by ``numpy.packbits``.
        fill: the colour that they get, RGB in [0, 255].
    """

    pixels: NDArray[np.uint8]
    fill: tuple[int, int, int]


class TrainingImages(Dataset[tuple[Tensor, int, list[ImageError]]]):
    """Images of a split, resized to a frame, then cropped and flipped.

    Args:
        data: the data set.
        examples: of the split.
        size: (height, width) of the network's input.
        augmentation: see :class:`wsol.training.config.TrainingOptions`.
        seed: of the draws.
        erased: pixels that are filled with a colour; None erases nothing.
    """

    def __init__(
        self,
        data: DataSet,
        examples: Sequence[Example],
        size: tuple[int, int],
        *,
        augmentation: Augmentation,
        seed: int,
        erased: Erased | None = None,
    ) -> None:
        self.data = data
        self.examples = examples
        self.frame = frame_size(size, augmentation)
        self.seed = seed
        self.erased = erased
        self.augment = _augment(augmentation, size)
        self.cache: Tensor | None = None
        self.faults: dict[int, ImageError] = {}

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int, list[ImageError]]:
        """An augmented image (3, H, W), its label, and the images that could not be read before it."""
        epoch, index = draw
        errors: list[ImageError] = []
        for attempt in range(TRIES):
            at = derive(self.seed, epoch, index, attempt) % len(self) if attempt else index
            try:
                image = self.frame_of(at)
            except ImageError as error:
                errors.append(error)
                continue
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(self.seed, epoch, index))
                return self.augment(image), self.examples[at].label, errors
        raise DataError(f"of {TRIES} training images none can be read; the first: {errors[0]}")

    def keep(self, cache: Cache, *, progress: bool) -> None:
        """Read all images into memory now, where that was asked for or is little."""
        height, width = self.frame
        size = 3 * height * width * len(self)
        if cache == "none" or (cache == "auto" and size > CACHE_BYTES):
            return
        kept = torch.empty(len(self), 3, height, width, dtype=torch.uint8)

        def read(index: int) -> None:
            try:
                kept[index] = self._read(index)
            except ImageError as error:
                self.faults[index] = error

        with (
            ThreadPoolExecutor(usable_cores()) as pool,
            tqdm(
                total=len(self), unit="img", desc="reading", disable=None if progress else True, leave=False
            ) as bar,
        ):
            for _ in pool.map(read, range(len(self))):
                bar.update()
        self.cache = kept

    def frame_of(self, index: int) -> Tensor:
        """An image resized to the frame, erased, before any draw: (3, h, w), uint8.

        Raises:
            ImageError: it cannot be read.
        """
        if index in self.faults:
            raise self.faults[index]
        return self._erase(self._read(index) if self.cache is None else self.cache[index], index)

    def _read(self, index: int) -> Tensor:
        picture, _ = read_image(
            self.data.images / self.examples[index].id, self.frame, upright=self.data.upright
        )
        resized = picture.resize(self.frame[::-1], Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)

    def _erase(self, image: Tensor, index: int) -> Tensor:
        if self.erased is None:
            return image
        height, width = self.frame
        mask = (
            np.unpackbits(self.erased.pixels[index], count=height * width).reshape(height, width).astype(bool)
        )
        image = image.clone()
        image[:, torch.from_numpy(mask)] = torch.tensor(self.erased.fill, dtype=torch.uint8)[:, None]
        return image


def frame_size(size: tuple[int, int], augmentation: Augmentation) -> tuple[int, int]:
    """(height, width) of the frame that images are resized to before they are cropped."""
    height, width = (round(side * MARGIN[augmentation]) for side in size)
    return height, width


def _augment(augmentation: Augmentation, size: tuple[int, int]) -> v2.Transform:
    flip = v2.RandomHorizontalFlip()
    match augmentation:
        case "protocol":  # Choe et al., CVPR 2020: 256², random crop of 224², flip
            return v2.Compose([v2.RandomCrop(size), flip])
        case "crops":
            crop = v2.RandomResizedCrop(size, scale=(0.3, 1.0), antialias=True)
            return v2.Compose([crop, flip, v2.ColorJitter(brightness=0.3, contrast=0.3)])
        case "none":
            return v2.Identity()


def derive(*parts: int) -> int:
    """A seed from a seed and what it is for."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def epoch_batches(
    labels: Sequence[int],
    *,
    epoch: int,
    batch_size: int,
    seed: int,
    balanced: bool = False,
    world: int = 1,
) -> list[list[Draw]]:
    """The batches of an epoch, each of which several processes share: one has ``batch[rank::world]`` of it.

    Every image comes once in an epoch (unless ``balanced`` draws it otherwise). A last batch may be smaller;
    if it has not two images for each process it is joined to the one before.

    Args:
        labels: class of each image.
        epoch: from 0.
        batch_size: images of each process.
        seed: of the order.
        balanced: draw with replacement, so that all classes are equally probable.
        world: how many processes there are.

    Raises:
        UsageError: more than there are images.
    """
    if len(labels) < world:
        raise UsageError(
            f"trainer.devices: {world} processes are more than the {len(labels)} training images"
        )
    generator = np.random.default_rng(derive(seed, epoch))
    if balanced:
        _, inverse, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
        weights = 1 / counts[inverse]
        order = generator.choice(len(labels), size=len(labels), p=weights / weights.sum())
    else:
        order = generator.permutation(len(labels))
    draws = [(epoch, index) for index in order.tolist()]
    size = batch_size * world
    batches = [draws[start : start + size] for start in range(0, len(draws), size)]
    if len(batches) > 1 and len(batches[-1]) < min(2, batch_size) * world:
        last = batches.pop()  # of one image some batch norms have no statistics
        batches[-1] = batches[-1] + last
    return batches


def load(
    images: TrainingImages, batches: list[list[Draw]], *, workers: int | None, pin: bool
) -> DataLoader[Any]:
    """A loader of an epoch's batches."""
    workers = usual_workers() if workers is None else workers
    return DataLoader(
        images,
        batch_sampler=batches,
        num_workers=min(workers, len(batches)),
        collate_fn=_collate,
        worker_init_fn=quiet_worker if workers else None,
        pin_memory=pin,
    )


def _collate(samples: list[tuple[Tensor, int, list[ImageError]]]) -> Images:
    return Images(
        torch.stack([image for image, _, _ in samples]),
        torch.tensor([label for _, label, _ in samples]),
        [error for _, _, errors in samples for error in errors],
    )
