"""CutMix (Yun et al., ICCV 2019): a box of each image is filled from another one, and the labels are mixed.

    x̃ = M ⊙ x + (1 − M) ⊙ x[π],   L = λ · CE(y) + (1 − λ) · CE(y[π]),   λ = mean of M

M is 0 inside one box of the batch and 1 outside, π one permutation of the batch. The box has the share
1 − λ₀ of the image with λ₀ ~ Beta(α, α), as long as nothing of it is cut off at the border
(:func:`wsol.erasing.mixing_box`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator

from wsol.erasing import cut_and_paste, mixing_box
from wsol.methods.base import Batch, Method
from wsol.methods.checks import check_shares


@dataclass(frozen=True, kw_only=True)
class CutMixOptions:
    """CutMix. Defaults: those of the comparison of WSOL methods by Choe et al. (CVPR 2020).

    Attributes:
        alpha: α, above 0: the share of an image that is kept is drawn from Beta(α, α); 1 is uniform.
        probability: that a batch is mixed, in [0, 1].
    """

    alpha: float = 1.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        check_shares(self, "probability")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha must be above 0, got {self.alpha}")


class CutMix(Method):
    """CutMix."""

    options: CutMixOptions

    def transform_batch(self, batch: Batch, generator: Generator) -> Batch:
        """See :meth:`Method.transform_batch`."""
        images, labels, device = batch.images, batch.labels, batch.images.device
        # PyTorch's Beta takes no generator: NumPy draws what is needed here and not on the device
        seed = torch.randint(2**62, (), device=device, generator=generator)
        draw = np.random.default_rng(int(seed))
        if draw.random() >= self.options.probability:
            return batch
        height, width = images.shape[2:]
        ratio = draw.beta(self.options.alpha, self.options.alpha)
        centre = (int(draw.integers(height)), int(draw.integers(width)))
        box = x0, y0, x1, y1 = mixing_box((height, width), ratio, centre)
        permutation = torch.randperm(len(images), device=device, generator=generator)
        return Batch(
            images=cut_and_paste(images, permutation, box),
            labels=labels,
            partners=labels[permutation],
            share=1 - (x1 - x0) * (y1 - y0) / (height * width),
        )
