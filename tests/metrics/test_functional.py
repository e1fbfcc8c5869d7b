"""Levels, frames, overlaps and ranks against NumPy, golden boxes and hand-worked cases."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.conftest import Golden
from tests.metrics.samples import images, plain_overlap
from wsol.metrics import (
    distinct_ratios,
    hit_counts,
    level_histograms,
    levels_of,
    overlaps_by_level,
    ranks,
    references_of,
    thresholds,
    to_official_frame,
)
from wsol.thresholds import MaximumThreshold, PercentileThreshold


@given(seed=st.integers(0, 10**6), percentile=st.floats(0, 100), ratios=st.lists(st.floats(0, 1), min_size=1))
def test_levels_are_those_of_the_thresholds(seed: int, percentile: float, ratios: list[float]) -> None:
    maps, _ = images(seed, count=3, size=(7, 6))
    histograms, tau = level_histograms(maps), torch.tensor(ratios, dtype=torch.float64)
    assert histograms.shape == (3, 256) and (histograms.sum(dim=1) == 42).all()
    maximum, levels = levels_of(histograms, tau), levels_of(histograms, tau, percentile)
    for index, ratio in enumerate(ratios):
        grey = [np.floor(255 * each.numpy()).astype(np.uint8) for each in maps]
        assert maximum[:, index].tolist() == [int(ratio * each.max()) for each in grey]
        assert levels[:, index].tolist() == [int(ratio * np.percentile(each, percentile)) for each in grey]
        assert torch.equal(maximum[:, index], MaximumThreshold(ratio)(maps))
        assert torch.equal(levels[:, index], PercentileThreshold(ratio, percentile)(maps))


def test_thresholds_are_below_one() -> None:
    assert thresholds().tolist() == np.arange(0, 1, 0.001).tolist() and len(thresholds()) == 1000
    assert thresholds(0.25).tolist() == [0, 0.25, 0.5, 0.75] and thresholds(1).tolist() == [0]
    for wrong in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="step must be in"):
            thresholds(wrong)


def test_golden_boxes_in_the_official_frame(golden: Golden) -> None:
    stored = golden("box_sweep")
    for index, (width, height) in enumerate(stored["sizes_wh"].tolist()):
        original, official = (
            torch.from_numpy(stored[name][stored[name][:, 0] == index, 1:]) for name in ("boxes", "boxes_224")
        )
        assert torch.equal(to_official_frame(original, (int(height), int(width))), official)


def test_official_frame_by_hand() -> None:
    boxes = torch.tensor([[0, 0, 100, 50], [1, 1, 99, 49]])
    assert to_official_frame(boxes, (50, 100)).tolist() == [[0, 0, 224, 224], [2, 4, 221, 219]]
    assert to_official_frame(boxes.float() + 0.4, (50, 100), (50, 100)).tolist() == boxes.tolist()
    exact = torch.tensor([[61, 45, 61, 45]])  # 61/112 · 224 and 45 · (224/80) round to just below
    assert to_official_frame(exact, (80, 112)).tolist() == [[122, 126, 122, 126]]
    assert to_official_frame(boxes[:0], (50, 100)).shape == (0, 4)
    with pytest.raises(ValueError, match=r"boxes must be \(n, 4\), got \(2, 3\)"):
        to_official_frame(boxes[:, :3], (50, 100))
    with pytest.raises(ValueError, match="finite and not negative"):
        to_official_frame(boxes - 1, (50, 100))
    with pytest.raises(ValueError, match="size and frame must be"):
        to_official_frame(boxes, (0, 100))


@pytest.mark.parametrize("contours", ["largest", "all"])
def test_overlaps_at_every_level(contours: str) -> None:
    maps, boxes = images(seed=8, count=2)
    maps = torch.cat([maps[:1], torch.ones_like(maps[:1])])
    boxes[1] = torch.tensor([[0, 0, 24, 17]], dtype=torch.int32)
    found = overlaps_by_level(maps, boxes, contours, threads=2)  # type: ignore[arg-type]
    assert found.shape == (2, 256) and found.dtype == torch.float64
    for level in range(0, 255, 6):
        expected = plain_overlap(maps[0], boxes[0], contours, level / 255 + 1e-9)
        assert found[0, level] == expected
    assert found[1].tolist() == [1.0] * 255 + [1 / 450]  # u = 255 is above every level but the last


def test_ranks_by_hand() -> None:
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.1, 0.7, 0.2], [0.1, 0.7, 0.2], [3.0, 3.0, 4.0]])
    assert ranks(scores, torch.tensor([1, 2, 0, 1])).tolist() == [0, 1, 2, 1]
    with pytest.raises(ValueError, match=r"labels must be in \[0, 3\)"):
        ranks(scores, torch.tensor([1, 2, 0, 3]))
    with pytest.raises(ValueError, match=r"scores must be \(B, C\) and labels \(B,\)"):
        ranks(scores, torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="NaN"):
        ranks(scores.log().sub(torch.inf).add(torch.inf), torch.tensor([1, 2, 0, 1]))


_BOX = torch.tensor([[1, 1, 3, 3]])


@pytest.mark.parametrize(
    ("maps", "boxes", "message"),
    [
        (torch.zeros(8, 8).double(), [_BOX], r"maps must be \(B, H, W\)"),
        (torch.zeros(0, 8, 8).double(), [], r"maps must be \(B, H, W\) with at least one pixel"),
        (torch.zeros(1, 8, 8), [_BOX], "maps must be float64"),
        (torch.full((1, 8, 8), 1.1).double(), [_BOX], r"maps must be normalised to \[0, 1\]"),
        (torch.full((1, 8, 8), -0.1).double(), [_BOX], r"maps must be normalised to \[0, 1\]"),
        (torch.full((1, 8, 8), torch.nan).double(), [_BOX], r"maps must be normalised to \[0, 1\]"),
        (torch.zeros(2, 8, 8).double(), [_BOX], "boxes must be one tensor an image: 2 images, got 1"),
        (torch.zeros(1, 8, 8).double(), [_BOX[:0]], r"boxes\[0\] must be \(n, 4\) with at least one box"),
        (torch.zeros(1, 8, 8).double(), [_BOX[0]], r"boxes\[0\] must be \(n, 4\)"),
        (torch.zeros(1, 8, 8).double(), [_BOX.float()], r"boxes\[0\] must be integers"),
        (torch.zeros(1, 8, 8).double(), [_BOX - 2], r"boxes must be ordered .* got \[-1, -1, 1, 1\]"),
        (torch.zeros(1, 8, 8).double(), [_BOX.flip(1)], r"boxes must be ordered .* got \[3, 3, 1, 1\]"),
        (torch.zeros(1, 8, 8).double(), [_BOX + 7], r"start inside the 8×8 frame .* got \[8, 8, 10, 10\]"),
    ],
)
def test_wrong_maps_and_boxes_are_refused(maps: Tensor, boxes: list[Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overlaps_by_level(maps, boxes, "largest")


def test_a_box_may_reach_past_the_far_side() -> None:
    maps = torch.ones(1, 8, 8).double()
    assert overlaps_by_level(maps, [torch.tensor([[0, 0, 8, 8]])], "largest")[0, 0] == 64 / 81


def test_wrong_ratios_are_refused() -> None:
    histograms = level_histograms(torch.zeros(1, 2, 2))
    for wrong in (torch.tensor([0.5]), torch.tensor([1.5]).double(), torch.tensor([torch.nan]).double()):
        with pytest.raises(ValueError, match=r"ratios must be float64 in \[0, 1\]"):
            levels_of(histograms, wrong)


@given(seed=st.integers(0, 10**6), percentile=st.sampled_from([100.0, 90.0, 33.3]), step=st.floats(0.002, 1))
def test_counts_over_distinct_ratios_are_those_over_all(seed: int, percentile: float, step: float) -> None:
    generator = np.random.default_rng(seed)
    histograms = torch.from_numpy(generator.integers(0, 3, (5, 256)).astype(np.uint16))
    overlaps = torch.from_numpy(generator.random((5, 256)))
    ratios, deltas = thresholds(step), torch.tensor([0.3, 0.7], dtype=torch.float64)
    right = torch.from_numpy(generator.random(5) < 0.5)
    references = references_of(histograms, percentile)
    hits = np.array([
        [[overlap[int(ratio * reference)] >= delta for ratio in ratios.tolist()] for delta in (0.3, 0.7)]
        for overlap, reference in zip(overlaps.tolist(), references.tolist(), strict=True)
    ])  # fmt: skip
    counts = hit_counts(overlaps, references, ratios, deltas)
    assert counts.tolist() == hits.sum(axis=0).tolist()
    assert (
        hit_counts(overlaps, references, ratios, deltas, right).tolist() == hits[right].sum(axis=0).tolist()
    )
    new = distinct_ratios(references, ratios)
    assert new[0] and new.sum() <= len(ratios)
    levels = levels_of(histograms, ratios, percentile)
    assert torch.equal(levels[:, new][:, new.cumsum(dim=0) - 1], levels)
    assert distinct_ratios(torch.full((3,), 255.0).double(), thresholds()).sum() == 255  # τ = 1 is no step
