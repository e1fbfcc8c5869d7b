"""Localizations made by hand, and one browser for all tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from wsol.boxes import all_boxes, rescale
from wsol.components import all_components
from wsol.inference.localization import Localization
from wsol.maps import MapKind

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


Make = Callable[..., Localization]
Open = Callable[..., "Page"]


def photo(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """A smooth coloured picture with some noise."""
    height, width = size
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width] / max(size)
    pixels = np.stack([160 * rows, 160 * columns, 120 - 60 * rows], axis=-1)
    return Image.fromarray((pixels + generator.uniform(0, 40, (height, width, 3))).astype(np.uint8))


def localization(
    source: Any,
    size: tuple[int, int],
    *,
    label: str = "Egyptian cat",
    probability: float = 0.9,
    blob: tuple[float, float] = (0.5, 0.5),
    width: float = 0.25,
    frame: tuple[int, int] = (56, 56),
    grid: int = 7,
    level: int = 77,
    kind: MapKind = "cam",
    empty: bool = False,
    alternatives: tuple[Localization, ...] = (),
    seed: int = 0,
) -> Localization:
    """A localization whose map is a bump at ``blob``, (row, column) in [0, 1], and boxes found in it."""
    generator = np.random.default_rng(seed)
    centres = (np.arange(grid) + 0.5) / grid
    distance = (centres[:, None] - blob[0]) ** 2 + (centres[None] - blob[1]) ** 2
    bump = np.exp(-distance / (2 * width**2)).astype(np.float32)
    raw = {
        "map": 7 * bump - 1,
        "norm": (0.6 * bump + 0.4 * generator.random((grid, grid))).astype(np.float32),
        "similarity": (0.5 * bump - 0.1 * generator.random((grid, grid))).astype(np.float32),
    }
    result = Localization(
        source=source, size=size, label=label, class_index=285, probability=probability,
        boxes=np.zeros((0, 4), np.int64), scores=np.zeros(0), components=np.zeros(frame, np.uint16),
        raw_maps=raw, map_kind=kind, level=level, agreement=0.0, alternatives=alternatives,
    )  # fmt: skip
    if empty:
        return result
    values = result.map
    mask = np.floor(255 * values) > level
    boxes = all_boxes(torch.from_numpy(mask)).numpy()[:1]
    assert len(all_components(mask[None]).boxes) == 1
    scores = np.array([probability * values[y0:y1, x0:x1].mean() for x0, y0, x1, y1 in boxes])
    return Localization(
        source=source, size=size, label=label, class_index=285, probability=probability,
        boxes=rescale(boxes, frame, size), scores=scores, components=mask.astype(np.uint16),
        raw_maps=raw, map_kind=kind, level=level, agreement=0.9, alternatives=alternatives,
    )  # fmt: skip


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A localization in a photograph that is written to a file of the given name."""

    def _make(name: str = "cat.png", size: tuple[int, int] = (120, 160), **options: Any) -> Localization:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(size).save(path)
        return localization(path, size, **options)

    return _make


@pytest.fixture
def open_page(browser: "Browser") -> "Iterator[Open]":
    """Opens a page of ours; its complaints, and requests to anywhere else, fail the test."""
    complaints: list[str] = []
    contexts = []

    def expect(url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith("data:"):
            complaints.append(f"request to {url}")

    def _open(path: Path, size: tuple[int, int] = (1200, 900), **options: Any) -> "Page":
        contexts.append(browser.new_context(viewport={"width": size[0], "height": size[1]}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: expect(request.url, path))
        page.goto(path.as_uri())
        return page

    yield _open
    for context in contexts:
        context.close()
    assert complaints == []
