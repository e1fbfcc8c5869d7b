"""Folders of images by class."""

from pathlib import Path

import pytest

from tests.data.sets import reasons, write
from wsol.data.dataset import Example, open_data
from wsol.errors import DataError


def test_folders_by_class_are_the_training_set(tmp_path: Path) -> None:
    write(
        tmp_path, dict.fromkeys(("bee/b.jpg", "bee/a.PNG", "ant/x/y.jpg", "ant/notes.txt", ".no/a.jpg"), "")
    )
    data = open_data(tmp_path)
    assert (data.classes, list(data.tables), data.upright) == (("ant", "bee"), ["train"], True)
    split = data.split("train")
    assert [(e.id, e.label, e.where) for e in split.examples] == [
        ("ant/x/y.jpg", 0, "ant/x/y.jpg"),
        ("bee/a.PNG", 1, "bee/a.PNG"),
        ("bee/b.jpg", 1, "bee/b.jpg"),
    ]
    assert split.truth == "none"


def test_splits_share_the_classes(tmp_path: Path) -> None:
    write(
        tmp_path,
        dict.fromkeys(("train/bee/b.jpg", "train/ant/a.jpg", "val/bee/c.jpg", "test/wasp/d.jpg"), ""),
    )
    data = open_data(tmp_path)
    assert data.classes == ("ant", "bee", "wasp")
    assert data.split("val").examples == (Example("val/bee/c.jpg", 1, where="val/bee/c.jpg"),)
    assert data.split("test").examples[0].label == 2


def test_classes_txt_orders_them(tmp_path: Path) -> None:
    write(tmp_path, {"bee/b.jpg": "", "ant/a.jpg": "", "wasp/w.jpg": "", "classes.txt": "bee\nant\n"})
    split = open_data(tmp_path).split("train")
    assert [(e.id, e.label) for e in split.examples] == [("ant/a.jpg", 1), ("bee/b.jpg", 0)]
    assert reasons(split) == ["wasp: the folder is no class of classes.txt; its 1 images are left out"]


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, {"photos/bee/b.jpg": "", "photos/ant/a.jpg": "", "notes/readme.txt": ""})
    data = open_data(tmp_path, images="photos")
    assert [e.id for e in data.split("train").examples] == ["ant/a.jpg", "bee/b.jpg"]


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two classes are called 'bee'"):
        open_data(write(tmp_path / "a", {"bee/b.jpg": "", "classes.txt": "bee\nbee\n"})).split("train")
    with pytest.raises(DataError, match="both are 'val'"):
        open_data(write(tmp_path / "b", {"val/bee/b.jpg": "", "valid/bee/b.jpg": ""}))
    with pytest.raises(DataError, match="no picture is listed"):
        open_data(write(tmp_path / "c", {"bee/b.jpg": "", "classes.txt": "ant\n"})).split("train")
    split = open_data(write(tmp_path / "d", {"bee/b.jpg": "", "bee/c\nd.jpg": ""})).split("train")
    assert "has a control character" in reasons(split)[0]
