import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Golden
from wsol.erasing import (
    attention_dropout,
    attentive_dropout,
    drop_mask,
    erase_attended,
    hide_patches,
    importance_map,
    seed_targets,
)
from wsol.maps import normalize


@pytest.mark.parametrize("threshold", [0.7, 0.8])
def test_golden_attentive_dropout(golden: Golden, threshold: float) -> None:
    stored = golden("bridging")
    found = attentive_dropout(torch.from_numpy(stored["features"]), threshold=threshold, probability=1)
    assert torch.equal(found, torch.from_numpy(stored[f"dropped_p1_thr{threshold}"]))


def test_golden_adl(golden: Golden) -> None:
    stored = golden("erasing")
    features = torch.from_numpy(stored["features"])
    torch.testing.assert_close(importance_map(features), torch.from_numpy(stored["adl_importance"]))
    for threshold in (0.9, 0.8):
        name = f"adl_drop_mask_t{threshold}".replace(".", "_")
        assert torch.equal(drop_mask(features, threshold=threshold), torch.from_numpy(stored[name]))


def test_golden_acol(golden: Golden) -> None:
    stored = golden("erasing")
    features, attention = (torch.from_numpy(stored[key]) for key in ("features", "acol_attention"))
    low, high = attention.amin(), attention.amax()
    assert low >= 0 and high <= 1  # min–maxed already
    found = erase_attended(features, attention[:, 0], threshold=0.7)
    assert torch.equal(found, torch.from_numpy(stored["acol_erased_t0_7"]))


@given(seed=st.integers(0, 10**6), threshold=st.floats(0, 1), probability=st.floats(0, 1))
def test_attentive_dropout_zeroes_whole_pixels_inside_its_region_only(
    seed: int, threshold: float, probability: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(2, 3, 6, 5, generator=generator) + 0.1
    erased = attentive_dropout(features, threshold=threshold, probability=probability, generator=generator)
    gone = erased == 0
    assert torch.equal(gone.any(dim=1), gone.all(dim=1))
    assert torch.equal(erased[~gone], features[~gone])  # nothing is rescaled
    attention = features.mean(dim=1)
    region = attention > threshold * attention.flatten(1).amax(dim=1)[:, None, None]
    assert not (gone.any(dim=1) & ~region).any()


def test_attentive_dropout_takes_its_share_pixel_by_pixel_and_repeats_with_its_seed() -> None:
    features = torch.ones(4, 2, 100, 100)
    draws = [
        attentive_dropout(
            features, threshold=0.5, probability=0.25, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    share = (draws[0] == 0).float().mean(dim=(1, 2, 3))  # of each image
    assert ((share - 0.25).abs() < 0.02).all() and len(set(share.tolist())) == 4
    assert torch.equal(attentive_dropout(features, threshold=0.5, probability=0), features)
    assert torch.equal(features, torch.ones(4, 2, 100, 100))


def test_adl_draws_once_a_batch_and_passes_gradients_through_the_importance_alone() -> None:
    features = torch.rand(3, 4, 5, 5, requires_grad=True)
    kept = attention_dropout(features, drop_probability=0)
    assert torch.equal(kept, features * features.mean(dim=1, keepdim=True).sigmoid())
    dropped = attention_dropout(features, threshold=0.9, drop_probability=1)
    assert torch.equal(dropped, features * drop_mask(features, threshold=0.9))
    assert not drop_mask(features, threshold=0.9).requires_grad and importance_map(features).requires_grad
    generator = torch.Generator().manual_seed(0)
    draws = [attention_dropout(features, drop_probability=0.75, generator=generator) for _ in range(2000)]
    drops = sum(torch.equal(each, dropped) for each in draws)
    assert all(torch.equal(each, dropped) or torch.equal(each, kept) for each in draws)
    assert abs(drops / 2000 - 0.75) < 0.03


def test_adl_mask_by_hand() -> None:
    """Attention 1, 2, 4 and their peak 4: below 0.5 · 4 is the first alone, strictly."""
    features = torch.tensor([[0.0, 1, 4], [2, 3, 4]]).view(1, 2, 1, 3)
    assert drop_mask(features, threshold=0.5).flatten().tolist() == [1, 0, 0]
    assert drop_mask(features, threshold=1).flatten().tolist() == [1, 1, 0]


def test_what_acol_erases_gets_no_gradient_and_the_attention_neither() -> None:
    features = torch.rand(2, 3, 4, 4, requires_grad=True)
    attention = normalize(torch.rand(2, 4, 4)).requires_grad_()
    erased = erase_attended(features, attention, threshold=0.7)
    erased.sum().backward()  # type: ignore[no-untyped-call]
    assert attention.grad is None and features.grad is not None
    assert torch.equal(features.grad.bool(), (attention < 0.7)[:, None].expand_as(features))
    constant = normalize(torch.ones(2, 4, 4))  # defined as 0: nothing is erased
    assert torch.equal(erase_attended(features, constant, threshold=0.7), features)


def test_golden_spg_targets(golden: Golden) -> None:
    stored = golden("erasing")
    attention = torch.from_numpy(stored["spg_attention"])[:, 0]
    targets = torch.from_numpy(stored["spg_target_h0_7_l0_05"])[:, 0]
    assert torch.equal(seed_targets(attention, high=0.7, low=0.05), targets)


def test_spg_targets_by_hand() -> None:
    """One pixel above 0.7 is fewer than two: then above 0.7 · 0.8 = 0.56; below 0.6 is background, last."""
    attention = torch.tensor([[[0.8, 0.65, 0.6, 0.58, 0.1]]])
    assert seed_targets(attention, high=0.7, low=0.6, fewest=2).tolist() == [[[1, 1, 1, 0, 0]]]
    assert seed_targets(attention, high=0.7, low=0.6, fewest=1).tolist() == [[[1, 255, 255, 0, 0]]]


@given(
    seed=st.integers(0, 10**6), size=st.integers(1, 9), height=st.integers(1, 20), width=st.integers(1, 20)
)
def test_hidden_patches_lie_on_the_grid(seed: int, size: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 3, height, width, generator=generator) + 0.1
    hidden = hide_patches(images, size=size, generator=generator)
    gone = hidden == 0
    assert torch.equal(hidden[~gone], images[~gone])
    for y in range(0, height, size):  # rows are rows
        for x in range(0, width, size):
            patch = gone[:, :, y : y + size, x : x + size].flatten(1)
            assert torch.equal(patch.all(dim=1), patch.any(dim=1))


def test_half_of_the_patches_are_hidden_each_image_by_itself() -> None:
    images = torch.ones(2, 1, 400, 200)
    hidden = hide_patches(images, size=4, generator=torch.Generator().manual_seed(0))
    assert ((hidden == 0).float().mean(dim=(1, 2, 3)) - 0.5).abs().max() < 0.03
    assert not torch.equal(hidden[0], hidden[1])
    assert torch.equal(hide_patches(images, size=0), images)
    assert not hide_patches(images, size=32, probability=1).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: attentive_dropout(f[0], threshold=0.5, probability=0.5), "features must be (B, K, h, w)"),
        (lambda f: attentive_dropout(f, threshold=2, probability=0.5), "threshold must be in [0, 1], got 2"),
        (lambda f: attentive_dropout(f, threshold=0.5, probability=-1), "probability must be in [0, 1]"),
        (lambda f: drop_mask(f, threshold=1.5), "threshold must be in [0, 1]"),
        (lambda f: attention_dropout(f, drop_probability=1.5), "drop_probability must be in [0, 1]"),
        (lambda f: erase_attended(f, f, threshold=0.5), "attention must be (B, h, w)"),
        (lambda f: seed_targets(f, high=0.5, low=0.1), "attention must be (B, H, W)"),
        (lambda f: seed_targets(f[0], high=1.5, low=0.1), "high must be in [0, 1]"),
        (lambda f: hide_patches(f, size=-1), "size must be at least 0"),
    ],
)
def test_wrong_arguments(call, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(ValueError, match=re.escape(message)):
        call(torch.rand(2, 3, 4, 4))
