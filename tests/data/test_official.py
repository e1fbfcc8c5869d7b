"""The official metadata format: rows worked by hand, good and bad."""

from pathlib import Path

import pytest

from tests.data.sets import boxed_set, masked_set, official, real, real_sets, reasons, write
from wsol.data.dataset import Example, Split, open_data
from wsol.data.masks import read_mask
from wsol.errors import DataError

IDS, LABELS, SIZES, TRUTH = "image_ids", "class_labels", "image_sizes", "localization"
GOOD: dict[str, str | bytes] = {
    "image_ids": "a.jpg\nb.jpg\n",
    "class_labels": "a.jpg,0\nb.jpg,1\n",
    "image_sizes": "a.jpg,40,30\nb.jpg,20,10\n",
    "localization": "a.jpg,1,2,3,4\nb.jpg,0,0,20,10\n",
}


def _read(folder: Path, **changes: str | bytes) -> Split:
    return open_data(official(folder, **{**GOOD, **changes})).split("test")


def _left(split: Split) -> list[str]:
    return [example.id for example in split.examples]


def test_rows_as_they_stand(tmp_path: Path) -> None:
    data = open_data(boxed_set(tmp_path / "set"))
    assert (data.name, data.format, data.classes, data.upright) == ("set", "official", ("ant", "bee"), False)
    assert data.images == tmp_path / "set" / "images"
    split = data.split("test")
    where = "metadata/test/image_ids.txt, line "
    assert split.examples == (
        Example("bee/3,x.png", 1, (30, 40), ((1.5, 2, 30.25, 20), (30, 20, 39, 29)), where=f"{where}1"),
        Example("ant/4.png", 0, (30, 40), ((5, 6, 7, 8),), where=f"{where}2"),
    )
    assert (split.truth, split.problems) == ("boxes", ())
    assert data.split("train").truth == "none"
    assert data.split("train").problems == ()


def test_masks_and_ignore_masks(tmp_path: Path) -> None:
    data = open_data(masked_set(tmp_path))
    split = data.split("test")
    assert (split.truth, split.problems, data.masks) == ("masks", (), tmp_path / "masks")
    first, second = split.examples
    assert (first.masks, first.ignore, first.size) == (("m/b3_0.png", "m/b3_1.png"), "m/ig.png", None)
    assert (second.masks, second.ignore) == (("a4.png",), None)
    object_, ignored = read_mask(data, first, (30, 40))
    assert object_.sum() == 12 * 12 + 20 * 28
    assert not ignored.any()  # the ignored region is inside an instance


def test_byte_order_mark_crlf_and_blank_lines(tmp_path: Path) -> None:
    plain = _read(tmp_path / "a")
    windows = {
        name: b"\xef\xbb\xbf" + str(text).replace("\n", "\r\n").encode() + b"\r\n\n"
        for name, text in GOOD.items()
    }
    other = _read(tmp_path / "b", **windows)
    assert other.examples == plain.examples
    assert other.problems == ()


@pytest.mark.parametrize("ignore", ["", ",", ",i.png"])
def test_commas_in_names(tmp_path: Path, ignore: str) -> None:
    split = _read(
        tmp_path,
        image_ids="a,1,2.jpg\na\n",
        class_labels="a,1,2.jpg,0\na,1\n",
        image_sizes="",
        localization=f"a,1,2.jpg,m.png{ignore}\na,n.png,\n",
    )
    assert reasons(split) == []
    assert [example.masks for example in split.examples] == [("m.png",), ("n.png",)]
    assert split.examples[0].ignore == (ignore.removeprefix(",") or None)


@pytest.mark.parametrize(
    ("table", "content", "reason", "left"),
    [
        (IDS, "a.jpg\nb.jpg\na.jpg\n", "ids.txt, line 3: a.jpg stands in line 1 already", "ab"),
        (IDS, "a.jpg\nb.jpg\n/etc/x.jpg\n", "ids.txt, line 3: the path '/etc/x.jpg' is absolute", "ab"),
        (IDS, "a.jpg\nb.jpg\nC:\\x.jpg\n", "ids.txt, line 3: the path 'C:\\\\x.jpg' has a back", "ab"),
        (IDS, "a.jpg\nb.jpg\nC:x.jpg\n", "ids.txt, line 3: the path 'C:x.jpg' is absolute", "ab"),
        (IDS, "a.jpg\nb.jpg\nx/../../y.jpg\n", "ids.txt, line 3: the path 'x/../../y.jpg' climbs", "ab"),
        (IDS, "a.jpg\nb.jpg\n./c.jpg\n", "ids.txt, line 3: write the path './c.jpg' as", "ab"),
        (IDS, "a.jpg\nb.jpg\nc\0.jpg\n", "ids.txt, line 3: the path 'c\\x00.jpg' has a control", "ab"),
        (LABELS, "a.jpg,x\nb.jpg,1\n", "labels.txt, line 1: a.jpg: the label 'x' is not a whole number", "b"),
        (LABELS, "a.jpg,0.0\nb.jpg,1\n", "labels.txt, line 1: a.jpg: the label '0.0' is not a whole", "b"),
        (LABELS, "a.jpg,-1\nb.jpg,1\n", "labels.txt, line 1: a.jpg: the label -1 is negative", "b"),
        (LABELS, "a.jpg,0\nb.jpg,2\n", "labels.txt, line 2: b.jpg: the label 2 is out of range: there", "a"),
        (LABELS, "b.jpg,1\n", "labels.txt: a.jpg (line 1 of image_ids.txt) has no label", "b"),
        (LABELS, "a.jpg,0\nb.jpg,1\nc.jpg,1\n", "labels.txt, line 3: c.jpg is not in image_ids", "ab"),
        (LABELS, "a.jpg,0\nb.jpg,1\nb.jpg,0\n", "labels.txt, line 3: the label 0 of b.jpg contra", "a"),
        (LABELS, "a.jpg,0\nb.jpg,1\nword\n", "labels.txt, line 3: path,label expected, got 'word'", "ab"),
        (SIZES, "a.jpg,40\nb.jpg,20,10\n", "sizes.txt, line 1: path,width,height expected", "b"),
        (SIZES, "a.jpg,0,9\nb.jpg,20,10\n", "sizes.txt, line 1: '0,9' is not width,height", "b"),
        (SIZES, "a.jpg,40,30\n", "sizes.txt: b.jpg has no size, others have", "ab"),
        (SIZES, "a.jpg,40,30\na.jpg,30,40\nb.jpg,20,10", "line 2: a.jpg has another size", "b"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,0,0,20\n", "line 2: path,x0,y0,x1,y1 with four numbers", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,0,0,20,x\n", "line 2: path,x0,y0,x1,y1 with four numbers", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,0,0,20,5,6\n", "line 2: path,x0,y0,x1,y1 expected", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,0,0,nan,5\n", "line 2: b.jpg: the box (0, 0, nan, 5) is not fin", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,0,0,1e9,5\n", "line 2: b.jpg: the box (0, 0, 1e+09, 5) is no b", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,5,0,5,5\n", "line 2: b.jpg: the box (5, 0, 5, 5) is empty", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,20,0,30,5\n", "lies outside the frame, 20 × 10", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,0,0,21,5\n", "reaches out of the frame, 20 × 10; it is kept", "ab"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,-1,0,9,5\n", "starts outside the frame, 20 × 10: ", "a"),
        (TRUTH, "a.jpg,1,2,3,4\nb.jpg,0,-0.02,9,99\n", "starts outside the frame, 20 × 10: ", "a"),
        (TRUTH, "a.jpg,1,2,3,4\n", "ids.txt, line 2: b.jpg: the picture has no box, others have", "a"),
        (
            TRUTH,
            "a.jpg,1,2,3,4\nb.jpg,0,0,9,9\nc.jpg,0,0,9,9\n",
            "localization.txt, line 3: c.jpg is not in image_ids.txt",
            "ab",
        ),
        (
            TRUTH,
            "a.jpg,1,2,3,4\nb.jpg,0,0,9,9\nb.jpg,b.png,\n",
            "localization.txt, line 3: path,x0,y0,x1,y1 with four numbers expected, got 'b.jpg,b.png,'",
            "a",
        ),
        (TRUTH, "a.jpg,a.png,\nb.jpg,1,2,3\n", "line 2: path,mask,ignore expected as in most", "a"),
        (TRUTH, "a.jpg,a.png,\na.jpg,c.png\nb.jpg,1,2,3,4\n", "line 3: path,mask,ignore expected", "a"),
        (TRUTH, "a.jpg,a.png,\nb.jpg,../b.png,\n", "line 2: b.jpg: the path '../b.png' climbs", "a"),
        (TRUTH, "a.jpg,a.png,\nb.jpg,b.png,/i.png\n", "line 2: b.jpg: the path '/i.png' is absol", "a"),
        (TRUTH, "a.jpg,a.png,\nb.jpg,,i.png\n", "line 2: path,mask,ignore expected as in most", "a"),
        (TRUTH, "a.jpg,a.png,i\na.jpg,c.png,j\nb.jpg,b.png,", "line 2: a.jpg has another ignore", "b"),
        (TRUTH, "a.jpg,a.png,\nb.jpg,b.png,\nc.jpg,c.png,\n", "line 3: c.jpg is not in image_ids", "ab"),
        (TRUTH, "a.jpg,a.png,\n", "ids.txt, line 2: b.jpg: the picture has no mask, others have", "a"),
        (TRUTH, "a.jpg,.1,.1,.9,.9\nb.jpg,0,0,1,1\n", "all boxes lie within 0…1", "ab"),
        (TRUTH, "", "localization.txt: it is empty: nothing can be localized", "ab"),
    ],
)  # fmt: skip
def test_a_bad_row_is_a_problem(tmp_path: Path, table: str, content: str, reason: str, left: str) -> None:
    write(tmp_path, {"classes.txt": "one\ntwo\n"})
    split = _read(tmp_path, **{table: content})
    found = [problem for problem in split.problems if reason in str(problem)]
    assert found, reasons(split)
    assert all(problem.where.startswith("metadata/test/") for problem in split.problems)
    assert _left(split) == [f"{letter}.jpg" for letter in left]
    gone = {"a.jpg", "b.jpg"} - set(_left(split))
    assert gone <= {problem.id for problem in split.problems}
    assert (found[0].id is not None) == (bool(gone) or "the path" in reason)


def test_a_box_up_to_the_edge_and_rounded_decimals_are_well(tmp_path: Path) -> None:
    split = _read(tmp_path, localization="a.jpg,0,0,40,30\nb.jpg,0,0,20.001,10\n")
    assert split.problems == ()


def test_train_needs_no_truth_but_val_needs_the_table(tmp_path: Path) -> None:
    few = {IDS: GOOD[IDS], LABELS: GOOD[LABELS]}
    official(tmp_path, "train", **few)
    official(tmp_path, "val", **few)
    data = open_data(tmp_path)
    assert data.split("train").truth == "none"
    assert data.split("train").examples[0].size is None
    with pytest.raises(DataError, match=r"val/localization.txt: missing"):
        data.split("val")


def test_train_may_have_few_boxes(tmp_path: Path) -> None:
    official(tmp_path, "train", **{**GOOD, "localization": "a.jpg,1,2,3,4\n"})
    split = open_data(tmp_path).split("train")
    assert (split.truth, len(split.examples), split.problems) == ("boxes", 2, ())


def test_the_small_training_set_of_imagenet(tmp_path: Path) -> None:
    official(tmp_path, "train", **GOOD, image_ids_proxy="b.jpg\n")
    data = open_data(tmp_path)
    assert list(data.tables) == ["train"]
    split = data.split("train-proxy")
    assert [(example.id, example.label, example.where) for example in split.examples] == [
        ("b.jpg", 1, "metadata/train/image_ids_proxy.txt, line 1")
    ]
    assert split.problems == ()


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"image_ids": "\n\n"}, r"test/image_ids.txt: it lists no image"),
        ({"class_labels": "a.jpg,x\nb.jpg,x\n"}, r"no picture is listed"),
        (
            {"localization": "a.jpg,3,3,3,3\nb.jpg,3,3,3,3\n"},
            r"none of 2 pictures is usable .*\n.*line 1",
        ),
        ({"image_ids": b"a.jpg\n\xff.jpg\n"}, r"image_ids.txt, line 2: not UTF-8 text"),
        ({"class_labels": b"a.jpg,0\n\xff,1\n"}, r"class_labels.txt, line 2: not UTF-8 text"),
    ],
)
def test_fatal(tmp_path: Path, tables: dict[str, str | bytes], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        _read(tmp_path, **tables)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    official(tmp_path, image_ids=GOOD["image_ids"])
    with pytest.raises(DataError, match=r"test/class_labels.txt: missing"):
        open_data(tmp_path).split("test")
    official(tmp_path, "val", class_labels=GOOD["class_labels"])
    with pytest.raises(DataError, match=r"val/image_ids.txt: missing"):
        open_data(tmp_path).split("val")


@real_sets
def test_real_sets(name: str, metadata: str) -> None:
    data = open_data(real(name), metadata=metadata)
    sizes = {"butterfly10": (494, 163, 165), "sysu5": (922, 307, 310)}[name]
    for split, size in zip(("train", "val", "test"), sizes, strict=True):
        found = data.split(split)
        assert (len(found.examples), found.problems) == (size, ())
        assert found.truth == ("masks" if metadata == "metadata-masks" else "boxes")
