"""Which format a path has, where its parts lie, and the fingerprint."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.sets import boxed_set, masked_set, official, picture, write
from wsol.data.convert import convert
from wsol.data.dataset import DataSet, Example, fingerprint, open_data
from wsol.errors import DataError
from wsol.evaluation.sources import SavedMaps

COCO = (
    '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 7, "name": "ant"}], '
    '"annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}]}'
)
CSV = "image,label,split\na.jpg,ant,test\n"
XML = "<annotation><filename>a.jpg</filename><object><name>ant</name></object></annotation>"


@pytest.mark.parametrize(
    ("files", "path", "format", "splits"),
    [
        ({"val.json": COCO, "test.json": COCO}, "", "coco", ["val", "test"]),
        (
            {"annotations/instances_val2017.json": COCO, "annotations/captions_val2017.json": "{}"},
            "",
            "coco",
            ["val"],
        ),
        ({"coco.json": COCO}, "", "coco", ["test"]),
        ({"mine.json": COCO}, "mine.json", "coco", ["test"]),
        ({"my_validation.json": COCO}, "my_validation.json", "coco", ["val"]),
        ({"manifest.csv": CSV}, "", "csv", ["test"]),
        ({"train.csv": CSV, "val.csv": CSV}, "", "csv", ["train", "val"]),
        ({"labels.CSV": CSV}, "labels.CSV", "csv", ["test"]),
        ({"train.csv": "image,label\na.jpg,0\n"}, "train.csv", "csv", ["train"]),
        ({"Annotations/a.xml": XML}, "", "voc", ["test"]),
        ({"Annotations/a.xml": XML, "ImageSets/Main/val.txt": "a\n"}, "", "voc", ["val"]),
        ({"ant/a.jpg": "", "bee/x/b.PNG": ""}, "", "folder", ["train"]),
        ({"train/ant/a.jpg": "", "validation/ant/b.png": ""}, "", "folder", ["train", "val"]),
        ({"metadata/val/image_ids.txt": "", "train/ant/a.jpg": ""}, "", "official", ["val"]),
        ({"val/class_labels.txt": ""}, "", "official", ["val"]),
    ],
)
def test_formats(tmp_path: Path, files: dict[str, str], path: str, format: str, splits: list[str]) -> None:
    data = open_data(write(tmp_path, files) / path)
    assert (data.format, list(data.tables)) == (format, splits)
    assert data.upright == (format != "official")


def test_nothing_found_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, {"notes.txt": "", "images/ant/a.jpg": "", "masks/ant/a.png": ""})
    with pytest.raises(DataError, match=r"(?s)metadata/.*Annotations.*_val.json.*manifest.csv.*CLASS/x.jpg"):
        open_data(tmp_path)


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        ("nowhere", {}, "nowhere: no such file or folder"),
        ("x" * 300, {}, "too long"),
        ("notes.txt", {}, "must be COCO"),
        (
            "",
            {"metadata": "m2"},
            "metadata, m2: no such file or folder, neither in the working folder nor",
        ),
        ("", {"images": "pictures"}, "images, pictures: no such"),
        ("", {"images": "notes.txt"}, "images, notes.txt: not a folder"),
        ("", {"masks": ""}, "masks: an empty path"),
        ("", {"metadata": "images"}, "images: no train/, val/ or test/ with image_ids.txt"),
    ],
)
def test_paths_that_are_wrong(tmp_path: Path, path: str, options: dict[str, str], reason: str) -> None:
    boxed_set(tmp_path)
    write(tmp_path, {"notes.txt": ""})
    with pytest.raises(DataError, match=reason):
        open_data(tmp_path / path, **options)


def test_parts_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masked_set(tmp_path / "set")
    for place in ("pictures", "m", "set/m", "meta/test"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    data = open_data("set", images="pictures", masks="m")
    assert (data.images, data.masks) == (Path("pictures"), Path("m"))  # the working folder goes first
    (tmp_path / "set" / "metadata").rename(tmp_path / "set" / "tables")
    data = open_data("set", metadata="tables")
    assert data.tables["val"] == Path("set/tables/val")
    assert data.split("val").examples[0].where == "tables/val/image_ids.txt, line 1"
    with pytest.raises(DataError, match="no train/"):
        open_data("set", metadata="meta")


def test_metadata_may_be_a_file(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.jpg", 9, 9)
    data = open_data(tmp_path / "photos", metadata=write(tmp_path, {"t.csv": CSV}) / "t.csv")
    assert (data.format, data.images) == ("csv", tmp_path / "photos")


def test_images_beside_the_tables_as_in_the_official_folders(tmp_path: Path) -> None:
    data = open_data(official(tmp_path, image_ids="a.jpg"))
    assert (data.images, data.masks) == (tmp_path, tmp_path)


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'dev'; it has train, val, test"):
        open_data(boxed_set(tmp_path)).split("dev")
    with pytest.raises(DataError, match="format must be one of official"):
        DataSet("x", "yolo", tmp_path, None, (), {"test": tmp_path}, True).split("test")


@pytest.mark.parametrize("to", ["official", "csv", "voc", "folder"])
def test_a_split_is_read_once(tmp_path: Path, to: str) -> None:
    convert(open_data(boxed_set(tmp_path / "set")), tmp_path / "out", to=to)
    data, other = open_data(tmp_path / "out"), open_data(tmp_path / "out")
    split = data.split("test")
    assert data.split("test") is split
    assert data.split("val") is not split
    assert other == data
    assert other.split("test") is not split
    assert repr(split.fingerprint) not in repr(data)
    elsewhere = replace(data, images=tmp_path)
    assert elsewhere.split("test") is not split


@pytest.mark.parametrize(
    ("orientation", "size"), [(1, (30, 40)), (3, (30, 40)), (6, (40, 30)), (8, (40, 30))]
)
def test_sizes_that_no_table_states_are_upright(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = tmp_path / "test" / "ant" / "a.jpg"
    photo.parent.mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(photo, exif=exif)
    np.save(tmp_path / "a.npy", np.eye(3))
    folder = open_data(tmp_path)
    official_ = open_data(
        official(
            tmp_path / "o", image_ids="a.jpg\n", class_labels="a.jpg,0\n", localization="a.jpg,0,0,9,9\n"
        ),
        images=photo.parent,
    )
    for data, name, expected in ((folder, "test/ant/a", size), (official_, "a", (30, 40))):
        (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "maps" / f"{name}.npy", np.eye(3))
        (scored,) = SavedMaps(tmp_path / "maps").stream(data, data.split("test").examples)
        assert (scored.sizes, scored.errors) == ([expected], [])


def test_fingerprint_is_the_digest_of_its_definition() -> None:
    examples = [
        Example("ä.jpg", 3, (9, 9), ((1, 2.5, 3, -0.0),)),
        Example("b.jpg", 0, masks=("m.png", "n.png"), ignore="i.png", where="somewhere"),
    ]
    text = (
        '["\\u00e4.jpg",3,[[1.0,2.5,3.0,0.0]],[],null]\n'
        '["b.jpg",0,[],["m.png","n.png"],"i.png"]\n'
    )  # fmt: skip
    assert fingerprint(examples) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert fingerprint(reversed(examples)) != fingerprint(examples)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("one\n\ntwo\n", "classes.txt, line 2: empty"), (b"\xff\n", "classes.txt, line 1: not UTF-8")],
)
def test_bad_class_names(tmp_path: Path, content: str | bytes, reason: str) -> None:
    boxed_set(tmp_path)
    with pytest.raises(DataError, match=reason):
        open_data(write(tmp_path, {"classes.txt": content}))
