"""A data set of coloured squares, and a network small enough to train in a second."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from wsol.models import ModelOptions, build
from wsol.training.config import DataOptions, TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions

COLOURS = {"blue": (40, 60, 220), "green": (30, 200, 60), "red": (220, 40, 30)}
COUNTS = {"train": 7, "val": 3, "test": 3}


def draw(folder: Path, split: str, per_class: int) -> None:
    """Squares of a class's colour on noise, with their boxes."""
    generator = np.random.default_rng(len(split))
    tables = folder / "metadata" / split
    tables.mkdir(parents=True)
    rows: dict[str, list[str]] = {
        name: [] for name in ("image_ids", "class_labels", "image_sizes", "localization")
    }
    for label, (name, colour) in enumerate(COLOURS.items()):
        (folder / "images" / split / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = generator.integers(90, 160, (48, 56, 3), np.uint8)
            x, y, side = (int(generator.integers(*limits)) for limits in ((2, 20), (2, 16), (14, 28)))
            pixels[y : y + side, x : x + side] = colour
            id = f"{split}/{name}/{number}.png"
            Image.fromarray(pixels).save(folder / "images" / id)
            for table, row in zip(
                rows, ("", f",{label}", ",56,48", f",{x},{y},{x + side},{y + side}"), strict=True
            ):
                rows[table].append(id + row)
    for table, lines in rows.items():
        (tables / f"{table}.txt").write_text("\n".join(lines) + "\n")


def fill_boxes(folder: Path, table: Path) -> None:
    """Masks of the boxes that a table lists, filled, in its place."""
    rows = []
    for line in table.read_text().splitlines():
        id, *corners = line.split(",")
        x0, y0, x1, y1 = map(int, corners)
        mask = np.zeros((48, 56), np.uint8)
        mask[y0:y1, x0:x1] = 255
        (folder / "masks" / id).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(folder / "masks" / id)
        rows.append(f"{id},{id},")
    table.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the official layout: three classes, 21 / 9 / 9 images."""
    folder = tmp_path_factory.mktemp("squares")
    for split, count in COUNTS.items():
        draw(folder, split, count)
    (folder / "classes.txt").write_text("\n".join(COLOURS) + "\n")
    return folder


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a tiny ResNet, which stand for published ones."""
    torch.manual_seed(5)
    network = build(ModelOptions(backbone="test_resnet", input_size=64), pretrained=False).classifier.network
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def config(squares: Path, start: Path, tmp_path: Path) -> TrainConfig:
    """Three epochs of CAM in three seconds."""
    return TrainConfig(
        **vars(DataOptions(data=str(squares))),
        backbone="test_resnet",
        checkpoint=str(start),
        input_size=64,
        output=str(tmp_path / "run"),
        training=TrainingOptions(epochs=3, batch_size=8, learning_rate=0.01),
        trainer=TrainerOptions(workers=0, accelerator="cpu"),
        validation=ValidationOptions(),
    )
