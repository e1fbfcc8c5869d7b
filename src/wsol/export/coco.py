"""COCO: one JSON data set with boxes, masks and scores."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from wsol.export.files import atomic_write, write_json_array
from wsol.export.names import image_names
from wsol.export.rle import area, encode, scaled_runs
from wsol.inference.localization import Localization
from wsol.models.classes import distinct


def write_coco(
    results: Collection[Localization], path: Path, *, classes: Sequence[str], root: Path | None = None
) -> None:
    """Write a COCO data set (https://cocodataset.org/#format-data) whose annotations also hold scores.

    Category ids are class indices + 1; names that several classes bear get their index. ``area`` is the
    mask's, in pixels; segmentations are compressed run lengths. Images hold their ``uncertainty``.

    Args:
        results: iterated twice, once more if ``root`` is ``None``.
        path: the JSON file.
        classes: names of all classes, in the order of the model's scores.
        root: folder that ``file_name`` is relative to; by default the deepest that holds all images.

    Raises:
        ValueError: an image outside the root.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        write_data_set(file, classes, _images(results, root), _annotations(results))


def write_data_set(
    file: TextIO,
    classes: Sequence[str],
    images: Iterable[dict[str, Any]],
    annotations: Iterable[dict[str, Any]],
) -> None:
    """Write a COCO data set of these parts, one after the other."""
    info = {"description": "Boxes and masks localized from class labels by wsol", "version": version("wsol")}
    file.write(f'{{"info": {json.dumps(info)},\n"licenses": [],\n"categories": ')
    write_json_array(file, ({"id": index + 1, "name": name} for index, name in enumerate(distinct(classes))))
    file.write(',\n"images": ')
    write_json_array(file, images)
    file.write(',\n"annotations": ')
    write_json_array(file, annotations)
    file.write("}\n")


def annotations_of(found: Localization) -> Iterator[dict[str, Any]]:
    """The boxes of one class in an image as COCO annotations, without ids, the best first."""
    boxes = zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
    for index, ((x0, y0, x1, y1), score) in enumerate(boxes, start=1):
        runs = scaled_runs(found.components == index, found.size)
        yield {
            "category_id": found.class_index + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": area(runs),
            "iscrowd": 0,
            "segmentation": encode(runs, found.size),
            "score": score,
        }


def _images(results: Collection[Localization], root: Path | None) -> Iterator[dict[str, Any]]:
    for image_id, (name, result) in enumerate(image_names(results, root), start=1):
        height, width = result.size
        size = {"width": width, "height": height}
        yield {"id": image_id, "file_name": name, **size, "uncertainty": result.uncertainty}


def _annotations(results: Collection[Localization]) -> Iterator[dict[str, Any]]:
    ids = count(1)
    for image_id, result in enumerate(results, start=1):
        for found in result:
            for annotation in annotations_of(found):
                yield {"id": next(ids), "image_id": image_id, **annotation}
