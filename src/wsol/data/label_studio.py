"""Label Studio's export ("JSON", https://labelstud.io/guide/export): corrected boxes come back, read as COCO.

Of each task the last annotation that was not cancelled counts; predictions are nobody's truth and do not.
Rectangles give their boxes, turned ones and polygons their extents. A picture is called by what stands behind
``?d=`` in its address (a local storage), else by its path in the store, else by the name it was uploaded
under.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, TypeGuard
from urllib.parse import parse_qs, unquote, urlsplit

MAX_SIDE = 1_000_000
"""Of a picture, and more than any percentage; also keeps out what is not finite."""

_UPLOADED = re.compile(r"^/?data/upload/(?:[0-9]+/)?(?:[0-9a-f]{8}-)?")


def to_coco(tasks: list[Any]) -> dict[str, Any]:
    """The tasks as a COCO data set; one that is none becomes an image that is none, under the same number.

    Categories are the labels that occur, in alphabetical order.
    """
    found = [list(_regions(task)) for task in tasks]
    names = sorted({label for regions in found for label, _, _ in regions})
    ids = {name: number for number, name in enumerate(names, start=1)}
    annotations = [
        {"image_id": number, "category_id": ids[label], "bbox": bbox}
        for number, regions in enumerate(found)
        for label, bbox, _ in regions
    ]
    images = [
        {"id": number, "file_name": _file_name(task), **(regions[0][2] if regions else {})}
        for number, (task, regions) in enumerate(zip(tasks, found, strict=True))
    ]
    categories = [{"id": id, "name": name} for name, id in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _file_name(task: Any) -> str | None:  # noqa: ANN401 - checked here
    data = task.get("data") if isinstance(task, dict) else None
    texts = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    address = data.get("image", texts[0] if texts else None) if isinstance(data, dict) else None
    if not isinstance(address, str):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    local = parse_qs(parts.query).get("d")
    if local:
        return local[0]
    path = unquote(parts.path)
    return _UPLOADED.sub("", path).lstrip("/") if parts.scheme or path.startswith("/") else path


def _regions(task: Any) -> Iterator[tuple[str, list[float], dict[str, int]]]:  # noqa: ANN401
    """Label, x, y, width and height in pixels, and the picture's size, of each object of a task."""
    annotations = task.get("annotations") if isinstance(task, dict) else None
    for annotation in reversed(annotations if isinstance(annotations, list) else []):
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        regions = annotation.get("result")
        for region in regions if isinstance(regions, list) else ():
            if isinstance(region, dict) and (read := _region(region)):
                yield read
        return


def _region(region: dict[str, Any]) -> tuple[str, list[float], dict[str, int]] | None:
    value = region.get("value")
    width, height = region.get("original_width"), region.get("original_height")
    if not isinstance(value, dict) or not isinstance(width, int) or not isinstance(height, int):
        return None
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        return None
    labels = value.get(str(region.get("type")))
    if not isinstance(labels, list) or not labels or not isinstance(labels[0], str):
        return None
    corners = [(x * width / 100, y * height / 100) for x, y in _points(value, width / height)]
    if not corners:
        return None
    (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in zip(*corners, strict=True))
    bbox = [round(each, 3) for each in (x0, y0, x1 - x0, y1 - y0)]
    return labels[0], bbox, {"width": width, "height": height}


def _points(value: dict[str, Any], aspect: float) -> list[tuple[float, float]]:
    """Corners in percent of the picture; none if the region has no such form."""
    points = value.get("points")
    if isinstance(points, list):
        pairs = [point for point in points if isinstance(point, list) and len(point) == 2]
        return [(x, y) for x, y in pairs if _is_number(x) and _is_number(y)]
    x, y, width, height = (value.get(name) for name in ("x", "y", "width", "height"))
    if not (_is_number(x) and _is_number(y) and _is_number(width) and _is_number(height)):
        return []
    turn = value.get("rotation") or 0
    if not turn or not _is_number(turn):
        return [(x, y), (x + width, y + height)]
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    sides = ((0, 0), (width, 0), (0, height), (width, height))  # percents of unequal lengths
    return [(x + cos * a - sin * b / aspect, y + sin * a * aspect + cos * b) for a, b in sides]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_SIDE
