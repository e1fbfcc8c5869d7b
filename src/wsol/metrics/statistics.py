"""How sure a number over a set of images is, and whether two methods differ on the same images.

A number is written as a function of sums of per-image statistics. A resample of the images then is a
row of weights, and all resamples are one matrix product.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsol.metrics.pixels import pixel_average_precision

Floats = NDArray[np.float64]

_ROWS, _IMAGES = 128, 4096  # resamples and images worked on at a time: memory stays flat
_ROUNDING = 1e-12  # relative: differences closer than this are equal


@dataclass(frozen=True)
class Measure:
    """A number over a set of images, such as an accuracy.

    Attributes:
        statistics: (N, K), bool, integer or floating point: what each image adds.
        value: from weighted sums over the images, (R, K) float64, and their total weights, (R,) float64,
            to the number for each of R weightings, (R,) float64.

    Raises:
        ValueError: statistics that are not (N, K) with at least one image, or not finite.
    """

    statistics: NDArray[Any]
    value: Callable[[Floats, Floats], Floats]

    def __post_init__(self) -> None:
        if self.statistics.ndim != 2 or 0 in self.statistics.shape:
            raise ValueError(
                f"statistics must be (N, K) with at least one image, got {self.statistics.shape}"
            )
        if self.statistics.dtype.kind == "f" and not np.isfinite(self.statistics).all():
            raise ValueError("statistics must be finite")

    @property
    def estimate(self) -> float:
        """The number itself: every image once."""
        ones = np.ones((1, len(self.statistics)), np.float32)
        return float(self.value(_sums(ones, self.statistics), ones.sum(axis=1, dtype=float))[0])


def mean_measure(per_image: NDArray[Any]) -> Measure:
    """The mean of one value an image: (N,), bool or real."""
    _check_dimensions("per_image", per_image, 1)
    return Measure(per_image[:, None], lambda sums, weight: sums[:, 0] / weight)


def box_measure(hits: NDArray[np.bool_]) -> Measure:
    """The mean over δ of a box accuracy at given thresholds.

    Args:
        hits: (N, δ), bool: whether each image is localized (:meth:`wsol.metrics.BoxAccuracy.hits`).
    """
    _check_dimensions("hits", hits, 2)
    return Measure(hits, lambda sums, weight: sums.mean(axis=1) / weight)


def oracle_measure(hits: NDArray[np.bool_], chosen_by: NDArray[np.bool_] | None = None) -> Measure:
    """The mean over δ of each one's accuracy at its best threshold; every resample chooses its own.

    Args:
        hits: (N, δ, τ), bool: whether each image is localized at each threshold
            (:meth:`wsol.metrics.BoxAccuracy.sweep_hits`).
        chosen_by: of the same shape, the hits that the threshold is best for, where those are others:
            Top-1 Loc is taken at the best threshold of GT-known Loc.
    """
    _check_dimensions("hits", hits, 3)
    if chosen_by is not None and chosen_by.shape != hits.shape:
        raise ValueError(f"chosen_by must have the shape of hits, {hits.shape}, got {chosen_by.shape}")
    parts = [hits] if chosen_by is None else [hits, chosen_by]

    def value(sums: Floats, weight: Floats) -> Floats:
        split = sums.reshape(len(sums), len(parts), *hits.shape[1:])  # (R, 1 or 2, δ, τ)
        best = split[:, -1].argmax(axis=2)[..., None]  # (R, δ, 1)
        found: Floats = np.take_along_axis(split[:, 0], best, axis=2).mean(axis=(1, 2)) / weight
        return found

    columns = [each.reshape(len(hits), -1) for each in parts]
    return Measure(columns[0] if chosen_by is None else np.concatenate(columns, axis=1), value)


def pixel_measure(histograms: NDArray[Any]) -> Measure:
    """PxAP of pooled pixels.

    Args:
        histograms: (N, 2, bins), integer: :func:`wsol.metrics.pixel_histograms` of each image.
    """
    _check_dimensions("histograms", histograms, 3)
    shape = histograms.shape[1:]

    def value(sums: Floats, weight: Floats) -> Floats:
        pooled = torch.from_numpy(sums.reshape(len(weight), *shape))
        return np.asarray(pixel_average_precision(pooled).numpy())

    return Measure(histograms.reshape(len(histograms), -1), value)


def bootstrap_interval(
    measure: Measure, *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap over images (Efron, 1979): the central share of the resampled values.

    Args:
        measure: the number.
        resamples: how many sets of N images are drawn with replacement.
        confidence: in (0, 1).
        seed: of the draw; the same seed draws the same images for every measure of as many.

    Returns:
        The lower and the upper end; NaN if the number is undefined for a resample.

    Raises:
        ValueError: ``resamples`` below 1, or ``confidence`` outside (0, 1).
    """
    return bootstrap_intervals([measure], resamples=resamples, confidence=confidence, seed=seed)[0]


def bootstrap_intervals(
    measures: Sequence[Measure], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> list[tuple[float, float]]:
    """The intervals of several measures over the same images, as :func:`bootstrap_interval` gives each.

    Images are drawn once, and statistics that several measures have are summed once.

    Raises:
        ValueError: no measure, measures over other numbers of images, or an option out of its range.
    """
    _check_options(resamples, confidence)
    if len({len(measure.statistics) for measure in measures}) != 1:
        raise ValueError("measures must be one or more, over the same images")
    values = [np.concatenate(parts) for parts in zip(*_resampled(measures, resamples, seed), strict=True)]
    return [_central(each, confidence) for each in values]


@dataclass(frozen=True)
class PairedTest:
    """Two numbers over the same images: how they differ.

    Attributes:
        difference: first minus second.
        low: lower end of the difference's bootstrap interval.
        high: upper end.
        p: two-sided, in (0, 1]: how often a difference at least as large comes from exchanging the two
            on images chosen by coin.
    """

    difference: float
    low: float
    high: float
    p: float


def paired_test(
    first: Measure, second: Measure, *, resamples: int = 1999, confidence: float = 0.95, seed: int = 0
) -> PairedTest:
    """Compare two methods on the same images: bootstrap interval of the difference, permutation p.

    The interval resamples images, for both at once. The p-value is of the permutation test that swaps the
    two methods' statistics of each image with probability ½ (for right-or-wrong images it estimates
    the exact McNemar test), counting the observed arrangement as one more:

        p = (1 + #{|difference of a swap| ≥ |difference|}) / (1 + resamples)

    Args:
        first: one method's number.
        second: the other's, of the same kind, images in the same order.
        resamples: bootstrap resamples, and as many swaps.
        confidence: of the interval, in (0, 1).
        seed: of both draws.

    Raises:
        ValueError: measures whose statistics differ in shape, or an option out of its range.
    """
    _check_options(resamples, confidence)
    if first.statistics.shape != second.statistics.shape:
        raise ValueError(
            f"measures must be of the same kind over the same images, got statistics of shapes "
            f"{first.statistics.shape} and {second.statistics.shape}"
        )
    differences = np.concatenate([a - b for a, b in _resampled([first, second], resamples, seed)])
    low, high = _central(differences, confidence)
    difference = first.estimate - second.estimate
    bound = abs(difference) - _ROUNDING * max(abs(first.estimate), abs(second.estimate))
    extreme = sum(int((abs(swapped) >= bound).sum()) for swapped in _swapped(first, second, resamples, seed))
    return PairedTest(difference, low, high, (1 + extreme) / (1 + resamples))


def _resampled(measures: Sequence[Measure], resamples: int, seed: int) -> Iterator[list[Floats]]:
    """Values of the measures on the same resamples of images, some resamples at a time."""
    generator = np.random.default_rng(seed)
    pools = _pooled([measure.statistics for measure in measures])
    images = len(measures[0].statistics)
    for rows in _blocks(resamples, _ROWS):
        drawn = (generator.integers(images, size=images) for _ in rows)
        weights = np.stack([np.bincount(each, minlength=images) for each in drawn]).astype(np.float32)
        total = np.full(len(rows), float(images))
        values: dict[int, Floats] = {}
        for pool, columns in pools:
            sums = _sums(weights, pool)
            values |= {place: measures[place].value(sums[:, each], total) for place, each in columns.items()}
        yield [values[place] for place in range(len(measures))]


def _pooled(statistics: Sequence[NDArray[Any]]) -> list[tuple[NDArray[Any], dict[int, NDArray[np.int64]]]]:
    """Of each type the columns that differ, and of each of the statistics, by place, which are its own."""
    pools = []
    for kind in dict.fromkeys(each.dtype for each in statistics):
        places = [place for place, each in enumerate(statistics) if each.dtype == kind]
        seen: dict[bytes, int] = {}
        kept, columns = [], {}
        for place in places:
            own, column = _distinct(statistics[place], seen=seen)
            kept.append(statistics[place][:, own])
            columns[place] = column
        pools.append((np.concatenate(kept, axis=1), columns))
    return pools


def _swapped(first: Measure, second: Measure, resamples: int, seed: int) -> Iterator[Floats]:
    """Differences after swapping the statistics of images chosen by coin, some swaps at a time."""
    generator = np.random.default_rng(seed)
    kept, column = _distinct(first.statistics, second.statistics)
    one, other = (_widened(measure.statistics[:, kept]) for measure in (first, second))
    images = len(one)
    everything = np.ones((1, images), np.float32)
    sum_one, sum_other = _sums(everything, one), _sums(everything, other)
    change = other - one
    total = np.full(1, float(images))
    for rows in _blocks(resamples, _ROWS):
        coins = np.stack([generator.integers(256, size=-(-images // 8), dtype=np.uint8) for _ in rows])
        moved = _sums(np.unpackbits(coins, axis=1, count=images).astype(np.float32), change)  # (R, K)
        weight = total.repeat(len(rows))
        yield (
            first.value((sum_one + moved)[:, column], weight)
            - second.value((sum_other - moved)[:, column], weight)
        )


def _sums(weights: NDArray[np.float32], statistics: NDArray[Any]) -> Floats:
    """Weighted sums (R, N) @ (N, K) -> (R, K), float64.

    In float32, twice as fast, where that is exact: integers that stay below 2²⁴.
    """
    exact = False
    if statistics.dtype.kind in "biu":
        largest = max(abs(int(statistics.max())), abs(int(statistics.min())))
        exact = largest * int(weights.sum(axis=1, dtype=float).max()) < 2**24
    kind = np.float32 if exact else np.float64
    sums = np.zeros((len(weights), statistics.shape[1]))
    for images in _blocks(len(statistics), _IMAGES):
        part = slice(images.start, images.stop)
        sums += weights[:, part].astype(kind, copy=False) @ statistics[part].astype(kind)
    return sums


def _distinct(
    *statistics: NDArray[Any], seen: dict[bytes, int] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns that differ in at least one of several (N, K): places kept, and which stands for each.

    Under MaS the 1000 thresholds of a sweep are at most 256 different levels. ``seen`` numbers columns that
    were kept before, and is filled with these.
    """
    seen = {} if seen is None else seen
    kept: list[int] = []
    column: list[int] = []
    for places in _blocks(statistics[0].shape[1], 64):
        blocks = [np.ascontiguousarray(each[:, places.start : places.stop].T) for each in statistics]
        for offset, place in enumerate(places):
            key = b"".join(blake2b(block[offset].data, digest_size=16).digest() for block in blocks)
            if key not in seen:
                seen[key] = len(seen)
                kept.append(place)
            column.append(seen[key])
    return np.array(kept, np.int64), np.array(column, np.int64)


def _widened(statistics: NDArray[Any]) -> NDArray[Any]:
    """A type whose differences do not wrap: int8 of bool, int64 of other integers."""
    if statistics.dtype.kind == "b":
        return statistics.astype(np.int8)
    return statistics.astype(np.int64) if statistics.dtype.kind in "iu" else statistics.astype(np.float64)


def _blocks(length: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, length)) for start in range(0, length, size))


def _central(values: Floats, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _check_dimensions(name: str, values: NDArray[Any], dimensions: int) -> None:
    if values.ndim != dimensions:
        raise ValueError(f"{name} must have {dimensions} dimensions, got shape {values.shape}")


def _check_options(resamples: int, confidence: float) -> None:
    if resamples < 1:
        raise ValueError(f"resamples must be 1 or more, got {resamples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
