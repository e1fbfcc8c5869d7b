"""A small labelled data set with maps and predictions that somebody else's code could have made."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wsol.data.dataset import DataSet, open_data
from wsol.evaluation.records import BoxRecords, MaskRecords, measure_boxes, measure_masks
from wsol.maps import normalize, upsample

SPLITS = ("val", "test")
CLASSES = ("ant", "bee", "cat", "dog", "emu", "fox")
PICTURES = ((40, 30), (31, 47), (64, 64))
"""Width and height."""

MAPS = ((7, 7), (14, 10), (30, 40), (5, 9), (2, 6), (224, 224))
"""Height and width."""

Truth = Literal["boxes", "masks"]
Boxes = list[tuple[float, float, float, float]]


@dataclass(frozen=True)
class Toys:
    """Where it lies; ids, labels and boxes by split as they were written."""

    folder: Path
    maps: Path
    predictions: Path
    ids: dict[str, list[str]]
    labels: dict[str, int]
    sizes: dict[str, tuple[int, int]]

    @property
    def data(self) -> DataSet:
        return open_data(self.folder)

    def table(self, name: str, split: str = "test") -> Path:
        return self.folder / "metadata" / split / f"{name}.txt"

    def add_line(self, name: str, line: str, split: str = "test") -> None:
        with self.table(name, split).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def map_of(self, id: str) -> Path:
        """The file of its map, whichever way it is called."""
        whole = self.maps / f"{id}.npy"
        return whole if whole.exists() else (self.maps / id).with_suffix(".npy")


def make_toys(folder: Path, truth: Truth = "boxes", *, count: int = 12, seed: int = 0) -> Toys:
    """Two splits in the official format; maps of any size, type and naming; a ranking of all classes."""
    generator = np.random.default_rng(seed)
    toys = Toys(folder, folder / "maps", folder / "predictions.csv", {}, {}, {})
    rankings: list[list[str]] = []
    for split in SPLITS:
        toys.ids[split] = [f"{split}/{number:02}.png" for number in range(count)]
        rows = []
        for number, id in enumerate(toys.ids[split]):
            size = toys.sizes[id] = PICTURES[number % 3]
            toys.labels[id] = int(generator.integers(len(CLASSES)))
            boxes = [_box(generator, size) for _ in range(1 + number % 2)]
            _save_picture(generator, folder / "images" / id, size)
            _save_map(toys, id, _map(generator, MAPS[number % 6], boxes[0], size), number)
            rankings.append([id, *_ranking(generator, toys.labels[id])])
            rows += _boxes(id, boxes) if truth == "boxes" else _masks(folder, id, boxes, size, number)
        _write_tables(toys, split, rows)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    write_predictions(toys.predictions, rankings)
    return toys


def write_predictions(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _box(generator: np.random.Generator, size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    x0, y0 = generator.uniform(0, 0.5, 2) * size
    return (
        float(round(x0, 1)), float(round(y0, 1)),
        float(round(x0 + generator.uniform(0.2, 0.5) * width)),
        float(round(y0 + generator.uniform(0.2, 0.5) * height)),
    )  # fmt: skip


def _map(
    generator: np.random.Generator, shape: tuple[int, int], box: Sequence[float], size: tuple[int, int]
) -> NDArray[np.float64]:
    """A bump near the box, and waves that make other components and holes."""
    (height, width), (columns, rows) = shape, size
    y, x = np.mgrid[0:height, 0:width]
    y, x = (y + 0.5) / height * rows, (x + 0.5) / width * columns
    x0, y0, x1, y1 = box
    away = generator.normal(0, 0.15, 2) * (x1 - x0, y1 - y0)
    bump = np.exp(
        -(((x - (x0 + x1) / 2 - away[0]) / (x1 - x0)) ** 2) - ((y - (y0 + y1) / 2 - away[1]) / (y1 - y0)) ** 2
    )
    waves = np.sin(x / columns * generator.uniform(6, 20)) * np.cos(y / rows * generator.uniform(6, 20))
    height_of_waves = generator.choice([0.3, 1.5, 4])
    values: NDArray[np.float64] = 4 * bump**2 + height_of_waves * waves + generator.normal(0, 0.02, shape)
    return values


def _save_map(toys: Toys, id: str, values: NDArray[np.float64], number: int) -> None:
    name = f"{id}.npy" if number % 2 else Path(id).with_suffix(".npy").as_posix()
    path = toys.maps / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if number % 4 == 1:
        values = (values - values.min()) / np.ptp(values) * 255
        np.save(path, values.astype(np.uint8)[None])
    else:
        np.save(path, values.astype((np.float32, np.float64)[number % 3 == 0]))


def _ranking(generator: np.random.Generator, label: int) -> list[str]:
    others = [c for c in generator.permutation(len(CLASSES)).tolist() if c != label]
    place = int(generator.choice([0, 0, 0, 1, 3, 5]))
    return [CLASSES[c] for c in [*others[:place], label, *others[place:]]]


def _save_picture(generator: np.random.Generator, path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(generator.integers(0, 256, (4, 5, 3), np.uint8))
    coarse.resize(size, Image.Resampling.BICUBIC).save(path)


def _boxes(id: str, boxes: Boxes) -> list[str]:
    return [",".join([id, *(f"{value:g}" for value in box)]) for box in boxes]


def _masks(folder: Path, id: str, boxes: Boxes, size: tuple[int, int], number: int) -> list[str]:
    rows = []
    for place, box in enumerate(boxes):
        ignore = f"{id}_ignore.png" if place == 0 and number % 3 == 0 else ""
        for name, corners in ((f"{id}_{place}.png", box), (ignore, (0, 0, size[0] // 3, size[1] // 3))):
            if name:
                save_mask(folder / "masks" / name, corners, size)
        rows.append(f"{id},{id}_{place}.png,{ignore}")
    return rows


def save_mask(path: Path, box: Sequence[float], size: tuple[int, int]) -> None:
    values = np.zeros(size[::-1], np.uint8)
    x0, y0, x1, y1 = map(int, box)
    values[y0:y1, x0:x1] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def _write_tables(toys: Toys, split: str, rows: list[str]) -> None:
    ids = toys.ids[split]
    tables = {
        "image_ids": ids,
        "class_labels": [f"{id},{toys.labels[id]}" for id in ids],
        "image_sizes": [f"{id},{toys.sizes[id][0]},{toys.sizes[id][1]}" for id in ids],
        "localization": rows,
    }
    for name, content in tables.items():
        toys.table(name, split).parent.mkdir(parents=True, exist_ok=True)
        toys.table(name, split).write_text("".join(f"{line}\n" for line in content), encoding="utf-8")


def make_records(truth: Truth, ids: Sequence[str], seed: int, depth: int = 6) -> BoxRecords | MaskRecords:
    """Records of coarse noise, as maps, against a box each, that begins in the upper left."""
    generator = np.random.default_rng(seed)
    maps = normalize(upsample(torch.from_numpy(generator.normal(size=(len(ids), 5, 5))), (224, 224)))
    boxes = [np.array([[*generator.integers(0, 90, 2), *generator.integers(110, 224, 2)]]) for _ in ids]
    common: dict[str, Any] = {
        "ids": np.array(ids),
        "labels": np.arange(len(ids)) % 3,
        "ranks": generator.integers(0, max(depth, 1), len(ids)),
        "depth": np.array(depth),
        "chosen": np.full(len(ids), -1),
    }
    if truth == "boxes":
        return BoxRecords(**common, **measure_boxes(maps, boxes, 1))
    masks = np.zeros(maps.shape, np.bool_)
    for mask, ((x0, y0, x1, y1),) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return MaskRecords(**common, **measure_masks(maps, masks, np.zeros_like(masks), 0.001))
