"""CutMix: the box, the pasting, and the loss of two labels."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.toys import batch as make_batch
from tests.methods.toys import seeded, small
from wsol.erasing import cut_and_paste, mixing_box
from wsol.methods import Batch
from wsol.methods.cutmix import CutMix, CutMixOptions

CLASSIFIER = small()  # which has no part in the mixing


def _mixed(batch: Batch, seed: int = 0, **options: Any) -> Batch:
    return CutMix(CLASSIFIER, CutMixOptions(**options)).transform_batch(batch, seeded(seed))


def test_boxes_worked_by_hand() -> None:
    """√(1 − 0.75) = ½: sides 5 and 10 of 10 × 20, half-extents 2 and 5 around the centre."""
    assert mixing_box((10, 20), 0.75, (5, 10)) == (5, 3, 15, 7)
    assert mixing_box((10, 20), 0.75, (0, 19)) == (14, 0, 20, 2)  # cut off at the border
    assert mixing_box((10, 20), 0, (5, 10)) == (0, 0, 20, 10)
    x0, y0, x1, y1 = mixing_box((10, 20), 1, (5, 10))
    assert (x1 - x0) * (y1 - y0) == 0
    with pytest.raises(ValueError, match=r"ratio must be in \[0, 1\], got 1.5"):
        mixing_box((10, 20), 1.5, (5, 10))


@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    ratio=st.floats(0, 1),
    at=st.tuples(*[st.floats(0, 0.99)] * 2),
)
def test_boxes_lie_inside_and_never_take_more_than_their_share(
    height: int, width: int, ratio: float, at: tuple[float, float]
) -> None:
    x0, y0, x1, y1 = mixing_box((height, width), ratio, (int(at[0] * height), int(at[1] * width)))
    assert 0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height
    assert (x1 - x0) * (y1 - y0) <= (1 - ratio) * height * width * (1 + 1e-9)


def test_pasting_by_hand() -> None:
    images = torch.arange(3.0)[:, None, None, None].expand(3, 2, 3, 4)
    mixed = cut_and_paste(images, torch.tensor([2, 0, 1]), (1, 0, 4, 2))
    assert mixed[:, 1].tolist() == [
        [[own, other, other, other]] * 2 + [[own] * 4] for own, other in [(0, 2), (1, 0), (2, 1)]
    ]


@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.2, 1.0, 5.0]))
def test_one_box_and_one_partner_for_each_image(seed: int, alpha: float) -> None:
    """Each image has a colour of its own: what it shows tells where it comes from."""
    count, height, width = 5, 12, 17
    colours = torch.arange(float(count))[:, None, None, None]
    batch = Batch(images=colours.expand(count, 3, height, width), labels=torch.arange(count) * 2)
    mixed = _mixed(batch, seed, alpha=alpha)
    assert mixed.partners is not None and sorted(mixed.partners.tolist()) == batch.labels.tolist()
    pasted = torch.zeros(height, width, dtype=torch.bool)
    for image, own, partner in zip(mixed.images, range(count), mixed.partners // 2, strict=True):
        shown = image[0] != own
        assert set(image.unique().tolist()) <= {float(own), float(partner)}
        pasted |= shown
        if partner != own:
            assert torch.equal(shown, (image == float(partner)).all(dim=0))
    rows, columns = pasted.any(dim=1), pasted.any(dim=0)
    assert torch.equal(pasted, rows[:, None] & columns)  # a box
    if (mixed.partners != mixed.labels).any():
        assert mixed.share == pytest.approx(1 - float(pasted.float().mean()))


def test_the_beta_distribution_is_drawn_from() -> None:
    """Beta(α, α) is at the ends for small α and at ½ for large; a box that is cut off takes less."""
    shares = {
        alpha: torch.tensor([_mixed(make_batch(2, 16), seed, alpha=alpha).share for seed in range(300)])
        for alpha in (0.05, 1.0, 1000.0)
    }
    assert all(each.min() >= 0 and each.max() <= 1 for each in shares.values())
    ends = {alpha: float((each > 0.99).float().mean()) for alpha, each in shares.items()}
    assert ends[0.05] > 0.4 > ends[1.0] and ends[1000.0] == 0
    assert abs(float(shares[1000.0].min()) - (1 - (10 / 16) ** 2)) < 1e-6  # int(16 · √½) // 2 = 5
    assert len(set(shares[1.0].tolist())) > 30


def test_the_loss_of_two_labels() -> None:
    batch = _mixed(make_batch(), seed=1)
    method = CutMix(small().eval(), CutMixOptions())
    terms = method.losses(batch, epoch=1, generator=seeded())
    logits = method.classifier(batch.images)[1]
    own = F.cross_entropy(logits, batch.labels)
    assert batch.partners is not None and 0 < batch.share < 1
    expected = batch.share * own + (1 - batch.share) * F.cross_entropy(logits, batch.partners)
    assert terms.keys() == {"classification"}
    torch.testing.assert_close(terms["classification"], expected)
    assert not torch.equal(expected, own)


def test_the_generator_decides_and_the_batch_stays() -> None:
    batch, kept = make_batch(), make_batch()
    first, again, other = (_mixed(batch, seed) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images) and first.share == again.share
    assert not torch.equal(first.images, other.images) and first.share != other.share
    assert torch.equal(batch.images, kept.images) and torch.equal(batch.labels, kept.labels)


def test_some_batches_are_left_alone() -> None:
    batch = make_batch(2, 8)
    assert _mixed(batch, probability=0) is batch
    mixed = sum(_mixed(batch, seed, probability=0.3) is not batch for seed in range(300))
    assert abs(mixed / 300 - 0.3) < 0.08


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.0}, "alpha must be above 0, got 0.0"),
        ({"alpha": float("nan")}, "alpha must be above 0, got nan"),
        ({"probability": -0.1}, r"probability must be in \[0, 1\], got -0.1"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CutMixOptions(**options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu() -> None:
    batch = Batch(images=make_batch().images.cuda(), labels=make_batch().labels.cuda())
    method = CutMix(small(), CutMixOptions())
    first, again = (method.transform_batch(batch, torch.Generator("cuda").manual_seed(0)) for _ in range(2))
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, batch.images)
