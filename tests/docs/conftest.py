"""Small stand-ins for what the pages speak of: photographs, a data set, score maps, a trained model."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
from PIL import Image

from tests.docs.blocks import ROOT
from wsol.bulk.shards import record_of, write_shard
from wsol.cli import main
from wsol.data.samples import sample_photographs
from wsol.data.synthetic import synthetic
from wsol.errors import ImageError
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions
from wsol.training.run import train

SPLITS = {"val": 5, "test": 6}
CLASSES = ("monarch", "peacock", "swallowtail")


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a page may name; pages get links to it, and write beside them."""
    folder = tmp_path_factory.mktemp("stand-ins")
    _photographs(folder)
    synthetic(folder / "DATA", counts={"train": 10, **SPLITS})
    rng = np.random.default_rng(0)
    for image in (folder / "DATA" / "images").rglob("*.png"):
        target = folder / "my-maps" / image.relative_to(folder / "DATA" / "images").with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, rng.random((14, 14)))
    ids = [f"{split}/{index:04d}.png" for split, count in SPLITS.items() for index in range(count)]
    (folder / "top5.csv").write_text("".join(f"{name},0,1,2,3,4\n" for name in ids))
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    for name, network in (("my", "resnet50"), ("my-resnet18", "resnet18")):
        state = timm.create_model(network, num_classes=len(CLASSES)).state_dict()
        safetensors.torch.save_file(state, folder / f"{name}.safetensors")
    _train(folder)
    shards = [record_of("a.jpg", ImageError("a.jpg", "it is truncated"))]
    write_shard(str(folder / "found"), 0, shards, classes=CLASSES, root="", coco=False)
    for name in ("a", "b"):
        output = str(folder / "evaluations" / name)
        main(
            [
                "evaluate",
                "--maps",
                str(folder / "my-maps"),
                "--data",
                str(folder / "DATA"),
                "--output",
                output,
            ]
        )
    return folder


@pytest.fixture
def place(stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a page."""
    for path in stand_ins.iterdir():
        if path.name not in ("evaluations", "found", "runs"):
            (tmp_path / path.name).symlink_to(path)
    for name in ("recipes", "examples", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(stand_ins / "evaluations", tmp_path / "evaluations")
    (tmp_path / "runs").mkdir()
    for name in ("mine", "photos-efficientnet_lite0-cam-seed0"):
        (tmp_path / "runs" / name).symlink_to(stand_ins / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tables(stand_ins: Path) -> Path:
    """What bulk localisation writes."""
    return stand_ins / "found"


def _photographs(folder: Path) -> None:
    """photos/ by class with boxes of two, more-photos/ without classes, and two single ones; small."""
    first, second, *_ = [Image.open(path).convert("RGB") for path in sample_photographs()]
    table = ["image,label,split,x0,y0,x1,y1"]
    for picture, name in ((first, "cat"), (second, "dog")):
        (folder / "photos" / name).mkdir(parents=True)
        picture.thumbnail((160, 160))
        for index in (1, 2):
            picture.rotate(5 * index).save(folder / "photos" / name / f"{index}.jpg")
        table += [f"{name}/1.jpg,{name},train,,,,", f"{name}/2.jpg,{name},val,20,30,80,100"]
    (folder / "photos" / "boxes.csv").write_text("\n".join(table))
    (folder / "more-photos").mkdir()
    first.save(folder / "more-photos" / "1.jpg")
    first.save(folder / "cat.jpg")
    second.save(folder / "photo.jpg")


def _train(folder: Path) -> None:
    """A run of a moment."""
    config = TrainConfig(
        data=str(folder / "photos"),
        input_size=96,
        output=str(folder / "runs" / "mine"),
        training=TrainingOptions(epochs=1, augmentation="none"),
        trainer=TrainerOptions(workers=0),
        validation=ValidationOptions(),
    )
    train(config, progress=False)
