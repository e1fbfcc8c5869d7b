"""Label Studio's export ("JSON", https://labelstud.io/guide/export): corrected boxes come back, read as COCO.

Of each task the last annotation that was not cancelled counts; predictions are nobody's truth and do not.
Rectangles give their boxes, turned ones, polygons and ellipses their extents; brushes cannot be read. A
picture is called by what stands behind ``?d=`` in its address (a local storage), else by its path in the
store, else by the name it was uploaded under.
"""

import math
import re
import zlib
from collections.abc import Iterator
from typing import Any, TypeGuard
from urllib.parse import parse_qs, unquote, urlsplit

MAX_SIDE = 1_000_000
"""Of a picture, and more than any percentage; also keeps out what is not finite."""

_UPLOADED = re.compile(r"^/?data/upload/(?:[0-9]+/)?(?:[0-9a-f]{8}-)?")


def to_coco(tasks: list[Any]) -> dict[str, Any]:
    """The tasks as a COCO data set; one that is none becomes an image that is none, under the same number.

    An object that cannot be read becomes an annotation that cannot, which tells it. Category ids are
    checksums of names, the same in every export.
    """
    found = [list(_regions(task)) for task in tasks]
    annotations = [
        {"image_id": number, **region} for number, regions in enumerate(found) for region in regions
    ]
    names = sorted({region["name"] for regions in found for region in regions if "name" in region})
    images = []
    for number, (task, regions) in enumerate(zip(tasks, found, strict=True)):
        size = next(
            ({key: region[key] for key in ("width", "height")} for region in regions if "name" in region), {}
        )
        images.append({"id": number, "file_name": _file_name(task), **size})
    categories = [{"id": _id(name), "name": name} for name in names]
    return {"images": images, "annotations": annotations, "categories": categories}


def _id(name: str) -> int:
    return zlib.crc32(name.encode(errors="surrogatepass"))


def _file_name(task: Any) -> str | None:  # noqa: ANN401 - checked here
    data = task.get("data") if isinstance(task, dict) else None
    texts = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    address = data.get("image", texts[0] if len(texts) == 1 else None) if isinstance(data, dict) else None
    if not isinstance(address, str):
        return None
    if not (address.startswith("/") or "://" in address):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    local = parse_qs(parts.query, errors="surrogateescape").get("d")
    path = unquote(parts.path, errors="surrogateescape")
    return local[0] if local else _UPLOADED.sub("", path).lstrip("/")


def _regions(task: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """The objects of a task as parts of annotations, with the picture's size; also what cannot be read."""
    annotations = task.get("annotations") if isinstance(task, dict) else None
    for annotation in reversed(annotations if isinstance(annotations, list) else []):
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        regions = annotation.get("result")
        for region in regions if isinstance(regions, list) else ():
            if isinstance(region, dict) and str(region.get("type")).endswith("labels"):  # no text, no choice
                yield from _region(region) or [{"category_id": f"of {region['type']}, which cannot be read,"}]
        return


def _region(region: dict[str, Any]) -> list[dict[str, Any]]:
    """An annotation for each label of a region; none if it cannot be read."""
    value, width, height = (region.get(name) for name in ("value", "original_width", "original_height"))
    if not (isinstance(value, dict) and _is_number(width) and _is_number(height) and min(width, height) >= 1):
        return []
    labels = value.get(str(region["type"]))
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        return []
    corners = [(x * width / 100, y * height / 100) for x, y in _points(value, width / height)]
    if not corners:
        return []
    (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in zip(*corners, strict=True))
    bbox = [round(each, 3) for each in (x0, y0, x1 - x0, y1 - y0)]
    size = {"width": int(width), "height": int(height)}
    return [{"category_id": _id(label), "name": label, "bbox": bbox, **size} for label in labels]


def _points(value: dict[str, Any], aspect: float) -> list[tuple[float, float]]:
    """Corners of what encloses a region, in percent of the picture; none if it has no such form."""
    points = value.get("points")
    if isinstance(points, list):
        pairs = [point for point in points if isinstance(point, list) and len(point) == 2]
        read = [(x, y) for x, y in pairs if _is_number(x) and _is_number(y)]
        return read if len(read) == len(points) else []
    x, y, a, b = (value.get(name) for name in ("x", "y", "radiusX", "radiusY"))
    turn = value.get("rotation") or 0
    if not (_is_number(x) and _is_number(y) and _is_number(turn)):
        return []
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    if _is_number(a) and _is_number(b):  # about its middle; percents of unequal lengths
        far = math.hypot(a * cos, b * sin / aspect), math.hypot(a * sin * aspect, b * cos)
        return [(x - far[0], y - far[1]), (x + far[0], y + far[1])]
    width, height = value.get("width"), value.get("height")
    if not (_is_number(width) and _is_number(height)):
        return []
    sides = ((0, 0), (width, 0), (0, height), (width, height))  # turned about its first corner
    return [(x + cos * a - sin * b / aspect, y + sin * a * aspect + cos * b) for a, b in sides]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_SIDE
