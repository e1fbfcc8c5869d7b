"""The threshold sweep against the plain OpenCV loop, and its cost beside the network's.

    python benchmarks/sweep.py

Maps are 224×224 and ready; each contender turns them into the IoU of every threshold with one true box. The
reference is what evaluation code does: for each of 1,000 thresholds, ``cv2.threshold``, ``cv2.findContours``
and boxes; then IoU of all at once. "255" is the same loop over the distinct 8-bit levels only. Compilation
does not count. Before a time is taken the results are compared: ours and the "255" loop's with the 1,000-
threshold loop's on the first map of each kind, ours with OpenCV's at every level of many small maps; those of
two threads with one's; and PxAP's histograms with numpy.histogram's.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from wsol.component_tree import Contours, best_overlaps
from wsol.maps import normalize, upsample
from wsol.metrics import pixel_average_precision, pixel_histograms
from wsol.thresholds import quantize

SIDE = 224
BOX = np.array([[40, 50, 150, 180]])


def main() -> None:
    """Compare results, then times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--identical", type=int, default=1000, help="random maps on which results are compared"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="of each timing, interleaved; the median counts"
    )
    parser.add_argument(
        "--images", type=int, default=256, help="through the network, to compare with its time"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    versions = f"OpenCV {cv2.__version__}, Python {platform.python_version()}"
    print(f"{processor()}, {os.cpu_count()} cores; {versions}")
    check_identical(options.identical)
    heads = ("ours", "1000 loop", "ratio", "255 loop", "ratio")
    print(f"\n{'one thread, milliseconds a map':<52}" + "".join(f"{head:>10}" for head in heads))
    for name, maps, looped in kinds():
        for contours in get_args(Contours):
            compare(name, maps, looped, contours, options.rounds)
    two_threads(options.rounds)
    pixels(options.rounds)
    beside_the_network(options.images)


def smooth(values: torch.Tensor) -> NDArray[np.uint8]:
    """8-bit maps of low-resolution ones."""
    return quantize(normalize(upsample(values, (SIDE, SIDE)))).numpy()


def kinds() -> list[tuple[str, NDArray[np.uint8], int]]:
    """Maps of several kinds, and how many of them the slow loop is given."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    centre, width = 14 * draw(64, 3, 2), 1.5 + 2 * draw(64, 3)
    rows, columns = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    distance = (rows - centre[..., 0, None, None]) ** 2 + (columns - centre[..., 1, None, None]) ** 2
    blobs = (-distance / (2 * width[..., None, None] ** 2)).exp().sum(dim=1)
    return [
        ("smooth: 14×14 random, upsampled", smooth(draw(64, 14, 14)), 8),
        ("smooth: 14×14 of three blobs, upsampled", smooth(blobs), 8),
        ("noisy: 224×224 random", quantize(normalize(draw(8, SIDE, SIDE))).numpy(), 1),
    ]


def loop(u: NDArray[np.uint8], ratios: NDArray[np.float64], contours: Contours) -> NDArray[np.float64]:
    """The plain loop: best IoU with ``BOX`` at each threshold."""
    highest = int(u.max())
    boxes, counts = [], []
    for ratio in ratios:
        _, mask = cv2.threshold(u, int(ratio * highest), 255, cv2.THRESH_BINARY)
        found = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        if contours == "largest" and found:
            found = [max(found, key=cv2.contourArea)]
        boxes += [cv2.boundingRect(contour) for contour in found] or [(0, 0, 0, 0)]
        counts.append(max(len(found), 1))
    starts = np.cumsum([0, *counts[:-1]])
    return np.maximum.reduceat(overlaps(np.array(boxes), u.shape), starts)


def overlaps(boxes: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The official IoU of boxes x, y, width, height (N, 4) with ``BOX``, all at once."""
    corners = np.minimum(boxes[:, :2] + boxes[:, 2:], np.array(shape[::-1]) - 1)
    shared = np.minimum(corners, BOX[:, 2:]) - np.maximum(boxes[:, :2], BOX[:, :2]) + 1
    inter = shared.clip(min=0).prod(axis=1)
    areas = (corners - boxes[:, :2] + 1).prod(axis=1) + (BOX[:, 2:] - BOX[:, :2] + 1).prod(axis=1)
    return np.asarray(inter / (areas - inter))


def ours(maps: NDArray[np.uint8], contours: Contours, threads: int = 1) -> NDArray[np.float64]:
    """All levels at once: (B, 256)."""
    return best_overlaps(maps, BOX.repeat(len(maps), axis=0), np.ones(len(maps), np.int64), contours, threads)


def check_identical(count: int) -> None:
    """Small random maps of all roughness, every level, both contour modes."""
    generator = np.random.default_rng(0)
    different = 0
    for index in range(count):
        levels = int(generator.choice([2, 3, 6, 30, 256]))
        grain = int(generator.integers(1, 9))
        shape = generator.integers(1, 64, 2)
        u = generator.integers(0, levels, shape, np.uint8).repeat(grain, axis=0).repeat(grain, axis=1)
        if index % 2:
            u = cv2.GaussianBlur(u, (0, 0), grain / 2)
        ratios = np.arange(256) / max(int(u.max()), 1) + 1e-9  # one for each level T
        for contours in get_args(Contours):
            wanted = loop(u, ratios[: max(int(u.max()), 1)], contours)
            different += not np.array_equal(ours(u[None], contours)[0, : len(wanted)], wanted)
    print(f"{count} random maps × 2 contour modes × all levels: {different} differ from OpenCV")


def compare(name: str, maps: NDArray[np.uint8], looped: int, contours: Contours, rounds: int) -> None:
    """One row: ours on all maps, the loops on some."""
    thousand, distinct = np.arange(0, 1, 0.001), np.arange(255) / 255 + 1e-9
    wanted = loop(maps[0], thousand, contours)
    levels = (thousand * int(maps[0].max())).astype(np.int64)
    for found in (ours(maps[:1], contours)[0], loop(maps[0], distinct, contours)):
        check_equal(found[levels], wanted, f"{name}, {contours}")
    times = medians(
        {
            "ours": lambda: ours(maps, contours),
            "1000": lambda: [loop(u, thousand, contours) for u in maps[:looped]],
            "255": lambda: [loop(u, distinct, contours) for u in maps[:looped]],
        },
        rounds,
    )
    mine, long, short = times["ours"] / len(maps), times["1000"] / looped, times["255"] / looped
    cells = f"{1e3 * mine:10.2f}{1e3 * long:10.1f}{long / mine:10.1f}{1e3 * short:10.1f}{short / mine:10.1f}"
    print(f"{name + ', ' + contours:<52}{cells}")


def check_equal(found: NDArray[Any], wanted: NDArray[Any], name: str) -> None:
    """Stop where contenders do not give the same."""
    if not np.array_equal(found, wanted):
        raise SystemExit(f"{name}: the results differ")


def two_threads(rounds: int) -> None:
    """The same maps on two threads."""
    maps = kinds()[0][1].repeat(4, axis=0)
    for contours in get_args(Contours):
        one, two = partial(ours, maps, contours), partial(ours, maps, contours, 2)
        check_equal(two(), one(), f"two threads, {contours}")
        times = medians({"one": one, "two": two}, rounds)
        print(f"two threads, {contours}: {times['one'] / times['two']:.2f} times one")


def pixels(rounds: int) -> None:
    """PxAP: one pass over a batch against numpy.histogram image by image."""
    maps = torch.rand(64, SIDE, SIDE, dtype=torch.float64)
    masks = torch.rand(64, SIDE, SIDE) > 0.5
    edges = np.concatenate([np.arange(0, 1, 0.001), [1, 2, 3]])

    def plain() -> NDArray[np.int64]:
        pairs = zip(maps.numpy(), masks.numpy(), strict=True)
        return np.array([[np.histogram(m[part], edges)[0] for part in (~mask, mask)] for m, mask in pairs])

    check_equal(pixel_histograms(maps, masks).numpy(), plain(), "PxAP")
    times = medians(
        {"ours": lambda: pixel_average_precision(pixel_histograms(maps, masks)), "plain": plain}, rounds
    )
    ratio = times["plain"] / times["ours"]
    line = f"PxAP: {1e3 * times['ours'] / 64:.2f} ms a map, {ratio:.1f} times faster than numpy.histogram"
    if torch.cuda.is_available():
        on_gpu = (maps.cuda(), masks.cuda())
        check_equal(
            pixel_histograms(*on_gpu).cpu().numpy(), pixel_histograms(maps, masks).numpy(), "PxAP, GPU"
        )
        gpu = medians({"gpu": lambda: pixel_histograms(*on_gpu).cpu()}, rounds)["gpu"]
        line += f"; on the GPU {1e3 * gpu / 64:.3f} ms"
    print(line)


def beside_the_network(images: int) -> None:
    """What the protocol needs of a map, against one forward pass of a small network."""
    import wsol
    from wsol.evaluation.records import measure_boxes

    localizer = wsol.load("efficientnet_lite0", device="cpu", preset="fast")
    torch.set_num_threads(os.cpu_count() or 1)
    batch = torch.randint(0, 256, (32, 3, SIDE, SIDE), dtype=torch.uint8)
    spent = {"forward": 0.0, "evaluation": 0.0}
    localizer.forward(batch)
    for _ in range(images // 32):
        start = time.perf_counter()
        seen = localizer.see(batch)
        middle = time.perf_counter()
        maps = normalize(upsample(localizer.score_maps(seen, seen.logits.argmax(dim=1)), (SIDE, SIDE)))
        measure_boxes(maps, [BOX] * 32, os.cpu_count() or 1)
        spent["forward"] += middle - start
        spent["evaluation"] += time.perf_counter() - middle
    scale = 5794 / (images // 32 * 32)
    print(
        f"5,794 images, EfficientNet-Lite0 on this CPU: forward {scale * spent['forward']:.0f} s, "
        f"maps and every level of both contour modes {scale * spent['evaluation']:.0f} s "
        f"(from {images // 32 * 32} images)"
    )


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, taken in turns after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(taken)) for name, taken in times.items()}


def processor() -> str:
    """What the machine calls its processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")


if __name__ == "__main__":
    main()
