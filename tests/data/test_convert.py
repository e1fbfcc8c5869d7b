"""Conversions: there and back is the identity, and what a format cannot hold is said."""

import json
import tempfile
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.sets import boxed_set, fingerprints, masked_set, official, picture, real, real_sets, write
from wsol.data.convert import Kind, convert
from wsol.data.dataset import Box, Example, open_data
from wsol.data.masks import read_mask
from wsol.data.writers import WRITERS, Content, write_coco, write_csv, write_official, write_voc
from wsol.errors import DataError

TABLES = ("official", "csv", "coco", "voc")


@pytest.mark.parametrize(("first", "second"), list(product(TABLES, TABLES)))
def test_boxes_through_two_formats(tmp_path: Path, first: str, second: str) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    one = convert(source, tmp_path / "one", to=first)
    two = convert(open_data(tmp_path / "one"), tmp_path / "two", to=second)
    found = open_data(tmp_path / "two")
    assert (found.format, found.classes) == (second, ("ant", "bee"))
    assert fingerprints(found) == fingerprints(source)
    assert one.counts == two.counts == {"train": 1, "val": 2, "test": 2}
    assert one.skipped == two.skipped == ()
    assert one.lost == ()
    for name, split in ((name, found.split(name)) for name in found.tables):
        assert [e.size for e in split.examples] == [e.size for e in source.split(name).examples]
        assert all((found.images / example.id).is_file() for example in split.examples)


@pytest.mark.parametrize("to", ["official", "csv"])
def test_masks_and_their_files(tmp_path: Path, to: str) -> None:
    source = open_data(masked_set(tmp_path / "set"))
    done = convert(source, tmp_path / "out", to=to)
    found = open_data(tmp_path / "out")
    assert fingerprints(found) == fingerprints(source)
    assert (done.lost, done.skipped) == ((), ())
    for ours, theirs in zip(found.split("test").examples, source.split("test").examples, strict=True):
        np.testing.assert_array_equal(read_mask(found, ours), read_mask(source, theirs))
        assert ours.size == (30, 40)  # from the picture: the table has none


def test_masks_to_coco_and_back(tmp_path: Path) -> None:
    source = open_data(masked_set(tmp_path / "set"))
    done = convert(source, tmp_path / "coco", to="coco")
    assert done.lost == ("test: the ignore masks of 1 pictures",)
    coco = open_data(tmp_path / "coco")
    assert coco.split("test").examples[0].boxes == ((4, 5, 16, 17), (20, 2, 40, 30))
    again = convert(coco, tmp_path / "coco2", to="coco", truth="masks")
    assert again.lost == ()
    assert not (tmp_path / "coco2" / "masks").exists()
    back = convert(open_data(tmp_path / "coco2"), tmp_path / "back", to="official", truth="masks")
    assert back.counts == {"train": 1, "val": 2, "test": 2}
    found = open_data(tmp_path / "back")
    assert found.split("test").examples[0].masks == ("bee/3,x.png.1.png", "bee/3,x.png.2.png")
    for ours, theirs in zip(found.split("test").examples, source.split("test").examples, strict=True):
        np.testing.assert_array_equal(read_mask(found, ours)[0], read_mask(source, theirs)[0])


@pytest.mark.parametrize("to", ["voc", "official", "csv", "coco"])
def test_masks_become_their_extents(tmp_path: Path, to: str) -> None:
    source = open_data(masked_set(tmp_path / "set"))
    done = convert(source, tmp_path / "out", to=to, truth="boxes")
    assert done.lost[0] == "masks: of each file its extent is written, as a box"
    assert "test: the ignore masks of 1 pictures" in done.lost
    split = open_data(tmp_path / "out").split("test")
    assert [e.boxes for e in split.examples] == [((4, 5, 16, 17), (20, 2, 40, 30)), ((4, 5, 16, 17),)]


def test_folders_by_class(tmp_path: Path) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    done = convert(source, tmp_path / "folder", to="folder")
    assert done.lost == ("folders by class hold labels only: the boxes are left out",)
    folder = open_data(tmp_path / "folder")
    assert [(e.id, e.label) for e in folder.split("test").examples] == [
        ("test/ant/4.png", 0),
        ("test/bee/3,x.png", 1),
    ]
    convert(folder, tmp_path / "csv", to="csv", link="symlink")
    assert fingerprints(open_data(tmp_path / "csv")) == fingerprints(folder)
    convert(open_data(tmp_path / "csv"), tmp_path / "again", to="folder")
    assert fingerprints(open_data(tmp_path / "again")) == fingerprints(folder)


def test_links(tmp_path: Path) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    convert(source, tmp_path / "links", to="csv", link="symlink")
    file = tmp_path / "links" / "images" / "ant" / "1.png"
    assert file.is_symlink()
    assert file.read_bytes() == (source.images / "ant" / "1.png").read_bytes()
    convert(source, tmp_path / "tables", to="voc", link="none")
    assert not (tmp_path / "tables" / "JPEGImages").exists()
    assert fingerprints(open_data(tmp_path / "tables", images=source.images)) == fingerprints(source)


def test_a_target_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    write(tmp_path, {"full/a.txt": "", "set/metadata/val/class_labels.txt": "nonsense"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="full: it is there already"):
        convert(source, tmp_path / "full", to="csv")
    with pytest.raises(DataError):
        convert(source, tmp_path / "empty", to="csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full", "set"]
    assert not any((tmp_path / "empty").iterdir())


def test_pictures_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    (source.images / "ant" / "2.png").unlink()
    (source.images / "ant" / "4.png").write_bytes(b"no image")
    official(tmp_path / "set", "train", class_labels="ant/1.png,0\n", image_ids="ant/1.png\nbee/9.png\n")
    done = convert(source, tmp_path / "out", to="csv")
    assert done.counts == {"train": 1, "val": 1, "test": 1}
    assert [problem.id for problem in done.skipped] == ["bee/9.png", "ant/2.png", "ant/4.png"]
    assert "missing" in done.skipped[1].reason
    assert fingerprints(open_data(tmp_path / "out"))
    masks = open_data(masked_set(tmp_path / "masks"))
    (tmp_path / "masks" / "masks" / "a4.png").unlink()
    done = convert(masks, tmp_path / "out2", to="official")
    assert [problem.id for problem in done.skipped] == ["ant/4.png"]
    assert not (tmp_path / "out2" / "images" / "ant" / "4.png").exists()


def test_nothing_left(tmp_path: Path) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    (source.images / "ant" / "1.png").unlink()
    with pytest.raises(DataError, match=r"no picture of 'train' can be written\n.*ant/1.png"):
        convert(source, tmp_path / "out", to="coco")


def test_pictures_turned_by_exif_do_not_change_sides(tmp_path: Path) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 40)).save(source.images / "ant" / "4.png", exif=exif)
    done = convert(source, tmp_path / "coco", to="coco")
    assert [problem.id for problem in done.skipped] == ["ant/4.png"]
    assert "turned by EXIF" in done.skipped[0].reason
    assert convert(source, tmp_path / "official", to="official").skipped == ()


@pytest.mark.parametrize(
    ("to", "truth", "link", "reason"),
    [
        ("yolo", None, "copy", "to must be one of official, csv, coco, voc, folder, got 'yolo'"),
        ("csv", "masks", "copy", "it has boxes, and boxes tell no masks"),
        ("voc", "masks", "copy", "Pascal VOC holds boxes"),
        ("folder", None, "none", "nothing without the images"),
    ],
)
def test_refused(tmp_path: Path, to: str, truth: Kind | None, link: str, reason: str) -> None:
    source = open_data(boxed_set(tmp_path / "set"))
    with pytest.raises(DataError, match=reason):
        convert(source, tmp_path / "out", to=to, truth=truth, link=link)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("to", "name"),
    [("voc", "ant\ufffe"), ("folder", "ant/bee"), ("folder", "images"), ("voc", " ant"), ("csv", "a\rb")],
)
def test_class_names_that_do_not_fit(tmp_path: Path, to: str, name: str) -> None:
    boxed_set(tmp_path / "set")
    write(tmp_path / "set", {"classes.txt": f"{name}\nbee\n"})
    with pytest.raises(DataError, match="give it another name"):
        convert(open_data(tmp_path / "set"), tmp_path / "out", to=to)


@pytest.mark.parametrize("to", ["voc", "folder"])
def test_classes_of_one_name_are_refused_where_labels_are_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    boxed_set(tmp_path / "set")
    source = open_data(write(tmp_path / "set", {"classes.txt": "crane\ncrane\n"}))
    copied: list[str] = []
    monkeypatch.setattr("wsol.data.convert.shutil.copyfile", lambda source, _: copied.append(source))
    with pytest.raises(DataError, match=r"two classes are called 'crane'.*official, csv or coco"):
        convert(source, tmp_path / "out", to=to)
    assert copied == []
    content = Content({"val": [Example("a.jpg", 0)]}, ("crane", "crane"), lambda _: [])
    with pytest.raises(DataError, match="'crane'"):
        WRITERS[to](tmp_path, content)


@pytest.mark.parametrize("to", ["official", "csv", "coco"])
@pytest.mark.parametrize("names", ["crane\ncrane\n", "1\n0\n", " ant\nbee\n", "ant\nant \n"])
def test_names_that_tell_no_labels_keep_their_classes_apart(tmp_path: Path, to: str, names: str) -> None:
    boxed_set(tmp_path / "set")
    source = open_data(write(tmp_path / "set", {"classes.txt": names}))
    convert(source, tmp_path / "out", to=to)
    found = open_data(tmp_path / "out")
    assert fingerprints(found) == fingerprints(source)
    assert found.classes == source.classes


def test_segmentations_that_are_damaged(tmp_path: Path) -> None:
    content = {
        "categories": [{"id": 1, "name": "ant"}],
        "images": [{"id": i, "file_name": f"{i}.png", "width": 4, "height": 3} for i in range(3)],
        "annotations": [
            {"image_id": i, "category_id": 1, "bbox": [0, 0, 2, 2], "segmentation": segmentation}
            for i, segmentation in enumerate(
                [[[0, 0, 2, 0, 2, 2, 0, 2]], None, {"size": [3, 4], "counts": "~~"}]
            )
        ],
    }
    write(tmp_path / "set", {"val.json": json.dumps(content)})
    for i in range(3):
        picture(tmp_path / "set" / f"{i}.png", 4, 3)
    done = convert(open_data(tmp_path / "set"), tmp_path / "out", to="official", truth="masks")
    assert [problem.id for problem in done.skipped] == ["1.png", "2.png"]
    found = open_data(tmp_path / "out")
    mask, _ = read_mask(found, found.split("val").examples[0], (3, 4))
    np.testing.assert_array_equal(mask, [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])


NAMES = st.text("aB1 ,;'\"&<é.-_\u2028", min_size=1, max_size=6).filter(
    lambda s: s.strip(" .\u2028") == s and s
)


def _boxes(values: st.SearchStrategy[float]) -> st.SearchStrategy[Box]:
    sides = st.lists(values, min_size=2, max_size=2, unique=True).map(sorted)
    return st.builds(lambda x, y: (x[0], y[0], x[1], y[1]), sides, sides)


BOXES = _boxes(st.floats(0, 60) | st.integers(0, 60).map(float))
DECIMALS = _boxes(st.integers(0, 600_000).map(lambda value: value / 10_000) | st.integers(0, 60).map(float))


def _pictures(boxes: st.SearchStrategy[Box]) -> st.SearchStrategy[dict[str, tuple[int, list[Box]]]]:
    names = NAMES.map(lambda name: f"{name}.jpg")
    return st.dictionaries(
        names, st.tuples(st.integers(0, 2), st.lists(boxes, min_size=1, max_size=3)), min_size=1, max_size=4
    )


Pictures = dict[str, tuple[int, list[Box]]]


@settings(max_examples=50)
@given(_pictures(BOXES), _pictures(DECIMALS))
def test_what_is_written_reads_back(any_floats: Pictures, decimals: Pictures) -> None:
    writers = (
        (write_official, any_floats),
        (write_csv, any_floats),
        (write_voc, any_floats),
        (write_coco, decimals),
    )
    for write_tables, content in writers:
        examples = [Example(id, label, (64, 64), tuple(boxes)) for id, (label, boxes) in content.items()]
        with tempfile.TemporaryDirectory() as folder:
            write_tables(Path(folder), Content({"val": examples}, ("a, b", "<c>", 'd"e'), lambda _: []))
            split = open_data(folder).split("val")
        found = [(e.id, e.label, e.size, e.boxes) for e in split.examples]
        assert found == [(e.id, e.label, e.size, e.boxes) for e in examples], write_tables.__name__


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("voc", " .jpg"),
        ("voc", "a .jpg"),
        ("csv", "\u2028"),
        ("csv", " a.jpg"),
        ("folder", "a.photo"),
        ("folder", ".a/b.jpg"),
    ],
)
def test_names_that_a_format_cannot_hold(tmp_path: Path, to: str, name: str) -> None:
    boxed_set(tmp_path / "set")
    picture(tmp_path / "x.png", 40, 30)
    (tmp_path / "set" / "images" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "x.png").rename(tmp_path / "set" / "images" / name)
    content = {
        "categories": [{"id": 1, "name": "ant"}],
        "images": [{"id": 1, "file_name": name}, {"id": 2, "file_name": "ant/1.png"}],
        "annotations": [{"image_id": i, "category_id": 1, "bbox": [0, 0, 2, 2]} for i in (1, 2)],
    }
    source = open_data(write(tmp_path / "set", {"val.json": json.dumps(content)}) / "val.json")
    done = convert(source, tmp_path / "out", to=to)
    assert [problem.reason for problem in done.skipped] == [
        f"{name}: {name}: {to} cannot hold this name: rename the file"
    ]
    assert done.counts == {"val": 1}


def test_voc_pixels_count_from_one(tmp_path: Path) -> None:
    convert(open_data(boxed_set(tmp_path / "set")), tmp_path / "voc", to="voc")
    box = ElementTree.parse(tmp_path / "voc" / "Annotations" / "bee" / "1.xml").find("object/bndbox")
    assert box is not None
    assert [element.text for element in box] == ["2", "3", "30", "20"]


@real_sets
def test_real_sets_there_and_back(tmp_path: Path, name: str, metadata: str) -> None:
    source = open_data(real(name), metadata=metadata)
    formats = ("official", "csv", "coco", "voc") if metadata == "metadata" else ("official", "csv")
    for to in formats:
        convert(source, tmp_path / to, to=to, link="none")
        found = open_data(tmp_path / to, images=source.images, masks=source.masks)
        assert fingerprints(found) == fingerprints(source)
