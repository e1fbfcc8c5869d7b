"""Label Studio's export: boxes that people corrected come back."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.export.conftest import CLASSES, make
from wsol.data.dataset import open_data
from wsol.data.label_studio import to_coco
from wsol.errors import DataError
from wsol.export import write_label_studio


def _task(image: str, *regions: dict[str, Any], **annotation: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": list(regions), **annotation}]}


def _region(label: str = "cat", kind: str = "rectanglelabels", **value: Any) -> dict[str, Any]:
    size = {"original_width": 200, "original_height": 100}
    return {"type": kind, **size, "value": {**value, kind: [label]}}


def _read(tmp_path: Path, *tasks: Any) -> dict[str, tuple[str, list[tuple[float, ...]]]]:
    (tmp_path / "val.json").write_text(json.dumps(list(tasks)))
    data = open_data(tmp_path / "val.json")
    assert [*data.tables] == ["val"] and data.upright
    examples = data.split("val").examples
    return {each.id: (data.classes[each.label], [*map(tuple, each.boxes)]) for each in examples}


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    found = [
        make(tmp_path / "photos/Über it's/a 100%.jpg", (60, 47), (3, 2, 9, 18), class_index=1),
        make(tmp_path / "photos/b.jpg", (1080, 1920), (0, 0, 5, 6), (8, 8, 24, 20)),
    ]
    write_label_studio(found, tmp_path / "tasks.json", classes=CLASSES, root=tmp_path / "photos")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    for task in tasks:
        task["annotations"] = [{"result": task["predictions"][0]["result"]}]
    read = _read(tmp_path, *tasks)
    assert {name: label for name, (label, _) in read.items()} == {
        "photos/Über it's/a 100%.jpg": "dog",
        "photos/b.jpg": "crane",
    }
    for result in found:
        assert result.path is not None
        boxes = read[result.path.relative_to(tmp_path).as_posix()][1]
        assert boxes == [pytest.approx(box, abs=1e-3) for box in result.boxes.tolist()]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=birds/a%20b.jpg", "birds/a b.jpg"),
        ("/data/upload/3/0a1b2c3d-a.jpg", "a.jpg"),
        ("s3://bucket/birds/a%23.jpg", "birds/a#.jpg"),
        ("https://example.org/x/a.jpg?token=1", "x/a.jpg"),
        ("birds/a.jpg", "birds/a.jpg"),
    ],
)
def test_names_of_pictures(address: str, name: str, tmp_path: Path) -> None:
    assert _read(tmp_path, _task(address, _region(x=10, y=20, width=30, height=40))) == {
        name: ("cat", [(20, 20, 80, 60)])
    }


def test_forms_of_objects(tmp_path: Path) -> None:
    turned = _region(x=50, y=20, width=10, height=40, rotation=90)  # about its first corner, clockwise
    polygon = _region(kind="polygonlabels", points=[[10, 20], [40, 30], [20, 90]])
    text = {"type": "textarea", "value": {"text": ["a note"]}}
    read = _read(tmp_path, _task("a.jpg", turned, polygon, text))
    assert read["a.jpg"][1] == [(60, 20, 100, 40), (20, 20, 80, 90)]


def test_an_ellipse_has_its_extent(tmp_path: Path) -> None:
    plain = _region(kind="ellipselabels", x=50, y=50, radiusX=10, radiusY=20)
    turned = _region(kind="ellipselabels", x=50, y=50, radiusX=10, radiusY=20, rotation=90)
    assert _read(tmp_path, _task("a.jpg", plain))["a.jpg"][1] == [(80, 30, 120, 70)]
    assert _read(tmp_path, _task("a.jpg", turned))["a.jpg"][1] == [(80, 30, 120, 70)]  # 20 pixels each


@pytest.mark.parametrize(
    "region",
    [
        _region("dog", "brushlabels", rle=[1, 2]),
        _region("dog", "polygonlabels", points=[[1, 2], [3, "4"]]),
        _region("dog", x=1, y=2, width=3),
        _region("dog", x=0, y=0, width=10, height=10) | {"original_width": 0},
        _region("dog", x=0, y=0, width=10, height=10) | {"value": {"rectanglelabels": []}},
    ],
)
def test_an_object_that_cannot_be_read_takes_its_picture_out(region: dict[str, Any], tmp_path: Path) -> None:
    good = _region(x=0, y=0, width=10, height=10)
    (tmp_path / "val.json").write_text(json.dumps([_task("a.jpg", good, region), _task("b.jpg", good)]))
    split = open_data(tmp_path / "val.json").split("val")
    assert [example.id for example in split.examples] == ["b.jpg"]
    assert f"a.jpg: category_id 'of {region['type']}, which cannot be read," in str(split.problems[0])


def test_two_exports_are_two_splits(tmp_path: Path) -> None:
    for name, labels in (("val", ("cat", "dog")), ("test", ("bird", "cat"))):
        tasks = [_task(f"{label}.jpg", _region(label, x=0, y=0, width=9, height=9)) for label in labels]
        (tmp_path / f"{name}.json").write_text(json.dumps(tasks))
    data = open_data(tmp_path)
    assert sorted(data.classes) == ["bird", "cat", "dog"]
    found = {name: {data.classes[each.label] for each in data.split(name).examples} for name in data.tables}
    assert found == {"val": {"cat", "dog"}, "test": {"bird", "cat"}}


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    found = [make(tmp_path / "photos/\udcff #1?.jpg", (60, 47), (3, 2, 9, 18))]
    write_label_studio(found, tmp_path / "tasks.json", classes=CLASSES)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    tasks[0]["annotations"] = [{"result": tasks[0]["predictions"][0]["result"]}]
    assert [*_read(tmp_path, *tasks)] == ["photos/\udcff #1?.jpg"]
    assert [*_read(tmp_path, _task("a#1?%41.jpg", *tasks[0]["annotations"][0]["result"]))] == ["a#1?%41.jpg"]


def test_the_last_annotation_that_was_not_cancelled_counts(tmp_path: Path) -> None:
    task = _task("a.jpg", _region(x=0, y=0, width=10, height=10))
    task["annotations"] += [
        {"result": [_region("dog", x=0, y=0, width=50, height=50)], "was_cancelled": False},
        {"result": [_region("bird", x=0, y=0, width=1, height=1)], "was_cancelled": True},
    ]
    task["predictions"] = [{"result": [_region("fish", x=0, y=0, width=1, height=1)]}]
    assert _read(tmp_path, task) == {"a.jpg": ("dog", [(0, 0, 100, 50)])}


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    good = _task("a.jpg", _region(x=0, y=0, width=10, height=10))
    tasks = [good, {"data": {"image": "new.jpg"}}, {"data": {}}, 3, _task("../b.jpg", good["annotations"][0])]
    (tmp_path / "val.json").write_text(json.dumps(tasks))
    split = open_data(tmp_path / "val.json").split("val")
    assert [example.id for example in split.examples] == ["a.jpg"]
    told = [str(problem) for problem in split.problems]
    assert told[0] == "val.json, images[2]: a 'file_name' is needed"
    assert "climbs out of its folder" in told[2] and "new.jpg: no annotation" in told[3]


def test_nothing_annotated(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture is listed"):
        _read(tmp_path, {"data": {"image": "a.jpg"}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "image", "annotations", "result", "value", "type", "x", "points"]),
            inner,
            max_size=4,
        )
    ),
)


@given(st.lists(JSON, max_size=4))
def test_anything_gives_a_data_set_with_as_many_images(tasks: list[Any]) -> None:
    assert len(to_coco(tasks)["images"]) == len(tasks)


@given(JSON, JSON, JSON)
def test_any_region(value: Any, width: Any, height: Any) -> None:
    region = {"type": "type", "value": value, "original_width": width, "original_height": height}
    to_coco([_task("a.jpg", region), _task("b.jpg", _region(x=value, y=width, width=height, height=1))])
