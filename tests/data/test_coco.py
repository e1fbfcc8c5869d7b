"""COCO files: entries worked by hand, and what ``wsol localize`` writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.sets import reasons, write
from wsol.data.dataset import Example, Split, open_data
from wsol.errors import DataError


def _image(id: Any, name: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "file_name": name, "width": 40, "height": 30, **more}


def _box(image: Any, category: Any, *bbox: float, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": list(bbox), **more}


GOOD: dict[str, Any] = {
    "categories": [{"id": 9, "name": "bee"}, {"id": 4, "name": "ant"}],
    "images": [_image(1, "a.jpg"), _image("two", "./x/b.jpg", height=None, width=None)],
    "annotations": [
        _box("two", 9, 1, 2, 3, 4),
        _box(1, 4, 0, 0, 40, 30, score=0.5),
        _box("two", 9, 5.5, 6, 1, 1),
    ],
}


def _read(folder: Path, **changes: Any) -> Split:
    path = write(folder, {"val.json": json.dumps({**GOOD, **changes})}) / "val.json"
    return open_data(path).split("val")


def test_entries_as_they_stand(tmp_path: Path) -> None:
    split = _read(tmp_path)
    assert split.examples == (
        Example("a.jpg", 0, (30, 40), ((0, 0, 40, 30),), where="val.json, images[0]"),
        Example("x/b.jpg", 1, None, ((1, 2, 4, 6), (5.5, 6, 6.5, 7)), where="val.json, images[1]"),
    )
    assert (split.problems, split.truth) == ((), "boxes")
    assert open_data(tmp_path / "val.json").classes == ("ant", "bee")  # by ascending category id


def test_a_picture_with_a_class_only(tmp_path: Path) -> None:
    split = _read(tmp_path, images=[_image(1, "a.jpg", category_id=9)], annotations=[])
    assert [(example.id, example.label, example.boxes) for example in split.examples] == [("a.jpg", 1, ())]
    assert split.truth == "none"
    split = _read(tmp_path, images=[_image(1, "a.jpg")], annotations=[{"image_id": 1, "category_id": 9}])
    assert split.examples[0].label == 1


@pytest.mark.parametrize(
    ("images", "annotations", "reason", "left"),
    [
        ([], [_box(1, 9, 0, 0, 9, 9)], "images[0]: a.jpg: objects of 2 classes; a picture", ["x/b.jpg"]),
        ([_image(3, "c.jpg")], [], "images[2]: c.jpg: no annotation, so its class", ["a.jpg", "x/b.jpg"]),
        ([_image(3, "../c.jpg")], [], "images[2]: the path '../c.jpg' climbs out", ["a.jpg", "x/b.jpg"]),
        ([_image(3, "/c.jpg")], [], "images[2]: the path '/c.jpg' is absolute", ["a.jpg", "x/b.jpg"]),
        ([_image(None, "c.jpg")], [], "images[2]: an object with 'id' and 'file_name'", ["a.jpg", "x/b.jpg"]),
        ([{"id": 3}], [], "images[2]: a 'file_name' is needed", ["a.jpg", "x/b.jpg"]),
        ([7], [], "images[2]: an object with 'id' and 'file_name' is needed", ["a.jpg", "x/b.jpg"]),
        ([_image(1, "c.jpg")], [], "images[2]: c.jpg, id 1, is there already", ["a.jpg", "x/b.jpg"]),
        ([_image(3, "a.jpg")], [], "images[2]: a.jpg, id 3, is there already", ["x/b.jpg"]),
        ([_image(3, "c.jpg", width=-1)], [], "images[2]: c.jpg: width -1, height 30", ["a.jpg", "x/b.jpg"]),
        ([], ["x"], "annotations[3]: an object with 'image_id'", ["a.jpg", "x/b.jpg"]),
        ([], [_box(8, 9, 0, 0, 9, 9)], "annotations[3]: image_id 8 is not among", ["a.jpg", "x/b.jpg"]),
        ([], [_box(1, 8, 0, 0, 9, 9)], "annotations[3]: a.jpg: category_id 8 is not among", ["x/b.jpg"]),
        ([], [_box(1, [4], 0, 0, 9, 9)], "annotations[3]: a.jpg: category_id [4] is not among", ["x/b.jpg"]),
        ([], [_box(1, 4, 0, 0, 9)], "annotations[3]: a.jpg: bbox must be [x, y, width, height]", ["x/b.jpg"]),
        ([], [_box(1, 4, 0, 0, 0, 9)], "annotations[3]: a.jpg: the box (0, 0, 0, 9) is empty", ["x/b.jpg"]),
        ([], [_box(1, 4, 0, 0, 9, float("nan"))], "a.jpg: the box (0, 0, 9, nan) is not finite", ["x/b.jpg"]),
        ([], [_box(1, 4, 0, 0, 9, 10**400)], "a.jpg: the bbox is no box in pixels", ["x/b.jpg"]),
        ([], [_box(1, 4, 40, 0, 9, 9)], "lies outside the frame, 40 × 30", ["x/b.jpg"]),
        ([], [_box(1, 4, 30, 0, 11, 9)], "reaches out of the frame, 40 × 30; it is", ["a.jpg", "x/b.jpg"]),
        ([], [_box(1, 4, 0, 0, 9, 9, iscrowd=1)], "a.jpg: a crowd is no object", ["a.jpg", "x/b.jpg"]),
    ],
)  # fmt: skip
def test_a_bad_entry_is_a_problem(
    tmp_path: Path, images: list[Any], annotations: list[Any], reason: str, left: list[str]
) -> None:
    split = _read(tmp_path, images=GOOD["images"] + images, annotations=GOOD["annotations"] + annotations)
    assert any(reason in text and text.startswith("val.json, ") for text in reasons(split)), reasons(split)
    assert [example.id for example in split.examples] == left


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"images": [],\n "annotations": [,]}', "val.json, line 2: not JSON: Expecting value"),
        ("[" * 100_000, "val.json: not COCO"),
        ("[]", "not COCO: a list 'images' is needed"),
        ('{"images": {}, "annotations": [], "categories": []}', "not COCO: a list 'images' is needed"),
        ('{"images": [], "annotations": []}', "not COCO: a list 'categories' is needed"),
        ('{"images": [], "annotations": [], "categories": [{"name": "x"}]}', r"categories\[0\]: a whole"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}, {"id": 1}]}', r"ies\[1\]: the id 1 is"),
        (b'{"images"\n: "\xff"}', "val.json, line 2: not UTF-8"),
        ('{"images": [' + "1" * 5000 + "]}", "val.json: not COCO"),
    ],
)  # fmt: skip
def test_files_that_are_not_coco(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        open_data(write(tmp_path, {"val.json": content})).split("val")


def test_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no picture is listed in split 'val'"):
        _read(tmp_path, images=[], annotations=[])
    with pytest.raises(DataError, match=r"(?s)none of 1 pictures is usable.*annotations\[0\]"):
        _read(tmp_path, images=[_image(1, "a.jpg")], annotations=[_box(1, 4, 1, 1, 0, 0)])


def test_a_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    loads = json.loads

    def counted(text: str) -> Any:
        parsed.append(len(text))
        return loads(text)

    files = {f"{name}.json": json.dumps({**GOOD, "info": name}) for name in ("train", "val", "test")}
    monkeypatch.setattr("wsol.data.coco.json.loads", counted)
    data = open_data(write(tmp_path, files))
    assert (data.classes, data.categories) == (("ant", "bee"), (4, 9))
    assert data.split("val") is data.split("val")
    assert data.split("test").fingerprint == data.split("val").fingerprint
    assert parsed == [len(files["val.json"]), len(files["test.json"])]


@pytest.mark.parametrize(
    "more",
    [
        '"x": {"categories": [{"id": 1, "name": "no"}]}',
        '"x": "\\"categories\\": [{}]"',
        '"x": ["categories", 1]',
        '"categories" : [{"id": 7, "name": "earlier"}]',
    ],
)
def test_only_the_categories_at_the_top_count(tmp_path: Path, more: str) -> None:
    text = f'{{{more}, "images": [{{"id": 1, "file_name": "a.jpg", "category_id": 2}}], "annotations": [],\n'
    end = '"categories"\n:\t[{"id": 2, "name": "ant"}]}'
    data = open_data(write(tmp_path, {"val.json": text + end}))
    assert (data.classes, data.categories) == (("ant",), (2,))
    assert data.split("val").examples[0].label == 0


def test_categories_that_came_after_opening(tmp_path: Path) -> None:
    data = open_data(write(tmp_path, {"val.json": json.dumps(GOOD)}))
    more = {**GOOD, "categories": [*GOOD["categories"], {"id": 5, "name": "wasp"}]}
    write(tmp_path, {"val.json": json.dumps(more)})
    with pytest.raises(DataError, match=r"val.json: category 5 was not there when it was opened"):
        data.split("val")


def test_splits_must_agree_on_categories(tmp_path: Path) -> None:
    other = {**GOOD, "categories": [{"id": 4, "name": "wasp"}]}
    with pytest.raises(DataError, match=r"category 4 is 'wasp', in another split 'ant'"):
        open_data(write(tmp_path, {"train.json": json.dumps(GOOD), "val.json": json.dumps(other)}))
    with pytest.raises(DataError, match="both are 'val'"):
        open_data(write(tmp_path / "b", {"val.json": json.dumps(GOOD), "my_val.json": json.dumps(GOOD)}))
