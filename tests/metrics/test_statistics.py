"""Bootstrap and paired tests against SciPy, exhaustive enumeration, simulated data and hand-worked cases."""

import itertools
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from wsol.metrics import (
    Measure,
    bootstrap_interval,
    bootstrap_intervals,
    box_measure,
    mean_measure,
    oracle_measure,
    paired_test,
    pixel_average_precision,
    pixel_measure,
)

Hits = NDArray[np.bool_]


def _sweeps(seed: int, images: int, width: float = 0.6) -> Hits:
    """Hits (N, 2, 30): each image is hit between two levels of its own."""
    generator = np.random.default_rng(seed)
    low = generator.uniform(0, 0.5, (images, 2, 1))
    high = low + generator.uniform(0, width, (images, 2, 1))
    levels = np.linspace(0, 1, 10).repeat(3)  # columns come three times
    return (low <= levels) & (levels < high)


def _oracle(hits: Hits) -> float:
    return float(np.mean([max(column.mean() for column in rows.T) for rows in hits.transpose(1, 0, 2)]))


def test_estimates_by_hand() -> None:
    assert mean_measure(np.array([1, 2, 6])).estimate == 3
    assert box_measure(np.array([[True, False], [True, True]])).estimate == 0.75
    hits = np.array([[[1, 0, 1], [0, 0, 0]], [[0, 1, 1], [0, 1, 0]]], bool)
    assert oracle_measure(hits).estimate == (1 + 0.5) / 2
    chosen_by = np.array([[[0, 1, 1], [0, 0, 0]], [[0, 1, 0], [1, 1, 0]]], bool)  # places 1 and 0 are best
    assert oracle_measure(hits, chosen_by).estimate == (0.5 + 0) / 2
    histograms = np.random.default_rng(0).integers(1, 9, (4, 2, 6))
    pooled = pixel_average_precision(torch.from_numpy(histograms.sum(axis=0))).item()
    assert pixel_measure(histograms).estimate == pytest.approx(pooled, abs=1e-15)


def test_several_measures_at_once_are_as_each_alone() -> None:
    generator = np.random.default_rng(0)
    hits, counts = _sweeps(3, 50), generator.integers(0, 9, 50)
    measures = [
        oracle_measure(hits), oracle_measure(hits & (counts < 5)[:, None, None], hits),
        mean_measure(generator.normal(size=50)), box_measure(hits[:, :, 1]),
        mean_measure(counts < 3), mean_measure(counts),
    ]  # fmt: skip
    together = bootstrap_intervals(measures, resamples=300, seed=2)
    assert together == [bootstrap_interval(each, resamples=300, seed=2) for each in measures]
    for wrong in ([], [mean_measure(counts), mean_measure(counts[:3])]):
        with pytest.raises(ValueError, match="one or more, over the same images"):
            bootstrap_intervals(wrong)


@pytest.mark.parametrize("kind", ["mean", "boxes", "oracle", "chosen", "pixels"])
def test_weights_are_repeated_images(kind: str) -> None:
    hits, histograms = _sweeps(0, 8), np.random.default_rng(1).integers(0, 99, (8, 2, 5))
    build: Callable[[NDArray[np.int64]], Measure] = {
        "mean": lambda chosen: mean_measure(histograms[chosen, 0, 0]),
        "boxes": lambda chosen: box_measure(hits[chosen, :, 12]),
        "oracle": lambda chosen: oracle_measure(hits[chosen]),
        "chosen": lambda chosen: oracle_measure(hits[chosen] & (chosen < 5)[:, None, None], hits[chosen]),
        "pixels": lambda chosen: pixel_measure(histograms[chosen]),
    }[kind]
    weights = np.array([[0, 3, 1, 0, 2, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1, 9]])
    measure = build(np.arange(8))
    values = measure.value(weights @ measure.statistics.astype(float), weights.sum(axis=1).astype(float))
    for row, value in zip(weights, values, strict=True):
        assert value == pytest.approx(build(np.arange(8).repeat(row)).estimate, abs=1e-14)


def test_interval_of_a_mean_is_scipys() -> None:
    sample = np.random.default_rng(0).exponential(size=40)
    found = bootstrap_interval(mean_measure(sample), resamples=20_000, confidence=0.9, seed=1)
    expected = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile", rng=2
    ).confidence_interval
    assert found == pytest.approx(tuple(expected), abs=0.1 * sample.std() / np.sqrt(40))


def test_interval_of_an_oracle_is_scipys() -> None:
    hits = _sweeps(1, 30)
    found = bootstrap_interval(oracle_measure(hits), resamples=4000, seed=1)
    expected = stats.bootstrap(
        (np.arange(30),),
        lambda chosen: _oracle(hits[chosen]),
        n_resamples=1500,
        vectorized=False,
        method="percentile",
        rng=2,
    )
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=0.2 * expected.standard_error)
    assert found[0] < oracle_measure(hits).estimate < found[1]


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator, covered = np.random.default_rng(0), 0
    for seed in range(300):
        low, high = bootstrap_interval(
            mean_measure(generator.random(120) < 0.6), resamples=400, confidence=0.8, seed=seed
        )
        covered += low <= 0.6 <= high
    assert 0.73 < covered / 300 < 0.87  # three standard errors around 0.8


def test_intervals_are_seeded_and_memory_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = oracle_measure(_sweeps(3, 50)), oracle_measure(_sweeps(4, 50, width=0.5))
    interval, test = bootstrap_interval(first), paired_test(first, second, resamples=300)
    assert bootstrap_interval(first) == interval != bootstrap_interval(first, seed=1)
    monkeypatch.setattr("wsol.metrics.statistics._ROWS", 7)
    monkeypatch.setattr("wsol.metrics.statistics._IMAGES", 11)
    assert bootstrap_interval(first) == interval
    assert paired_test(first, second, resamples=300) == test


def test_repeated_columns_change_nothing() -> None:
    hits = _sweeps(5, 40)
    once, thrice = oracle_measure(hits[:, :, ::3]), oracle_measure(hits)
    other = _sweeps(6, 40)
    assert bootstrap_interval(once) == bootstrap_interval(thrice)
    assert paired_test(once, oracle_measure(other[:, :, ::3])) == paired_test(thrice, oracle_measure(other))
    rolled = np.roll(other, 1, axis=2)  # columns that are equal in one method, not in the other
    assert paired_test(thrice, oracle_measure(rolled)) == paired_test(
        oracle_measure(hits[:, :, ::-1]), oracle_measure(rolled[:, :, ::-1])
    )


def test_p_of_right_or_wrong_images_is_mcnemars() -> None:
    first = np.array([True] * 30 + [True] * 14 + [False] * 4 + [False] * 12)
    second = np.array([True] * 30 + [False] * 14 + [True] * 4 + [False] * 12)
    found = paired_test(mean_measure(first), mean_measure(second), resamples=9999)
    expected = stats.binomtest(4, 18).pvalue
    assert found.difference == pytest.approx(10 / 60)
    assert found.p == pytest.approx(expected, abs=4 * np.sqrt(expected / 9999))
    assert found.low < found.difference < found.high
    swapped = paired_test(mean_measure(second), mean_measure(first), resamples=9999)
    assert (swapped.difference, swapped.low, swapped.high) == (-found.difference, -found.high, -found.low)


def test_p_of_real_values_is_scipys() -> None:
    generator = np.random.default_rng(0)
    first = generator.normal(size=14)
    second = first + generator.normal(0.5, 1, size=14)
    exact = stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    found = paired_test(mean_measure(first), mean_measure(second), resamples=9999)
    assert 0.01 < exact < 0.9
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 9999))


def test_p_of_an_oracle_is_that_of_all_swaps() -> None:
    first, second = _sweeps(7, 9), _sweeps(11, 9, width=0.4)
    observed = abs(_oracle(first) - _oracle(second))
    differences = [
        _oracle(np.where(swap, second, first)) - _oracle(np.where(swap, first, second))
        for swap in (np.array(coins)[:, None, None] for coins in itertools.product([False, True], repeat=9))
    ]
    exact = float(np.mean(np.abs(differences) >= observed - 1e-12))
    found = paired_test(oracle_measure(first), oracle_measure(second), resamples=4000)
    assert 0.01 < exact < 0.9
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000))
    assert found.difference == pytest.approx(_oracle(first) - _oracle(second), abs=1e-15)


def test_p_is_uniform_where_methods_do_not_differ() -> None:
    generator = np.random.default_rng(1)
    values = [
        paired_test(*(mean_measure(generator.normal(size=25)) for _ in range(2)), resamples=199, seed=seed).p
        for seed in range(200)
    ]
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_a_method_does_not_differ_from_itself() -> None:
    histograms = np.random.default_rng(0).integers(0, 50, (12, 2, 7), dtype=np.uint8)
    for measure in (oracle_measure(_sweeps(0, 12)), pixel_measure(histograms), mean_measure(np.arange(5.0))):
        found = paired_test(measure, measure, resamples=99)
        assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_p_is_never_zero() -> None:
    first, second = mean_measure(np.ones(60, bool)), mean_measure(np.zeros(60, bool))
    assert paired_test(first, second, resamples=99).p == 1 / 100


def test_large_integers_are_summed_exactly() -> None:
    counts = np.random.default_rng(0).integers(10**9, size=300)
    assert mean_measure(counts).estimate == int(counts.sum()) / 300
    assert bootstrap_interval(mean_measure(counts)) == bootstrap_interval(mean_measure(counts.astype(float)))


def test_unsigned_statistics_do_not_wrap() -> None:
    small = np.random.default_rng(0).integers(0, 255, (2, 20, 2, 6), dtype=np.uint8)
    pair, wide = (
        [pixel_measure(each) for each in small],
        [pixel_measure(each) for each in small.astype(float)],
    )
    found, expected = (astuple(paired_test(*measures, resamples=99)) for measures in (pair, wide))
    assert found == pytest.approx(expected, abs=1e-14) and found[0] != 0


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hits must have 3 dimensions, got shape \(4, 2\)"):
        oracle_measure(np.zeros((4, 2), bool))
    with pytest.raises(
        ValueError, match=r"chosen_by must have the shape of hits, \(4, 2, 3\), got \(4, 1, 3\)"
    ):
        oracle_measure(np.zeros((4, 2, 3), bool), np.zeros((4, 1, 3), bool))
    with pytest.raises(ValueError, match="at least one image"):
        mean_measure(np.zeros(0))
    with pytest.raises(ValueError, match="statistics must be finite"):
        mean_measure(np.array([1.0, np.nan]))
    measure = Measure(np.ones((3, 2)), lambda sums, weight: sums[:, 0] / weight)
    with pytest.raises(ValueError, match=r"same images, got statistics of shapes \(3, 2\) and \(3, 1\)"):
        paired_test(measure, mean_measure(np.ones(3)))
    with pytest.raises(ValueError, match="resamples must be 1 or more, got 0"):
        bootstrap_interval(measure, resamples=0)
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\), got 95"):
        paired_test(measure, measure, confidence=95)
