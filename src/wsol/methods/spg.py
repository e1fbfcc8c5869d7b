"""SPG (Zhang et al., Self-produced Guidance for WSOL, ECCV 2018): sure pixels teach the layers inside.

Three branches guess foreground: B1 and B2 from inner maps, with a last part that they share, C from the
last features. Each is taught by the pixels of another map that are surely foreground (> high) or surely
background (< low; :func:`wsol.erasing.seed_targets`); nothing is learned from the rest, and no gradient
flows into a target:

    B2 ← minmax(up(CAM of the label)),   B1 ← σ(up(B2)),   C ← (σ(up(B1)) + σ(up(B2))) / 2
    L = CE + BCE(B2) + BCE(B1) + BCE(C)

Each BCE is one mean over all pixels of the batch that have a target, 0 if there is none; up is bilinear, to
the size of the images. The branches are there in training only: the map is the classifier's CAM.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from wsol.erasing import IGNORED, seed_targets
from wsol.errors import ModelError
from wsol.maps import class_activation_map, normalize
from wsol.methods.base import Batch, Method
from wsol.methods.checks import check_shares
from wsol.methods.heads import PAPER_RESNETS, XAVIER, convolution, linear, replace_linear
from wsol.models import Classifier
from wsol.models.layers import stages, watch

WIDTH = 512
"""Channels inside a branch; B1 and B2 of a ResNet have those of layer3."""


@dataclass(frozen=True, kw_only=True)
class SPGOptions:
    """SPG. Defaults: the official protocol's; the original has attention_low 0.05.

    Attributes:
        attention_high: the label's map above it is foreground for B2, in [0, 1].
        attention_low: the label's map below it is background for B2, in [0, 1].
        b1_high: B2's guess above it is foreground for B1, in [0, 1].
        b1_low: B2's guess below it is background for B1, in [0, 1].
        c_high: the mean of B1's and B2's guesses above it is foreground for C, in [0, 1].
        c_low: the mean of B1's and B2's guesses below it is background for C, in [0, 1].
        layers: whose outputs B1, B2 and C get, three module names; default: for B1 and B2 layer3.0 and
            layer3 of ResNets, features.23 and features.29 (pool4, conv5_3's ReLU) of vgg16_cam, Pool3 and
            Mixed_6d of inception_v3_cam, else the third-last and second-last stage; for C the last features.
    """

    attention_high: float = 0.7
    attention_low: float = 0.01
    b1_high: float = 0.5
    b1_low: float = 0.05
    c_high: float = 0.7
    c_low: float = 0.1
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for source in ("attention", "b1", "c"):
            check_shares(self, f"{source}_high", f"{source}_low")
            high, low = getattr(self, f"{source}_high"), getattr(self, f"{source}_low")
            if low > high:
                raise ValueError(f"{source}_low must be at most {source}_high, got {low} and {high}")
        if self.layers is not None and len(self.layers) != 3:
            raise ValueError(f"layers must be three names, of B1, B2 and C, got {self.layers}")


class SPG(Method):
    """Self-produced guidance."""

    options: SPGOptions

    def __init__(self, classifier: Classifier, options: SPGOptions, *, epochs: int = 1) -> None:
        super().__init__(classifier, options, epochs=epochs)
        network = classifier.network
        self.layers = options.layers or default_layers(network)
        first, second, *last = _channels(network, self.layers)
        inner = first if _is_resnet(network) else WIDTH
        self.own_b1 = nn.Sequential(convolution(first, inner, 3, XAVIER), nn.ReLU())
        self.own_b2 = nn.Sequential(convolution(second, inner, 3, XAVIER), nn.ReLU())
        self.shared_b = _guess(inner, inner)
        self.branch_c = _guess(last[0] if last else classifier.linear.in_features, WIDTH)

    @classmethod
    def adapt(cls, classifier: Classifier, backbone: str, options: SPGOptions) -> Classifier:
        """See :meth:`Method.adapt`.

        vgg16_cam gets a pool4 of 3×3/2 padded by 1 (none for a map of 28) and two 3×3-512 convolutions
        with ReLU in place of one of 1024; it and the papers' ResNets get a new linear layer. Others stay as
        they are: inception_v3_cam has SPG's head already.
        """
        network: Any = classifier.network
        channels, num_classes = classifier.linear.in_features, classifier.num_classes
        if backbone == "vgg16_cam":
            if not isinstance(network.features[23], nn.Identity):
                network.features[23] = nn.MaxPool2d(3, stride=2, padding=1)
            network.features[31] = nn.Sequential(
                convolution(512, 512, 3, XAVIER), nn.ReLU(), convolution(512, 512, 3, XAVIER), nn.ReLU()
            )
            del network.features[32]
            channels = network.num_features = 512
        if backbone in ("vgg16_cam", *PAPER_RESNETS):
            replace_linear(classifier, linear(channels, num_classes, XAVIER))
        return classifier

    def losses(self, batch: Batch, *, epoch: int, generator: Generator) -> dict[str, Tensor]:
        """See :meth:`Method.losses`."""
        options, images, labels = self.options, batch.images, batch.labels
        inner: dict[str, Tensor] = {}
        with watch(self.classifier.network, _keep(inner, self.layers)):
            features, logits = self.classifier(images)
        x1, x2, *x3 = (inner[name] for name in self.layers)
        size = (images.shape[-2], images.shape[-1])
        b1 = _up(self.shared_b(self.own_b1(x1)), size)  # (B, H, W), as b2 and c
        b2 = _up(self.shared_b(self.own_b2(x2)), size)
        c = _up(self.branch_c(x3[0] if x3 else features), size)
        with torch.no_grad():
            cam = class_activation_map(features, self.classifier.linear.weight, labels)
            attention = normalize(_up(cam[:, None], size))
            guess = (b1.sigmoid() + b2.sigmoid()) / 2
            targets = (
                seed_targets(attention, high=options.attention_high, low=options.attention_low),
                seed_targets(b2.sigmoid(), high=options.b1_high, low=options.b1_low),
                seed_targets(guess, high=options.c_high, low=options.c_low),
            )
        terms = {"classification": batch.cross_entropy(logits)}
        for name, branch, target in zip(("b2", "b1", "c"), (b2, b1, c), targets, strict=True):
            terms[name] = seed_loss(branch, target)
        return terms


def seed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, one mean over all pixels of the batch that have a target; 0 if none has.

    Args:
        logits: (B, H, W).
        targets: (B, H, W), of :func:`wsol.erasing.seed_targets`.

    Returns:
        A scalar, with a gradient even where it is 0.
    """
    kept = targets != IGNORED
    losses = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")
    return torch.where(kept, losses, 0).sum() / kept.sum().clamp(min=1)


def default_layers(network: nn.Module) -> tuple[str, ...]:
    """What B1 and B2 look at; C looks at the features that the classifier pools.

    Raises:
        ModelError: the network has fewer than three stages.
    """
    names = {name for name, _ in network.named_modules()}
    if _is_resnet(network):
        return ("layer3.0", "layer3")
    if "features.31.2" in names:  # VGG16 of adapt: pool4, or what is in its place, and conv5_3's ReLU
        return ("features.23", "features.29")
    if {"Pool3", "Mixed_6d"} <= names:  # inception_v3_cam
        return ("Pool3", "Mixed_6d")
    found = stages(network)
    if len(found) < 3:
        raise ModelError(
            f"SPG looks into the third-last and second-last stage of a network, and this one has "
            f"{', '.join(found) or 'none'}: name three of its layers in layers"
        )
    return (found[-3], found[-2])


def _is_resnet(network: nn.Module) -> bool:
    return {"layer3.0", "layer4"} <= {name for name, _ in network.named_modules()}


def _guess(inputs: int, width: int) -> nn.Sequential:
    """The end of a branch: (B, inputs, h, w) -> (B, 1, h, w), foreground where it is above 0."""
    return nn.Sequential(convolution(inputs, width, 3, XAVIER), nn.ReLU(), convolution(width, 1, 1, XAVIER))


def _up(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 1, h, w) -> (B, H, W), in float32 at least: near a threshold a half-precision step is coarse."""
    maps = maps if maps.element_size() > 2 else maps.float()
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0]


def _keep(inner: dict[str, Tensor], layers: tuple[str, ...]) -> Mapping[str, Callable[[Tensor], None]]:
    """Functions for :func:`watch` that keep what passes, under the name of the layer.

    The branches run when the pass is over: a ReLU that works in place has then done its work.
    """
    return {name: partial(inner.__setitem__, name) for name in layers}


def _channels(network: nn.Module, layers: tuple[str, ...]) -> list[int]:
    """Channels of the layers' outputs, by running the network once, without its numbers."""
    inner: dict[str, Tensor] = {}
    empty: Any = copy.deepcopy(network).to("meta").eval()
    with watch(empty, _keep(inner, layers)):
        empty.forward_features(torch.zeros(1, 3, 224, 224, device="meta"))
    return [inner[name].shape[1] for name in layers]
