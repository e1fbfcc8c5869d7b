"""PxAP against its golden value, NumPy's histograms, plain sums and a case by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import Golden
from tests.metrics.samples import images
from wsol.maps import normalize, upsample
from wsol.metrics import (
    PixelAveragePrecision,
    mask_overlaps,
    pixel_average_precision,
    pixel_edges,
    pixel_histograms,
    precision_recall,
)
from wsol.metrics.pixels import _count_on_device


def _bits(packed: NDArray[np.generic]) -> torch.Tensor:
    return torch.from_numpy(np.unpackbits(packed.astype(np.uint8), axis=-1).astype(bool))


def test_golden(golden: Golden) -> None:
    stored, sweep = golden("pxap"), golden("box_sweep")
    masks, ignore = _bits(stored["masks"]), _bits(stored["ignore"])
    metric = PixelAveragePrecision()
    for index, map_index in enumerate(stored["map_index"].astype(int)):
        raw = torch.from_numpy(sweep[f"map_{map_index:02d}"])[None]
        part = slice(index, index + 1)
        metric.update(normalize(upsample(raw, (224, 224))), masks[part], ignore[part])
    assert 100 * metric.compute().item() == pytest.approx(float(stored["pxap_percent"]), abs=1e-9)


@given(
    seed=st.integers(0, 10**6),
    step=st.sampled_from([0.001, 0.005, 0.01, 0.07, 0.3, 1 / 3, 1.0]) | st.floats(0.001, 1),
    ignored=st.booleans(),
)
def test_histograms_are_numpys_at_the_edges_too(seed: int, step: float, ignored: bool) -> None:
    generator = np.random.default_rng(seed)
    edges = np.concatenate([np.arange(0, 1, step), [1, 2, 3]])
    edges = np.delete(edges, np.flatnonzero(np.diff(edges) == 0))
    inner = edges[edges <= 1]
    values = np.concatenate([inner, np.nextafter(inner, 0), np.nextafter(inner, 2), generator.random(50)])
    maps = generator.permutation(values.clip(0, 1))[: 3 * (len(values) // 3)].reshape(3, 1, -1)
    masks, ignore = generator.random(maps.shape) < 0.4, generator.random(maps.shape) < 0.2
    found = pixel_histograms(
        torch.from_numpy(maps), torch.from_numpy(masks), torch.from_numpy(ignore) if ignored else None, step
    )
    on_device = _count_on_device(
        torch.from_numpy(maps), torch.from_numpy(masks), torch.from_numpy(ignore) if ignored else None, step
    )
    assert torch.equal(on_device, found)  # what a GPU does
    kept = ~ignore if ignored else np.ones_like(masks)
    assert pixel_edges(step).tolist() == edges.tolist()
    for image, rows in enumerate(found.numpy()):
        for row, chosen in zip(rows, (~masks, masks), strict=True):
            expected, _ = np.histogram(maps[image][chosen[image] & kept[image]], bins=edges)
            assert row.tolist() == expected.tolist()


def test_by_hand() -> None:
    maps = torch.tensor([[[1.0, 0.6, 0.6, 0.3, 0.0]]], dtype=torch.float64)
    masks = torch.tensor([[[True, True, False, False, True]]])
    histograms = pixel_histograms(maps, masks, step=0.5)
    assert histograms.tolist() == [[[1, 1, 0, 0], [1, 1, 1, 0]]]  # bins [0, ½), [½, 1), [1, 2), [2, 3]
    precision, recall = precision_recall(histograms[0])
    assert precision.tolist() == [0, 1, 2 / 3, 3 / 5]
    assert recall.tolist() == [0, 1 / 3, 2 / 3, 1]
    expected = 1 / 3 * (1 + 2 / 3 + 3 / 5)
    assert pixel_average_precision(histograms).tolist() == [pytest.approx(expected)]
    assert mask_overlaps(histograms)[0].tolist() == [3 / 5, 2 / 4, 1 / 3, 0]
    assert pixel_average_precision(torch.tensor([[1, 1], [1, 3]])) == 3 / 4 * 3 / 4 + 1 / 4 * 4 / 6


@given(seed=st.integers(0, 10**6))
def test_average_precision_is_the_plain_sum_over_thresholds(seed: int) -> None:
    maps, _ = images(seed, count=3, size=(8, 9))
    masks = maps + 0.5 * torch.rand(maps.shape, generator=torch.Generator().manual_seed(seed)) > 0.8
    masks[0, 0, 0] = True
    edges = pixel_edges(0.05)[:-1]
    histograms = pixel_histograms(maps, masks, step=0.05)
    expected, recall = 0.0, 0.0
    for edge in reversed(edges.tolist()):
        above = maps >= edge
        hit = int((above & masks).sum())
        if above.any():
            expected += hit / int(above.sum()) * (hit / int(masks.sum()) - recall)
            recall = hit / int(masks.sum())
    found = pixel_average_precision(histograms.sum(dim=0)).item()
    assert found == pytest.approx(expected, abs=1e-12) and 0 <= found <= 1
    metric = PixelAveragePrecision(step=0.05)
    for part in (slice(0, 1), slice(1, 3)):
        metric.update(maps[part], masks[part])
    assert metric.compute() == found
    for index, edge in enumerate(edges.tolist()):
        above = maps >= edge
        union = (above | masks).sum(dim=(1, 2))
        overlap = torch.where(union > 0, (above & masks).sum(dim=(1, 2)) / union.clamp(min=1).double(), 0)
        assert torch.equal(mask_overlaps(histograms)[:, index], overlap)


def test_a_perfect_map_and_no_object() -> None:
    masks = torch.tensor([[[True, False], [False, False]]])
    metric = PixelAveragePrecision()
    metric.update(masks.double(), masks)
    assert metric.compute() == 1
    assert pixel_average_precision(pixel_histograms(masks.double(), ~masks & masks)).isnan().all()
    metric.reset()
    metric.update(masks.double(), masks, ignore=masks)
    with pytest.raises(ValueError, match="no pixel of an object was seen"):
        metric.compute()


def test_wrong_masks_are_refused() -> None:
    maps = torch.zeros(1, 4, 4, dtype=torch.float64)
    mask = maps > 0
    with pytest.raises(
        ValueError, match=r"masks must be bool of the maps' shape \(1, 4, 4\), got torch.float64"
    ):
        pixel_histograms(maps, maps)
    with pytest.raises(ValueError, match="masks must be bool of the maps' shape"):
        pixel_histograms(maps, mask[:, :2])
    with pytest.raises(ValueError, match="ignore must be bool of the maps' shape"):
        pixel_histograms(maps, mask, mask[0])
    with pytest.raises(ValueError, match="maps must be float64"):
        pixel_histograms(maps.float(), mask)
    with pytest.raises(ValueError, match="step must be in"):
        PixelAveragePrecision(step=2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_agrees() -> None:
    maps, _ = images(seed=0, count=4)
    masks, ignore = maps.roll(1, dims=1) > 0.5, maps.roll(2, dims=2) < 0.1
    here = pixel_histograms(maps, masks, ignore)
    assert torch.equal(pixel_histograms(maps.cuda(), masks.cuda(), ignore.cuda()).cpu(), here)
    metric = PixelAveragePrecision().cuda()
    metric.update(maps.cuda(), masks.cuda(), ignore.cuda())
    assert metric.compute().cpu() == pytest.approx(pixel_average_precision(here.sum(dim=0)).item(), abs=1e-14)
