"""Refinement by the photograph: the outline comes from the picture, the place from the map."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.refinement import grab_cut

SIDE = 64


def disc(centre: tuple[int, int], radius: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) < radius**2


def picture(inside: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A red disc on green, with a little noise: (1, 3, h, w), uint8."""
    colours = torch.where(inside[None], torch.tensor([200, 40, 40])[:, None, None], 0)
    colours = colours + torch.where(inside[None], 0, torch.tensor([40, 160, 60])[:, None, None])
    noise = torch.randint(-15, 16, colours.shape, generator=torch.Generator().manual_seed(seed))
    return (colours + noise).to(torch.uint8)[None]


def blob(centre: tuple[int, int], spread: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return torch.exp(-distance.double() / (2 * spread**2))[None]


def test_the_outline_is_that_of_the_object() -> None:
    inside = disc((32, 30), 18)
    coarse = blob((28, 27), 14)  # off the centre, without an edge
    refined = grab_cut(coarse, picture(inside))[0]

    def iou(found: torch.Tensor) -> float:
        return float((found & inside).sum() / (found | inside).sum())

    before = max(iou(coarse[0] > level) for level in torch.linspace(0, 0.99, 100).tolist())
    after = max(iou(refined > level) for level in torch.linspace(0, 0.99, 100).tolist())
    assert before < 0.85
    assert after > 0.93


def test_without_a_share_only_rounding_remains() -> None:
    coarse = blob((20, 40), 9)
    coarse = (coarse - coarse.min()) / (coarse.max() - coarse.min())
    refined = grab_cut(coarse, picture(disc((32, 32), 12)), share=0)
    assert (refined - coarse).abs().max() <= 0.5 / 255 + 1e-12


def test_each_image_is_refined_alone_and_repeatably() -> None:
    maps = torch.cat([blob((20, 20), 8), blob((40, 44), 12), blob((32, 32), 6)])
    images = torch.cat(
        [picture(disc(at, 14), seed) for seed, at in enumerate([(22, 22), (40, 40), (30, 34)])]
    )
    together = grab_cut(maps, images)
    alone = torch.cat([grab_cut(maps[i : i + 1], images[i : i + 1]) for i in range(3)])
    assert torch.equal(together, alone)
    assert torch.equal(together, grab_cut(maps, images.double() / 255))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["noise", "flat", "grey"]), st.integers(1, 24))
def test_any_picture_gives_a_map_of_8_bits(seed: int, kind: str, side: int) -> None:
    generator = np.random.default_rng(seed)
    image = np.full((3, side, side + 1), 90, np.uint8)
    if kind == "noise":
        image = generator.integers(0, 256, image.shape, np.uint8)
    if kind == "grey":
        image[:] = generator.integers(0, 256, (side, side + 1), np.uint8)
    map_ = torch.from_numpy(generator.random((1, side, side + 1)))
    refined = grab_cut((map_ - map_.min()) / (map_.max() - map_.min() + 1e-9), torch.from_numpy(image)[None])
    assert refined.shape == map_.shape
    assert ((255 * refined).round() - 255 * refined).abs().max() < 1e-9
    assert refined.min() >= 0
    assert refined.max() <= 1


def test_a_map_of_nothing_stays_one() -> None:
    assert not grab_cut(torch.zeros(1, 16, 16), picture(disc((32, 32), 8))[..., :16, :16]).any()
    assert grab_cut(torch.zeros(0, 8, 8), torch.zeros(0, 3, 8, 8)).shape == (0, 8, 8)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"background": 0.8}, "background < foreground"), ({"share": 1.5}, r"share must be in \[0, 1\]")],
)
def test_numbers_out_of_range_are_told(options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        grab_cut(torch.zeros(1, 8, 8), torch.zeros(1, 3, 8, 8), **options)


def test_sizes_that_differ_are_told() -> None:
    with pytest.raises(ValueError, match="must fit"):
        grab_cut(torch.zeros(1, 8, 8), torch.zeros(1, 3, 8, 9))
