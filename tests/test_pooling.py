"""GAP and TAP against golden logits, hand-worked cases, properties and numerical gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.conftest import Golden
from wsol.pooling import global_average_pool, thresholded_average_pool


@pytest.mark.parametrize("threshold", ["0.0", "0.1", "0.3"])
def test_tap_gives_the_published_logits(golden: Golden, threshold: str) -> None:
    values = {name: torch.from_numpy(value) for name, value in golden("rethinking").items()}
    pooled = thresholded_average_pool(values["features"], float(threshold))
    logits = pooled @ values["weight"].T + values["bias"]
    torch.testing.assert_close(logits, values[f"logits_theta{threshold}"], rtol=0, atol=1e-12)


def test_tap_by_hand() -> None:
    features = torch.tensor(
        [[[[0.0, 1.0], [5.0, 10.0]], [[0.0, 0.0], [0.0, 0.0]], [[-1.0, -2.0], [-3.0, 4.0]]]]
    ).double()
    # θ = 0.1: of the first channel 1.0 is not strictly above 0.1 · 10, so 5 and 10 stay
    assert thresholded_average_pool(features, 0.1).tolist() == [[7.5, 0.0, 4.0]]
    assert thresholded_average_pool(features, 0.0).tolist() == [[16 / 3, 0.0, 4.0]]
    assert global_average_pool(features).tolist() == [[4.0, 0.0, -0.5]]


def test_channels_without_a_positive_value_pool_to_zero() -> None:
    assert thresholded_average_pool(-torch.rand(2, 3, 4, 4) - 0.1, 0.1).tolist() == [[0.0] * 3] * 2


@given(value=st.floats(1e-3, 1e3), threshold=st.floats(0, 0.99), shape=st.tuples(*[st.integers(1, 5)] * 4))
def test_tap_of_a_constant_positive_map_is_gap(
    value: float, threshold: float, shape: tuple[int, ...]
) -> None:
    features = torch.full(shape, value, dtype=torch.float64)
    torch.testing.assert_close(thresholded_average_pool(features, threshold), global_average_pool(features))


@given(threshold=st.floats(0, 0.99), scale=st.floats(0.1, 10), seed=st.integers(0, 10**6))
def test_tap_scales_with_its_input_and_lies_between_gap_and_maximum(
    threshold: float, scale: float, seed: int
) -> None:
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    pooled = thresholded_average_pool(features, threshold)
    assert (pooled >= global_average_pool(features) - 1e-12).all()
    assert (pooled <= features.amax(dim=(-2, -1)) + 1e-12).all()
    kept = thresholded_average_pool(features * 2.0**3, threshold)  # a power of two scales without rounding
    torch.testing.assert_close(kept, pooled * 2.0**3)


def test_tap_gradient_is_right_and_spares_what_the_threshold_cut() -> None:
    features = torch.rand(2, 3, 4, 4, dtype=torch.float64).requires_grad_()

    def pool(values: Tensor) -> Tensor:
        return thresholded_average_pool(values, 0.3)

    assert torch.autograd.gradcheck(pool, features)
    pool(features).sum().backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    kept = features > 0.3 * features.amax(dim=(-2, -1), keepdim=True)
    expected = kept / kept.sum(dim=(-2, -1), keepdim=True)
    torch.testing.assert_close(features.grad, expected.double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_is_kept_and_counts_do_not_round(dtype: torch.dtype) -> None:
    features = torch.ones(1, 1, 28, 28, dtype=dtype)  # 784 is no bfloat16 number
    for pooled in (global_average_pool(features), thresholded_average_pool(features)):
        assert pooled.dtype == dtype
        assert pooled.item() == 1.0


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"threshold must be in \[0, 1\), got 1"):
        thresholded_average_pool(torch.rand(1, 2, 3, 3), 1)
    with pytest.raises(ValueError, match=r"features must be .* got .*\(2, 3, 3\)"):
        global_average_pool(torch.rand(2, 3, 3))
