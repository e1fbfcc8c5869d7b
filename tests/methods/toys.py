"""Small classifiers and batches that the tests of several methods share."""

from typing import Any

import torch
from torch import Tensor, nn

from wsol.methods import Batch
from wsol.models import Classifier


class Stored(nn.Module):
    """A network whose features are given ones, whatever the image; ``inner`` and ``behind`` pass them on."""

    def __init__(self, features: Tensor, weight: Tensor) -> None:
        super().__init__()
        self.features = nn.Parameter(features.clone())
        self.inner, self.behind = nn.Identity(), nn.Identity()
        self.fc = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
        self.fc.weight = nn.Parameter(weight.clone())

    def forward_features(self, x: Tensor) -> Tensor:
        return self.behind(self.inner(self.features))  # type: ignore[no-any-return]

    def get_classifier(self) -> nn.Module:
        return self.fc


class Small(nn.Module):
    """Three convolutions, of which ``last`` is a stage; for 5 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.last = nn.Sequential(
            *(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
            *(nn.Conv2d(8, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU(inplace=True)),
        )
        self.fc = nn.Linear(16, 5)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))  # type: ignore[no-any-return]

    def get_classifier(self) -> nn.Module:
        return self.fc


def small() -> Classifier:
    torch.manual_seed(0)
    return Classifier(Small())


def batch(count: int = 4, side: int = 24, **options: Any) -> Batch:
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(3))
    return Batch(images=images, labels=torch.arange(count) % 5, **options)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
