"""Layers that ACoL and SPG put behind or beside a trunk, begun as the official protocol begins them."""

from collections.abc import Callable
from functools import partial
from typing import cast

from torch import Tensor, nn

from wsol.models import Classifier

Rule = Callable[[Tensor], Tensor]
"""How a new weight is drawn."""

XAVIER: Rule = nn.init.xavier_uniform_
KAIMING: Rule = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")
NORMAL: Rule = partial(nn.init.normal_, std=0.01)

PAPER_RESNETS = ("resnet50_cam", "seresnet50_cam")


def convolution(inputs: int, outputs: int, size: int, rule: Rule) -> nn.Conv2d:
    """A new size×size convolution that keeps the map's size; its bias is 0."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    rule(layer.weight)
    nn.init.zeros_(cast("Tensor", layer.bias))
    return layer


def linear(inputs: int, outputs: int, rule: Rule) -> nn.Linear:
    """A new linear layer; its bias is 0.

    Behind the pooling it is what a 1×1 convolution before it would be, and the papers' networks draw it by
    the rule of their convolutions: both have the same number of inputs and of outputs.
    """
    layer = nn.Linear(inputs, outputs)
    rule(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def replace_linear(classifier: Classifier, new: nn.Module) -> None:
    """Put a module where the network has its linear layer."""
    old = classifier.linear
    path = next(name for name, module in classifier.network.named_modules() if module is old)
    parent, _, name = path.rpartition(".")
    setattr(classifier.network.get_submodule(parent), name, new)
