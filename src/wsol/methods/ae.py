"""AE, adversarial erasing (Wei et al., CVPR 2017): several classifiers, each on what the others left over.

A classifier is trained; what its map of the true class shows is erased from each training image and filled
with the mean colour; the next one is trained on what is left, and so on. The union of the regions is the
object: the map is the maximum of the steps' normalised maps, read off the whole image. Classes are told by
the first step's classifier, which alone was trained on whole images.

The steps are trained one after the other, each as CAM (:mod:`wsol.training.erasing`).
"""

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from wsol.maps import MapKind, normalize
from wsol.methods.base import Method
from wsol.methods.checks import check_shares
from wsol.models import Classifier


@dataclass(frozen=True, kw_only=True)
class AEOptions:
    """AE. Defaults: the paper's.

    Attributes:
        steps: classifiers that are trained one after the other.
        threshold: the label's map above this share of its maximum is erased, in [0, 1].
    """

    steps: int = 3
    threshold: float = 0.2

    def __post_init__(self) -> None:
        check_shares(self, "threshold")
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")


class AEClassifier(Classifier):
    """The classifiers of all steps side by side.

    Attributes:
        steps: one classifier each.
    """

    def __init__(self, steps: list[Classifier]) -> None:
        nn.Module.__init__(self)  # the networks are those of the steps
        self.steps = nn.ModuleList(steps)
        self.pooling, self.tap_threshold = steps[0].pooling, steps[0].tap_threshold

    @property
    def _classifiers(self) -> list[Classifier]:
        return [cast("Classifier", step) for step in self.steps]

    @property
    def linear(self) -> nn.Linear:
        """The first step's."""
        return self._classifiers[0].linear

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of all steps (B, steps · K, h, w), and the class scores of the first (B, C)."""
        both = [step(images) for step in self._classifiers]
        return torch.cat([features for features, _ in both], dim=1), both[0][1]

    def features(self, images: Tensor) -> Tensor:
        """Features of all steps, (B, steps · K, h, w)."""
        return torch.cat([step.features(images) for step in self._classifiers], dim=1)

    def score_maps(self, features: Tensor, labels: Tensor, kind: MapKind = "cam") -> Tensor:
        """The maximum of the steps' maps, each normalised: (B, h, w) in [0, 1]."""
        parts = features.chunk(len(self.steps), dim=1)
        maps = [
            normalize(step.score_maps(part, labels, kind))
            for step, part in zip(self._classifiers, parts, strict=True)
        ]
        return torch.stack(maps).amax(dim=0)

    def decompose(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """F and S of the first step."""
        return self._classifiers[0].decompose(features.chunk(len(self.steps), dim=1)[0], labels)


class AE(Method):
    """Adversarial erasing."""

    @classmethod
    def adapt(cls, classifier: Classifier, backbone: str, options: AEOptions) -> AEClassifier:
        """A classifier for each step."""
        return AEClassifier([copy.deepcopy(classifier) for _ in range(options.steps)])
