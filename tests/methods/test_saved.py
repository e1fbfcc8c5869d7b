"""Trained weights as files: what comes back is what was saved, and nothing else is accepted."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import wsol
from wsol import methods
from wsol.errors import ModelError, UsageError
from wsol.inference.options import LocalizerOptions, Preset
from wsol.methods import METHODS, MethodOptions, saved
from wsol.methods.ae import AEOptions
from wsol.methods.bridging import BridgingOptions
from wsol.methods.has import HaSOptions
from wsol.methods.spg import SPGOptions
from wsol.models import Model, ModelOptions, build
from wsol.models.classes import Classes

BACKBONE = ModelOptions(
    backbone="test_resnet", input_size=64, pooling="tap", tap_threshold=0.3, mean=(0.1, 0.2, 0.3)
)
OWN: dict[str, MethodOptions] = {
    "has": MethodOptions(method="has", has=HaSOptions(sizes=(8, 16))),
    "spg": MethodOptions(method="spg", spg=SPGOptions(layers=("layer2", "layer3", "layer4"), c_low=0.2)),
    "ae": MethodOptions(method="ae", ae=AEOptions(steps=2)),
}
RUN = {"name": "run7", "title": "CAM", "seed": 7, "epoch": 2, "epochs": 3, "data": "birds"}
USE = {"map": "nwc", "threshold": "percentile", "percentile": 80.0, "ratio": 0.45}


def trained(options: MethodOptions, backbone: ModelOptions = BACKBONE) -> Model:
    """As after a training: no value is one that a new network has."""
    model = build(backbone, pretrained=False, num_classes=3)
    classifier = methods.adapt(options, model.classifier, model.name).eval()
    with torch.no_grad():
        for name, tensor in classifier.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
            else:
                assert name.endswith("num_batches_tracked")
                tensor.fill_(9)
    return replace(
        model,
        classifier=classifier,
        classes=Classes(("äpple", "bee", "crow"), (("äpple", "fruit"), ("bee",), ("crow",))),
        trained=True,
        method=options.method,
        run=RUN,
        use=USE,
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a training by CAM."""
    path = tmp_path / "run" / saved.WEIGHTS
    saved.save(path, trained(MethodOptions()), BACKBONE, MethodOptions())
    return path


def asked(path: Path, **options: Any) -> ModelOptions:
    return ModelOptions(backbone=str(path), **options)


def header(path: Path) -> dict[str, Any]:
    """Read without the code under test: eight bytes of length, then JSON."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    found: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["wsol"])
    return found


def tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def rewrite(path: Path, state: Mapping[str, Tensor] | None = None, text: str | None = None) -> None:
    """The file with other tensors or another description."""
    text = json.dumps(header(path)) if text is None else text
    save_file(dict(tensors(path) if state is None else state), path, metadata={"wsol": text})


@pytest.mark.parametrize("kind", METHODS)
def test_what_is_loaded_is_what_was_saved(kind: Any, tmp_path: Path) -> None:
    options = OWN.get(kind, MethodOptions(method=kind))
    model = trained(options)
    path = tmp_path / "mine.safetensors"
    saved.save(path, model, BACKBONE, options)
    torch.manual_seed(99)
    loaded = saved.load_model(asked(path))
    assert type(loaded.classifier) is type(model.classifier) and not loaded.classifier.training
    images, labels = torch.rand(3, 3, 64, 64), torch.tensor([2, 0, 1])
    with torch.no_grad():
        features, logits = model.classifier(images)
        again, scores = loaded.classifier(images)
        assert torch.equal(again, features) and torch.equal(scores, logits)
        for map in METHODS[kind].maps:
            expected = model.classifier.score_maps(features, labels, map)
            assert torch.equal(loaded.classifier.score_maps(again, labels, map), expected)
    for name in ("classes", "name", "trained", "input_size", "mean", "std", "method", "run", "use"):
        assert getattr(loaded, name) == getattr(model, name), name
    assert loaded.weights.startswith("random, trained: mine.safetensors sha256:")


def test_the_description(weights: Path, tmp_path: Path) -> None:
    assert header(weights) == {
        "format": 1,
        "backbone": asdict(BACKBONE) | {"mean": [0.1, 0.2, 0.3]},
        "method": {"method": "cam"},
        "classes": {"names": ["äpple", "bee", "crow"], "aliases": [["äpple", "fruit"], ["bee"], ["crow"]]},
        "input_size": 64,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 0.5, 0.5],
        "initial_weights": "random",
        "run": RUN,
        "use": USE,
    }
    path = tmp_path / "has.safetensors"
    mine = replace(BACKBONE, checkpoint="/home/me/start.pth")
    saved.save(path, trained(OWN["has"]), mine, OWN["has"])
    given = header(path)
    assert given["method"] == {"method": "has", "has": {"sizes": [8, 16], "probability": 0.5}}
    assert given["backbone"]["checkpoint"] is None and b"/home/me" not in path.read_bytes()


def test_where_the_weights_of_a_name_are(weights: Path, tmp_path: Path) -> None:
    run = weights.parent
    assert saved.weights_file(run) == saved.weights_file(str(weights)) == weights
    assert (
        saved.weights_file("resnet50") is None and saved.weights_file(tmp_path / "gone.safetensors") is None
    )
    assert saved.load_model(asked(run)).run == RUN
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty holds no trained weights: there is no best\.safetensors"):
        saved.load_model(asked(tmp_path / "empty"))


def test_input_size_and_stride_may_differ(weights: Path) -> None:
    assert saved.load_model(asked(weights, input_size=128)).input_size == (128, 128)
    dilated = saved.load_model(asked(weights, stride=16)).classifier
    usual = saved.load_model(asked(weights)).classifier
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert dilated(images)[0].shape[-2:] == (4, 4) and usual(images)[0].shape[-2:] == (2, 2)


@pytest.mark.parametrize(
    "options",
    [
        *({"checkpoint": "a.pth"}, {"classes": "a.txt"}, {"pooling": "tap"}, {"tap_threshold": 0.2}),
        *({"map_size": 14}, {"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}),
    ],
    ids=str,
)
def test_other_options_are_refused(weights: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"^{next(iter(options))}: not for the trained model .* its own"):
        saved.load_model(asked(weights, input_size=128, **options))


def test_files_that_are_no_trained_model(tmp_path: Path, weights: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file(tensors(weights), plain, metadata=metadata)
        with pytest.raises(ModelError, match=r"no trained model of wsol.* the file as --checkpoint"):
            saved.load_model(asked(plain))
    for content in (b"", b"\x00" * 100, weights.read_bytes()[:2000], weights.read_bytes()[:-10]):
        plain.write_bytes(content)
        with pytest.raises(ModelError, match=r"plain\.safetensors cannot be read: "):
            saved.load_model(asked(plain))


def changed(path: Path, **values: Any) -> str:
    return json.dumps(header(path) | values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda path: changed(path, format=2), "is of format 2, this version of wsol reads 1"),
        (lambda path: changed(path)[:-9], "its description is damaged"),
        (lambda _: "[1]", "its description is damaged"),
        (lambda _: "{}", "its description is damaged"),
        (lambda _: '{"format": 1}', "its description is damaged: it lacks backbone, classes, "),
        (lambda _: "[" * 100_000, "its description is damaged: maximum recursion depth"),
        (
            lambda path: changed(path, backbone={"backbone": "test_resnet", "size": 3}),
            "damaged: it.backbone has no 'size'",
        ),
        (
            lambda path: changed(path, backbone={"checkpoint": "other.pth"}),
            "damaged: it names other files",
        ),
        (lambda path: changed(path, method={"method": "magic"}), "damaged: it.method.method must be one of "),
        (lambda path: changed(path, method=3), "damaged: it.method must be an object, got 3"),
        (lambda path: changed(path, classes={"names": ["a"], "aliases": [[], []]}), "aliases of 2"),
        (lambda path: changed(path, classes={"names": [3]}), r"it.classes.names\[0\] must be a word, got 3"),
        (lambda path: changed(path, input_size=math.inf), "it.input_size must be a whole number, got inf"),
        (lambda path: changed(path, input_size=10**6), "input_size must be in"),
        (lambda path: changed(path, mean=[0.5, math.nan, 0.5]), "mean must be three numbers in"),
        (lambda path: changed(path, use={"ratio": "half"}), "use.ratio must be a number, got 'half'"),
        (lambda path: changed(path, use={"ratio": math.nan}), "ratio must be in"),
        (lambda path: changed(path, run={"seed": 3}), "run lacks title"),
        (lambda path: changed(path, backbone={"backbone": "no_net"}), "there is no model 'no_net'"),
    ],
)
def test_damaged_descriptions(weights: Path, text: Callable[[Path], str], message: str) -> None:
    rewrite(weights, text=text(weights))
    with pytest.raises(ModelError, match=message):
        saved.load_model(asked(weights))


def test_tensors_that_do_not_fit(weights: Path) -> None:
    state, name = tensors(weights), "network.fc.weight"
    rest = {key: value for key, value in state.items() if key != name}
    for wrong, problem in (
        (rest, f"missing {name}"),
        (state | {"network.more": torch.zeros(1)}, "unknown network.more"),
        (rest | {name: state[name][:2].clone()}, rf"{name} is \(2, 96\), not \(3, 96\)"),
    ):
        rewrite(weights, wrong)
        with pytest.raises(ModelError, match=f"does not fit the network: {problem}"):
            saved.load_model(asked(weights))


def test_a_file_is_whole_or_absent(weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = weights.read_bytes()

    def half(path: Path, whole: bytes) -> int:
        with path.open("wb") as file:
            file.write(whole[: len(whole) // 2])
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_bytes", half)
    for path in (weights, tmp_path / "other" / saved.WEIGHTS):
        with pytest.raises(OSError, match="the disk is full"):
            saved.save(path, trained(OWN["has"]), BACKBONE, OWN["has"])
    assert weights.read_bytes() == before
    assert [path.name for path in weights.parent.iterdir()] == [saved.WEIGHTS]
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [  # map, threshold, percentile, ratio; None is the default of that threshold
        ({}, ("nwc", "percentile", 80.0, 0.45)),
        ({"map": "nwc"}, ("nwc", "percentile", 80.0, 0.45)),
        ({"threshold": "percentile"}, ("nwc", "percentile", 80.0, 0.45)),
        ({"threshold": "percentile", "percentile": 80.0}, ("nwc", "percentile", 80.0, 0.45)),
        ({"ratio": 0.1}, ("nwc", "percentile", 80.0, 0.1)),
        ({"map": "cam"}, ("cam", "percentile", 80.0, None)),
        ({"threshold": "max"}, ("nwc", "max", None, None)),
        ({"threshold": "max", "ratio": 0.3}, ("nwc", "max", None, 0.3)),
        ({"threshold": "percentile", "percentile": 70.0}, ("nwc", "percentile", 70.0, None)),
        ({"flip": True}, ("nwc", "percentile", 80.0, None)),
        ({"preset": "balanced"}, ("nwc", "percentile", 80.0, 0.55)),
        ({"preset": "balanced", "map": "cam"}, ("cam", "percentile", 80.0, 0.52)),
        ({"preset": "balanced", "threshold": "max"}, ("nwc", "max", None, 0.33)),
        ({"preset": "best"}, ("nwc", "percentile", 80.0, 0.33)),
        ({"preset": "best", "refine": "none"}, ("nwc", "percentile", 80.0, 0.55)),
    ],
)
def test_what_training_chose_is_used_unless_asked_otherwise(
    weights: Path, chosen: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    saved.add_use(weights, balanced_ratio=0.55)
    asked = {"preset": "fast"} | chosen
    found = wsol.load(str(weights.parent), device="cpu", **asked).options
    assert (found.map, found.threshold, found.percentile, found.ratio) == expected
    assert LocalizerOptions(**asked).resolved(USE | {"balanced_ratio": 0.55}) == found


def test_what_is_added_to_the_use_changes_nothing_else(weights: Path) -> None:
    before, model = saved.describe(weights), saved.load_model(asked(weights))
    saved.add_use(weights, balanced_ratio=0.5)
    assert saved.describe(weights) == replace(before, use=before.use | {"balanced_ratio": 0.5})
    for name, tensor in saved.load_model(asked(weights)).classifier.state_dict().items():
        assert torch.equal(tensor, model.classifier.state_dict()[name])


@pytest.mark.parametrize(("preset", "ratio"), [("fast", None), ("balanced", 0.33), ("best", 0.25)])
def test_without_a_training_the_usual_is_used(preset: Preset, ratio: float | None) -> None:
    found = LocalizerOptions(preset=preset).resolved({})
    assert (found.map, found.threshold, found.percentile, found.ratio) == ("cam", "max", None, ratio)
    nothing = {"map": "cam", "threshold": "max", "percentile": None, "ratio": None}
    assert LocalizerOptions(preset=preset).resolved(nothing) == found


@pytest.mark.parametrize(
    ("changed", "ratio"),
    [
        ({}, 0.24),
        ({"preset": "best"}, 0.19),
        ({"preset": "best", "refine": "none"}, 0.24),
        ({"preset": "fast"}, None),
        ({"threshold": "percentile"}, 0.52),
        ({"ratio": 0.4}, 0.4),
        ({"map": "nwc"}, 0.33),
    ],
)
def test_maps_of_the_similarity_loss_alone_have_a_usual_threshold_of_their_own(
    changed: dict[str, Any], ratio: float | None, tmp_path: Path
) -> None:
    alone = BridgingOptions(similarity=4.0, norm=0.0, drop=0.0)
    assert _ratio(tmp_path / "alone", alone, changed) == ratio
    published = BridgingOptions(similarity=0.5, norm=0.05, drop=2.0)
    assert _ratio(tmp_path / "all", published, changed) == LocalizerOptions(**changed).resolved({}).ratio


def _ratio(folder: Path, bridging: BridgingOptions, changed: dict[str, Any]) -> float | None:
    options = MethodOptions(method="bridging", bridging=bridging)
    saved.save(folder / saved.WEIGHTS, replace(trained(options), use={}), BACKBONE, options)
    return wsol.load(str(folder), device="cpu", **changed).options.ratio


def test_the_default_is_balanced() -> None:
    assert LocalizerOptions().resolved({}) == LocalizerOptions(preset="balanced").resolved({})


def test_a_map_that_the_method_has_not(tmp_path: Path) -> None:
    options = MethodOptions(method="acol")
    path = tmp_path / "acol.safetensors"
    saved.save(path, trained(options), BACKBONE, options)
    assert wsol.load(str(path), device="cpu").map == "nwc"
    with pytest.raises(UsageError, match="map 'similarity' does not go with ACoL"):
        wsol.load(str(path), device="cpu", map="similarity")
