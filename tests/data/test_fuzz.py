"""Any bytes in any table give a split or a clear error, never another exception."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.sets import write
from wsol.data.dataset import open_data
from wsol.data.runs import decode
from wsol.errors import WsolError

JUNK = st.binary(max_size=60)
CELL = st.sampled_from(
    [
        "a.jpg",
        "b,c.jpg",
        "0",
        "1",
        "-1",
        "nan",
        "1e999",
        "9" * 30,
        "",
        " ",
        "..",
        "/",
        "\u2028",
        '"',
        ";",
        "\0",
        "m.png",
    ]
)
TEXT = st.lists(st.lists(CELL, max_size=7).map(",".join), max_size=6).map("\n".join)
ANY = JUNK | TEXT.map(str.encode)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a.jpg", "../a", "x", 1, 2])
KEYS = ["id", "file_name", "image_id", "category_id", "bbox", "width", "height", "name", "iscrowd"]
ENTRY = st.dictionaries(st.sampled_from(KEYS), LEAF | st.lists(LEAF, max_size=5), max_size=7) | LEAF
XML = st.recursive(
    st.sampled_from(["", "1", "x", "-1e9", "a.jpg", "&lt;"]),
    lambda inner: st.builds(
        lambda tag, inside: f"<{tag}>{''.join(inside)}</{tag}>",
        st.sampled_from(
            [
                "object",
                "name",
                "bndbox",
                "xmin",
                "ymin",
                "xmax",
                "ymax",
                "filename",
                "size",
                "width",
                "height",
            ]
        ),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)

COCO = st.fixed_dictionaries({key: st.lists(ENTRY, max_size=4) for key in ("images", "annotations")}).map(
    lambda content: json.dumps({"categories": [{"id": 1, "name": "x"}], **content}).encode()
)
POLYGONS = st.lists(LEAF | st.lists(LEAF | st.floats(-50, 50), max_size=8), max_size=3)
COUNTS = LEAF | st.text(max_size=9) | st.text("0123456789:;<=>?@ABno`", max_size=9) | st.lists(st.integers())
RUNS = st.fixed_dictionaries({"size": st.just([3, 4]) | LEAF, "counts": COUNTS})


def _survives(files: dict[str, str | bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            data = open_data(write(Path(folder), files))
        except WsolError:
            return
        for name in data.tables:
            try:
                split = data.split(name)
            except WsolError:
                continue
            ids = [example.id for example in split.examples]
            assert len(set(ids)) == len(ids) > 0
            assert not set(ids) & {problem.id for problem in split.problems}
            assert split.fingerprint.startswith("sha256:")
            for example in split.examples:
                assert ".." not in Path(example.id).parts
                assert not Path(example.id).is_absolute()
                assert all(x0 < x1 and y0 < y1 for x0, y0, x1, y1 in example.boxes)
                assert not (example.boxes and example.masks)


@settings(max_examples=150)
@given(ANY, ANY, ANY, ANY, st.sampled_from(["train", "val"]))
def test_official(ids: bytes, labels: bytes, sizes: bytes, truth: bytes, split: str) -> None:
    names = ("image_ids", "class_labels", "image_sizes", "localization")
    tables = zip(
        names, (b"a.jpg\nb,c.jpg\n" + ids, b"a.jpg,1\nb,c.jpg,0\n" + labels, sizes, truth), strict=True
    )
    _survives({f"metadata/{split}/{name}.txt": content for name, content in tables})


@settings(max_examples=150)
@given(ANY, st.lists(CELL, max_size=4), JUNK | st.just(b""))
def test_csv(content: bytes, columns: list[str], classes: bytes) -> None:
    header = ",".join(["image", "label", "x0", "y0", "x1", "y1", *columns]).encode()
    _survives({"manifest.csv": header + b"\na.jpg,1\n" + content, "classes.txt": classes})


@settings(max_examples=150)
@given(JUNK | COCO)
def test_coco(content: bytes) -> None:
    _survives({"val.json": content})


@settings(max_examples=150)
@given(JUNK | XML.map(lambda text: f"<annotation>{text}</annotation>".encode()), JUNK)
def test_voc(annotation: bytes, list_: bytes) -> None:
    _survives({"Annotations/a.xml": annotation, "ImageSets/Main/val.txt": list_ + b"\na\n"})


@given(LEAF | POLYGONS | RUNS)
def test_segmentations(segmentation: object) -> None:
    try:
        assert decode(segmentation, (3, 4)).shape == (3, 4)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    "name", ["metadata/val/image_ids.txt", "manifest.csv", "val.json", "Annotations/a.xml"]
)
def test_a_folder_in_place_of_a_table(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(WsolError):
        open_data(tmp_path).split("val")
