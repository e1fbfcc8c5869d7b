"""The official protocol a second time, in NumPy and OpenCV, as the published evaluation code goes about it.

Nothing here uses the package: tables are split at commas, maps are read by NumPy, contours found by OpenCV.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAME = 224
TAUS = np.arange(0, 1, 0.001)
DELTAS = (0.3, 0.5, 0.7)
EDGES = np.append(TAUS, [1.0, 2.0, 3.0])

Map = NDArray[np.float64]
Scores = dict[str, float]


def table(folder: Path, name: str) -> list[list[str]]:
    return [line.split(",") for line in (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()]


def bicubic(values: Map, size: int = FRAME) -> Map:
    """Keys' kernel, a = -0.75, on pixel centres with the border repeated, as cv2.INTER_CUBIC (in float64)."""

    def kernel(t: Map) -> Map:
        a, t = -0.75, abs(t)
        near = (a + 2) * t**3 - (a + 3) * t**2 + 1
        far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
        return np.where(t <= 1, near, np.where(t < 2, far, 0))

    def along(values: Map) -> Map:
        centres = (np.arange(size) + 0.5) * len(values) / size - 0.5
        first = np.floor(centres).astype(int)
        parts = [
            kernel(centres - (first + k))[:, None] * values[(first + k).clip(0, len(values) - 1)]
            for k in (-1, 0, 1, 2)
        ]
        return np.asarray(np.sum(parts, axis=0), np.float64)

    result = along(along(values).T).T
    near = cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC)
    assert np.allclose(result, near, atol=1e-5 * (1 + np.ptp(values)))  # OpenCV's kernel is in float32
    return np.asarray(result, np.float64)


def saved(path: Path) -> Map:
    """A map from a file, (h, w)."""
    values = np.asarray(np.load(path), np.float64)
    return values if values.ndim == 2 else values[0]


def normalized(values: Map) -> Map:
    values = bicubic(values)
    return np.asarray((values - values.min()) / (values.max() - values.min()), np.float64)


def ivr(values: Map, percentile: float = 90) -> Map:
    values = bicubic(values) - bicubic(values).min()
    return np.asarray(
        np.minimum(values / np.sort(values.ravel())[int(percentile / 100 * values.size)], 1), np.float64
    )


def found_boxes(u: NDArray[np.uint8], level: int, contours: Literal["largest", "all"]) -> list[list[int]]:
    found, _ = cv2.findContours((u > level).astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not found:
        return [[0, 0, 0, 0]]
    chosen = found if contours == "all" else [max(found, key=cv2.contourArea)]
    rectangles = [map(int, cv2.boundingRect(contour)) for contour in chosen]
    return [[x, y, min(x + w, FRAME - 1), min(y + h, FRAME - 1)] for x, y, w, h in rectangles]


def iou(a: Sequence[int], b: Sequence[int]) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + 1, 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + 1, 0)
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def best_ious(
    map_: Map, truth: Sequence[Sequence[int]], contours: Literal["largest", "all"], percentile: float = 100
) -> Map:
    """At every τ, (1000,)."""
    u = (255 * map_).astype(np.uint8)
    reference = np.percentile(u, percentile)

    @cache
    def at(level: int) -> float:
        return max(iou(found, true) for found in found_boxes(u, level, contours) for true in truth)

    return np.array([at(int(tau * reference)) for tau in TAUS])


def true_boxes(folder: Path) -> dict[str, list[list[int]]]:
    sizes = {id: (int(width), int(height)) for id, width, height in table(folder, "image_sizes")}
    boxes: dict[str, list[list[int]]] = {}
    for id, *corners in table(folder, "localization"):
        sides = sizes[id] * 2
        box = [int(float(c) * FRAME / side) for c, side in zip(corners, sides, strict=True)]
        boxes.setdefault(id, []).append(box)
    return boxes


class BoxSplit:
    """IoU of every image at every τ, and where its true class stands."""

    def __init__(
        self, folder: Path, maps: Mapping[str, Map], ranks: Mapping[str, int] | None, percentile: float = 100
    ) -> None:
        truth = true_boxes(folder)
        self.ids = [id for (id,) in table(folder, "image_ids")]
        self.ious = {
            contours: np.stack([best_ious(maps[id], truth[id], contours, percentile) for id in self.ids])
            for contours in ("largest", "all")
        }  # (N, τ)
        self.ranks = None if ranks is None else np.array([ranks[id] for id in self.ids])

    def curve(self, contours: str, delta: float, top: int | None = None) -> Map:
        """Accuracy at every τ."""
        hits = self.ious[contours] >= delta
        if top is not None:
            assert self.ranks is not None
            hits &= (self.ranks < top)[:, None]
        return np.asarray(hits.mean(axis=0), np.float64)

    def best(self, contours: str, delta: float) -> int:
        return int(self.curve(contours, delta).argmax())

    def scores(self, chosen: "BoxSplit | float") -> Scores:
        """Every number at τ that another split chooses, or this one, or at a given one."""

        def place(contours: str, delta: float) -> int:
            if isinstance(chosen, float):
                return int(np.flatnonzero(chosen == TAUS)[0])
            return chosen.best(contours, delta)

        scores = {}
        for contours in self.ious:
            for delta in DELTAS:
                found = self.curve(contours, delta)[place(contours, delta)]
                scores[f"BoxAcc@{delta} {contours}"] = float(found)
        scores["Loc"] = scores.pop("BoxAcc@0.5 largest")
        scores["V2"] = float(np.mean([scores[f"BoxAcc@{delta} all"] for delta in DELTAS]))
        if self.ranks is not None:
            for top in (1, 5):
                at = self.curve("largest", 0.5, top)[place("largest", 0.5)]
                scores[f"Top-{top} Loc"] = float(at)
                scores[f"Top-{top} Cls"] = float((self.ranks < top).mean())
        return scores


class MaskSplit:
    """Histograms of the pooled pixels, and each image's IoU at every τ."""

    def __init__(self, folder: Path, masks: Path, maps: Mapping[str, Map]) -> None:
        objects: dict[str, NDArray[Any]] = {}
        ignored: dict[str, NDArray[Any]] = {}
        for id, mask, ignore in table(folder, "localization"):
            objects[id] = objects.get(id, False) | self._read(masks / mask)
            if ignore:
                ignored[id] = self._read(masks / ignore)
        self.counts = np.zeros((2, len(EDGES) - 1))
        ious = []
        for (id,) in table(folder, "image_ids"):
            counted = ~(ignored.get(id, np.zeros((FRAME, FRAME), bool)) & ~objects[id])
            scores, is_object = maps[id][counted], objects[id][counted]
            for row in (0, 1):
                self.counts[row] += np.histogram(scores[is_object == bool(row)], EDGES)[0]
            above = scores[:, None] >= TAUS[::10]
            ious.append((above & is_object[:, None]).sum(axis=0) / (above | is_object[:, None]).sum(axis=0))
        self.ious = np.stack(ious)  # (N, every tenth τ)

    @staticmethod
    def _read(path: Path) -> NDArray[np.bool_]:
        values = np.asarray(Image.open(path), np.float32)
        resized = cv2.resize(values, (FRAME, FRAME), interpolation=cv2.INTER_NEAREST)
        return np.asarray(resized > 0.5)

    def pxap(self) -> float:
        false, true = self.counts[:, ::-1].cumsum(axis=1)
        precision, recall = true / np.maximum(false + true, 1), true / true[-1]
        return float((precision[1:] * np.diff(recall)).sum() + precision[0] * recall[0])
