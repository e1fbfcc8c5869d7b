"""Localizations made by hand."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wsol.boxes import rescale
from wsol.inference.localization import Localization

CLASSES = [
    "crane",
    "dog",
    "crane",
    'Käse "alt", neu\nzwei',
    "<&>\x00\x0b\ufffe ]]>",
    "yes: #1 \U0001f600\x7f",
]

Part = tuple[int, int, int, int]  # x0, y0, x1, y1 in the input frame


def make(
    source: Path | Image.Image,
    size: tuple[int, int],
    *parts: Part,
    frame: tuple[int, int] = (20, 24),
    class_index: int = 0,
    alternatives: tuple[Localization, ...] = (),
) -> Localization:
    """A localization whose objects are rectangles of the input frame, each without its first corner."""
    components = np.zeros(frame, np.uint16)
    for index, (x0, y0, x1, y1) in enumerate(parts):
        components[y0:y1, x0:x1] = index + 1
        if x1 - x0 > 1 and y1 - y0 > 1:
            components[y0, x0] = 0
    return Localization(
        source=source,
        size=size,
        label=CLASSES[class_index],
        class_index=class_index,
        probability=0.9 / (1 + class_index),
        boxes=rescale(np.array(parts, np.int64).reshape(-1, 4), frame, size),
        scores=0.8 / np.arange(1, len(parts) + 1),
        components=components,
        raw_maps={"map": np.zeros((2, 2), np.float32)},
        map_kind="nwc",
        level=100,
        agreement=0.0,
        alternatives=alternatives,
    )


class OnDisk(Collection[Localization]):
    """Results that can only be iterated, each made anew every time, as those read from a journal are."""

    def __init__(self, results: list[Localization]) -> None:
        self._results = results

    def __iter__(self) -> Iterator[Localization]:
        return (replace(result) for result in self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __contains__(self, item: object) -> bool:
        raise NotImplementedError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "photos"


@pytest.fixture
def results(root: Path) -> OnDisk:
    """Nested folders, hostile names, collisions, images from memory; the files are not there."""
    second = make(root / "birds/a.jpg", (61, 47), (3, 2, 9, 18), class_index=3)
    third = make(root / "birds/a.jpg", (61, 47), class_index=4)
    return OnDisk(
        [
            make(root / "birds/a.jpg", (61, 47), (0, 0, 5, 6), (8, 8, 24, 20), alternatives=(second, third)),
            make(root / "birds/a.png", (7, 5), (4, 4, 20, 16), class_index=1),
            make(root / "empty.jpg", (30, 40), class_index=2),
            make(
                root / 'Über <&>\x01/it\'s, "so"\n100% \udcff.v2.jpeg',
                (900, 1),
                (0, 3, 24, 17),
                class_index=4,
            ),
            make(Image.new("RGB", (1, 1)), (1, 1), (0, 0, 24, 20), class_index=5),
            make(root / "deep/er/still/b.tif", (2000, 3000), (1, 1, 2, 2), (20, 19, 24, 20), class_index=2),
        ]
    )


@pytest.fixture
def flat(root: Path) -> list[Localization]:
    """One folder of photographs that are there."""
    other = make(root / "b.png", (41, 67), (2, 0, 9, 13), class_index=3)
    found = [
        make(root / "b.png", (41, 67), (0, 0, 5, 6), (8, 8, 24, 20), alternatives=(other,)),
        make(root / "c.png", (30, 40), class_index=1),
        make(root / "dé.png", (1, 9), (3, 3, 24, 20), class_index=1),
    ]
    root.mkdir()
    for result in found:
        Image.new("RGB", result.size[::-1]).save(root / f"{result.source.name}")
    return found


def boxes(result: Localization) -> list[list[int]]:
    """The boxes of all classes."""
    return [box for found in result for box in found.boxes.tolist()]


def labels(result: Localization) -> list[int]:
    """The class index of each of :func:`boxes`."""
    return [found.class_index for found in result for _ in found.boxes]


def scores(result: Localization) -> list[float]:
    """The score of each of :func:`boxes`."""
    return [score for found in result for score in found.scores.tolist()]


def masks(result: Localization) -> list[NDArray[np.bool_]]:
    """The mask of each of :func:`boxes`."""
    return [mask for found in result for mask in found.masks]
