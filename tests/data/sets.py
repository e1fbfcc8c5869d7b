"""Tiny data sets for the tests: written by hand in the official format, with pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol.data.dataset import DataSet, Split

SHARED = Path(__file__).parents[3] / "shared" / "data"
"""Real data sets beside the repository, where a machine has them."""

real_sets = pytest.mark.parametrize(
    ("name", "metadata"),
    [(name, metadata) for name in ("butterfly10", "sysu5") for metadata in ("metadata", "metadata-masks")],
)


def real(name: str) -> Path:
    """A real data set; skips where it is absent."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"no {name} beside the repository")
    return SHARED / name


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Files by name, in a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def picture(path: Path, width: int, height: int) -> None:
    """A grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "grey").save(path)


def mask(path: Path, width: int, height: int, box: tuple[int, int, int, int]) -> None:
    """A mask that is 255 in a box."""
    values = np.zeros((height, width), np.uint8)
    values[box[1] : box[3], box[0] : box[2]] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def official(folder: Path, split: str = "test", /, **tables: str | bytes) -> Path:
    """Official tables of one split, ``image_ids="a.jpg\\n"`` and so on."""
    return write(folder, {f"metadata/{split}/{name}.txt": content for name, content in tables.items()})


def boxed_set(folder: Path) -> Path:
    """Three splits with boxes, 40 × 30 pictures, two classes, an image with two boxes, a comma in a name."""
    ids = {"train": ["ant/1.png"], "val": ["bee/1.png", "ant/2.png"], "test": ["bee/3,x.png", "ant/4.png"]}
    rows = {
        "train": "",
        "val": "bee/1.png,1,2,30,20\nant/2.png,0,0,40,30\n",
        "test": "bee/3,x.png,1.5,2,30.25,20\nbee/3,x.png,30,20,39,29\nant/4.png,5,6,7,8\n",
    }
    for split, names in ids.items():
        official(
            folder,
            split,
            image_ids="".join(f"{name}\n" for name in names),
            class_labels="".join(f"{name},{int(name.startswith('bee'))}\n" for name in names),
            image_sizes="".join(f"{name},40,30\n" for name in names),
            localization=rows[split],
        )
        for name in names:
            picture(folder / "images" / name, 40, 30)
    return write(folder, {"classes.txt": "ant\nbee\n"})


def masked_set(folder: Path) -> Path:
    """As :func:`boxed_set` with masks, two in one image with an ignore mask; without sizes or class names."""
    boxed_set(folder)
    (folder / "classes.txt").unlink()
    rows = {
        "val": "bee/1.png,b1.png,\nant/2.png,a2.png,\n",
        "test": "bee/3,x.png,m/b3_0.png,m/ig.png\nbee/3,x.png,m/b3_1.png,\nant/4.png,a4.png,\n",
    }
    for split in ("train", "val", "test"):
        official(folder, split, image_sizes="", localization=rows.get(split, ""))
    for name in ("b1", "a2", "m/b3_0", "a4", "m/ig"):
        mask(folder / "masks" / f"{name}.png", 40, 30, (4, 5, 16, 17))
    mask(folder / "masks" / "m/b3_1.png", 40, 30, (20, 2, 40, 30))
    return folder


def reasons(split: Split) -> list[str]:
    """The problems as text."""
    return [str(problem) for problem in split.problems]


def fingerprints(data: DataSet) -> dict[str, str]:
    """Of all splits."""
    return {name: data.split(name).fingerprint for name in data.tables}
