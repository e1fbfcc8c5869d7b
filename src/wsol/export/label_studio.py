"""Label Studio: tasks with predictions to correct by hand, and the labelling configuration for them."""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from wsol.export.files import atomic_write, write_json_array, write_xml, xml_text
from wsol.export.names import common_root, image_names
from wsol.inference.localization import Localization

MANY = 100
"""Labels that an interface shows without asking for patience."""


def write_label_studio(
    results: Collection[Localization],
    path: Path,
    *,
    classes: Sequence[str],
    root: Path | None = None,
    image_prefix: str | None = None,
    reviewed: bool = False,
) -> None:
    """Write tasks (https://labelstud.io/guide/predictions) and ``label_studio_config.xml`` beside them.

    The most uncertain photograph is the first task; a prediction's score, by which Label Studio sorts, is
    1 − :attr:`Localization.uncertainty`.

    Args:
        results: iterated once, once more if ``root`` is ``None``.
        path: the JSON file.
        classes: names that a person can choose from; of more than :data:`MANY` only those that occur.
        root: folder that image addresses are relative to; by default the deepest that holds all images.
        image_prefix: what stands before an image's path, quoted for URLs, in ``data.image``. By default the
            address at which Label Studio serves the root as a local storage, ``LOCAL_FILES_DOCUMENT_ROOT``
            being the folder that holds the root.
        reviewed: a person has accepted the boxes: they are annotations, and not predictions to correct; the
            order is that of the results.

    Raises:
        ValueError: an image outside the root.
    """
    root = common_root(found.path for found in results if found.path is not None) if root is None else root
    if image_prefix is None:
        name = os.path.basename(os.path.abspath(root))  # noqa: PTH100, PTH119 - resolve() follows links
        folder = quote(os.fsencode(f"{name}/")) if name else ""
        image_prefix = f"/data/local-files/?d={folder}"
    labels = {xml_text(name) for name in classes} if len(classes) <= MANY else set()

    def tasks() -> Iterator[dict[str, Any]]:
        model = f"wsol {version('wsol')}"
        for name, result in image_names(results, root):
            labels.update(_label(found) for found in result if len(found.boxes))
            regions = [region for found in result for region in _regions(found)]
            prediction = {"model_version": model, "score": 1 - result.uncertainty, "result": regions}
            said = {"annotations": [{"result": regions}]} if reviewed else {"predictions": [prediction]}
            yield {"data": {"image": image_prefix + quote(os.fsencode(name))}, **said}

    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        write_json_array(file, tasks() if reviewed else _by_score(tasks()))
        file.write("\n")
    config = path.with_name("label_studio_config.xml")
    write_xml(_configuration(labels), config, declaration=False)  # with one, Label Studio refuses it


def _by_score(tasks: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tasks in the order of their scores, lowest first; they wait on disk."""
    places: list[tuple[float, int]] = []
    with TemporaryFile("w+b") as file:
        for task in tasks:
            places.append((task["predictions"][0]["score"], file.tell()))
            file.write(json.dumps(task).encode() + b"\n")
        for _, place in sorted(places):
            file.seek(place)
            yield json.loads(file.readline())


def _configuration(labels: set[str]) -> Element:
    view = Element("View")
    SubElement(view, "Image", name="image", value="$image")
    rectangles = SubElement(view, "RectangleLabels", name="label", toName="image")
    for label in sorted(labels):
        SubElement(rectangles, "Label", value=label)
    return view


def _label(found: Localization) -> str:
    return xml_text(found.label)  # in the tasks as the configuration has to write it


def _regions(found: Localization) -> Iterator[dict[str, Any]]:
    height, width = found.size
    boxes = zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
    for index, ((x0, y0, x1, y1), score) in enumerate(boxes):
        yield {
            "id": f"{found.class_index}-{index}",
            "type": "rectanglelabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": score,
            "value": {
                "x": 100 * x0 / width,
                "y": 100 * y0 / height,
                "width": 100 * (x1 - x0) / width,
                "height": 100 * (y1 - y0) / height,
                "rotation": 0,
                "rectanglelabels": [_label(found)],
            },
        }
