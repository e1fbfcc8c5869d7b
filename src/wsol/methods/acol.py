"""ACoL (Zhang et al., Adversarial Complementary Learning for WSOL, CVPR 2018): a second head finds the rest.

Two heads A and B look at the same features f of the trunk. Where head A's map of the label is strong,
the features are erased for head B, which has to know the class by other parts of the object:

    a = minmax(CAM_A(f)),   f_B = f · [a < δ],   L = CE(A(f)) + CE(B(f_B))
    map = max(minmax(CAM_A(f)), minmax(CAM_B(f_B))),   prediction: A's

No gradient flows through the choice of what is erased; a constant map erases nothing
(:func:`wsol.erasing.erase_attended`). Each head is a 3×3 convolution to 1024 channels with a ReLU, twice,
then a 1×1 convolution to the classes and average pooling; here the linear layer behind the pooling stands
for the 1×1 convolution, so that other poolings and maps can be had as well.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from wsol.erasing import erase_attended
from wsol.errors import ModelError
from wsol.maps import MapKind, class_activation_map, normalize
from wsol.methods.base import Batch, Method
from wsol.methods.heads import (
    KAIMING,
    NORMAL,
    PAPER_RESNETS,
    XAVIER,
    Rule,
    convolution,
    linear,
    replace_linear,
)
from wsol.models import Classifier
from wsol.pooling import PoolingKind

WIDTH = 1024
"""Channels of a head's features."""


@dataclass(frozen=True, kw_only=True)
class ACoLOptions:
    """ACoL. Defaults: the official protocol's; the original has 0.6.

    Attributes:
        threshold: δ: where head A's map is at least this, features are erased for head B, in (0, 1].
    """

    threshold: float = 0.7

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must be in (0, 1], got {self.threshold}")


class Head(nn.Module):
    """One of the two heads.

    Attributes:
        convolutions: the trunk's features (B, K, h, w) -> the head's, (B, 1024, h, w).
        linear: these, pooled, -> logits (B, C).
    """

    def __init__(self, channels: int, num_classes: int, rules: tuple[Rule, Rule]) -> None:
        super().__init__()
        rule, linear_rule = rules
        self.convolutions = nn.Sequential(
            convolution(channels, WIDTH, 3, rule), nn.ReLU(), convolution(WIDTH, WIDTH, 3, rule), nn.ReLU()
        )
        self.linear = linear(WIDTH, num_classes, linear_rule)


class ACoLClassifier(Classifier):
    """A trunk with two heads. Class scores are head A's; the map is what both find.

    Its features are the trunk's, which head B gets too, and then head A's 1024 channels: so one pass does
    for the scores and for the map of any class, but for head B, which sees other features for each class.

    Attributes:
        head_a: sees everything.
        head_b: sees what head A's map leaves over.
        threshold: δ.
    """

    def __init__(
        self,
        trunk: nn.Module,
        channels: int,
        num_classes: int,
        *,
        rules: tuple[Rule, Rule],
        threshold: float,
        pooling: PoolingKind = "gap",
        tap_threshold: float = 0.1,
    ) -> None:
        """Put new heads behind a trunk of K = ``channels``; ``rules``: of convolutions, of linear layers."""
        super().__init__(trunk, pooling, tap_threshold)
        self.head_a = Head(channels, num_classes, rules)
        self.head_b = Head(channels, num_classes, rules)
        self.threshold = threshold

    @property
    def linear(self) -> nn.Linear:
        """Head A's linear layer: weight W (C, 1024) and bias b (C,)."""
        return self.head_a.linear

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, K + 1024, h, w) and head A's class scores (B, C), in one pass."""
        features = self.features(images)
        _, attended = _parts(features)
        return features, self.linear(self.pool(attended))

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> the trunk's features and head A's, (B, K + 1024, h, w)."""
        shared = super().features(images)
        return torch.cat([shared, self.head_a.convolutions(shared)], dim=1)

    def left_over(self, features: Tensor, labels: Tensor) -> Tensor:
        """Head B's features (B, 1024, h, w): of what head A's CAM of the label leaves over.

        Args:
            features: (B, K + 1024, h, w), of :meth:`forward`.
            labels: (B,), int64.
        """
        shared, attended = _parts(features)
        attention = normalize(class_activation_map(attended.detach(), self._weight_a(), labels))
        return cast(
            "Tensor", self.head_b.convolutions(erase_attended(shared, attention, threshold=self.threshold))
        )

    def score_maps(self, features: Tensor, labels: Tensor, kind: MapKind = "cam") -> Tensor:
        """The maximum of the heads' min–maxed maps of one class an image.

        NWC clamps the weights of both maps; what is erased for head B stays what it was in training.

        Args:
            features: (B, K + 1024, h, w), of :meth:`forward`.
            labels: (B,), int64.
            kind: ``cam`` or ``nwc``.

        Returns:
            (B, h, w) in [0, 1].

        Raises:
            ModelError: another kind, which the maximum of two maps has not.
        """
        if kind not in ("cam", "nwc"):
            raise ModelError(f"ACoL's map is the maximum of two heads' maps, which has no {kind}")
        clamp = kind == "nwc"
        a = class_activation_map(_parts(features)[1], self._weight_a(), labels, clamp_negative=clamp)
        weight_b = self.head_b.linear.weight.float()
        b = class_activation_map(self.left_over(features, labels), weight_b, labels, clamp_negative=clamp)
        return torch.maximum(normalize(a), normalize(b))

    def decompose(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """F and S of head A's map, (B, h, w) each (:func:`wsol.maps.decompose`)."""
        return super().decompose(_parts(features)[1], labels)

    def _weight_a(self) -> Tensor:
        return self.linear.weight.float()


class ACoL(Method):
    """Adversarial complementary learning."""

    classifier: ACoLClassifier
    options: ACoLOptions

    @classmethod
    def adapt(cls, classifier: Classifier, backbone: str, options: ACoLOptions) -> Classifier:
        """See :meth:`Method.adapt`. The heads go behind

        - vgg16_cam: pool5, with pools 1–4 3×3/2 padded by 1 (pool4 at stride 1 for a map of 28), pool5
          3×3/1 and an average pool 3×3/1 behind it;
        - inception_v3_cam: Mixed_6e;
        - any other network: its last features, which is layer4 of a ResNet.
        """
        network: Any = classifier.network
        channels, num_classes = classifier.linear.in_features, classifier.num_classes
        replace_linear(classifier, nn.Identity())
        if backbone == "vgg16_cam":
            _pool_as_acol(network)
            channels, rules = 512, (XAVIER, XAVIER)
        elif backbone == "inception_v3_cam":
            network.head = nn.Identity()
            channels, rules = 768, (XAVIER, XAVIER)
        elif backbone in PAPER_RESNETS:
            rules = (KAIMING, KAIMING)
        else:  # Kaiming's fan-out makes a linear layer of few classes so large that training starts at noise
            rules = (KAIMING, NORMAL)
        return ACoLClassifier(
            network,
            channels,
            num_classes,
            rules=rules,
            threshold=options.threshold,
            pooling=classifier.pooling,
            tap_threshold=classifier.tap_threshold,
        ).train(classifier.training)

    def losses(self, batch: Batch, *, epoch: int, generator: Generator) -> dict[str, Tensor]:
        """See :meth:`Method.losses`."""
        classifier = self.classifier
        features, logits = classifier(batch.images)
        pooled = classifier.pool(classifier.left_over(features, batch.labels))
        return {
            "head_a": batch.cross_entropy(logits),
            "head_b": batch.cross_entropy(classifier.head_b.linear(pooled)),
        }


def _pool_as_acol(network: Any) -> None:  # noqa: ANN401
    """Overlapping pools for VGG16, and no convolution of 1024 channels behind them."""
    layers = network.features
    map_of_28 = isinstance(layers[23], nn.Identity)  # pool4
    for pool in (4, 9, 16, 23):
        layers[pool] = nn.MaxPool2d(3, stride=1 if pool == 23 and map_of_28 else 2, padding=1)
    layers[30] = nn.Sequential(  # pool5
        nn.MaxPool2d(3, stride=1, padding=1), nn.AvgPool2d(3, stride=1, padding=1)
    )
    network.features = layers[:31]


def _parts(features: Tensor) -> tuple[Tensor, Tensor]:
    """The trunk's features and head A's."""
    return features[:, :-WIDTH], features[:, -WIDTH:]
