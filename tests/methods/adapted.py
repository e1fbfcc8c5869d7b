"""Small networks, adapted to a method as training and use have them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsol.inference.localization import Localization
from wsol.inference.localizer import Localizer
from wsol.inference.options import LocalizerOptions, RuntimeOptions
from wsol.maps import MapKind
from wsol.methods import METHODS, Batch, Method, MethodKind
from wsol.models import Classifier, Model, ModelOptions, build
from wsol.models.papers import build_paper_network
from wsol.pooling import PoolingKind

TIMM = ("tf_efficientnet_lite0", "resnet50", "regnety_004", "densenet121")
CLASSES = 7


class Tiny(nn.Module):
    """Images are the features; beside them runs a layer that makes them small."""

    def __init__(self, channels: int = 3, num_classes: int = 4, shrink: int = 2) -> None:
        super().__init__()
        self.small = nn.AvgPool2d(shrink, ceil_mode=True)
        self.fc = nn.Linear(channels, num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        self.small(x)
        return x

    def get_classifier(self) -> nn.Linear:
        return self.fc


def model_of(backbone: str, *, pooling: PoolingKind = "gap") -> Model:
    """A network with random weights, for images of 64 × 64."""
    return build(ModelOptions(backbone=backbone, pooling=pooling, input_size=64), pretrained=False)


def adapt(kind: MethodKind, classifier: Classifier, backbone: str = "tiny", options: Any = None) -> Any:
    method = METHODS[kind].method
    return method.adapt(classifier, backbone, options)


def paper(name: str, map_size: int) -> Classifier:
    """One of the papers' networks, on whatever device is the default."""
    return Classifier(build_paper_network(name, num_classes=CLASSES, map_size=map_size)[0]).eval()


def batch_of(size: int, count: int = 2, classes: int = CLASSES) -> Batch:
    return Batch(images=torch.randn(count, 3, size, size), labels=torch.arange(count) % classes)


def losses(method: Method, batch: Batch) -> dict[str, Tensor]:
    return method.losses(batch, epoch=1, generator=torch.Generator())


def without_gradient(method: Method, batch: Batch) -> list[str]:
    """Names of the parameters that one step in training mode does not reach."""
    torch.stack(list(losses(method.train(), batch).values())).sum().backward()  # type: ignore[no-untyped-call]
    return [name for name, parameter in method.named_parameters() if parameter.grad is None]


def localize(model: Model, classifier: Classifier, kind: MapKind) -> Iterator[tuple[Localization, Tensor]]:
    """Two pictures localised, each with the map of that class by the classifier itself."""
    localizer = Localizer(
        replace(model, classifier=classifier, trained=True),
        LocalizerOptions(map=kind, preset="fast"),
        RuntimeOptions(device="cpu"),
    )
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    for picture in pictures:
        found = localizer(picture)
        assert isinstance(found, Localization)
        pixels = (torch.from_numpy(picture).permute(2, 0, 1) / 255)[None]
        mean, std = (torch.tensor(values)[:, None, None] for values in (model.mean, model.std))
        with torch.no_grad():
            features, logits = classifier((pixels - mean) / std)
            assert logits.argmax() == found.class_index
            yield found, classifier.score_maps(features, logits.argmax(dim=1), kind)[0]
