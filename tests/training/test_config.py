"""The configuration: what it refuses, files of it, and defaults that the data decides."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsol.errors import UsageError
from wsol.methods.acol import ACoLOptions
from wsol.methods.bridging import BridgingOptions
from wsol.methods.has import HaSOptions
from wsol.models import ModelOptions
from wsol.training.config import DataOptions, TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions
from wsol.training.recipes import compose, differences, read_config, write_config

NAN, INF = float("nan"), float("inf")


def written(path: Path, values: Any) -> Path:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "name", "wrong", "allowed"),
    [
        (DataOptions, "val_share", (1, -0.1, NAN), "in [0, 1)"),
        (TrainingOptions, "epochs", (0, -1), "at least 1"),
        (TrainingOptions, "batch_size", (0,), "at least 1"),
        (TrainingOptions, "learning_rate", (-0.1, NAN, INF), "at least 0"),
        (TrainingOptions, "head_multiplier", (-1, NAN), "at least 0"),
        (TrainingOptions, "trunk_gradient", (-1,), "at least 0"),
        (TrainingOptions, "weight_decay", (-1,), "at least 0"),
        (TrainingOptions, "ramp_epochs", (-1, INF), "at least 0"),
        (TrainingOptions, "seed", (-1,), "at least 0"),
        (TrainingOptions, "momentum", (-0.1, 1, NAN), "in [0, 1)"),
        (TrainingOptions, "clip", (0, -1, NAN), "above 0"),
        (TrainingOptions, "decay_factor", (0, 1.1, NAN), "in (0, 1]"),
        (TrainingOptions, "decay_every", (0, 1), "at least 2"),
        (TrainingOptions, "schedule", ("linear",), "one of ('cosine', 'step', 'constant')"),
        (TrainingOptions, "augmentation", ("all",), "one of ('protocol', 'crops', 'none')"),
        (TrainingOptions, "cache", ("disk",), "one of ('auto', 'memory', 'none')"),
        (TrainerOptions, "accelerator", ("tpu",), "one of ('auto', 'cpu', 'cuda')"),
        (TrainerOptions, "precision", ("float64",), "one of ('float32', 'bfloat16', 'float16')"),
        (TrainerOptions, "devices", (0, -1), "at least 1"),
        (TrainerOptions, "nodes", (0,), "at least 1"),
        (TrainerOptions, "accumulate", (0,), "at least 1"),
        (TrainerOptions, "early_stop", (0,), "at least 1"),
        (TrainerOptions, "workers", (-1,), "at least 0"),
        (TrainerOptions, "loggers", (("csv",),), "of ('tensorboard', 'wandb'), got csv"),
        (ValidationOptions, "every", (0,), "at least 1"),
        (ValidationOptions, "criterion", ("loss",), "one of ('auto', 'MaxBoxAccV2', "),
        (ValidationOptions, "map", ("gradcam",), "one of ('cam', 'nwc', 'norm', 'similarity')"),
        (ValidationOptions, "threshold", ("ivr",), "one of ('max', 'percentile')"),
        (TrainConfig, "method", ("resnet",), "one of cam, has, cutmix, adl, acol, spg, ae, bridging"),
        (TrainConfig, "pooling", ("max",), "one of ('gap', 'tap')"),
        (TrainConfig, "tap_threshold", (1, -0.1), "in [0, 1)"),
    ],
)
def test_what_is_out_of_its_range_is_refused(
    kind: type[Any], name: str, wrong: tuple[Any, ...], allowed: str
) -> None:
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{name} must be ") as told:
            kind(**{name: value})
        assert allowed in str(told.value)


def test_limits_themselves_are_allowed() -> None:
    TrainingOptions(learning_rate=0, head_multiplier=0, trunk_gradient=0, weight_decay=0, momentum=0, seed=0)
    TrainingOptions(epochs=1, batch_size=1, schedule="step", decay_every=2, decay_factor=1)
    TrainerOptions(devices=1, nodes=1, accumulate=1, early_stop=1, workers=0)
    ValidationOptions(every=1, threshold="percentile", percentile=0)
    ValidationOptions(threshold="percentile", percentile=100)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (DataOptions, {"train_split": "val"}, "train_split and val_split are both 'val'"),
        (DataOptions, {"train_split": "test"}, "nothing is trained or chosen on test"),
        (DataOptions, {"val_split": "test"}, "nothing is trained or chosen on test"),
        (
            TrainingOptions,
            {"schedule": "step"},
            "schedule 'step' and decay_epochs or decay_every go together",
        ),
        (TrainingOptions, {"decay_every": 3}, "go together; schedule is 'cosine'"),
        (TrainingOptions, {"decay_epochs": (3,)}, "go together; schedule is 'cosine'"),
        (TrainingOptions, {"schedule": "step", "decay_every": 3, "decay_epochs": (3,)}, "give one of them"),
        (TrainingOptions, {"schedule": "step", "decay_epochs": (1, 3)}, "counted from 1 and begin at 2"),
        (ValidationOptions, {"percentile": 90.0}, "percentile is for threshold 'percentile'"),
        (ValidationOptions, {"percentile": 101.0, "threshold": "percentile"}, r"in \[0, 100\], got 101"),
        (TrainConfig, {"classes": "names.txt"}, "classes come from the data"),
        (TrainConfig, {"has": HaSOptions(sizes=(32,))}, "settings of has were given, but method is 'cam'"),
        (
            TrainConfig,
            {"method": "has", "acol": ACoLOptions(threshold=0.6)},
            "settings of acol were given, but method is 'has'",
        ),
    ],
)
def test_what_does_not_go_together(kind: type[Any], values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**values)


@pytest.mark.parametrize("method", ["acol", "ae"])
@pytest.mark.parametrize("map", ["norm", "similarity"])
def test_maps_that_a_method_has_not(method: Any, map: Any) -> None:
    with pytest.raises(UsageError, match=f"map '{map}' does not go with .* takes cam, nwc"):
        TrainConfig(method=method, validation=ValidationOptions(map=map))
    TrainConfig(method=method, validation=ValidationOptions(map="nwc"))


@pytest.mark.parametrize(
    ("images", "epochs", "batch", "rate"),
    [  # clip(4000 / n) to 8…30 epochs, and clip(n // 8) to 2…32 images with 0.01 · batch / 32
        (8, 30, 2, 0.000625),
        (20, 30, 2, 0.000625),
        (200, 20, 25, 0.0078125),
        (494, 8, 32, 0.01),
        (20_000, 8, 32, 0.01),
        (200_000, 8, 32, 0.01),
    ],
)
def test_what_the_number_of_images_decides(images: int, epochs: int, batch: int, rate: float) -> None:
    training = TrainConfig().resolved(images).training
    assert (training.epochs, training.batch_size, training.learning_rate) == (epochs, batch, rate)


def test_what_was_asked_for_is_not_decided() -> None:
    asked = TrainConfig(training=TrainingOptions(epochs=3, batch_size=64, learning_rate=0.0))
    assert asked.resolved(200) == asked
    half = TrainConfig(training=TrainingOptions(batch_size=64)).resolved(494)
    assert half.training == TrainingOptions(batch_size=64, epochs=8, learning_rate=0.02)
    assert half.resolved(20) == half and replace(half, training=TrainingOptions()) == TrainConfig()


def everything() -> TrainConfig:
    """Every kind of value, none of them the default."""
    return TrainConfig(
        data="bïrds",
        masks="m",
        val_share=0.25,
        backbone="vgg16_cam",
        pooling="tap",
        map_size=28,
        mean=(0.1, 0.2, 0.3),
        method="bridging",
        bridging=BridgingOptions(warm_up=2, region="target", drop_layer="features.22"),
        overwrite=True,
        training=TrainingOptions(
            epochs=7, schedule="step", decay_epochs=(3, 5), head_layers=("a.", "b."), weight_decay=1e-5
        ),
        trainer=TrainerOptions(devices=2, loggers=("tensorboard",), deterministic=False),
        validation=ValidationOptions(criterion="Top-1 Loc", threshold="percentile", percentile=85),
    )


@pytest.mark.parametrize("config", [TrainConfig(), everything()], ids=["defaults", "everything"])
def test_a_file_holds_all_of_it(config: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_config(config, path)
    assert read_config(path) == config
    names = [each.name for each in fields(TrainConfig) if each.name != "classes"]
    assert list(yaml.safe_load(path.read_text(encoding="utf-8"))) == names
    assert differences(read_config(path), config) == []


def test_differences_are_named() -> None:
    other = replace(TrainConfig(), output="x", training=TrainingOptions(epochs=20))
    assert differences(TrainConfig(training=TrainingOptions(epochs=10)), other) == [
        "output: None, 'x'",
        "training.epochs: 10, 20",
    ]


def test_the_parts_are_those_of_the_whole() -> None:
    config = everything()
    assert config.part(DataOptions) == DataOptions(data="bïrds", masks="m", val_share=0.25)
    model = ModelOptions(backbone="vgg16_cam", pooling="tap", map_size=28, mean=(0.1, 0.2, 0.3))
    assert config.part(ModelOptions) == model


def test_later_files_win(tmp_path: Path) -> None:
    first = {"backbone": "resnet50", "training": {"epochs": 9, "head_layers": ["a.", "b."]}, "method": "has"}
    second = {"training": {"epochs": 4, "batch_size": 5}, "has": {"sizes": [32]}}
    third = {"training": {"head_layers": ["c."]}}
    paths = [written(tmp_path / f"{place}.yaml", each) for place, each in enumerate((first, second, third))]
    found = compose(list(paths))
    assert (found.backbone, found.method, found.has.sizes) == ("resnet50", "has", (32,))
    assert found.training == TrainingOptions(epochs=4, batch_size=5, head_layers=("c.",))
    assert compose([paths[2], paths[0]]).training == TrainingOptions(epochs=9, head_layers=("a.", "b."))
    assert compose([]) == TrainConfig()


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    """YAML 1.1 takes 1e-4 for a text."""
    path = tmp_path / "a.yaml"
    path.write_text("training: {learning_rate: 1e-4, clip: 1}\ntrainer: {devices: auto}\n")
    found = read_config(path)
    assert (found.training.learning_rate, found.training.clip) == (1e-4, 1.0)
    assert found.trainer.devices == "auto"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 3}, "no field epochs; there are method, "),
        ({"training": {"epoch": 3}}, "no field training.epoch; there are epochs, batch_size, "),
        ({"has": {"size": 3}}, "no field has.size; there are sizes, probability"),
        ({"classes": "a.txt"}, "no field classes; there are "),
        ({3: 4}, "no field 3; "),
        ({"training": 3}, "training holds fields of its own, got 3"),
        ({"training": None}, "training holds fields of its own, got None"),
        ({"training": {"epochs": "ten"}}, "training.epochs must be a whole number, got 'ten'"),
        ({"training": {"epochs": 2.5}}, "training.epochs must be a whole number, got 2.5"),
        ({"training": {"epochs": True}}, "training.epochs must be a whole number, got True"),
        (
            {"training": {"head_layers": "fc."}},
            "training.head_layers must be a list of values, each a word, got 'fc.'",
        ),
        ({"training": {"momentum": None}}, "training.momentum must be a number, got None"),
        ({"overwrite": 1}, "overwrite must be true or false, got 1"),
        ({"data": 5}, "data must be a word, got 5"),
        ({"mean": [1, 2]}, "mean must be a list of 3 values, each a number, got [1, 2]"),
        ({"map_size": 15}, "map_size must be one of 14, 28, got 15"),
        (
            {"has": {"sizes": [3, "a"]}},
            "has.sizes must be a list of values, each a whole number, got [3, 'a']",
        ),
        ({"method": "x"}, "method must be one of cam, has, cutmix, "),
        ({"training": {"epochs": 0}}, "training.epochs must be at least 1, got 0"),
        ({"bridging": {"norm": -1}, "method": "bridging"}, "bridging.norm must be at least 0, got -1"),
        ({"has": {"sizes": [32]}}, "settings of has were given, but method is 'cam'"),
        ({"method": "acol", "validation": {"map": "norm"}}, "map 'norm' does not go with ACoL"),
        ([1, 2], "is no configuration: expected keys with values"),
        (None, "is no configuration: expected keys with values"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, values: Any, message: str) -> None:
    path = written(tmp_path / "mine.yaml", values)
    with pytest.raises(UsageError) as told:
        read_config(path)
    assert str(path) in str(told.value) and message in str(told.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    (tmp_path / "broken.yaml").write_text("training: {epochs: 3")
    (tmp_path / "code.yaml").write_text("data: !!python/object/apply:os.getcwd []")
    for name in ("gone.yaml", "binary.yaml", "broken.yaml", "code.yaml"):
        with pytest.raises(UsageError, match=f"cannot read .*{name}"):
            read_config(tmp_path / name)


@pytest.mark.parametrize(
    ("backbone", "given", "expected"),
    [
        ("resnet50_cam", {}, (0.5, 0.05, 2)),
        ("efficientnet_lite0", {}, (5.71, 0, 0)),
        ("resnet18", {"norm": 0.1}, (5.71, 0.1, 0)),
        ("vgg16_cam", {"drop": 0.0}, (0.5, 0.05, 0)),
    ],
)
def test_weights_of_bridging_go_by_the_backbone(
    backbone: str, given: dict[str, float], expected: tuple[float, ...]
) -> None:
    asked = TrainConfig(backbone=backbone, method="bridging", bridging=BridgingOptions(**given))  # type: ignore[arg-type]
    found = asked.resolved(100).bridging  # of 30 epochs 21 come after the warm-up
    assert (found.similarity, found.norm, found.drop) == expected
    assert TrainConfig(backbone=backbone).resolved(100).bridging == BridgingOptions()


@pytest.mark.parametrize(
    ("images", "epochs", "warm_up", "weight"),
    [
        (494, 8, None, 4.05),
        (922, 8, None, 2.17),
        (922, 3, 1, 6.51),
        (50, 8, None, 8),
        (1_281_167, 8, None, 0.5),
    ],
)
def test_twice_the_images_seen_halve_the_weight_of_the_similarity_loss(
    images: int, epochs: int, warm_up: int | None, weight: float
) -> None:
    asked = TrainConfig(
        method="bridging",
        training=TrainingOptions(epochs=epochs),
        bridging=BridgingOptions(warm_up=warm_up),
    )
    assert asked.resolved(images).bridging.similarity == weight
