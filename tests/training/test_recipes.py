"""The recipes: what they say, and that it can be built."""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from wsol.evaluation.published import published
from wsol.methods import METHODS, MethodKind, MethodOptions, adapt
from wsol.methods import build as build_method
from wsol.models import Classifier, ModelOptions, build
from wsol.training.config import TrainConfig
from wsol.training.recipes import compose

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
FILES = sorted(path.relative_to(RECIPES).as_posix() for path in RECIPES.rglob("*.yaml"))
NETWORKS = [name for name in FILES if not name.startswith("methods/")]
PLAIN = [name for name in NETWORKS if not name.endswith(("_bridging.yaml", "_rethinking.yaml"))]
METHOD_FILES = [name for name in FILES if name.startswith("methods/")]
PUBLISHED = [number for number in published(["cub", "imagenet", "openimages"]) if number.recipes]
NUMBERED = {"VGG16": "vgg16_cam", "ResNet50": "resnet50_cam", "InceptionV3": "inception_v3_cam"} | {
    "MobileNetV1": "mobilenetv1_cam"
}

# Typed from the papers' tables and releases, and not from the recipes.

BRIDGING: dict[str, dict[str, Any]] = {
    "cub/resnet50": {
        "epochs": 70, "warm_up": 20, "batch_size": 32, "batch_size_after": 32, "learning_rate": 0.002,
        "head_multiplier": 10, "decay_epochs": (41, 61), "decay_factor": 0.2, "weight_decay": 0.0001,
        "map_size": 28, "similarity": 0.5, "norm": 0.05, "drop": 2, "foreground": 0.4, "background": 0.2,
        "drop_threshold": 0.8, "drop_probability": 0.25, "region": "max", "drop_layer": "layer4.0",
        "head_layers": ("fc.",),
    },
    "cub/vgg16": {
        "epochs": 70, "warm_up": 20, "batch_size": 32, "batch_size_after": 64, "learning_rate": 0.004,
        "head_multiplier": 5, "decay_epochs": (41, 61), "decay_factor": 0.2, "weight_decay": 0.0005,
        "map_size": 14, "similarity": 0.5, "norm": 0.15, "drop": 3, "foreground": 0.6, "background": 0.1,
        "drop_threshold": 0.8, "drop_probability": 0.5, "region": "max", "drop_layer": "features.22",
    },
    "imagenet/resnet50": {
        "epochs": 30, "warm_up": 14, "batch_size": 32, "learning_rate": 0.00001, "head_multiplier": 10,
        "decay_epochs": (21, 31), "decay_factor": 0.1, "weight_decay": 0.0001, "map_size": 28,
        "similarity": 8, "norm": 1, "drop": 2, "foreground": 0.28, "background": 0.25,
        "drop_threshold": 0.8, "drop_probability": 0.25, "region": "target", "drop_layer": "layer4.0",
        "head_layers": ("fc.",),
    },
    "imagenet/vgg16": {
        "epochs": 40, "warm_up": 5, "batch_size": 32, "learning_rate": 0.00002, "head_multiplier": 5,
        "decay_epochs": (11, 31), "decay_factor": 0.1, "weight_decay": 0.0005, "map_size": 14,
        "region": "target", "drop_layer": "features.22",
    },
    "openimages/resnet50": {"drop_layer": "layer4.0", "head_layers": ("fc.",)},
}  # fmt: skip

PROTOCOL: dict[str, dict[str, Any]] = {
    "cub/vgg16": {
        "learning_rate": 0.0000127, "weight_decay": 0.0005, "map_size": 14, "epochs": 50, "decay_every": 15,
    },
    "cub/inception_v3": {"learning_rate": 0.00225, "map_size": 28},
    "openimages/vgg16": {"learning_rate": 0.00228, "batch_size": 32, "epochs": 10, "decay_every": 3},
}  # fmt: skip

RETHINKING: dict[str, Any] = {
    "epochs": 200, "batch_size": 40, "learning_rate": 0.003, "weight_decay": 0.0005, "momentum": 0.9,
    "decay_epochs": (61, 121, 181), "decay_factor": 0.1, "trunk_gradient": 0.1, "head_multiplier": 1,
    "map": "nwc", "threshold": "percentile", "percentile": 90, "pooling": "tap", "method": "cam",
}  # fmt: skip

METHOD_VALUES: dict[str, dict[str, Any]] = {
    "cam": {},
    "has": {"probability": 0.5},
    "cutmix": {"alpha": 1, "probability": 1},
    "adl": {"threshold": 0.9, "drop_probability": 0.75, "layers": None},
    "acol": {"threshold": 0.7},
    "spg": {
        "attention_high": 0.7, "attention_low": 0.01, "b1_high": 0.5, "b1_low": 0.05, "c_high": 0.7,
        "c_low": 0.1, "layers": None,
    },
    "ae": {"steps": 3, "threshold": 0.2},
}  # fmt: skip


def read(*names: str) -> TrainConfig:
    return compose([RECIPES / name for name in names])


def values(config: TrainConfig) -> dict[str, Any]:
    """All that can be looked up by one name: fields of the config and of its parts."""
    parts = (config, config.training, config.validation, *([config.chosen] if config.chosen else []))
    return {name: value for part in reversed(parts) for name, value in vars(part).items()}


def check(config: TrainConfig, expected: Mapping[str, Any]) -> None:
    found = values(config)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_a_configuration_and_names_its_sources(name: str) -> None:
    read(name)
    header, *lines = (RECIPES / name).read_text(encoding="utf-8").splitlines()
    assert header.startswith("# ")
    for line in lines:
        key, _, value = line.partition(": ")
        assert line.startswith("#") or line.endswith(":") or "# " in value, f"no source: {key}"


def test_nothing_of_a_machine_or_a_user_is_in_them() -> None:
    strange = {"data", "images", "metadata", "masks", "output", "overwrite", "trainer", "checkpoint"}
    for name in FILES:
        assert strange.isdisjoint(yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))), name


@pytest.mark.parametrize("name", BRIDGING)
def test_bridging_the_gap(name: str) -> None:
    config = read(f"{name}_bridging.yaml")
    backbone = name.rpartition("/")[2]
    check(
        config,
        BRIDGING[name]
        | {"method": "bridging", "backbone": f"{backbone}_cam", "schedule": "step", "map": "cam"},
    )
    check(config, {"momentum": 0.9, "pooling": "gap", "augmentation": "protocol", "trunk_gradient": 1})


@pytest.mark.parametrize("name", PLAIN)
def test_protocol(name: str) -> None:
    stem = name.removesuffix(".yaml")
    config = read(name)
    shared = {
        "head_multiplier": 10,
        "momentum": 0.9,
        "schedule": "step",
        "decay_factor": 0.1,
        "pooling": "gap",
    }
    check(config, shared | PROTOCOL.get(stem, {}) | {"augmentation": "protocol", "trunk_gradient": 1})
    assert config.backbone == f"{stem.rpartition('/')[2]}_cam"
    assert config.training.decay_every
    assert not config.training.decay_epochs


@pytest.mark.parametrize("data", ["cub", "imagenet"])
@pytest.mark.parametrize("backbone", ["vgg16", "resnet50", "seresnet50", "inception_v3", "mobilenetv1"])
def test_rethinking_cam(data: str, backbone: str) -> None:
    config = read(f"{data}/{backbone}_rethinking.yaml")
    theta = 0.1 if backbone == "vgg16" else 0
    check(config, RETHINKING | {"backbone": f"{backbone}_cam", "map_size": 14, "tap_threshold": theta})


@pytest.mark.parametrize("name", METHOD_VALUES)
def test_methods(name: MethodKind) -> None:
    config = read(f"methods/{name}.yaml")
    assert config.method == name
    own = {} if config.chosen is None else vars(config.chosen)
    assert {key: own[key] for key in METHOD_VALUES[name]} == METHOD_VALUES[name]
    if name == "has":  # the protocol: one size
        assert len(config.has.sizes) == 1


def test_every_method_has_a_recipe() -> None:
    assert {*METHOD_VALUES, "bridging"} == set(METHODS)
    assert {Path(name).stem for name in METHOD_FILES} == {*METHOD_VALUES, "tap", "nwc", "pas"}


def test_the_parts_of_rethinking_cam_compose() -> None:
    config = read("cub/resnet50.yaml", *(f"methods/{name}.yaml" for name in ("cutmix", "tap", "nwc", "pas")))
    check(config, {"pooling": "tap", "tap_threshold": 0.1, "map": "nwc", "threshold": "percentile"})
    check(config, {"percentile": 90, "method": "cutmix", "backbone": "resnet50_cam", "decay_every": 15})


def rows() -> list[tuple[str, ...]]:
    """What is trained: the published rows, each once, and Rethinking CAM's other networks, and AE."""
    found = [tuple(path.removeprefix("recipes/") for path in number.recipes) for number in PUBLISHED]
    others = [(name,) for name in NETWORKS if name.endswith("_rethinking.yaml")]
    erasing = [(name, "methods/ae.yaml") for name in PLAIN]
    return list(dict.fromkeys([*found, *others, *erasing]))


def test_there_are_recipes_of_every_published_row() -> None:
    assert len(PUBLISHED) == 54 + 12 + 3 + 4
    titles = {entry.title: method for method, entry in METHODS.items()} | {"Rethinking CAM": "cam"}
    for number in PUBLISHED:
        config = read(*(path.removeprefix("recipes/") for path in number.recipes))
        assert config.method == titles[number.method]
        assert not number.backbone or config.backbone == NUMBERED[number.backbone]


@cache
def untrained(backbone: str, map_size: int) -> Classifier:
    """Built once: random numbers take the time."""
    options = ModelOptions(backbone=backbone, map_size=map_size)  # type: ignore[arg-type]
    return build(options, pretrained=False).classifier.to("meta")


@pytest.mark.parametrize("names", rows(), ids=" ".join)
def test_everything_that_is_trained_can_be_built(names: tuple[str, ...]) -> None:
    config = read(*names)
    assert config.map_size
    classifier = copy.deepcopy(untrained(config.backbone, config.map_size))
    classifier.pooling, classifier.tap_threshold = config.pooling, config.tap_threshold
    parameters = [name for name, _ in classifier.network.named_parameters()]
    assert config.training.head_layers
    for prefix in config.training.head_layers:
        assert any(name.startswith(prefix) for name in parameters), prefix
    with torch.device("meta"):
        adapted = adapt(config.part(MethodOptions), classifier, config.backbone)
        method = build_method(config.part(MethodOptions), adapted, epochs=config.training.epochs or 1)
        features, logits = method.classifier(torch.zeros(1, 3, 224, 224))
    assert features.shape[-2:] == (config.map_size, config.map_size)
    assert logits.shape == (1, 1000)


@pytest.mark.parametrize("backbone", ["vgg16", "inception_v3"])
def test_the_head_is_what_is_not_pretrained(backbone: str) -> None:
    """13 convolutions of VGG16, and InceptionV3's trunk, with weights and biases or norms, keep the rate."""
    classifier = untrained(f"{backbone}_cam", 14)
    head = read(f"cub/{backbone}.yaml").training.head_layers or ()
    trunk = [name for name, _ in classifier.network.named_parameters() if not name.startswith(head)]
    if backbone == "vgg16":
        assert len(trunk) == 26
        assert all(name.startswith("features.") and int(name.split(".")[1]) < 30 for name in trunk)
    else:
        assert trunk
        assert all(name.startswith(("Conv2d_", "Mixed_")) for name in trunk)
    resnet = read("cub/resnet50.yaml").training.head_layers
    assert resnet == ("layer4.", "fc.")
