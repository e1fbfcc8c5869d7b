"""ADL, attention-based dropout layer (Choe & Shim, CVPR 2019): what the network attends to most is dropped.

    f ← f ⊙ [a < t · max_p a]   with the drop probability,   f ← f ⊙ σ(a)   else,   a = mean_k f_k

after some inner layers, with one draw a layer a batch (:func:`wsol.erasing.attention_dropout`). It has no
parameters and acts in training alone: the classifier that is kept does not know of it.
"""

from dataclasses import dataclass

from timm.models.vgg import VGG
from torch import Generator, Tensor

from wsol.erasing import attention_dropout
from wsol.errors import ModelError
from wsol.methods.base import Batch, Method
from wsol.methods.checks import check_shares
from wsol.models import Classifier
from wsol.models.layers import find_layer, stages, watch

VGG16 = ("features.16", "features.22", "features.29")  # pool3, and the ReLUs of conv4_3 and conv5_3
RESNET = ("layer3.0", "layer4.0", "layer4.2")
INCEPTION = ("Mixed_5d", "Mixed_6e", "head.5")  # the last one is the ReLU of the head's second convolution


@dataclass(frozen=True, kw_only=True)
class ADLOptions:
    """ADL. Defaults: the paper's.

    Attributes:
        threshold: t of the drop mask: attention from this share of its maximum on is dropped, in [0, 1].
        drop_probability: that a layer drops; else its output is weighted by its attention; in [0, 1].
        layers: whose outputs it acts on, by module name; default: the paper's three of vgg16_cam, of ResNets
            with three blocks in layer4, and of inception_v3_cam, else the last two stages.
    """

    threshold: float = 0.9
    drop_probability: float = 0.75
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_shares(self, "threshold", "drop_probability")
        if self.layers is not None and (not self.layers or len(set(self.layers)) < len(self.layers)):
            raise ValueError(f"layers must be one or more names, each once, got {self.layers}")


class ADL(Method):
    """Attention-based dropout layer."""

    options: ADLOptions
    keeps_dropout = False  # these layers take its place

    def __init__(self, classifier: Classifier, options: ADLOptions, *, epochs: int = 1) -> None:
        super().__init__(classifier, options, epochs=epochs)
        self.layers = options.layers or default_layers(classifier)
        for name in self.layers:
            find_layer(classifier.network, name)

    def losses(self, batch: Batch, *, epoch: int, generator: Generator) -> dict[str, Tensor]:
        """See :meth:`Method.losses`."""
        options = self.options

        def drop(features: Tensor) -> Tensor:
            return attention_dropout(
                features,
                threshold=options.threshold,
                drop_probability=options.drop_probability,
                generator=generator,
            )

        with watch(self.classifier.network, dict.fromkeys(self.layers, drop)):
            return super().losses(batch, epoch=epoch, generator=generator)


def default_layers(classifier: Classifier) -> tuple[str, ...]:
    """Where ADL stands in the papers' networks, and where it is set in others.

    Raises:
        ModelError: the network has not two stages.
    """
    network = classifier.network
    names = {name for name, _ in network.named_modules()}
    if isinstance(network, VGG):
        return VGG16
    for layers in (RESNET, INCEPTION):
        if names.issuperset(layers):
            return layers
    last = stages(network)[-2:]
    if len(last) < 2:
        raise ModelError("the network has no stages that ADL could stand behind: name its layers")
    return tuple(last)
