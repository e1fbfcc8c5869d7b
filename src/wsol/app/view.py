"""What the page shows of a photograph: plain values, which its script lays over each other."""

from typing import TypedDict

from wsol.app import pictures
from wsol.app.bench import Bench, Photo
from wsol.app.session import Verdict
from wsol.inference.localization import Localization
from wsol.methods import METHODS
from wsol.report.overlay import MAP_NAMES

DECOMPOSITION = (
    "At every position a CAM is ‖f‖ × S × a constant: ‖f‖ says how strongly the network reacts there, S how "
    "much what it sees there is like the class. F is ‖f‖, stretched to 0…1 over the picture."
)
OF_VIEWS = " The map that makes the boxes is more than that of one plain pass ({}); F and S are of one."


class View(TypedDict, total=False):
    """Values of one view; without a photograph there are only the first two.

    Names are as they are: the page sets them as text.

    Attributes:
        turn: later answers have higher ones.
        editable: whether boxes can be judged and corrected.
        problem: why there are no boxes and maps.
        name: of the photograph.
        photo: a data URI; left out, with ``panels`` and ``words``, where the page has them already.
        width: of the original, in pixels.
        height: likewise.
        model: as the page calls it.
        label: name of the class.
        facts: numbers in words.
        boxes: x0, y0, x1, y1 each, original frame, exclusive.
        scores: of each box, in words.
        mask: a data URI, input frame.
        panels: maps with kind, title and image (a data URI, input frame), that of the boxes first.
        words: the decomposition explained; "" where it does not hold.
        verdict: what was said before; "" for nothing.
        pictures: tells ``photo``, ``panels`` and ``words`` from those of other maps.
    """

    turn: int
    editable: bool
    problem: str
    name: str
    photo: str
    width: int
    height: int
    model: str
    label: str
    facts: str
    boxes: list[list[int]]
    scores: list[str]
    mask: str
    panels: list[dict[str, str]]
    words: str
    verdict: str
    pictures: str


def boxes_view(photo: Photo, model: str, result: Localization, verdict: Verdict | None) -> View:
    """What of a view depends on the threshold.

    Args:
        photo: that the result is of.
        model: by its name on the page.
        result: what to show.
        verdict: what was said about it before.
    """
    return {
        "name": photo.name,
        "width": photo.size[1],
        "height": photo.size[0],
        "model": model,
        "label": result.label,
        "facts": _facts(result),
        "boxes": result.boxes.tolist(),
        "scores": [f"{score:.2f}" for score in result.scores],
        "mask": pictures.mask(result.components > 0),
        "verdict": "" if verdict is None else verdict.kind,
        "pictures": pictures_of(photo, model, result),
    }


def pictures_of(photo: Photo, model: str, result: Localization) -> str:
    """What a view's pictures depend on."""
    return "\n".join((photo.name, model, str(result.class_index), result.map_kind, result.test_time))


def pictures_view(bench: Bench, photo: Photo, model: str, result: Localization) -> View:
    """What of a view does not depend on the threshold.

    Args:
        bench: where pictures of maps are kept.
        photo: that the result is of.
        model: by its name on the page.
        result: whose maps to show.
    """
    factors = "norm" in METHODS[bench.localizers[model].model.method].maps
    kinds = ("map", "norm", "similarity") if factors else ("map",)
    told = OF_VIEWS.format(result.test_time) if result.test_time else ""
    return {
        "photo": photo.picture,
        "panels": [_panel(bench, photo, model, result, kind) for kind in kinds],
        "words": DECOMPOSITION + told if factors else "",
    }


def problem_view(photo: Photo, model: str, problem: str) -> View:
    """The photograph alone, and why there is no more to see."""
    return {
        "problem": problem,
        "name": photo.name,
        "photo": photo.picture,
        "width": photo.size[1],
        "height": photo.size[0],
        "model": model,
        "label": "",
        "facts": "",
        "boxes": [],
        "scores": [],
        "mask": "",
        "panels": [],
        "words": "",
        "verdict": "",
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
