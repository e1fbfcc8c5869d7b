"""Small evaluations made by hand: photographs, records, and results in folders."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wsol.data.dataset import DataSet, open_data
from wsol.evaluation.protocol import Policy, Protocol
from wsol.evaluation.records import BoxRecords, MaskRecords, measure_boxes, measure_masks
from wsol.evaluation.result import Result, load_result
from wsol.evaluation.scoring import choose_ratios, error_shares, scores_of

Write = Callable[..., Result]
Truth = Literal["boxes", "masks"]

FINGERPRINT = "sha256:" + 8 * "0123abcd"
DATA = {
    "name": "toys", "known": None, "split": "test",
    "selection": {"split": "val", "images": 20, "fingerprint": "sha256:" + 8 * "cdef4567"},
}  # fmt: skip
MODEL = {"backbone": "resnet50", "method": "cam", "pooling": "gap", "map": "cam", "weights": "here.ckpt"}

FRAME = 224


def bumps(seed: int, count: int, quality: float) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """Maps with a bump each, (N, 224, 224) float64, and boxes (N, 4) that they find more or less."""
    generator = np.random.default_rng(seed)
    centres = generator.uniform(0.35, 0.65, (count, 2)) * FRAME
    sides = generator.uniform(0.2, 0.5, (count, 2)) * FRAME
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(np.int64).clip(0, 223)
    wrong = np.random.default_rng(1000 * seed + round(100 * quality)).normal(size=(count, 4))
    spots = centres + wrong[:, :2] * sides * (1 - quality)
    widths = sides * np.exp(0.5 * wrong[:, 2:] * (1 - quality)) / 3
    place = np.arange(FRAME) + 0.5
    x, y = (
        np.exp(-(((place - spots[:, k : k + 1]) / widths[:, k : k + 1]) ** 2) / 2) for k in (0, 1)
    )  # (N, 224)
    maps = torch.from_numpy(y[:, :, None] * x[:, None])
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low), boxes


@cache
def make_records(
    truth: Truth, ids: tuple[str, ...], seed: int, quality: float, ranked: bool = True
) -> BoxRecords | MaskRecords:
    count = len(ids)
    maps, boxes = bumps(seed, count, quality)
    generator = np.random.default_rng(seed + 7)
    ranks = generator.choice([0, 0, 0, 1, 4, 9], count) if ranked else np.zeros(count)
    common: dict[str, Any] = {
        "ids": np.array(ids),
        "labels": np.arange(count) % 3,
        "ranks": ranks.astype(np.int64),
        "depth": np.array(200 if ranked else 0),
        "chosen": np.arange(count) % 3,
    }
    if truth == "boxes":
        return BoxRecords(**common, **measure_boxes(maps, [box[None] for box in boxes], 1))
    masks = np.zeros((count, FRAME, FRAME), np.bool_)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return MaskRecords(**common, **measure_masks(maps, masks, np.zeros_like(masks), 0.001))


def make_data(folder: Path, ids: list[str], seed: int, truth: Truth) -> DataSet:
    """Photographs with a rectangle where the truth is, and official tables of a split ``test``."""
    _, boxes = bumps(seed, len(ids), 1.0)
    table = folder / "metadata" / "test"
    table.mkdir(parents=True)
    lines: dict[str, list[str]] = {
        name: [] for name in ("image_ids", "class_labels", "image_sizes", "localization")
    }
    for number, (id, box) in enumerate(zip(ids, boxes.tolist(), strict=True)):
        width, height = ((320, 240), (200, 300), (448, 448))[number % 3]
        scaled = [c * s / FRAME for c, s in zip(box, (width, height, width, height), strict=True)]
        _photo(folder / id, (width, height), scaled, number)
        lines["image_ids"].append(id)
        lines["class_labels"].append(f"{id},{number % 3}")
        lines["image_sizes"].append(f"{id},{width},{height}")
        if truth == "boxes":
            lines["localization"].append(",".join([id, *(str(round(c)) for c in scaled)]))
        else:
            mask = Image.new("L", (width, height))
            ImageDraw.Draw(mask).rectangle(scaled, fill=255)
            (folder / "masks").mkdir(exist_ok=True)
            mask.save(folder / "masks" / f"{number}.png")
            lines["localization"].append(f"{id},{number}.png,")
    for name, content in lines.items():
        (table / f"{name}.txt").write_text("\n".join(content) + "\n")
    return replace(open_data(folder, images=folder), classes=("small copper", "peacock", "brimstone"))


def _photo(path: Path, size: tuple[int, int], box: list[float], number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] / max(size)
    pixels = np.stack([90 + 90 * rows, 130 + 60 * columns, 90 + 20 * (number % 5) * rows], axis=-1)
    image = Image.fromarray(pixels.astype(np.uint8))
    ImageDraw.Draw(image).ellipse(box, fill=(200, 120 + 10 * (number % 9), 40))
    image.save(path, quality=80)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a result and its records into a folder, as ``wsol evaluate`` would, and reads it back."""

    def _write(
        folder: str = "result", *, name: str = "CAM", seed: int | None = None, truth: Truth = "boxes",
        policy: Policy = "transferred", label_source: str = "true", quality: float = 0.7, draw: int = 0,
        ids: list[str] | None = None, data: dict[str, Any] | None = None, model: dict[str, Any] | None = None,
        ranked: bool = True, protocol: dict[str, Any] | None = None, skipped: tuple[str, ...] = (),
    ) -> Result:  # fmt: skip
        ids = [f"photo-{number:02}.jpg" for number in range(30)] if ids is None else ids
        place = tmp_path / folder
        selected_on = {"transferred": "val", "oracle": "test", "fixed": None}[policy]
        rules = Protocol(
            split="test", truth=truth, policy=policy, selected_on=selected_on,
            label_source=label_source, **(protocol or {}),  # type: ignore[arg-type]
        )  # fmt: skip
        records = make_records(truth, tuple(ids), draw, quality, ranked)
        records.save(place / "test.npz")
        chosen_on = records
        if policy == "transferred":
            chosen_on = make_records(
                truth, tuple(f"val-{n}.jpg" for n in range(20)), draw + 1, quality, ranked
            )
            chosen_on.save(place / "val.npz")
        ratios = 0.2 if policy == "fixed" else choose_ratios(chosen_on, rules)
        scores = scores_of(records, rules, ratios, resamples=20)
        errors = {}
        if isinstance(records, BoxRecords):
            errors = error_shares(records, next(s.ratios[0] for s in scores if s.ratios), rules)
        described = {"images": len(ids), "skipped": len(skipped), "fingerprint": FINGERPRINT}
        result = Result(
            name=name, seed=seed, model=MODEL if model is None else model,
            data=described | DATA | (data or {}),
            protocol=rules, scores=scores, errors=errors, skipped=skipped, notes=(),
            versions={"wsol": "0.1.0", "torch": "2.9"}, created="2026-01-02T03:04:05Z", folder=place,
        )  # fmt: skip
        result.save(place)
        return load_result(place)

    return _write
