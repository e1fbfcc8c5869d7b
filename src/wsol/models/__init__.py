"""Models: a name becomes a classifier with weights, class names and the transform its weights expect."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import timm
import torch
from timm.data.imagenet_info import infer_imagenet_subset
from timm.models import PretrainedCfg
from torch import Tensor, nn

from wsol.errors import ModelError
from wsol.models.classes import Classes, imagenet_classes, numbered_classes, read_classes
from wsol.models.classifier import Classifier, prove_fit
from wsol.models.papers import PAPERS, build_paper_network
from wsol.models.weights import (
    LITE0,
    LITE0_MEAN,
    LITE0_NETWORK,
    LITE0_STD,
    check_finite,
    file_source,
    lite0_source,
    lite0_state_dict,
    load_strictly,
    load_timm_pretrained,
    read_state_dict,
)
from wsol.pooling import PoolingKind

__all__ = ["LITE0", "PAPERS", "Classes", "Classifier", "Model", "ModelOptions", "build"]

LARGEST = 4096
"""Side of an input, in pixels: of larger ones the features of a usual network fill the memory."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which network, with which weights.

    Attributes:
        backbone: efficientnet_lite0 (works offline), any timm CNN, or vgg16_cam, resnet50_cam,
            seresnet50_cam, inception_v3_cam, mobilenetv1_cam (the papers'); or a run of wsol train, to be
            used.
        checkpoint: a state dict of your own, .safetensors or .pth, instead of the published weights.
        classes: a text file with the class names of the checkpoint, one a line.
        pooling: how features become class scores: gap, or tap (thresholded average pooling).
        tap_threshold: θ of TAP, in [0, 1).
        stride: feature stride 16 or 8 by dilation, where timm offers it; default: the network's own.
        map_size: feature map of the papers' networks at 224 pixels, 14 or 28.
        input_size: side of the square that a whole photograph is resized to; default: the weights'.
        mean: of the three channels, as [0.485,0.456,0.406], that your checkpoint was trained with; default:
            the weights'.
        std: likewise.
    """

    backbone: str = LITE0
    checkpoint: str | None = None
    classes: str | None = None
    pooling: PoolingKind = "gap"
    tap_threshold: float = 0.1
    stride: Literal[32, 16, 8] | None = None
    map_size: Literal[14, 28] | None = None
    input_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.pooling not in get_args(PoolingKind):
            raise ValueError(f"pooling must be one of {get_args(PoolingKind)}, got {self.pooling!r}")
        if not 0 <= self.tap_threshold < 1:
            raise ValueError(f"tap_threshold must be in [0, 1), got {self.tap_threshold}")
        if self.input_size is not None and not 1 <= self.input_size <= LARGEST:
            raise ValueError(f"input_size must be in [1, {LARGEST}], got {self.input_size}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and (len(values) != 3 or not all(0 <= value <= 1 for value in values)):
                raise ValueError(f"{name} must be three numbers in [0, 1], got {values}")
        if self.std is not None and min(self.std) == 0:
            raise ValueError(f"std must be above 0, got {self.std}")


@dataclass(frozen=True)
class Model:
    """A classifier and what is needed to use it.

    Attributes:
        classifier: features and scores in one pass; in evaluation mode.
        classes: its class names.
        name: of the network.
        weights: where they came from.
        trained: whether the head was trained too; localising with an untrained one is refused.
        input_size: (height, width).
        mean: (3,), of pixels in [0, 1].
        std: (3,).
        method: that it was trained by.
        run: of a trained one: name, seed, epoch and data of the run, for results.
        use: of a trained one: map and threshold that were chosen on val; see
            :class:`wsol.inference.options.LocalizerOptions`.
    """

    classifier: Classifier
    classes: Classes
    name: str
    weights: str
    trained: bool
    input_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    method: str = "cam"
    run: Mapping[str, Any] = field(default_factory=dict)
    use: Mapping[str, Any] = field(default_factory=dict)

    @property
    def head(self) -> tuple[str, ...]:
        """Prefixes of the parameters' names of ``classifier.network`` that no pretrained trunk has."""
        if self.name in PAPERS:
            return PAPERS[self.name].head
        linear = self.classifier.linear
        names = (name for name, module in self.classifier.network.named_modules() if module is linear)
        return tuple(f"{name}." for name in names)


def build(options: ModelOptions, *, pretrained: bool = True, num_classes: int | None = None) -> Model:
    """Build a model and load its weights.

    Args:
        options: see :class:`ModelOptions`.
        pretrained: load the published weights where no checkpoint is given.
        num_classes: to be trained for: the linear layer is new where the weights have another number of
            classes. The model's classes are then numbers.

    Raises:
        ModelError: an unknown name, a network that cannot give a CAM, weights that do not fit or cannot
            be had, options that do not combine.
    """
    name = options.backbone
    classes = None if options.classes is None else read_classes(options.classes)
    state = None if options.checkpoint is None else read_state_dict(options.checkpoint)
    if name in PAPERS:
        network, weights, trained = _paper_network(options, classes, state, pretrained, num_classes)
    else:
        network, weights, trained = _timm_network(options, classes, state, pretrained)
        if num_classes not in (None, network.num_classes):
            trained = False
            _new_head(network, num_classes)
    config = _pretrained_config(options, network)
    size = options.input_size or config["input_size"][-1]
    model = Model(
        classifier=Classifier(network, options.pooling, options.tap_threshold).eval(),
        classes=numbered_classes(num_classes)
        if num_classes
        else classes or _known_classes(network, options, weights),
        name=name,
        weights=weights,
        trained=trained,
        input_size=(size, size),
        mean=options.mean or tuple(config["mean"]),
        std=options.std or tuple(config["std"]),
    )
    _check_classes(model, options)
    check_finite(model.classifier.network.state_dict(), model.weights)
    _check_stride(model, options)
    return model


def _timm_network(
    options: ModelOptions, classes: Classes | None, state: Mapping[str, Tensor] | None, pretrained: bool
) -> tuple[nn.Module, str, bool]:
    name = options.backbone
    timm_name = LITE0_NETWORK if name == LITE0 else name
    if options.map_size is not None:
        raise ModelError(f"map_size is for the papers' networks ({', '.join(PAPERS)}); {name} takes stride")
    if not timm.is_model(timm_name):
        last = Path(name).name
        near = difflib.get_close_matches(last, [*PAPERS, *timm.list_models()], n=5, cutoff=0.4)
        where = "run, file or model" if last != name else "model"
        raise ModelError(
            f"there is no {where} {name!r}" + (f"; near it are {', '.join(near)}" if near else "")
        )
    network = _create(timm_name, options.stride)
    size = options.input_size or _pretrained_config(options, network)["input_size"][-1]
    prove_fit(network, name, (size, size))  # before any download
    if state is not None:
        count = _rows(network, state, str(options.checkpoint), classes)
        if count != network.num_classes:
            network.reset_classifier(count)  # type: ignore[operator]
        load_strictly(network, state, str(options.checkpoint))
        return network, file_source(str(options.checkpoint)), True
    if not pretrained:
        return network, "random", False
    if name == LITE0:
        load_strictly(network, lite0_state_dict(network), lite0_source())
        return network, lite0_source(), True
    network, weights = load_timm_pretrained(name, _stride_argument(options.stride))
    return network, weights, True


def _paper_network(
    options: ModelOptions,
    classes: Classes | None,
    state: Mapping[str, Tensor] | None,
    pretrained: bool,
    num_classes: int | None,
) -> tuple[nn.Module, str, bool]:
    if options.stride is not None:
        raise ModelError(
            f"{options.backbone} loses stride without dilation: choose map_size 14 or 28; "
            "stride is the dilation of timm's networks"
        )
    name, paper = options.backbone, PAPERS[options.backbone]
    weights = "random" if state is None else file_source(str(options.checkpoint))
    if state is None and pretrained:
        source, weights = load_timm_pretrained(paper.pretrained, {})
        state = source.state_dict()
    network, trained = build_paper_network(
        name,
        num_classes=num_classes or (len(classes.names) if classes else None),
        map_size=options.map_size,
        state_dict=state,
    )
    return network, weights, trained


def _new_head(network: nn.Module, num_classes: int | None) -> None:
    """A linear layer for another number of classes, initialised as the papers initialise theirs."""
    network.reset_classifier(num_classes)  # type: ignore[operator]
    linear: nn.Linear = network.get_classifier()  # type: ignore[operator]
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)


def _stride_argument(stride: int | None) -> dict[str, Any]:
    return {} if stride is None else {"output_stride": stride}


def _create(timm_name: str, stride: int | None) -> nn.Module:
    try:
        return timm.create_model(timm_name, pretrained=False, **_stride_argument(stride))
    except (TypeError, AssertionError, NotImplementedError, ValueError) as error:
        if stride is None:
            raise
        raise ModelError(
            f"{timm_name} has no dilated stride: timm's implementation takes no output_stride {stride}. "
            "ResNet, SE-ResNet, RegNet, EfficientNet and MobileNet do; or leave stride out."
        ) from error
    except RuntimeError as error:  # the part of the name behind the dot
        architecture = timm_name.partition(".")[0]
        published = ", ".join(timm.list_pretrained(f"{architecture}.*")) or "none"
        raise ModelError(f"there are no weights {timm_name!r}; timm publishes {published}") from error


def _rows(network: nn.Module, state: Mapping[str, Tensor], source: str, classes: Classes | None) -> int:
    """How many classes the checkpoint has."""
    linear = network.get_classifier()  # type: ignore[operator]
    name = next(name for name, module in network.named_modules() if module is linear) + ".weight"
    if name not in state or state[name].ndim != 2 or not len(state[name]):
        raise ModelError(f"{source} does not fit the network: missing {name}")
    count = len(state[name])
    if classes is not None and len(classes.names) != count:
        raise ModelError(f"{source} has {count} classes, the list of class names {len(classes.names)}")
    return count


def _pretrained_config(options: ModelOptions, network: nn.Module) -> dict[str, Any]:
    """Input size, mean and standard deviation that the published weights were trained with."""
    if options.backbone in PAPERS:
        published = cast("PretrainedCfg", timm.get_pretrained_cfg(PAPERS[options.backbone].pretrained))
        return asdict(published) | {"input_size": (3, 224, 224)}  # the papers use it for InceptionV3 too
    config = dict(cast("Mapping[str, Any]", network.pretrained_cfg))
    return config | {"mean": LITE0_MEAN, "std": LITE0_STD} if options.backbone == LITE0 else config


def _known_classes(network: nn.Module, options: ModelOptions, weights: str) -> Classes:
    """ImageNet's for published weights; numbers for a checkpoint whose classes nobody named."""
    subset = None
    if options.checkpoint is None and weights != "random":
        subset = "imagenet-1k" if options.backbone in PAPERS else infer_imagenet_subset(network)
    count = network.get_classifier().out_features  # type: ignore[operator]
    return imagenet_classes(subset) if subset else numbered_classes(count)


def _check_classes(model: Model, options: ModelOptions) -> None:
    count = model.classifier.num_classes
    if len(model.classes.names) != count:
        raise ModelError(
            f"{model.name} has {count} classes, {options.classes or 'its list of class names'} "
            f"has {len(model.classes.names)}"
        )


def _check_stride(model: Model, options: ModelOptions) -> None:
    if options.stride is None:
        return
    with torch.inference_mode():
        height = model.classifier(torch.zeros(1, 3, *model.input_size))[0].shape[-2]
    if height != -(-model.input_size[0] // options.stride):
        raise ModelError(
            f"{model.name} has no stride {options.stride}: its map is {height} rows at {model.input_size[0]}"
        )
