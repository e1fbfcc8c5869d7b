"""A localization as JSON types, without loss: the line of a run's journal."""

import base64
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
        "alternatives": [to_dict(other) for other in result.alternatives],
    }


def from_dict(values: dict[str, Any]) -> "Localization":
    """See :meth:`wsol.Localization.from_dict`."""
    from wsol.inference.localization import Localization

    components = np.frombuffer(zlib.decompress(base64.b64decode(values["components"])), "<u2")
    return Localization(
        source=None if values["path"] is None else Path(values["path"]),
        size=(values["height"], values["width"]),
        label=values["label"],
        class_index=values["class_index"],
        probability=values["probability"],
        boxes=np.array(values["boxes"], np.int64).reshape(-1, 4),
        scores=np.array(values["scores"], np.float64),
        components=components.astype(np.uint16).reshape(values["frame"]),
        raw_maps={name: decode_map(encoded) for name, encoded in values["maps"].items()},
        map_kind=values["map_kind"],
        test_time=values.get("test_time", ""),
        level=values["level"],
        alternatives=tuple(from_dict(other) for other in values["alternatives"]),
    )


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
    """The map of :func:`encode_map`."""
    shape = encoded["shape"]
    if "float32" in encoded:
        return np.frombuffer(base64.b64decode(encoded["float32"]), "<f4").astype(np.float32).reshape(shape)
    data = zlib.decompress(base64.b64decode(encoded["uint8_zlib"]))
    return _from_levels(np.frombuffer(data, np.uint8).reshape(shape))


def _from_levels(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (levels / 255).astype(np.float32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
