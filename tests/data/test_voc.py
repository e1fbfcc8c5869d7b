"""Pascal VOC: annotations worked by hand, and the inverse of what is exported."""

from pathlib import Path

import pytest

from tests.data.sets import reasons, write
from wsol.data.dataset import Example, Split, open_data
from wsol.errors import DataError


def _object(name: str, *corners: object) -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=False)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"


def _annotation(file_name: str, *objects: str, size: str = "<width>40</width><height>30</height>") -> str:
    head = f"<filename>{file_name}</filename><size>{size}</size>"
    return f"<annotation><folder>VOC2007</folder>{head}{''.join(objects)}</annotation>"


def _read(folder: Path, **annotations: str | bytes) -> Split:
    files = {f"Annotations/{name}.xml": text for name, text in annotations.items()}
    good = {"Annotations/good.xml": _annotation("good.jpg", _object("ant", 1, 1, 40, 30))}
    return open_data(write(folder, {**good, **files})).split("test")


def test_boxes_count_from_one_and_include_the_last_pixel(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "Annotations/000001.xml": _annotation(
                "000001.jpg",
                _object("bee", 1, 1, 40, 30),
                "<object><name>bee</name><part><bndbox><xmin>1</xmin></bndbox></part></object>",
                _object("bee", "48.5", 3, "50.25", 4),
                size="<width>0</width><height>0</height>",
            ),
            "Annotations/x/b.xml": _annotation("b.png", _object("ant", 2, 3, 2, 3)),
            "Annotations/c.xml": "<annotation><filename>c.jpg</filename><label>ant</label></annotation>",
            "ImageSets/Main/train.txt": "c\r\n",
            "ImageSets/Main/test.txt": "x/b\n000001\n\n",
        },
    )
    data = open_data(tmp_path)
    assert (data.classes, list(data.tables)) == (("ant", "bee"), ["train", "test"])
    split = data.split("test")
    assert split.examples == (
        Example("x/b.png", 0, (30, 40), ((1, 2, 2, 3),), where="Annotations/x/b.xml"),
        Example("000001.jpg", 1, None, ((0, 0, 40, 30), (47.5, 2, 50.25, 4)), where="Annotations/000001.xml"),
    )
    assert split.problems == ()
    assert data.split("train").examples == (Example("c.jpg", 0, where="Annotations/c.xml"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotation>\n<x></annotation>", "Annotations/b.xml: line 2: not XML: mismatched tag"),
        ("", "Annotations/b.xml: line 1: not XML: no element found"),
        (b"<?xml version='1.0' encoding='utf-8'?><annotation>\xff</annotation>", "b.xml: line 1: not XML"),
        ("<?xml version='1.0' encoding='klingon'?><a/>", "b.xml: not XML: unknown encoding"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "b.xml: refused: EntitiesForbidden"),
        ("<html/>", "b.xml: an element 'annotation' is needed, got 'html'"),
        ("<annotation/>", "b.xml: no filename"),
        (_annotation("b.jpg"), "b.xml: no object, so its class is not known"),
        (
            _annotation("b.jpg", _object("ant", 1, 1, 2, 2), _object("bee", 1, 1, 2, 2)),
            "2 classes (ant, bee)",
        ),
        (_annotation("../b.jpg", _object("ant", 1, 1, 2, 2)), "b.xml: the path '../b.jpg' climbs"),
        (_annotation("b.jpg", _object("ant", 1, 1, 2)), "b.xml: a bndbox needs numbers xmin"),
        (_annotation("b.jpg", _object("ant", 1, 1, 2, "x")), "b.xml: a bndbox needs numbers xmin"),
        (_annotation("b.jpg", _object("ant", 1, 1, 2, "nan")), "b.jpg: the box (0, 0, 2, nan) is not finite"),
        (_annotation("b.jpg", _object("ant", 1, 1, 2, "1e999999999")), "b.jpg: the box (0, 0, 2, inf)"),
        (_annotation("b.jpg", _object("ant", 3, 1, 2, 2)), "b.jpg: the box (2, 0, 2, 2) is empty"),
        (_annotation("b.jpg", _object("ant", 41, 1, 50, 2)), "b.jpg: the box (40, 0, 50, 2) lies outside"),
        (_annotation("b.jpg", _object("ant", 1, 1, 2, 2), size="<width>-1</width>"), "b.xml: width '-1'"),
        (
            _annotation("good.jpg", _object("ant", 1, 1, 2, 2)),
            "good.jpg is named by Annotations/b.xml already",
        ),
    ],
)
def test_a_bad_annotation_is_a_problem(tmp_path: Path, text: str | bytes, reason: str) -> None:
    write(
        tmp_path,
        {
            "classes.txt": "ant\nbee\n",
            "Annotations/ok.xml": _annotation("ok.jpg", _object("bee", 1, 1, 2, 2)),
        },
    )
    split = _read(tmp_path, b=text)
    assert any(reason in text for text in reasons(split)), reasons(split)
    assert "b.jpg" not in [example.id for example in split.examples]


def test_a_class_that_is_not_listed(tmp_path: Path) -> None:
    write(tmp_path, {"classes.txt": "ant\n"})
    split = _read(tmp_path, b=_annotation("b.jpg", _object("bee", 1, 1, 2, 2)))
    assert reasons(split) == ["Annotations/b.xml: the class 'bee' is not in classes.txt"]


def test_lists_with_faults(tmp_path: Path) -> None:
    write(tmp_path, {"ImageSets/Main/test.txt": "good\nnowhere\n../good\ngood\n" + "x" * 300})
    split = _read(tmp_path)
    found = "\n".join(reasons(split))
    assert "ImageSets/Main/test.txt, line 2: " in found
    assert "nowhere.xml: No such file" in found
    assert "line 3: the path '../good' climbs out" in found
    assert "line 4: good stands in line 1 already" in found
    assert "too long" in found
    assert [example.id for example in split.examples] == ["good.jpg"]


def test_nothing_usable(tmp_path: Path) -> None:
    write(tmp_path, {"Annotations/a.xml": "<annotation>", "ImageSets/Main/val.txt": "a\n"})
    with pytest.raises(DataError, match=r"(?s)no picture is listed.*a.xml: line 1: not XML"):
        open_data(tmp_path).split("val")
