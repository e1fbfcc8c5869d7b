"""What the page shows of a photograph: plain values, which its script lays over each other."""

from typing import Any

from wsol.app import pictures
from wsol.app.bench import Bench, Photo
from wsol.app.session import Verdict
from wsol.inference.localization import Localization
from wsol.methods import METHODS
from wsol.report.overlay import MAP_NAMES

DECOMPOSITION = (
    "At every position a CAM is F × S × a constant: F says how strongly the network reacts there, "
    "S how much what it sees there is like the class."
)
OF_VIEWS = " The map that makes the boxes is more than that of one plain pass ({}); F and S are of one."

View = dict[str, Any]


def view_of(bench: Bench, photo: Photo, model: str, result: Localization, verdict: Verdict | None) -> View:
    """A result as values for the page, names as they are: the page sets them as text.

    Args:
        bench: where pictures of maps are kept.
        photo: that the result is of.
        model: by its name on the page.
        result: what to show.
        verdict: what was said about it before.
    """
    factors = "norm" in METHODS[bench.localizers[model].model.method].maps
    kinds = ("map", "norm", "similarity") if factors else ("map",)
    told = OF_VIEWS.format(result.test_time) if result.test_time else ""
    return {
        "name": photo.name,
        "photo": photo.picture,
        "width": photo.size[1],
        "height": photo.size[0],
        "model": model,
        "label": result.label,
        "facts": _facts(result),
        "boxes": result.boxes.tolist(),
        "scores": [f"{score:.2f}" for score in result.scores],
        "mask": pictures.mask(result.components > 0),
        "panels": [_panel(bench, photo, model, result, kind) for kind in kinds],
        "words": DECOMPOSITION + told if factors else "",
        "verdict": "" if verdict is None else verdict.kind,
    }


def _facts(result: Localization) -> str:
    found = f"box score {result.score:.2f}" if len(result.boxes) else "nothing found"
    many = f" · {len(result.boxes)} boxes" if len(result.boxes) > 1 else ""
    return f"probability {result.probability:.2f} · {found}{many} · level {result.level} of 255"


def _panel(bench: Bench, photo: Photo, model: str, result: Localization, kind: str) -> dict[str, str]:
    """A map as a picture, with its title."""
    height, width = result.components.shape
    key: tuple[object, ...] = ("heat", model, kind)  # F is the same for every class
    if kind != "norm":
        key += (result.class_index,)
    if kind == "map":
        key += (result.map_kind, result.test_time)
    image = bench.of_photo(photo, key, lambda: pictures.heat(result.map_at((height, width), kind)))
    titles = {
        "map": MAP_NAMES[result.map_kind] + (f" + {result.test_time}" if result.test_time else ""),
        "norm": MAP_NAMES["norm"],
        "similarity": MAP_NAMES["similarity"],
    }
    return {"kind": kind, "title": titles[kind], "image": image}
