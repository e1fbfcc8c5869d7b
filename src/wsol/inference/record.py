"""A localization as JSON types, without loss: the line of a run's journal."""

import base64
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wsol.inference.localization import Localization


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
        "components": base64.b64encode(zlib.compress(result.components.astype("<u2").tobytes(), 1)).decode(
            "ascii"
        ),
        "maps": {name: encode_map(values) for name, values in result.raw_maps.items()},
        "map_kind": result.map_kind,
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
        level=values["level"],
        alternatives=tuple(from_dict(other) for other in values["alternatives"]),
    )


def encode_map(values: NDArray[np.float32]) -> dict[str, Any]:
    """A map as its shape and the base64 of its little-endian float32 values."""
    data = base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode("ascii")
    return {"shape": list(values.shape), "float32": data}


def decode_map(encoded: dict[str, Any]) -> NDArray[np.float32]:
    """The map of :func:`encode_map`."""
    values = np.frombuffer(base64.b64decode(encoded["float32"]), "<f4").astype(np.float32)
    return values.reshape(encoded["shape"])
