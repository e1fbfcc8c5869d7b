"""The papers' backbones: timm's networks with less stride, so that a 224 × 224 image gives a map of 14 or 28.

The sizes, and the heads of VGG16 and InceptionV3 ("GoogleNet" in the papers), are those of the official
WSOL protocol (Choe et al., CVPR 2020), which Bridging the Gap (CVPR 2022) takes over; the SE-ResNet50 and
MobileNetV1 are those of Rethinking CAM (ECCV 2020). Stride is lost **without** dilation: the convolutions
behind it see a smaller part of the image than in pretraining, and training has to make up for it.

Each network is features, average pooling and one linear layer. The trunk keeps timm's parameter names, so
timm's weights fit it by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.layers.classifier import ClassifierHead
from timm.models.efficientnet import mobilenetv1_100
from timm.models.inception_v3 import InceptionB, inception_v3
from timm.models.resnet import resnet50, seresnet50
from timm.models.vgg import vgg16
from torch import Tensor, nn

from wsol.errors import ModelError

_kaiming = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")
_normal = partial(nn.init.normal_, std=0.01)


def _vgg16_cam(num_classes: int, map_size: int) -> nn.Module:
    """Without pool5 (and pool4 for a map of 28); 3×3 convolution 512 → 1024, ReLU, pooling, linear."""
    network: Any = vgg16(mlp_ratio=1 / 4096)  # its dense layers go: the smallest will do
    network.features[30] = nn.Identity()  # pool5
    if map_size == 28:
        network.features[23] = nn.Identity()  # pool4
    network.features.extend([nn.Conv2d(512, 1024, 3, padding=1), nn.ReLU()])  # features.31, features.32
    network.pre_logits = nn.Identity()
    network.head = ClassifierHead(1024, num_classes)
    network.num_features, network.num_classes = 1024, num_classes
    _initialise(network.features[31], _kaiming)
    _initialise(network.head.fc, _normal)
    return cast("nn.Module", network)


def _resnet50_cam(num_classes: int, map_size: int, make: Callable[..., nn.Module] = resnet50) -> nn.Module:
    """layer4 at stride 1, and layer3 too for a map of 28; pooling, linear. The SE-ResNet50 likewise."""
    network: Any = make(num_classes=num_classes)
    for layer in (network.layer3, network.layer4) if map_size == 28 else (network.layer4,):
        layer[0].conv2.stride = (1, 1)  # the 3×3 of the first block
        layer[0].downsample[0].stride = (1, 1)  # the 1×1 of its shortcut
    _initialise(network.fc, _normal)
    return cast("nn.Module", network)


def _mobilenetv1_cam(num_classes: int, map_size: int) -> nn.Module:
    """The last downsampling block, 512 → 1024, at stride 1; pooling, linear."""
    network: Any = mobilenetv1_100(num_classes=num_classes)
    network.blocks[4][0].conv_dw.stride = (1, 1)
    _initialise(network.classifier, _normal)
    return cast("nn.Module", network)


class _InceptionV3Cam(nn.Module):
    """InceptionV3 through Mixed_6e, then 3×3 convolution 1024 + ReLU twice, pooling, linear.

    The papers' last layer is a 1×1 convolution before the pooling: the same as this linear layer behind it.
    A dropout of 0.5 precedes each of the three; the last one acts on the features.
    """

    trunk = (  # size of the map behind it, from an image of 224
        *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Pool1"),  # 112, 110, 110, 56
        *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "Pool2"),  # 56, 54, 28
        *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Pool3"),  # 28, and 14 or 28 from here on
        *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    )

    def __init__(self, num_classes: int, map_size: int) -> None:
        super().__init__()
        timms = inception_v3(num_classes=0)
        timms.Conv2d_1a_3x3.conv.padding = (1, 1)
        timms.Pool1 = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        timms.Pool2 = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        timms.Pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True) if map_size == 14 else nn.Identity()
        timms.Mixed_6a = _Mixed6aAtStride1(timms.Mixed_6a)
        for name in self.trunk:
            self.add_module(name, timms.get_submodule(name))
        self.head = nn.Sequential(
            nn.Dropout(0.5),
            nn.Conv2d(768, 1024, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Conv2d(1024, 1024, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(0.5),
        )
        self.fc = nn.Linear(1024, num_classes)
        for layer in (self.head[1], self.head[4], self.fc):
            _initialise(layer, nn.init.xavier_uniform_)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> features (B, 1024, h, w)."""
        for name in self.trunk:
            x = self.get_submodule(name)(x)
        return cast("Tensor", self.head(x))

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.fc

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> logits (B, C)."""
        return cast("Tensor", self.fc(self.forward_features(x).mean(dim=(-2, -1))))


class _Mixed6aAtStride1(nn.Module):
    """timm's Mixed_6a (288 → 768 channels) with stride 1 and padding 1 where it has stride 2 and none."""

    def __init__(self, timms: InceptionB) -> None:
        super().__init__()
        self.branch3x3 = timms.branch3x3
        self.branch3x3dbl_1 = timms.branch3x3dbl_1
        self.branch3x3dbl_2 = timms.branch3x3dbl_2
        self.branch3x3dbl_3 = timms.branch3x3dbl_3
        strided: list[Any] = [self.branch3x3.conv, self.branch3x3dbl_3.conv]
        for convolution in strided:
            convolution.stride = convolution.padding = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 288, h, w) -> (B, 768, h, w)."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))  # (B, 96, h, w)
        pooled = F.max_pool2d(x, 3, stride=1, padding=1)
        return torch.cat([self.branch3x3(x), double, pooled], dim=1)


@dataclass(frozen=True)
class Paper:
    """How one of the papers' networks is made, and how a checkpoint's names are read.

    Attributes:
        pretrained: timm's name of the weights that the trunk takes.
        build: (number of classes, map size) -> the network, its trunk at random.
        map_sizes: the sizes of its map, from a 224 × 224 image.
        head: prefixes of the layers behind the pretrained trunk, the linear layer last.
        dropped: prefixes of what the pretrained network has and this one has not.
    """

    pretrained: str
    build: Callable[[int, int], nn.Module]
    map_sizes: tuple[int, ...]
    head: tuple[str, ...]
    dropped: tuple[str, ...] = ()


PAPERS: dict[str, Paper] = {
    "vgg16_cam": Paper(
        "vgg16.tv_in1k",
        _vgg16_cam,
        (14, 28),
        head=("features.31.", "head.fc."),
        dropped=("pre_logits.", "classifier."),  # the dense layers in timm's and in torchvision's names
    ),
    "resnet50_cam": Paper("resnet50.tv_in1k", _resnet50_cam, (14, 28), head=("fc.",)),
    "seresnet50_cam": Paper(
        "seresnet50.ra2_in1k", partial(_resnet50_cam, make=seresnet50), (14,), head=("fc.",)
    ),
    "inception_v3_cam": Paper(
        "inception_v3.tv_in1k",
        _InceptionV3Cam,
        (14, 28),
        head=("head.", "fc."),
        dropped=("AuxLogits.", "Mixed_7"),
    ),
    "mobilenetv1_cam": Paper(
        "mobilenetv1_100.ra4_e3600_r224_in1k", _mobilenetv1_cam, (14,), head=("classifier.",)
    ),
}


def build_paper_network(
    name: str,
    *,
    num_classes: int | None = None,
    map_size: int | None = None,
    state_dict: Mapping[str, Tensor] | None = None,
) -> tuple[nn.Module, bool]:
    """One of the papers' networks, and whether its head is trained.

    Args:
        name: one of :data:`PAPERS`.
        num_classes: C; None is that of the checkpoint, or 1000.
        map_size: side of the feature map that a 224 × 224 image gives; None is 14.
        state_dict: a checkpoint of timm's network of that architecture, or of this one; None leaves the
            network at random.

    Returns:
        the network, in training mode, with ``forward_features`` (B, 3, H, W) -> (B, K, h, w) and
        ``get_classifier``; and True where the checkpoint filled every layer of the head. Layers that it
        does not fill are new; so is a linear layer of which it has another shape.

    Raises:
        ModelError: no such network, no such map size, no class, or the checkpoint is not of that network.
    """
    if name not in PAPERS:
        raise ModelError(f"no network named {name!r}; the papers' networks are {', '.join(PAPERS)}")
    paper = PAPERS[name]
    size = 14 if map_size is None else map_size
    if size not in paper.map_sizes:
        sizes = " or ".join(map(str, paper.map_sizes))
        raise ModelError(f"map_size of {name} must be {sizes}, got {map_size}")
    if num_classes is None:
        linear = (state_dict or {}).get(f"{paper.head[-1]}weight")
        num_classes = 1000 if linear is None else len(linear)
    if num_classes < 1:
        raise ModelError(f"num_classes must be at least 1, got {num_classes}")
    network = paper.build(num_classes, size)
    return network, state_dict is not None and _fill(network, name, state_dict)


def _fill(network: nn.Module, name: str, state_dict: Mapping[str, Tensor]) -> bool:
    """Load a checkpoint into a network; whether it had the whole head."""
    paper, own = PAPERS[name], network.state_dict()
    entries = {key: value for key, value in state_dict.items() if not key.startswith(paper.dropped)}
    linear = [key for key in own if key.startswith(paper.head[-1])]
    if any(entries[key].shape != own[key].shape for key in linear if key in entries):
        entries = {key: value for key, value in entries.items() if key not in linear}
    # older checkpoints have no num_batches_tracked, and a batch norm with a momentum does not read it
    absent = [key for key in own if key not in entries and not key.endswith("num_batches_tracked")]
    problems = {
        "missing": [key for key in absent if not key.startswith(paper.head)],
        "unexpected": [key for key in entries if key not in own],
        "of another shape": [
            f"{key} {tuple(value.shape)} for {tuple(own[key].shape)}"
            for key, value in entries.items()
            if key in own and value.shape != own[key].shape
        ],
    }
    if any(problems.values()):
        found = [f"{len(keys)} {kind} ({', '.join(keys[:4])})" for kind, keys in problems.items() if keys]
        raise ModelError(f"not a checkpoint of {name} or of timm's network behind it: {'; '.join(found)}")
    network.load_state_dict(entries, strict=False)
    return not any(key.startswith(paper.head) for key in absent)


def _initialise(layer: nn.Module, weight: Callable[[Tensor], Tensor]) -> None:
    """A new layer: its weight by the given rule, its bias 0."""
    new = cast("nn.Conv2d | nn.Linear", layer)
    weight(new.weight)
    nn.init.zeros_(cast("Tensor", new.bias))
