"""YOLO: a text file of normalised boxes per image."""

from collections.abc import Collection, Sequence
from pathlib import Path

from wsol.export.files import atomic_write
from wsol.export.names import output_names
from wsol.inference.localization import Localization


def write_yolo(
    results: Collection[Localization], path: Path, *, classes: Sequence[str], root: Path | None = None
) -> None:
    """Write ``labels/**.txt`` and ``data.yaml``; the photographs belong under ``images/``.

    A line is ``class cx cy width height``, in fractions of the image. Trainers take a sixth column for
    something else, so scores are not written. An image without boxes has an empty file. ``data.yaml``
    is written last.

    Args:
        results: iterated twice, once more if ``root`` is ``None``.
        path: the folder.
        classes: names of all classes, in the order of the model's scores.
        root: folder below which image folders are mirrored; by default the deepest that holds all images.

    Raises:
        ValueError: an image outside the root.
    """
    for _, output, result in output_names(results, root):
        lines = [line for found in result for line in _lines(found)]
        with atomic_write(path / "labels" / f"{output}.txt") as temporary:
            temporary.write_text("".join(lines), encoding="ascii")
    names = "".join(f"  {index}: {_yaml_string(name)}\n" for index, name in enumerate(classes))
    with atomic_write(path / "data.yaml") as temporary:
        split = "# all photographs stand for both: split them before training\ntrain: images\nval: images\n"
        temporary.write_text(f"{split}nc: {len(classes)}\nnames:\n{names}", encoding="utf-8")


def _lines(found: Localization) -> list[str]:
    height, width = found.size
    return [
        # nine decimals: the box comes back exactly by rounding, whatever the image's size
        f"{found.class_index} {(x0 + x1) / (2 * width):.9f} {(y0 + y1) / (2 * height):.9f} "
        f"{(x1 - x0) / width:.9f} {(y1 - y0) / height:.9f}\n"
        for x0, y0, x1, y1 in found.boxes.tolist()
    ]


def _yaml_string(text: str) -> str:
    safe = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(safe)}"'
