"""What ``wsol localize`` writes is a data set that can be read: boxes as they were."""

from pathlib import Path

import pytest

from tests.export.conftest import make
from wsol.data.dataset import open_data
from wsol.export import FORMATS

CLASSES = ["crane", "dog"]


@pytest.mark.parametrize(("format", "label"), [("coco", 1), ("voc", 0), ("csv", 0)])
def test_boxes_come_back(tmp_path: Path, format: str, label: int) -> None:
    root = tmp_path / "photos"
    results = [
        make(root / "x" / "a.jpg", (100, 240), (0, 0, 24, 20), (3, 4, 10, 11), class_index=1),
        make(root / "b,c.png", (20, 24), (5, 6, 7, 8), class_index=1),
    ]
    write, name = FORMATS[format]
    write(results, tmp_path / name, classes=CLASSES, root=root)
    place = tmp_path / name
    split = open_data(place, images=root if root.is_dir() else None).split("test")
    found = {example.id: example for example in split.examples}
    assert split.problems == ()
    for result, id in zip(results, ("x/a.jpg", "b,c.png"), strict=True):
        assert [list(box) for box in found[id].boxes] == result.boxes.tolist()
        assert found[id].size == result.size
        assert found[id].label == label  # by the names that occur, where no list of all classes is written
