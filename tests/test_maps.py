"""Maps against golden values, PyTorch's interpolation, hand-worked cases and properties."""

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Golden
from wsol.maps import average, class_activation_map, decompose, ivr_normalize, normalize, upsample


def test_average_by_hand() -> None:
    one = torch.tensor([[[0.0, 4.0]], [[1.0, 2.0]]])
    other = torch.tensor([[[3.0, 1.0]], [[5.0, 9.0]]])
    assert average([one, other]).tolist() == [[[0.5, 0.5]], [[0.0, 1.0]]]
    with pytest.raises(ValueError, match="no maps"):
        average([])


def test_average_with_a_view_that_is_not_finite_is_empty() -> None:
    one = torch.tensor([[[0.0, 4.0]], [[1.0, 2.0]]])
    damaged = one.clone()
    damaged[0, 0, 0] = torch.nan
    assert average([one, damaged]).tolist() == [[[0.0, 0.0]], [[0.0, 1.0]]]


def test_cam_and_nwc_are_the_published_ones(golden: Golden) -> None:
    values = {name: torch.from_numpy(value) for name, value in golden("rethinking").items()}
    arguments = values["features"], values["weight"], values["labels"]
    torch.testing.assert_close(class_activation_map(*arguments), values["cam"], rtol=0, atol=1e-12)
    clamped = class_activation_map(*arguments, clamp_negative=True)
    torch.testing.assert_close(clamped, values["cam_nwc"], rtol=0, atol=1e-12)


def test_similarity_is_the_published_one(golden: Golden) -> None:
    values = {name: torch.from_numpy(value) for name, value in golden("bridging").items()}
    _, similarity = decompose(values["features"], values["weight"], values["labels"])
    torch.testing.assert_close(similarity, values["similarity_target"], rtol=0, atol=1e-12)


def test_decomposition_by_hand() -> None:
    features = torch.tensor([[[[3.0, 0.0, 1.0]], [[4.0, 0.0, 0.0]]]])  # vectors (3, 4), (0, 0), (1, 0)
    weight = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    norm, similarity = decompose(features, weight, torch.tensor([1]))
    torch.testing.assert_close(norm, torch.tensor([[[1.0, 0.0, 0.2]]]))
    torch.testing.assert_close(similarity, torch.tensor([[[0.6, 0.0, 1.0]]]))
    assert decompose(features, weight, torch.tensor([0]))[1].tolist() == [[[0.0, 0.0, 0.0]]]


@given(seed=st.integers(0, 10**6), zero=st.booleans())
def test_norm_times_similarity_is_the_cam(seed: int, zero: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, 5, 4, 6, dtype=torch.float64, generator=generator).relu()
    features[0, :, 1, 2] *= not zero
    weight = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    labels = torch.randint(7, (3,), generator=generator)
    norm, similarity = decompose(features, weight, labels)
    lengths = torch.stack([(feature**2).sum(0).sqrt() for feature in features])
    rebuilt = lengths * torch.stack([(weight[label] ** 2).sum().sqrt() for label in labels])[:, None, None]
    torch.testing.assert_close(rebuilt * similarity, class_activation_map(features, weight, labels))
    reference = F.cosine_similarity(features, weight[labels][:, :, None, None], dim=1)
    torch.testing.assert_close(similarity, reference, rtol=1e-9, atol=1e-9)
    assert norm.amin() == 0 and norm.amax() <= 1 and similarity.abs().amax() <= 1 + 1e-12
    for image, length in zip(norm, lengths, strict=True):
        assert image.flatten().argsort().tolist() == length.flatten().argsort().tolist()


def test_decomposition_has_finite_gradients_at_zero_features() -> None:
    features = torch.zeros(1, 4, 2, 2, dtype=torch.float64)
    features[0, :, 0, 0] = 1
    features.requires_grad_()
    norm, similarity = decompose(features, torch.ones(1, 4, dtype=torch.float64), torch.tensor([0]))
    (norm.sum() + similarity.sum()).backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None and features.grad.isfinite().all()


@given(seed=st.integers(0, 10**6), a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_cam_is_linear_in_the_weights(seed: int, a: float, b: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(2, 4, 3, 3, dtype=torch.float64, generator=generator)
    first, second = torch.randn(2, 5, 4, dtype=torch.float64, generator=generator)
    labels = torch.tensor([1, 4])
    mixed = class_activation_map(features, a * first + b * second, labels)
    parts = a * class_activation_map(features, first, labels) + b * class_activation_map(
        features, second, labels
    )
    torch.testing.assert_close(mixed, parts)


def test_cam_reads_the_row_of_each_label_and_nwc_never_exceeds_what_is_positive() -> None:
    features, weight = torch.rand(3, 4, 2, 2), torch.randn(6, 4)
    labels = torch.tensor([5, 0, 3])
    for i, label in enumerate(labels):
        expected = sum(weight[label, k] * features[i, k] for k in range(4))
        torch.testing.assert_close(class_activation_map(features, weight, labels)[i], expected)
    clamped = class_activation_map(features, weight, labels, clamp_negative=True)
    assert (clamped >= class_activation_map(features, weight, labels) - 1e-6).all() and (clamped >= 0).all()


def test_labels_and_shapes_are_checked() -> None:
    features, weight = torch.rand(2, 4, 3, 3), torch.rand(5, 4)
    with pytest.raises(ValueError, match="same K"):
        class_activation_map(features, torch.rand(5, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"labels must be \(2,\)"):
        class_activation_map(features, weight, torch.tensor([0]))
    for label in (-1, 5):
        with pytest.raises(IndexError):
            class_activation_map(features, weight, torch.tensor([0, label]))


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 2),
    size=st.tuples(*[st.integers(1, 40)] * 2),
    seed=st.integers(0, 10**6),
)
def test_upsampling_is_pytorchs_bicubic(shape: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    maps = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = F.interpolate(maps[None], size=size, mode="bicubic", align_corners=False)[0]
    torch.testing.assert_close(upsample(maps, size), expected, rtol=0, atol=1e-14)


def test_upsampling_is_opencvs_bicubic() -> None:
    maps = torch.rand(14, 7, dtype=torch.float64)  # OpenCV's weights are float32, exact for 16 and 32 times
    expected = cv2.resize(maps.numpy(), (224, 224), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(upsample(maps[None], (224, 224))[0].numpy(), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_constant_map_is_nothing_after_upsampling_too(dtype: torch.dtype) -> None:
    maps = torch.full((1, 7, 7), 0.3, dtype=dtype)
    assert upsample(maps, (224, 224)).dtype == torch.float64
    assert normalize(upsample(maps, (224, 224))).count_nonzero() == 0
    assert normalize(maps).count_nonzero() == 0 and normalize(maps).dtype == dtype


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_map_with_a_value_that_is_not_finite_is_nothing_and_spares_the_others(value: float) -> None:
    maps = torch.rand(2, 3, 3, dtype=torch.float64)
    alone = normalize(maps)[1]
    maps[0, 1, 1] = value
    assert normalize(maps)[0].count_nonzero() == 0
    assert torch.equal(normalize(maps)[1], alone)
    assert ivr_normalize(maps)[0].count_nonzero() == 0


@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_normalising_forgets_scale_and_shift_and_fills_the_unit_interval(
    seed: int, scale: float, shift: float
) -> None:
    maps = torch.randn(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    normal = normalize(maps)
    torch.testing.assert_close(normalize(maps * scale + shift), normal, rtol=0, atol=1e-9)
    assert normal.amin(dim=(1, 2)).tolist() == [0, 0] and normal.amax(dim=(1, 2)).tolist() == [1, 1]


def test_ivr_by_hand() -> None:
    maps = torch.arange(10, dtype=torch.float64).reshape(1, 2, 5) * 2 + 3  # minus its minimum: 0, 2, …, 18
    expected = (torch.arange(10) / 8).clamp(max=1).double()  # element int(0.8 · 10) = 8 of them is 16
    torch.testing.assert_close(ivr_normalize(maps, 80)[0].flatten(), expected)
    peak = torch.zeros(1, 5, 5)
    peak[0, 2, 2] = 1  # its 90th percentile is 0
    assert ivr_normalize(peak).count_nonzero() == 0
    with pytest.raises(ValueError, match="percentile must be"):
        ivr_normalize(maps, 100)


def test_half_precision_is_lifted_where_it_would_overflow() -> None:
    features = torch.ones(1, 3, 4, 4, dtype=torch.float16)
    norm, similarity = decompose(features, torch.ones(2, 3, dtype=torch.float16), torch.tensor([0]))
    assert norm.count_nonzero() == 0  # a constant norm
    torch.testing.assert_close(similarity, torch.ones(1, 4, 4))


def test_a_map_of_the_size_asked_for_keeps_every_bit() -> None:
    levels = torch.arange(256, dtype=torch.float64).flip(0).view(1, 16, 16) / 255  # its corner is not 0
    assert torch.equal(upsample(levels, (16, 16)), levels)
    assert torch.equal((255 * normalize(levels)).long().flatten(), torch.arange(255, -1, -1))
