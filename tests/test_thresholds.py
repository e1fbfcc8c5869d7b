"""MaS and PaS against NumPy's percentile, golden boxes and hand-worked cases."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import Golden
from wsol.boxes import largest_box
from wsol.maps import normalize, upsample
from wsol.thresholds import (
    MaximumThreshold,
    PercentileThreshold,
    build,
    foreground,
    histogram_percentile,
    level_histograms,
    quantize,
)


def test_boxes_of_rethinking_cam(golden: Golden) -> None:
    maps, expected = golden("box_sweep"), golden("pas_boxes")
    chosen = expected["map_index"]
    normal = torch.cat(
        [normalize(upsample(torch.from_numpy(maps[f"map_{int(i):02d}"])[None], (224, 224))) for i in chosen]
    )
    for (percentile, ratio), boxes in zip(expected["combos"], expected["boxes"], strict=True):
        levels = PercentileThreshold(float(ratio), float(percentile))(normal)
        found = largest_box(foreground(normal, levels)).numpy()
        found[(found == 0).all(axis=1)] = [0, 0, 224, 224]  # what their frame says of an empty mask
        np.testing.assert_array_equal(found, boxes)
        if percentile == 100:
            assert torch.equal(MaximumThreshold(float(ratio))(normal), levels)


@given(
    seed=st.integers(0, 10**6),
    percentile=st.floats(0, 100) | st.integers(0, 100).map(float),
    ratio=st.floats(0, 1),
    kind=st.sampled_from(["uniform", "few", "sparse"]),
    side=st.integers(1, 20),
)
def test_percentile_is_numpys(seed: int, percentile: float, ratio: float, kind: str, side: int) -> None:
    maps = torch.rand(3, side, side + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    if kind == "few":
        maps = (maps * 4).floor() / 4
    if kind == "sparse":
        maps = torch.where(maps > 0.95, maps, 0)
    levels = PercentileThreshold(ratio, percentile)(maps)
    for level, map_ in zip(levels.tolist(), maps, strict=True):
        grey = np.floor(255 * map_.numpy()).astype(np.uint8)
        assert level == int(ratio * np.percentile(grey, percentile))


def test_maximum_by_hand() -> None:
    maps = torch.tensor([[[0.0, 0.2], [0.5, 1.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.1, 0.4], [0.0, 0.5]]])
    assert quantize(maps)[0].tolist() == [[0, 51], [127, 255]]
    levels = MaximumThreshold(0.2)(maps)
    assert levels.tolist() == [51, 0, 25]
    assert foreground(maps, levels).tolist() == [
        [[False, False], [True, True]],  # 51 is not above 51
        [[False, False], [False, False]],
        [[False, True], [False, True]],
    ]


def test_percentile_by_hand() -> None:
    maps = torch.arange(5, dtype=torch.float64).reshape(1, 1, 5) / 255 * 10 + 1e-9  # levels 0, 10, 20, 30, 40
    assert PercentileThreshold(1.0, 50)(maps).tolist() == [20]
    assert PercentileThreshold(1.0, 90)(maps).tolist() == [36]  # 30 + 0.6 · 10
    assert PercentileThreshold(0.5, 90)(maps).tolist() == [18]


def test_build_takes_each_kind_with_its_own_defaults() -> None:
    assert build("max") == MaximumThreshold(0.2)
    assert build("percentile", 0.3) == PercentileThreshold(0.3, 90)
    with pytest.raises(ValueError, match="percentile is an option of threshold 'percentile'"):
        build("max", percentile=90)
    with pytest.raises(ValueError, match="threshold must be"):
        build("otsu")  # type: ignore[arg-type]
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match="ratio must be"):
            MaximumThreshold(wrong)
    with pytest.raises(ValueError, match="percentile must be"):
        PercentileThreshold(0.3, 101)


@given(
    st.lists(st.lists(st.integers(0, 255), min_size=3, max_size=9), min_size=1, max_size=3),
    st.floats(0, 100) | st.sampled_from([0.0, 50.0, 90.0, 100.0]),
)
@example([[21, 92, 211, 245, 251]], 14.8)  # the last bit depends on the end that it interpolates from
def test_percentile_of_a_histogram_is_numpys_of_the_values(
    values: list[list[int]], percentile: float
) -> None:
    histograms = torch.tensor([[row.count(value) for value in range(256)] for row in values])
    expected = [np.percentile(row, percentile) for row in values]  # rows may count differently many
    assert histogram_percentile(histograms, percentile).tolist() == expected


def test_histogram_by_hand() -> None:
    histograms = level_histograms(torch.tensor([[[0.0, 0.2, 0.2]], [[1.0, 0.0, 0.5]]]))
    assert histograms.shape == (2, 256) and histograms.sum() == 6
    assert histograms[0, [0, 51]].tolist() == [1, 2] and histograms[1, [0, 127, 255]].tolist() == [1, 1, 1]
