"""Box accuracies against golden counts, OpenCV in a plain loop, hand-worked cases and properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.conftest import Golden
from tests.metrics.samples import images, plain_overlap
from wsol.maps import normalize, upsample
from wsol.metrics import BoxAccuracy


def _golden_images(golden: Golden) -> tuple[Tensor, list[Tensor]]:
    stored = golden("box_sweep")
    raw = [torch.from_numpy(stored[f"map_{i:02d}"])[None] for i in range(48)]
    rows = stored["boxes_224"]
    boxes = [torch.from_numpy(rows[rows[:, 0] == i, 1:]) for i in range(48)]
    return torch.cat([normalize(upsample(each, (224, 224))) for each in raw]), boxes


def test_golden_largest_contour(golden: Golden) -> None:
    stored = golden("box_sweep")
    rank = torch.from_numpy(np.where(stored["class_correct"], 0, 1))
    metric = BoxAccuracy()
    metric.update(*_golden_images(golden), rank)
    np.testing.assert_array_equal(metric.thresholds, stored["thresholds"])
    np.testing.assert_array_equal(metric.curves(), stored["hits_largest_iou50"][None] / 48)
    np.testing.assert_array_equal(metric.curves(topk=1), stored["hits_largest_iou50_and_class"][None] / 48)
    best = int(stored["hits_largest_iou50"].argmax())
    values = metric.compute()
    assert values["MaxBoxAcc"] == values["GT-known Loc"] == stored["hits_largest_iou50"].max() / 48
    assert values["Top-1 Loc"] == stored["hits_largest_iou50_and_class"][best] / 48
    assert metric.best_ratios().tolist() == [stored["thresholds"][best]]


def test_golden_all_contours(golden: Golden) -> None:
    stored = golden("box_sweep")
    metric = BoxAccuracy("all", (0.3, 0.5, 0.7))
    metric.update(*_golden_images(golden))
    expected = np.stack([stored[f"hits_all_iou{percent}"] for percent in (30, 50, 70)]) / 48
    np.testing.assert_array_equal(metric.curves(), expected)
    values = metric.compute()
    assert values["MaxBoxAccV2"].item() == pytest.approx(expected.max(axis=1).mean(), abs=1e-15)
    for delta, row in zip(metric.iou_thresholds, expected, strict=True):
        assert values[f"MaxBoxAccV2@{delta:g}"] == row.max()


@pytest.mark.parametrize("contours", ["largest", "all"])
@pytest.mark.parametrize("percentile", [None, 90.0, 37.5])
def test_a_plain_loop_with_opencv_agrees(contours: str, percentile: float | None) -> None:
    maps, boxes = images(seed=3, count=6)
    deltas = (0.1, 0.3, 0.5)
    metric = BoxAccuracy(contours, deltas, 0.05, 100 if percentile is None else percentile)  # type: ignore[arg-type]
    metric.update(maps, boxes)
    for ratio, column in zip(metric.thresholds.tolist(), metric.curves().T, strict=True):
        overlaps = [
            plain_overlap(*image, contours, ratio, percentile) for image in zip(maps, boxes, strict=True)
        ]
        hits = [[overlap >= delta for delta in deltas] for overlap in overlaps]
        assert column.tolist() == [sum(column) / len(maps) for column in zip(*hits, strict=True)]
        assert metric.hits(ratio).tolist() == hits


def test_by_hand() -> None:
    maps = torch.zeros(2, 10, 10, dtype=torch.float64)
    maps[0, 2:6, 2:6] = 1.0  # box [2, 2, 6, 6]: 25 pixels
    maps[0, 2:6, 6:9] = 0.5  # up to level 127 the box is [2, 2, 9, 6]: 40 pixels
    maps[1, 9, 9] = 1.0  # x + w is cut at 9: one pixel, [9, 9, 9, 9]
    boxes = [torch.tensor([[2, 2, 6, 6]]), torch.tensor([[0, 0, 0, 0], [8, 9, 9, 9]])]
    metric = BoxAccuracy(iou_thresholds=(0.5, 0.7), step=0.25)
    metric.update(maps, boxes, torch.tensor([7, 3]))
    # overlaps: image 0 25/40 at levels 0, 63, 127 (int(255·0.5) = 127, u = 127 is not above) -> 1 from 127
    assert metric.curves().tolist() == [[1, 1, 1, 1], [0, 0, 0.5, 0.5]]
    assert metric.at(0.25).tolist() == [1, 0]
    assert metric.at([0.25, 0.5]).tolist() == [1, 0.5]
    assert metric.hits([0.25, 0.5]).tolist() == [[True, True], [True, False]]
    assert metric.at(0.0, topk=5).tolist() == [0.5, 0]
    assert metric.best_ratios().tolist() == [0, 0.5]
    values = {name: value.item() for name, value in metric.compute().items()}
    assert values == {
        "MaxBoxAcc@0.5": 1,
        "MaxBoxAcc@0.7": 0.5,
        "MaxBoxAcc": 1,
        "GT-known Loc": 1,
        "Top-1 Loc": 0,
        "Top-5 Loc": 0.5,
    }


def test_an_empty_map_predicts_the_first_pixel() -> None:
    metric = BoxAccuracy(iou_thresholds=(0.5, 1.0))
    zeros = torch.zeros(2, 8, 8, dtype=torch.float64)
    metric.update(zeros, [torch.tensor([[0, 0, 1, 0]]), torch.tensor([[3, 3, 5, 5]])])
    assert (metric.curves() == torch.tensor([[0.5], [0]])).all()


def test_names_follow_contours_and_thresholds() -> None:
    maps, boxes = images(seed=0, count=3)

    def names(metric: BoxAccuracy) -> set[str]:
        metric.update(maps, boxes)
        return set(metric.compute())

    assert names(BoxAccuracy()) == {"MaxBoxAcc@0.5", "MaxBoxAcc", "GT-known Loc"}
    assert names(BoxAccuracy(iou_thresholds=(0.3,))) == {"MaxBoxAcc@0.3"}
    assert names(BoxAccuracy("all")) == {"MaxBoxAccV2@0.5"}  # not what MaxBoxAccV2 averages over
    assert "MaxBoxAccV2" in names(BoxAccuracy("all", (0.7, 0.5, 0.3)))


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), percentile=st.sampled_from([100.0, 90.0]), data=st.data())
def test_properties(seed: int, percentile: float, data: st.DataObject) -> None:
    maps, boxes = images(seed, count=5, size=(9, 11))
    rank = torch.tensor(data.draw(st.lists(st.integers(0, 9), min_size=5, max_size=5)))
    ratio = data.draw(st.floats(0, 1, exclude_max=True))
    metric = BoxAccuracy(iou_thresholds=(0.2, 0.5, 0.6), percentile=percentile)
    metric.update(maps, boxes, rank)
    curves = metric.curves()
    assert (curves >= 0).all() and (curves <= 1).all()
    assert (curves.diff(dim=0) <= 0).all()  # a stricter δ hits no more
    ranked = [metric.curves(topk) for topk in (1, 5, 10)]
    assert (ranked[0] <= ranked[1]).all() and (ranked[1] <= ranked[2]).all()
    assert torch.equal(ranked[2], curves)
    values = metric.compute()
    assert values["Top-1 Loc"] <= values["Top-5 Loc"] <= values["GT-known Loc"] == curves[1].max()
    best = metric.at(metric.best_ratios())
    assert torch.equal(best, curves.amax(dim=1))
    if percentile == 100:  # a ratio between two steps reaches a level that a step reaches too
        assert (best >= metric.at(ratio)).all()
    assert torch.equal(metric.sweep_hits(5).double().mean(dim=0), ranked[1])


@given(seed=st.integers(0, 10**6), order=st.permutations(range(5)), cut=st.integers(1, 4))
@settings(max_examples=20)
def test_neither_batches_nor_order_matter(seed: int, order: list[int], cut: int) -> None:
    maps, boxes = images(seed, count=5, size=(9, 11))
    rank = torch.arange(5)
    whole, split = BoxAccuracy("all", (0.3, 0.5)), BoxAccuracy("all", (0.3, 0.5))
    whole.update(maps, boxes, rank)
    for part in (order[:cut], order[cut:]):
        split.update(maps[part], [boxes[i] for i in part], rank[part])
    assert torch.equal(split.curves(2), whole.curves(2))
    assert torch.equal(split.hits(0.2), whole.hits(0.2)[list(order)])


def test_reindexing_equals_starting_over() -> None:
    maps, boxes = images(seed=1, count=6)
    metric = BoxAccuracy(step=0.01)
    metric.update(maps, boxes)
    metric.compute()
    other = metric.reindexed(iou_thresholds=(0.2, 0.6), percentile=80)
    expected = BoxAccuracy(iou_thresholds=(0.2, 0.6), step=0.01, percentile=80)
    expected.update(maps, boxes)
    assert torch.equal(other.curves(), expected.curves())
    assert other.compute() == expected.compute()
    other.update(maps, boxes)
    assert len(metric.hits(0.1)) == 6 and len(other.hits(0.1)) == 12 and metric.percentile == 100


def test_forward_reset_and_more_images_than_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, boxes = images(seed=2, count=5)
    metric = BoxAccuracy(iou_thresholds=(0.3,))
    assert metric(maps[:2], boxes[:2]) != metric(maps[2:], boxes[2:])  # the batch's own value
    whole = metric.curves()
    monkeypatch.setattr("wsol.metrics.functional._CHUNK", 2)
    assert torch.equal(metric.curves(), whole)
    assert torch.equal(metric.sweep_hits().double().mean(dim=0), whole)
    metric.reset()
    metric.update(maps, boxes)
    assert torch.equal(metric.curves(), whole)


def test_ranks_for_some_images_only_are_refused() -> None:
    maps, boxes = images(seed=0, count=2)
    metric = BoxAccuracy()
    metric.update(maps, boxes, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="rank must be given for every batch or for none"):
        metric.update(maps, boxes)
    metric.reset()
    metric.update(maps, boxes)
    with pytest.raises(ValueError, match="rank was not given for every image"):
        metric.curves(topk=1)
    ranked = BoxAccuracy()
    ranked.update(maps, boxes, torch.tensor([0, 1]))
    metric.merge_state(ranked)
    with pytest.raises(ValueError, match="rank was not given for every image"):
        metric.curves()


def test_asking_before_any_image_is_an_error() -> None:
    metric = BoxAccuracy()
    with pytest.raises(ValueError, match="no image was seen"):
        metric.curves()
    with pytest.warns(UserWarning, match="before the"), pytest.raises(ValueError, match="no image was seen"):
        metric.compute()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contours": "some"}, "contours must be 'largest' or 'all', got 'some'"),
        ({"iou_thresholds": ()}, "iou_thresholds must be distinct and in"),
        ({"iou_thresholds": (0.5, 0.5)}, "iou_thresholds must be distinct and in"),
        ({"iou_thresholds": (0.0,)}, "iou_thresholds must be distinct and in"),
        ({"step": 0.0}, r"step must be in \(0, 1\], got 0.0"),
        ({"percentile": 101.0}, r"percentile must be in \[0, 100\], got 101.0"),
    ],
)
def test_wrong_options_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoxAccuracy(**change)  # type: ignore[arg-type]


def test_wrong_questions_are_refused() -> None:
    metric = BoxAccuracy(iou_thresholds=(0.3, 0.5, 0.7))
    metric.update(*images(seed=0, count=2))
    with pytest.raises(ValueError, match="ratios must be one τ or one for each δ"):
        metric.at([0.1, 0.2])
    with pytest.raises(ValueError, match=r"ratios must be float64 in \[0, 1\]"):
        metric.at(1.5)
    with pytest.raises(ValueError, match="topk must be 1 or more, got 0"):
        metric.curves(topk=0)
    with pytest.raises(ValueError, match="percentile must be"):
        metric.reindexed(percentile=-1)


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        (torch.tensor([0]), r"rank must be \(2,\), got \(1,\)"),
        (torch.tensor([0.0, 1.0]), "rank must be integers, got torch.float32"),
        (torch.tensor([0, -1]), "rank must be 0 .* or more, got -1"),
    ],
)
def test_wrong_ranks_are_refused(rank: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoxAccuracy().update(*images(seed=0, count=2), rank)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_agrees() -> None:
    maps, boxes = images(seed=4, count=6)
    rank = torch.arange(6)
    here, there = BoxAccuracy("all", (0.3, 0.5)), BoxAccuracy("all", (0.3, 0.5)).cuda()
    here.update(maps, boxes, rank)
    there.update(maps.cuda(), [each.cuda() for each in boxes], rank.cuda())
    assert there.curves().is_cuda
    assert torch.equal(there.curves(5).cpu(), here.curves(5))
    assert torch.equal(there.best_ratios(), here.best_ratios())
