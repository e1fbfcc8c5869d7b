"""A localization as JSON types, without loss: the line of a run's journal."""

import base64
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsol.data.images import MAX_PIXELS
from wsol.maps import MapKind
from wsol.typed import typed

if TYPE_CHECKING:
    from wsol.inference.localization import Localization

MANY = 1024
"""Positions above which a map is worth a shorter form."""


def to_dict(result: "Localization") -> dict[str, Any]:
    """See :meth:`wsol.Localization.to_dict`."""
    height, width = result.components.shape
    return {
        "path": None if result.path is None else str(result.path),
        "height": result.size[0],
        "width": result.size[1],
        "label": result.label,
        "class_index": result.class_index,
        "probability": result.probability,
        "boxes": result.boxes.tolist(),
        "scores": result.scores.tolist(),
        "frame": [height, width],
        "components": _text(zlib.compress(result.components.astype("<u2").tobytes(), 1)),
        "maps": {name: encode_map(values) for name, values in result.raw_maps.items()},
        "map_kind": result.map_kind,
        "test_time": result.test_time,
        "level": result.level,
        "agreement": result.agreement,
        "alternatives": [to_dict(other) for other in result.alternatives],
    }


def from_dict(values: dict[str, Any]) -> "Localization":
    """See :meth:`wsol.Localization.from_dict`."""
    from wsol.inference.localization import Localization

    record: _Record = typed(_Record, values, "the result")
    frame, count = record.frame, len(record.boxes)
    components = np.frombuffer(_inflate(record.components, 2 * frame[0] * frame[1]), "<u2")
    if components.size and components.max() > count:
        raise ValueError(f"components of {components.max()} boxes, there are {count}")
    return Localization(
        source=None if record.path is None else Path(record.path),
        size=(record.height, record.width),
        label=record.label,
        class_index=record.class_index,
        probability=record.probability,
        boxes=np.array(record.boxes, np.int64).reshape(-1, 4),
        scores=np.array(record.scores, np.float64),
        components=components.astype(np.uint16).reshape(frame),
        raw_maps={name: decode_map(encoded) for name, encoded in record.maps.items()},
        map_kind=record.map_kind,
        test_time=record.test_time,
        level=record.level,
        agreement=record.agreement,
        alternatives=tuple(from_dict(other) for other in record.alternatives),
    )


@dataclass(frozen=True, kw_only=True)
class _Record:
    """The keys of :func:`to_dict`."""

    path: str | None
    height: int
    width: int
    label: str
    class_index: int
    probability: float
    boxes: tuple[tuple[int, int, int, int], ...]
    scores: tuple[float, ...]
    frame: tuple[int, int]
    components: str
    maps: dict[str, dict[str, Any]]
    map_kind: MapKind
    test_time: str = ""
    level: int
    agreement: float
    alternatives: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        for name, sides in (("size", (self.height, self.width)), ("frame", self.frame)):
            if min(sides) < 1 or sides[0] * sides[1] > MAX_PIXELS:
                raise ValueError(f"{sides[1]} × {sides[0]} is no {name} of a picture")
        if not all(
            0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height for x0, y0, x1, y1 in self.boxes
        ):
            raise ValueError(f"a box reaches out of the picture, {self.width} × {self.height}")
        if len(self.scores) != len(self.boxes):
            raise ValueError(f"{len(self.scores)} scores, {len(self.boxes)} boxes")
        if "map" not in self.maps:
            raise ValueError("there is no 'map' among the maps")


def encode_map(values: NDArray[np.float32]) -> dict[str, Any]:
    """A map as its shape and base64: of little-endian float32 values, or of the 8-bit levels it is made of.

    Levels, compressed by zlib, are kept of a refined map, which is large and in steps of 1/255.
    """
    shape = list(values.shape)
    many = values.size > MANY and np.isfinite(values).all()
    levels = np.rint(255 * values.clip(0, 1)).astype(np.uint8) if many else None
    if levels is None or not np.array_equal(values, _from_levels(levels)):
        return {"shape": shape, "float32": _text(np.ascontiguousarray(values, "<f4").tobytes())}
    return {"shape": shape, "uint8_zlib": _text(zlib.compress(levels.tobytes()))}


def decode_map(encoded: dict[str, Any]) -> NDArray[np.float32]:
    """The map of :func:`encode_map`.

    Raises:
        ValueError: it is none.
    """
    height, width = typed(tuple[int, int], encoded.get("shape"), "the shape of a map")
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"{width} × {height} is no shape of a map")
    if "float32" in encoded:
        data = base64.b64decode(typed(str, encoded["float32"], "a map"))
        return np.frombuffer(data, "<f4").astype(np.float32).reshape(height, width)
    data = _inflate(typed(str, encoded.get("uint8_zlib"), "a map"), height * width)
    return _from_levels(np.frombuffer(data, np.uint8).reshape(height, width))


def _inflate(text: str, size: int) -> bytes:
    """So many bytes, compressed by zlib, as base64; no more are made of it, whatever it holds.

    Raises:
        ValueError: it holds fewer or more, or something else.
    """
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text), size + 1)
    except zlib.error as error:
        raise ValueError(f"not compressed by zlib: {error}") from None
    if len(data) != size:
        raise ValueError(
            f"it should hold {size} bytes, and holds {'more' if len(data) > size else len(data)}"
        )
    return data


def _from_levels(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (levels / 255).astype(np.float32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
