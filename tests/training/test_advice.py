"""What is said of a data set before training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.sets import write
from wsol.data.dataset import Example, Split, open_data
from wsol.errors import DataError
from wsol.training import advice
from wsol.training.advice import advise, find_duplicates
from wsol.training.directory import Parts


def split(counts: dict[int, int], name: str = "train") -> Split:
    examples = tuple(
        Example(f"{name}/{label}/{place}.jpg", label)
        for label, count in counts.items()
        for place in range(count)
    )
    return Split(name, "none", examples, (), "")


NAMES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen")


def test_nothing_to_say() -> None:
    assert advise(split({0: 60, 1: 50}), split({0: 5, 1: 5}, "val"), NAMES[:2]) == []
    assert advise(split({0: 60, 1: 50}), None, ()) == []


def test_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match="train has no images"):
        advise(split({}), None, NAMES)


def test_one_class_alone() -> None:
    with pytest.raises(DataError, match=r"one class alone, 'bee'.*add a class, 'other' say"):
        advise(split({1: 100}), None, NAMES)
    with pytest.raises(DataError, match="one class alone, class 3"):
        advise(split({3: 100}), None, ())


def test_few_images_of_a_class_the_fewest_first() -> None:
    (line,) = advise(split({0: 90, 1: 9, 2: 10}), None, NAMES[:3])
    assert line.startswith("1 class with fewer than 10 images in train: 'bee' (9). From so few")
    counts = {0: 50, 1: 9, 2: 5, 3: 8, 4: 7, 5: 6, 6: 9, 7: 8}
    lines = advise(split(counts), None, NAMES)
    assert lines[0].startswith(
        "7 classes with fewer than 10 images in train: "
        "'cat' (5), 'fox' (6), 'elk' (7), 'dog' (8), 'hen' (8) and 2 more. "
    )
    assert len(lines) == 1  # 50 is 10 times 5, and there are 102


def test_imbalance() -> None:
    (line,) = advise(split({0: 1100, 1: 10}), None, NAMES[:2])[-1:]
    assert "1,100 images of 'ant' and 10 of 'bee'" in line
    assert "--training.balanced true" in line
    assert advise(split({0: 100, 1: 10}), None, NAMES[:2]) == []


def test_classes_without_an_image() -> None:
    (line,) = advise(split({0: 100, 2: 100}), None, NAMES[:4])
    assert line.startswith("2 classes without an image in train: 'bee', 'dog'. ")
    (line,) = advise(split({0: 100, 2: 100}), None, ())
    assert line.startswith("1 class without an image in train: class 1. ")


def test_very_few_images() -> None:
    (line,) = advise(split({0: 50, 1: 49}), None, NAMES[:2])
    assert line.startswith("train has 99 images in all, which is very little")


def test_classes_of_val_alone() -> None:
    lines = advise(split({0: 100, 1: 100}), split({0: 9, 2: 9}, "val"), NAMES[:3])
    assert [line.partition(":")[0] for line in lines] == [
        "1 class without an image in train",
        "1 class of val without an image in train",
    ]


def test_shared_pictures() -> None:
    train, val = split({0: 100, 1: 100}), split({0: 9}, "val")
    (line,) = advise(train, val, NAMES[:2], [("a.jpg", "b.jpg"), ("c.jpg", "d.jpg")])
    assert line.startswith("2 images of val also in train, or nearly so, first b.jpg, which is a.jpg: ")
    (line,) = advise(train, val, NAMES[:2], None)
    assert line.startswith("train and val have more than 20,000 images together: ")
    assert advise(train, None, NAMES[:2], None) == []


def test_finding_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, bytes] = {}
    for place in range(4):
        cells = np.random.default_rng(place).integers(0, 256, (9, 9), np.uint8)
        Image.fromarray(cells).resize((90, 90), Image.Resampling.BICUBIC).save(tmp_path / "x.png")
        files[f"train/ant/{place}.png"] = (tmp_path / "x.png").read_bytes()
    files |= {"val/ant/9.png": files["train/ant/2.png"], "val/bee/0.png": b"", "train/bee/0.png": b""}
    data = open_data(write(tmp_path / "set", files))
    parts = Parts(data, data.split("train"), data.split("val"), False, [])
    assert find_duplicates(parts) == [("train/ant/2.png", "val/ant/9.png")]
    assert find_duplicates(Parts(data, data.split("train"), None, False, [])) == []
    monkeypatch.setattr(advice, "LIMIT", 6)
    assert find_duplicates(parts) is None
