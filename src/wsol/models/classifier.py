"""The classifier behind every map: features and class scores in one forward pass, over any timm CNN."""

import copy
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from wsol.errors import ModelError
from wsol.maps import MapKind, class_activation_map, decompose
from wsol.pooling import PoolingKind, global_average_pool, thresholded_average_pool

WORKING = (
    "ResNet, ResNeXt, SE-ResNet, RegNet, DenseNet, EfficientNet, EfficientNet-Lite, MobileNetV1/V2, "
    "Inception and Xception work, and the papers' networks "
    "(vgg16_cam, resnet50_cam, seresnet50_cam, inception_v3_cam, mobilenetv1_cam)"
)


class Network(Protocol):
    """What timm's image classifiers offer."""

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> features (B, K, h, w)."""

    def get_classifier(self) -> nn.Module:
        """The last layer."""


class Classifier(nn.Module):
    """A CNN whose features are pooled into one linear layer, yielding features and scores together.

    Attributes:
        network: timm's network, or one of the papers' made from it; parameters keep timm's names.
        pooling: ``gap`` or ``tap``.
        tap_threshold: θ of TAP.
    """

    def __init__(self, network: nn.Module, pooling: PoolingKind = "gap", tap_threshold: float = 0.1) -> None:
        """Wrap a network that :func:`prove_fit` accepts."""
        super().__init__()
        if pooling not in ("gap", "tap"):
            raise ValueError(f"pooling must be 'gap' or 'tap', got {pooling!r}")
        if not 0 <= tap_threshold < 1:
            raise ValueError(f"tap_threshold must be in [0, 1), got {tap_threshold}")
        self.network = network
        self.pooling: PoolingKind = pooling
        self.tap_threshold = tap_threshold

    @property
    def linear(self) -> nn.Linear:
        """The linear layer behind the pooling: weight W (C, K) and bias b (C,)."""
        return cast("nn.Linear", cast("Network", self.network).get_classifier())

    @property
    def num_classes(self) -> int:
        """C."""
        return self.linear.out_features

    def pool(self, features: Tensor) -> Tensor:
        """(B, K, h, w) -> (B, K), by the chosen pooling."""
        if self.pooling == "tap":
            return thresholded_average_pool(features, self.tap_threshold)
        return global_average_pool(features)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and class scores of a batch, in one pass.

        Args:
            images: (B, 3, H, W), normalised as the weights expect.

        Returns:
            features (B, K, h, w), the input of the pooling, and logits (B, C) = W · pooled + b.
        """
        features = self.features(images)
        return features, self.linear(self.pool(features))

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> features (B, K, h, w) alone."""
        return cast("Network", self.network).forward_features(images)

    def score_maps(self, features: Tensor, labels: Tensor, kind: MapKind = "cam") -> Tensor:
        """The map of one class an image.

        Args:
            features: (B, K, h, w), of :meth:`forward`.
            labels: (B,), int64.
            kind: which map.

        Returns:
            (B, h, w), float32 at least, unnormalised.
        """
        if kind in ("norm", "similarity"):
            return self.decompose(features, labels)[kind == "similarity"]
        weight = self.linear.weight.float()
        return class_activation_map(features, weight, labels, clamp_negative=kind == "nwc")

    def decompose(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """F and S of the map of one class an image, (B, h, w) each (:func:`wsol.maps.decompose`)."""
        return decompose(features, self.linear.weight.float(), labels)


def prove_fit(network: nn.Module, name: str, input_size: tuple[int, int]) -> None:
    """Make sure that a network is features, average pooling and one linear layer, by running it once.

    Args:
        network: a timm network, on the CPU.
        name: its name, for the message.
        input_size: (height, width) of the image to try.

    Raises:
        ModelError: it is not; the message says what stands between, and which networks work. Or the image
            is so small that the map has one position.
    """
    linear = network.get_classifier() if hasattr(network, "get_classifier") else None  # type: ignore[operator]
    if not isinstance(linear, nn.Linear):
        found = type(linear).__name__ if isinstance(linear, nn.Module) else "nothing"
        raise _misfit(name, f"its classifier is {found}, not one linear layer")
    network = _shaken(network)
    linear = network.get_classifier()  # type: ignore[operator]
    image = torch.randn(1, 3, *input_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, trunk, _ = _trace(network, image, linear, features_only=True)
        logits, everything, pooled = _trace(network, image, linear, features_only=False)
    between = ", ".join(everything[len(trunk) :]) or "a computation of its own"
    if not isinstance(features, Tensor) or features.ndim != 4 or features.shape[1] != linear.in_features:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise _misfit(
            name,
            f"its features are {shape}, where a map (1, {linear.in_features}, h, w) with the channels of its "
            f"linear layer is needed, and between the two stands: {between}",
        )
    if features.shape[-2:] == (1, 1):  # no object to find in it, and every pooling would look like an average
        raise ModelError(
            f"{name} gives a map of one position at {input_size[0]} × {input_size[1]} pixels: "
            "choose a larger input_size"
        )
    expected = global_average_pool(features)
    tolerance = 1e-4 * float(expected.abs().max())
    if pooled is None or not torch.allclose(expected, pooled, rtol=1e-4, atol=tolerance):
        raise _misfit(name, f"between its features and its linear layer stands: {between}")
    with torch.no_grad():
        scores = linear(pooled)
    if not isinstance(logits, Tensor) or not torch.allclose(scores, logits, rtol=1e-4, atol=1e-6):
        raise _misfit(name, "behind its linear layer stands a computation of its own")


def _shaken(network: nn.Module) -> nn.Module:
    """A copy for evaluation whose batch norms do something: a new one passes everything on as it is."""
    network = copy.deepcopy(network).eval()
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for values in (module.running_mean, module.running_var, module.weight, module.bias):
                if values is not None:
                    values.data.uniform_(0.5, 1.5, generator=generator)
    return network


def _trace(
    network: nn.Module, image: Tensor, linear: nn.Linear, features_only: bool
) -> tuple[Any, list[str], Tensor | None]:
    """The output, the kinds of the leaf modules as they ran, and what the linear layer was given."""
    ran: list[str] = []
    given: list[Tensor] = []

    def remember(module: nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        if module is linear:
            given.append(inputs[0])
        elif not isinstance(module, (nn.Identity, nn.Dropout, nn.Flatten)):
            ran.append(type(module).__name__)

    leaves = [module for module in network.modules() if not any(module.children())]
    hooks = [leaf.register_forward_hook(remember) for leaf in leaves]
    try:
        output = cast("Network", network).forward_features(image) if features_only else network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return output, ran, given[0] if given else None


def _misfit(name: str, reason: str) -> ModelError:
    return ModelError(
        f"{name} cannot give class activation maps: {reason}. A CAM needs a CNN whose last features go "
        f"through average pooling into one linear layer with nothing between. {WORKING}."
    )
