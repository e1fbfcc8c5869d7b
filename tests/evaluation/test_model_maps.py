"""Maps of a model: the class activation maps that NumPy gives from the features and the weights."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.evaluation import reference
from tests.evaluation.toys import CLASSES, Toys
from wsol import Localizer, LocalizerOptions, RuntimeOptions
from wsol.evaluation.labels import LabelMap, match_labels
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.result import load_result
from wsol.evaluation.run import evaluate
from wsol.evaluation.sources import ModelMaps, SavedMaps, Scored
from wsol.models import Model, ModelOptions, build

pytest_plugins = ["tests.evaluation.fixtures"]

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def model(own_model: ModelOptions) -> Model:
    return build(own_model)


def source(model: Model, *, batch_size: int = 5, **options: Any) -> ModelMaps:
    labels = match_labels(CLASSES, 6, model.classes, EvaluationOptions(**options))
    runtime = RuntimeOptions(device="cpu", batch_size=batch_size, workers=0)
    return ModelMaps(Localizer(model, LocalizerOptions(preset="fast"), runtime), labels)


def stream(maps: ModelMaps, toys: Toys) -> list[Scored]:
    return list(maps.stream(toys.data, toys.data.split("test").examples))


def forward(model: Model, toys: Toys) -> tuple[Floats, Floats]:
    """Features (N, K, h, w) and scores (N, 6) of the test pictures."""
    pictures = [
        Image.open(toys.folder / "images" / id).convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)
        for id in toys.ids["test"]
    ]
    values = (np.stack([np.asarray(picture) for picture in pictures]) / 255 - model.mean) / model.std
    with torch.no_grad():
        features, logits = model.classifier(torch.from_numpy(values).permute(0, 3, 1, 2).float())
    return features.double().numpy(), logits.double().numpy()


@pytest.mark.parametrize(
    "options", [{}, {"label_source": "predicted"}, {"label_source": "asked", "label": "cat"}], ids=str
)
def test_maps_ranks_and_classes(boxed: Toys, model: Model, options: dict[str, Any]) -> None:
    features, logits = forward(model, boxed)
    maps = source(model, **options)
    batches = stream(maps, boxed)
    assert [batch.indices for batch in batches] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    assert maps.depth == 6 and maps.label_source == options.get("label_source", "true")
    true = np.array([5 - boxed.labels[id] for id in boxed.ids["test"]])  # the model's classes are reversed
    wanted = {"predicted": logits.argmax(axis=1), "asked": np.full(12, 3)}.get(maps.label_source, true)
    assert torch.cat([batch.chosen for batch in batches]).tolist() == wanted.tolist()
    higher = (logits > logits[np.arange(12), true][:, None]).sum(axis=1)
    ranks = [rank for batch in batches if batch.ranks is not None for rank in batch.ranks.tolist()]
    assert ranks == higher.tolist() and len(set(ranks)) > 1
    weight = model.classifier.linear.weight.detach().double().numpy()
    cams = np.einsum("bk,bkhw->bhw", weight[wanted], features)
    for cam, found in zip(cams, torch.cat([batch.maps for batch in batches]).numpy(), strict=True):
        assert np.allclose(found, reference.bicubic(cam), atol=1e-4 * np.ptp(cam))
        assert np.ptp(cam) > 0.1


def test_pictures_that_cannot_be_used(boxed: Toys, model: Model) -> None:
    folder = boxed.folder / "images"
    ids = boxed.ids["test"]
    (folder / ids[0]).unlink()
    (folder / ids[3]).write_bytes((folder / ids[3]).read_bytes()[:60])
    for id in ids[5:10]:
        (folder / id).write_text("no picture")  # a whole batch
    Image.open(folder / ids[11]).rotate(90, expand=True).resize((99, 9)).save(folder / ids[11])
    options = EvaluationOptions(resamples=2)
    evaluate(source(model), boxed.data, options, boxed.folder / "out", progress=False)
    result = load_result(boxed.folder / "out")
    assert result.records.ids.tolist() == [ids[1], ids[2], ids[4], ids[10]]
    assert (result.data["images"], result.data["skipped"]) == (4, 8)
    assert (result.data["selection"]["images"], result.data["selection"]["skipped"]) == (12, 0)
    said = dict(zip((0, 3, 5, 6, 7, 8, 9, 11), result.skipped, strict=True))
    for place, line in said.items():
        assert line.startswith(f"test: {ids[place]}: ")
        assert line.endswith(f"(metadata/test/image_ids.txt, line {place + 1})")
    assert "No such file" in said[0] and "not an image" in said[7]
    assert "the table says 64 × 64 pixels" in said[11] and "the picture has 99 × 9" in said[11]


def test_pixels_are_taken_as_they_are_stored(boxed: Toys, model: Model) -> None:
    """In full, though a large JPEG could be decoded at half its size, and not turned by EXIF."""
    folder = boxed.folder / "images"
    boxed.table("image_sizes").write_text("")
    noise = np.random.default_rng(0).integers(0, 256, (900, 1000, 3), np.uint8)
    Image.fromarray(noise).save(folder / boxed.ids["test"][0], "JPEG")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(noise[:300, :450]).save(folder / boxed.ids["test"][1], exif=turned)
    features, logits = forward(model, boxed)
    first, *_ = stream(source(model, label_source="predicted"), boxed)
    assert first.sizes[:2] == [(900, 1000), (300, 450)]
    weight = model.classifier.linear.weight.detach().double().numpy()
    for place in (0, 1):
        cam = np.tensordot(weight[logits[place].argmax()], features[place], axes=1)
        assert np.allclose(first.maps[place].numpy(), reference.bicubic(cam), atol=1e-4 * np.ptp(cam))
    saved = next(SavedMaps(boxed.maps).stream(boxed.data, boxed.data.split("test").examples))
    assert saved.sizes[:2] == [(900, 1000), (300, 450)]


@pytest.mark.usefixtures("no_page")
def test_the_batch_size_changes_nothing_but_rounding(boxed: Toys, model: Model) -> None:
    one, many = (
        torch.cat([batch.maps for batch in stream(source(model, batch_size=size), boxed)]) for size in (1, 12)
    )
    assert torch.allclose(one, many, atol=1e-4 * float(many.max() - many.min()))
    options = EvaluationOptions(resamples=2)
    results = [
        evaluate(
            source(model, batch_size=size), boxed.data, options, boxed.folder / str(size), progress=False
        )
        for size in (1, 12)
    ]
    for score, other in zip(results[0].scores, results[1].scores, strict=True):
        assert score.value == pytest.approx(other.value, abs=1.01 / 12)  # an image at the edge, at most


@pytest.mark.usefixtures("no_page")
def test_what_the_result_says_of_the_model(boxed: Toys, model: Model, own_model: ModelOptions) -> None:
    options = EvaluationOptions(resamples=2, policy="fixed", ratio=0.2)
    result = evaluate(source(model), boxed.data, options, boxed.folder / "out", progress=False)
    said = result.model
    assert (said["backbone"], said["pooling"], said["map"], said["method"]) == (
        "resnet18",
        "gap",
        "cam",
        "cam",
    )
    assert (said["input_size"], said["classes"], said["precision"]) == (96, 6, "float32")
    assert "sha256:" in said["weights"] and said["label_match"] == "same class names"
    assert said["mean"] == pytest.approx(list(model.mean)) and said["std"] == pytest.approx(list(model.std))
    assert result.name == "resnet18" and own_model.backbone == "resnet18"
    records = load_result(boxed.folder / "out").records
    assert records.chosen.tolist() == (5 - records.labels).tolist() and int(records.depth) == 6


def test_a_table_of_another_model_is_not_needed(boxed: Toys, model: Model) -> None:
    runtime = RuntimeOptions(device="cpu", batch_size=12, workers=0)
    maps = ModelMaps(Localizer(model, None, runtime), LabelMap("predicted", None, None, ""))
    (batch,) = stream(maps, boxed)
    assert maps.depth == 0 and batch.ranks is None and len(batch.chosen) == 12
