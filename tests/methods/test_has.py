"""Hide-and-Seek: what is hidden, of which images, in which patches."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.toys import seeded, small
from wsol.erasing import hide_patches
from wsol.methods import Batch
from wsol.methods.has import HaS, HaSOptions

CLASSIFIER = small()  # which has no part in the hiding


def _batch(count: int = 6, side: int = 48) -> Batch:
    images = torch.rand(count, 3, side, side, generator=seeded(1)) + 0.1  # nothing is 0 by itself
    return Batch(images=images, labels=torch.arange(count) % 5)


def _hidden(batch: Batch, seed: int = 0, **options: Any) -> Batch:
    return HaS(CLASSIFIER, HaSOptions(**options)).transform_batch(batch, seeded(seed))


def test_one_size_hides_the_patches_of_the_paper() -> None:
    batch = _batch()
    found = _hidden(batch, sizes=(16,), probability=0.4)
    expected = hide_patches(batch.images, size=16, probability=0.4, generator=seeded())
    assert torch.equal(found.images, expected)
    assert torch.equal(found.labels, batch.labels) and found.partners is None and found.share == 1


def test_size_zero_hides_nothing() -> None:
    batch = _batch()
    assert torch.equal(_hidden(batch, sizes=(0,)).images, batch.images)
    assert torch.equal(_hidden(batch, sizes=(0, 0)).images, batch.images)
    assert torch.equal(_hidden(batch, probability=0.0).images, batch.images)


def test_each_image_draws_its_size() -> None:
    """Everything is hidden but in images that drew 0: half of them."""
    hidden = _hidden(_batch(400, 4), sizes=(0, 2), probability=1).images.flatten(1)
    gone = (hidden == 0).all(dim=1)
    assert torch.equal(gone, (hidden == 0).any(dim=1))
    assert abs(float(gone.float().mean()) - 0.5) < 0.08


@given(seed=st.integers(0, 10**6))
def test_every_image_lies_on_the_grid_of_one_of_the_sizes(seed: int) -> None:
    batch, sizes = _batch(5, 45), (0, 6, 15, 40)
    hidden = _hidden(batch, seed, sizes=sizes, probability=0.5).images
    gone = hidden == 0
    assert torch.equal(hidden[~gone], batch.images[~gone])
    for mask in gone:
        assert torch.equal(mask.any(dim=0), mask.all(dim=0))
        assert any(_on_grid(mask[0], size) for size in sizes)


def _on_grid(mask: torch.Tensor, size: int) -> bool:
    if size == 0:
        return not mask.any()
    rows = (mask[y : y + size] for y in range(0, len(mask), size))
    patches = [row[:, x : x + size] for row in rows for x in range(0, mask.shape[1], size)]
    return all(bool(patch.all()) or not patch.any() for patch in patches)


@pytest.mark.parametrize("sizes", [(16,), (0, 16, 32)])
def test_the_generator_decides_and_the_batch_stays(sizes: tuple[int, ...]) -> None:
    batch, kept = _batch(), _batch().images
    first, again, other = (_hidden(batch, seed, sizes=sizes).images for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(batch.images, kept)
    channels_last = replace(batch, images=kept.contiguous(memory_format=torch.channels_last))
    same = _hidden(channels_last, 1, sizes=sizes).images
    assert torch.equal(same, first) and same.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, "sizes must be one or more numbers of at least 0"),
        ({"sizes": (3, -1)}, r"sizes must be one or more numbers of at least 0, got \(3, -1\)"),
        ({"probability": 1.5}, r"probability must be in \[0, 1\], got 1.5"),
        ({"probability": float("nan")}, r"probability must be in \[0, 1\]"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HaSOptions(**options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu() -> None:
    batch = Batch(images=_batch().images.cuda(), labels=_batch().labels.cuda())
    method = HaS(small(), HaSOptions(sizes=(8, 16)))
    first, again = (method.transform_batch(batch, torch.Generator("cuda").manual_seed(0)) for _ in range(2))
    assert torch.equal(first.images, again.images) and (first.images == 0).any()
