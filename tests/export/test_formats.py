"""Every format, read back by a program that is not ours."""

import csv
import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
import supervision as sv
import yaml
from defusedxml import ElementTree
from PIL import Image
from pycocotools.coco import COCO

from wsol.export import (
    write_coco,
    write_csv,
    write_label_studio,
    write_masks,
    write_review,
    write_voc,
    write_yolo,
)
from wsol.inference.localization import Localization

from .conftest import CLASSES, OnDisk, boxes, labels, make, masks, scores

UNIQUE = [f"{index} {name}" for index, name in enumerate(CLASSES)]
OUTPUTS = ["birds/a.jpg", "birds/a.png", "empty", 'Über <&>\x01/it\'s, "so"\n100% \udcff.v2', "image_000004"]
OUTPUTS += ["deep/er/still/b"]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def named(names: list[str], suffix: str) -> set[str]:
    return {f"{name}.{suffix}" for name in names}


def assert_detections(found: sv.Detections, result: Localization, classes: list[int]) -> None:
    assert np.rint(found.xyxy).astype(int).tolist() == boxes(result)
    assert found.xyxy == pytest.approx(np.array(boxes(result)).reshape(-1, 4), abs=1e-3)
    assert found.class_id is not None
    assert found.class_id.tolist() == classes


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' decode
def test_coco(results: OnDisk, tmp_path: Path) -> None:
    write_coco(results, tmp_path / "coco.json", classes=CLASSES)
    coco = COCO(tmp_path / "coco.json")
    assert coco.dataset["info"]["version"]
    assert coco.dataset["licenses"] == []
    assert [category["name"] for category in coco.loadCats(range(1, len(CLASSES) + 1))] == [
        *("crane (0)", "dog", "crane (2)"),
        *CLASSES[3:],
    ]
    assert [image["id"] for image in coco.dataset["images"]] == [1, 2, 3, 4, 5, 6]
    annotations = coco.dataset["annotations"]
    assert [annotation["id"] for annotation in annotations] == list(range(1, len(annotations) + 1))
    read = coco.loadRes(deepcopy(annotations))  # which it changes
    for image_id, result in enumerate(results, start=1):
        image = coco.imgs[image_id]
        assert (image["height"], image["width"]) == result.size
        assert image["uncertainty"] == result.uncertainty
        found = coco.loadAnns(coco.getAnnIds(image_id))
        corners = [[x, y, x + width, y + height] for x, y, width, height in (a["bbox"] for a in found)]
        assert corners == boxes(result)
        assert [annotation["category_id"] - 1 for annotation in found] == labels(result)
        again = read.loadAnns(read.getAnnIds(image_id))
        for annotation, score, mask in zip(found, scores(result), masks(result), strict=True):
            assert annotation["score"] == score
            assert annotation["iscrowd"] == 0
            assert annotation["area"] == mask.sum()
            np.testing.assert_array_equal(coco.annToMask(annotation), mask)
        assert [annotation["score"] for annotation in again] == scores(result)


def test_coco_in_supervision(flat: list[Localization], root: Path, tmp_path: Path) -> None:
    write_coco(flat, tmp_path / "coco.json", classes=UNIQUE)
    read = sv.DetectionDataset.from_coco(str(root), str(tmp_path / "coco.json"))
    assert read.classes == UNIQUE
    for result in flat:
        found = read.annotations[str(result.path)]
        assert_detections(found, result, labels(result))
        if boxes(result):
            np.testing.assert_array_equal(found.mask, masks(result))


def parse_yolo(text: str, size: tuple[int, int]) -> tuple[list[int], list[list[int]]]:
    rows = np.array([line.split() for line in text.splitlines()], float).reshape(-1, 5)
    centre, extent, scale = rows[:, 1:3], rows[:, 3:5], np.array(size[::-1])
    corners = np.concatenate([(centre - extent / 2) * scale, (centre + extent / 2) * scale], axis=1)
    assert abs(corners - np.rint(corners)).max(initial=0) < 1e-3
    return rows[:, 0].astype(int).tolist(), np.rint(corners).astype(int).tolist()


def test_yolo(results: OnDisk, tmp_path: Path) -> None:
    write_yolo(results, tmp_path, classes=CLASSES)
    assert files(tmp_path) == {f"labels/{name}" for name in named(OUTPUTS, "txt")} | {"data.yaml"}
    for output, result in zip(OUTPUTS, results, strict=True):
        text = (tmp_path / "labels" / f"{output}.txt").read_text()
        assert parse_yolo(text, result.size) == (labels(result), boxes(result))
    data = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    assert data == {
        "train": "images",
        "val": "images",
        "nc": len(CLASSES),
        "names": dict(enumerate(CLASSES)),
    }


def test_yolo_digits_of_a_huge_photograph(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    size = (13477, 20000)
    corners = np.sort(generator.integers(0, (19999, 13476), (500, 2, 2)), axis=1).reshape(-1, 4)
    corners[:, 2:] += 1
    found = replace(make(Image.new("RGB", (1, 1)), size), boxes=corners, scores=np.ones(500))
    write_yolo([found], tmp_path, classes=CLASSES)
    assert parse_yolo((tmp_path / "labels/image_000000.txt").read_text(), size)[1] == corners.tolist()


def test_yolo_in_supervision(flat: list[Localization], root: Path, tmp_path: Path) -> None:
    write_yolo(flat, tmp_path, classes=CLASSES)
    read = sv.DetectionDataset.from_yolo(str(root), str(tmp_path / "labels"), str(tmp_path / "data.yaml"))
    assert read.classes == CLASSES
    for result in flat:
        assert_detections(read.annotations[str(result.path)], result, labels(result))


def test_voc(results: OnDisk, tmp_path: Path) -> None:
    write_voc(results, tmp_path, classes=CLASSES)
    assert files(tmp_path) == {f"Annotations/{name}" for name in named(OUTPUTS, "xml")}
    for output, result in zip(OUTPUTS, results, strict=True):
        xml = ElementTree.parse(tmp_path / "Annotations" / f"{output}.xml").getroot()
        size = {child.tag: int(child.text) for child in xml.find("size")}
        assert size == {"height": result.size[0], "width": result.size[1], "depth": 3}
        objects = xml.findall("object")
        assert {thing.findtext("difficult") for thing in objects} <= {"0"}
        expected = [
            CLASSES[index].translate(dict.fromkeys([0, 11, 0xFFFE], "\ufffd")) for index in labels(result)
        ]
        assert [thing.findtext("name") for thing in objects] == expected
        corners = [
            [int(thing.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax")]
            for thing in objects
        ]
        assert [[x0 - 1, y0 - 1, x1, y1] for x0, y0, x1, y1 in corners] == boxes(result)
    hostile = ElementTree.parse(tmp_path / "Annotations" / f"{OUTPUTS[3]}.xml").getroot()
    assert hostile.findtext("folder") == "Über <&>\ufffd"
    assert hostile.findtext("filename") == 'it\'s, "so"\n100% \ufffd.v2.jpeg'


def test_voc_in_supervision(flat: list[Localization], root: Path, tmp_path: Path) -> None:
    write_voc(flat, tmp_path, classes=CLASSES)
    read = sv.DetectionDataset.from_pascal_voc(str(root), str(tmp_path / "Annotations"))
    for result in flat:
        classes = [read.classes.index(CLASSES[index]) for index in labels(result)]
        assert_detections(read.annotations[str(result.path)], result, classes)


def test_label_studio(results: OnDisk, tmp_path: Path) -> None:
    write_label_studio(results, tmp_path / "tasks.json", classes=CLASSES, image_prefix="/p?d=")
    tasks: list[dict[str, Any]] = json.loads((tmp_path / "tasks.json").read_text())
    names = [unquote_to_bytes(task["data"]["image"]) for task in tasks]
    assert names[:2] == [b"/p?d=birds/a.jpg", b"/p?d=birds/a.png"]
    assert names[3] == '/p?d=Über <&>\x01/it\'s, "so"\n100% '.encode() + b"\xff.v2.jpeg"
    assert all(set(task["data"]["image"][5:]) <= set(URL_SAFE) for task in tasks)
    text = (tmp_path / "label_studio_config.xml").read_text(encoding="utf-8")
    assert text.startswith("<View>")  # Label Studio refuses a declaration
    config = ElementTree.fromstring(text)
    values = [label.get("value") for label in config.findall("RectangleLabels/Label")]
    used: set[str] = set()
    for task, result in zip(tasks, results, strict=True):
        (prediction,) = task["predictions"]
        assert prediction["model_version"].startswith("wsol ")
        assert prediction["score"] == 1 - result.uncertainty
        regions = prediction["result"]
        assert len({region["id"] for region in regions}) == len(regions)
        assert [region["score"] for region in regions] == scores(result)
        assert [label_studio_box(region) for region in regions] == boxes(result)
        for region, index in zip(regions, labels(result), strict=True):
            assert (region["original_height"], region["original_width"]) == result.size
            assert region["type"] == "rectanglelabels"
            assert region["image_rotation"] == region["value"]["rotation"] == 0
            assert (region["from_name"], region["to_name"]) == ("label", "image")
            (label,) = region["value"]["rectanglelabels"]
            assert label == CLASSES[index].translate(dict.fromkeys([0, 11, 0xFFFE], "\ufffd"))
            used.add(label)
    assert sorted(used) == values
    assert config.find("Image").attrib == {"name": "image", "value": "$image"}
    assert config.find("RectangleLabels").attrib == {"name": "label", "toName": "image"}


URL_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%/"


def label_studio_box(region: dict[str, Any]) -> list[int]:
    """Label Studio's own conversion: percent · original size / 100."""
    value, width, height = region["value"], region["original_width"], region["original_height"]
    x, y = value["x"] * width / 100, value["y"] * height / 100
    box = [x, y, x + value["width"] * width / 100, y + value["height"] * height / 100]
    assert box == pytest.approx(np.rint(box).tolist())
    return [round(edge) for edge in box]


def test_csv(results: OnDisk, tmp_path: Path) -> None:
    write_csv(results, tmp_path / "boxes.csv", classes=CLASSES)
    with (tmp_path / "boxes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        ",".join(rows[0]) == "image,width,height,label,class_index,probability,x0,y0,x1,y1,score,uncertainty"
    )
    assert [row["image"] for row in rows] == [
        *["birds/a.jpg"] * 3,
        "birds/a.png",
        "empty.jpg",
        'Über <&>\x01/it\'s, "so"\n100% \\udcff.v2.jpeg',
        "image_000004",
        *["deep/er/still/b.tif"] * 2,
    ]
    expected = []
    for result in results:
        for found in result if boxes(result) else [result]:
            height, width = found.size
            about = [width, height, found.label, found.class_index, found.probability]
            for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
                expected.append([*map(str, [*about, *box, score, found.uncertainty])])
            if not boxes(result):
                expected.append([*map(str, about), *[""] * 5, str(found.uncertainty)])
    assert [list(row.values())[1:] for row in rows] == expected


def sure(path: Path, probability: float, agreement: float) -> Localization:
    """A box, and how sure it is."""
    return replace(make(path, (20, 24), (4, 4, 12, 12)), probability=probability, agreement=agreement)


def test_what_to_look_at_first(root: Path, tmp_path: Path) -> None:
    found = [
        sure(root / "clear.jpg", 0.9, 1),
        sure(root / "vague.jpg", 0.9, 0.75),
        make(root / "nothing.jpg", (30, 40)),
        sure(root / "other class.jpg", 0.4, 1),
    ]
    assert [result.uncertainty for result in found] == pytest.approx([0.1, 0.325, 1, 0.6])
    write_review(OnDisk(found), tmp_path / "review.csv", classes=CLASSES)
    with (tmp_path / "review.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    order = ["nothing.jpg", "other class.jpg", "vague.jpg", "clear.jpg"]
    assert [row["image"] for row in rows] == order
    assert [float(row["uncertainty"]) for row in rows] == pytest.approx([1, 0.6, 0.325, 0.1])
    assert (rows[2]["label"], float(rows[2]["agreement"]), rows[0]["boxes"]) == ("crane", 0.75, "0")
    write_label_studio(OnDisk(found), tmp_path / "tasks.json", classes=CLASSES, image_prefix="/?d=")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [f"/?d={name.replace(' ', '%20')}" for name in order]


def test_masks(results: OnDisk, tmp_path: Path) -> None:
    write_masks(results, tmp_path, classes=CLASSES)
    assert files(tmp_path) == named([*OUTPUTS, "birds/a.jpg.2", "birds/a.jpg.3"], "png")
    for output, result in zip(OUTPUTS, results, strict=True):
        for rank, found in enumerate(result, start=1):
            name = f"{output}.png" if rank == 1 else f"{output}.{rank}.png"
            with Image.open(tmp_path / name) as image:
                assert image.mode == "L"
                assert image.size == found.size[::-1]
                np.testing.assert_array_equal(np.asarray(image), np.where(found.mask, 255, 0))
