"""HaS, Hide-and-Seek (Singh & Lee, ICCV 2017): parts of images are hidden, so that others are learned too.

Each image is cut into a grid of patches of side s, and each patch is set to the mean colour with probability
p, independently of the others (:func:`wsol.erasing.hide_patches`). s is one size for all images, or one of
several, drawn for each image. At test nothing is hidden.
"""

from dataclasses import dataclass, replace

import torch
from torch import Generator

from wsol.erasing import hide_patches
from wsol.methods.base import Batch, Method
from wsol.methods.checks import check_shares


@dataclass(frozen=True, kw_only=True)
class HaSOptions:
    """HaS. Defaults: the paper's.

    Attributes:
        sizes: sides of a patch in pixels: one of them is drawn for each image (0 hides nothing), a single
            one holds for all.
        probability: of each patch to be hidden, in [0, 1].
    """

    sizes: tuple[int, ...] = (0, 16, 32, 44, 56)
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_shares(self, "probability")
        if not self.sizes or min(self.sizes) < 0:
            raise ValueError(f"sizes must be one or more numbers of at least 0, got {self.sizes}")


class HaS(Method):
    """Hide-and-Seek."""

    options: HaSOptions

    def transform_batch(self, batch: Batch, generator: Generator) -> Batch:
        """See :meth:`Method.transform_batch`."""
        sizes, probability, images = self.options.sizes, self.options.probability, batch.images
        if len(sizes) == 1:
            hidden = hide_patches(images, size=sizes[0], probability=probability, generator=generator)
            return replace(batch, images=hidden)
        drawn = torch.randint(len(sizes), images.shape[:1], device=images.device, generator=generator)
        hidden = images.clone()
        for index, size in enumerate(sizes):
            if size:
                chosen = drawn == index
                hidden[chosen] = hide_patches(
                    images[chosen], size=size, probability=probability, generator=generator
                )
        return replace(batch, images=hidden)
