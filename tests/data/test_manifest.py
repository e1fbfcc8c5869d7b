"""CSV manifests: tables worked by hand."""

from pathlib import Path

import pytest

from tests.data.sets import reasons, write
from wsol.data.dataset import Example, open_data
from wsol.errors import DataError


def _open(folder: Path, text: str | bytes, name: str = "manifest.csv"):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return open_data(write(folder, {name: text}))


def test_a_row_a_box(tmp_path: Path) -> None:
    data = _open(
        tmp_path,
        "image,Label,split,x0,y0,x1,y1,width,height,remark\r\n"
        'x/a.jpg,bee,val,1,2,3.5,4,40,30,"first, of two"\r\n'
        "x/a.jpg,bee,val,5,6,7,8,,,second\r\n"
        "./b.jpg,ant,val,0,0,40,30,40,30\r\n"
        "c.jpg,bee,train,,,,,,,\r\n",
    )
    assert (data.classes, list(data.tables), data.images) == (("ant", "bee"), ["train", "val"], tmp_path)
    split = data.split("val")
    assert split.examples == (
        Example("x/a.jpg", 1, (30, 40), ((1, 2, 3.5, 4), (5, 6, 7, 8)), where="manifest.csv, line 2"),
        Example("b.jpg", 0, (30, 40), ((0, 0, 40, 30),), where="manifest.csv, line 4"),
    )
    assert split.problems == ()
    assert data.split("train").truth == "none"


def test_a_column_of_boxes(tmp_path: Path) -> None:
    split = _open(tmp_path, b"\xef\xbb\xbfimage,label,boxes\na.jpg,3,1 2 3 4; 5 6 7.5 8;\n").split("test")
    assert split.examples[0].boxes == ((1, 2, 3, 4), (5, 6, 7.5, 8))
    assert split.examples[0].label == 3  # all labels are whole numbers


def test_masks(tmp_path: Path) -> None:
    data = _open(tmp_path, "image,label,mask,ignore\na.jpg,x,m1.png,i.png\na.jpg,x,m2.png,\nb.jpg,x,n.png,\n")
    split = data.split("test")
    assert [(e.masks, e.ignore) for e in split.examples] == [
        (("m1.png", "m2.png"), "i.png"),
        (("n.png",), None),
    ]
    assert (split.truth, data.masks) == ("masks", tmp_path)


def test_lines_in_cells_count(tmp_path: Path) -> None:
    text = 'image,label,remark\na.jpg,x,"one\ntwo\u2028three"\nb.jpg,x,\n'
    assert [e.where for e in _open(tmp_path, text).split("test").examples] == [
        "manifest.csv, line 2",
        "manifest.csv, line 4",
    ]


def test_labels_by_classes_txt(tmp_path: Path) -> None:
    write(tmp_path, {"classes.txt": "wasp\nant\n7\n"})
    split = _open(tmp_path, "image,label\na.jpg,ant\nb.jpg,0\nc.jpg,7\nd.jpg,bee\ne.jpg,9\n").split("test")
    assert [(e.id, e.label) for e in split.examples] == [("a.jpg", 1), ("b.jpg", 0), ("c.jpg", 2)]
    assert reasons(split) == [
        "manifest.csv, line 5: d.jpg: the label 'bee' is none of the 3 classes, nor an index",
        "manifest.csv, line 6: e.jpg: the label 9 is out of range: there are 3 classes, 0 to 2",
    ]


def test_blanks_around_cells_count_for_nothing(tmp_path: Path) -> None:
    rows = " a.jpg,cat ,m.png ,\na.jpg\t,cat, n.png,i.png \nb.jpg, dog,m.png,\n , dog,m.png,\n"
    data = _open(tmp_path, f"image,label,mask,ignore\n{rows}")
    assert data.classes == ("cat", "dog")
    split = data.split("test")
    assert [(e.id, e.label, e.masks, e.ignore) for e in split.examples] == [
        ("a.jpg", 0, ("m.png", "n.png"), "i.png"),
        ("b.jpg", 1, ("m.png",), None),
    ]
    assert reasons(split) == ["manifest.csv, line 5: the path is empty"]


def test_blanks_around_sizes_and_names_of_classes(tmp_path: Path) -> None:
    write(tmp_path, {"classes.txt": "ant\ncat \n"})
    split = _open(tmp_path, "image,label,width,height\na.jpg,cat,40 , 30\nb.jpg,1, ,\n").split("test")
    assert [(e.label, e.size) for e in split.examples] == [(1, (30, 40)), (1, None)]


def test_class_names_that_are_there_twice(tmp_path: Path) -> None:
    write(tmp_path, {"classes.txt": "crane\ncrane\n"})
    split = _open(tmp_path, "image,label\na.jpg,1\nb.jpg,crane\n").split("test")
    assert [e.label for e in split.examples] == [1]
    assert "two classes are called 'crane': write the class's index" in reasons(split)[0]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("b.jpg,,1,2,3,4", "line 3: b.jpg: no label"),
        ("b.jpg,x,1,2,3", "line 3: b.jpg: a box needs four numbers x0 y0 x1 y1, got '1 2 3 '"),
        ("b.jpg,x,1,2,3,y", "line 3: b.jpg: a box needs four numbers x0 y0 x1 y1, got '1 2 3 y'"),
        ("b.jpg,x,1,2,3,inf", "line 3: b.jpg: the box (1, 2, 3, inf) is not finite"),
        ("b.jpg,x,3,2,3,4", "line 3: b.jpg: the box (3, 2, 3, 4) is empty"),
        ("b.jpg,x,-3,2,-1,4", "line 3: b.jpg: the box (-3, 2, -1, 4) lies outside the frame"),
        ("b.jpg,x,1,2,3,4,5", "line 3: b.jpg: more cells than the header has columns: '5'"),
        ("../b.jpg,x,1,2,3,4", "line 3: the path '../b.jpg' climbs out"),
        (",x,1,2,3,4", "line 3: the path is empty"),
        (
            "b.jpg,x,1,2,3,4\nb.jpg,z,1,2,3,4",
            "line 4: b.jpg: another label or size than in manifest.csv, line 3",
        ),
        ("b.jpg,x,,,,", "line 3: b.jpg: the picture has no box, others have"),
    ],
)
def test_a_bad_row_is_a_problem(tmp_path: Path, rows: str, reason: str) -> None:
    split = _open(tmp_path, f"image,label,x0,y0,x1,y1\na.jpg,x,1,2,3,4\n{rows}\n").split("test")
    assert any(reason in text for text in reasons(split)), reasons(split)
    assert [example.id for example in split.examples] == ["a.jpg"]


def test_boxes_and_masks_do_not_mix(tmp_path: Path) -> None:
    header = "image,label,boxes,mask,split\n"
    rows = "a.jpg,x,1 2 3 4,,val\nb.jpg,x,1 2 3 4,m.png,val\nc.jpg,x,,m.png,val\nd.jpg,x,1 2 3 4,,dev\n"
    split = _open(tmp_path, header + rows).split("val")
    assert [example.id for example in split.examples] == ["a.jpg"]
    found = "\n".join(reasons(split))
    assert "line 3: b.jpg: the picture has boxes and masks" in found
    assert "line 4: c.jpg: the picture has masks, most others have boxes" in found
    assert "line 5: the split 'dev' is none of train, val, test" in found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: no column image and label; the header is ''"),
        ("image;label\na.jpg;x\n", "line 1: no column image and label; the header is 'image;"),
        ("image,label,image\n", "line 1: the column image is there twice"),
        ('image,label\na.jpg,"x\n', "line 2: not CSV: unexpected end of data"),
        ("image,label\n" + "x" * 200_000 + ",1\n", "line 2: not CSV: field larger"),
        ("image,label,split\na.jpg,x,dev\n", "no row has the split train, val or test"),
        (b"image,label\n\xff,1\n", "line 2: not UTF-8"),
    ],
)
def test_fatal(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        _open(tmp_path, text)
    with pytest.raises(DataError, match=r"no picture is listed in split 'test'"):
        _open(tmp_path, "image,label\n").split("test")
