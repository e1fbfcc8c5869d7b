import re
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Golden
from wsol.losses import Region, consistency_loss, norm_loss, similarity_loss
from wsol.maps import decompose

LOSSES = {"0.6_bg0.1": (0.6, 0.1), "0.4_bg0.2": (0.4, 0.2)}


@pytest.mark.parametrize("name", LOSSES)
def test_golden_similarity_loss(golden: Golden, name: str) -> None:
    stored = golden("bridging")
    features, weight, labels = (torch.from_numpy(stored[key]) for key in ("features", "weight", "labels"))
    foreground, background = LOSSES[name]
    found = similarity_loss(features, weight, labels, foreground=foreground, background=background)
    assert found.item() == pytest.approx(stored[f"similarity_loss_fg{name}"].item(), abs=1e-14)


@pytest.mark.parametrize("region", ["target", "max"])
def test_golden_norm_loss(golden: Golden, region: Region) -> None:
    stored = golden("bridging")
    features, weight, labels = (torch.from_numpy(stored[key]) for key in ("features", "weight", "labels"))
    found = norm_loss(features, weight, labels, region=region)
    assert found.item() == pytest.approx(stored[f"norm_loss_{region}"].item(), abs=1e-14)


@pytest.mark.parametrize("region", ["target", "max"])
@pytest.mark.parametrize("name", LOSSES)
def test_golden_gradients_of_both_losses(golden: Golden, name: str, region: Region) -> None:
    stored = golden("bridging")
    features, weight = (torch.from_numpy(stored[key]).requires_grad_() for key in ("features", "weight"))
    labels = torch.from_numpy(stored["labels"])
    foreground, background = LOSSES[name]
    loss = similarity_loss(features, weight, labels, foreground=foreground, background=background)
    (loss + norm_loss(features, weight, labels, region=region)).backward()  # type: ignore[no-untyped-call]
    for key, parameter in (("features", features), ("weight", weight)):
        assert parameter.grad is not None
        np.testing.assert_allclose(
            parameter.grad.numpy(), stored[f"grad_{key}_{region}_fg{name}"], rtol=0, atol=1e-14
        )


@pytest.mark.parametrize("name", ["0.7", "0.8"])
def test_golden_consistency(golden: Golden, name: str) -> None:
    stored = golden("bridging")
    features, dropped = (torch.from_numpy(stored[key]) for key in ("features", f"dropped_p1_thr{name}"))
    assert consistency_loss(features, dropped).item() == pytest.approx(
        stored[f"consistency_thr{name}"].item()
    )


def test_losses_worked_by_hand() -> None:
    """Norms 0, 5, 10: F = 0, ½, 1. Similarities to class 0: 0 (no feature), 0.6 and −1."""
    features = torch.tensor([[0, 3, -10], [0, 4, 0]], dtype=torch.float64).view(1, 2, 1, 3)
    weight = torch.tensor([[2, 0], [0, 1]], dtype=torch.float64)
    labels = torch.tensor([0])
    loss = similarity_loss(features, weight, labels, foreground=0.4, background=0.6)
    assert loss.item() == pytest.approx((0 + 0.6) / 2 - (0.6 - 1) / 2)
    assert norm_loss(features, weight, labels, region="target").item() == pytest.approx(1 - 0.5)
    assert norm_loss(features, weight, labels, region="max").item() == pytest.approx(0 - 0.5)
    assert similarity_loss(features, weight, labels, foreground=1, background=0).item() == 0  # both empty


def test_gradients_reach_what_the_paper_says() -> None:
    """Of norm loss alone none goes to the weights; nowhere is one not finite, at zero features either."""
    features = torch.randn(2, 4, 3, 3).relu()
    features[0, :, 0, 0] = 0
    features.requires_grad_()
    weight = torch.randn(5, 4, requires_grad=True)
    labels = torch.tensor([1, 4])
    norm_loss(features, weight, labels).backward()  # type: ignore[no-untyped-call]
    assert weight.grad is None or not weight.grad.any()
    similarity_loss(features, weight, labels, foreground=0.5, background=0.5).backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None and features.grad.isfinite().all() and features.grad.any()
    assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad[[1, 4]].any()
    assert not weight.grad[[0, 2, 3]].any()  # of the true classes only


@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 10), foreground=st.floats(0, 1))
def test_losses_do_not_depend_on_the_scale_of_features_or_weights(
    seed: int, scale: float, foreground: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (2,), generator=generator)
    for region in get_args(Region):
        here = norm_loss(features, weight, labels, region=region)
        scaled = norm_loss(scale * features, 3 * weight, labels, region=region)
        assert scaled.item() == pytest.approx(here.item(), abs=1e-9) and -1 <= here <= 1
    loss = similarity_loss(features, weight, labels, foreground=foreground, background=0.3)
    assert -2 <= loss <= 2
    turned = similarity_loss(features, -weight, labels, foreground=foreground, background=0.3)
    assert turned.item() == pytest.approx(-loss.item(), abs=1e-12)


def test_steps_of_the_similarity_loss_raise_similarity_inside_and_lower_it_outside() -> None:
    features, labels = torch.randn(8, 16, 7, 7).relu().requires_grad_(), torch.arange(8) % 4
    weight = torch.randn(4, 16, requires_grad=True)
    norm, before = (each.detach() for each in decompose(features, weight, labels))
    optimizer = torch.optim.SGD([features, weight], lr=5.0)
    for _ in range(20):
        optimizer.zero_grad()
        similarity_loss(features, weight, labels, foreground=0.6, background=0.3).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = decompose(features, weight, labels)[1].detach()
    assert (after - before)[norm > 0.6].mean() > 0 > (after - before)[norm < 0.3].mean()


def test_consistency_pulls_both_passes() -> None:
    features, erased = torch.ones(1, 1, 1, 2, requires_grad=True), torch.zeros(1, 1, 1, 2, requires_grad=True)
    consistency_loss(features, erased).backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None and features.grad.flatten().tolist() == [0.5, 0.5]
    assert erased.grad is not None and erased.grad.flatten().tolist() == [-0.5, -0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda f, w, y: similarity_loss(f, w, y, foreground=1.1, background=0),
            "foreground must be in [0, 1]",
        ),
        (
            lambda f, w, y: similarity_loss(f, w, y, foreground=1, background=-1),
            "background must be in [0, 1]",
        ),
        (lambda f, w, y: norm_loss(f, w, y, region="all"), "region must be one of"),  # type: ignore[arg-type]
        (lambda f, w, y: norm_loss(f[0], w, y), "features must be (B, K, h, w)"),
        (lambda f, w, y: consistency_loss(f, f[:1]), "must be of one shape"),
    ],
)
def test_wrong_arguments(call, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(ValueError, match=re.escape(message)):
        call(torch.rand(2, 3, 4, 4), torch.rand(5, 3), torch.tensor([0, 1]))
