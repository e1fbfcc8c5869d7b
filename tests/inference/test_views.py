"""Maps of several views: scales, mirror, feature norm, refinement, and the presets made of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from jsonargparse import ArgumentParser

from tests.inference.conftest import MakeLocalizer
from wsol import Localization, LocalizerOptions
from wsol.errors import UsageError
from wsol.inference.localizer import Localizer
from wsol.inference.options import PRESETS, MapOptions, Preset
from wsol.inference.record import decode_map, encode_map
from wsol.methods import METHODS
from wsol.models import Model
from wsol.options import add_options, options_of


@pytest.fixture
def images() -> torch.Tensor:
    small = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    return F.interpolate(small, (96, 96), mode="bicubic").clamp(0, 1)


LABELS = torch.tensor([0, 3, 4])


def map_of(localizer: Localizer, images: torch.Tensor) -> torch.Tensor:
    return localizer.score_maps(localizer.see(images), LABELS[: len(images)])


def stretched(maps: torch.Tensor) -> torch.Tensor:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


def test_a_mirrored_picture_has_the_mirrored_map_with_flip(make: MakeLocalizer, images: torch.Tensor) -> None:
    localizer = make(flip=True)
    there, back = map_of(localizer, images), map_of(localizer, images.flip(-1)).flip(-1)
    torch.testing.assert_close(there, back)
    plain = make()
    assert not torch.allclose(map_of(plain, images), map_of(plain, images.flip(-1)).flip(-1))


def test_scales_are_averaged_on_the_finest_grid(make: MakeLocalizer, images: torch.Tensor) -> None:
    plain = make()
    large = F.interpolate(images, (192, 192), mode="bicubic").clamp(0, 1)
    one, two = map_of(plain, images).double(), map_of(plain, large).double()
    assert (one.shape, two.shape) == ((3, 3, 3), (3, 6, 6))
    grown = F.interpolate(one[:, None], (6, 6), mode="bicubic")[:, 0]
    expected = (stretched(grown) + stretched(two)) / 2
    torch.testing.assert_close(map_of(make(scales=(1.0, 2.0)), images), expected)


def test_norm_share_mixes_the_feature_norm_in(make: MakeLocalizer, images: torch.Tensor) -> None:
    cam, norm = (stretched(map_of(make(map=kind), images).double()) for kind in ("cam", "norm"))
    expected = stretched(0.75 * cam + 0.25 * norm)
    torch.testing.assert_close(map_of(make(norm_share=0.25), images), expected)
    torch.testing.assert_close(map_of(make(norm_share=1.0), images), norm)


def test_class_scores_are_of_the_picture_as_it_is(make: MakeLocalizer, images: torch.Tensor) -> None:
    plain, best = make().see(images), make(preset="best", scales=(2.0,)).see(images)
    assert torch.equal(plain.logits, best.logits)
    assert [tuple(view.shape[2:]) for view, _ in best.views] == [(6, 6), (6, 6)]


def test_a_refined_map_has_the_size_of_the_input(make: MakeLocalizer, images: torch.Tensor) -> None:
    localizer = make(preset="best")
    found = localizer(images[0])
    assert isinstance(found, Localization)
    assert found.raw_maps["map"].shape == (96, 96)
    restored = Localization.from_dict(found.to_dict())
    assert (restored.map == found.map).all()
    assert (restored.boxes == found.boxes).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_the_options_it_stands_for(
    make: MakeLocalizer, images: torch.Tensor, preset: str
) -> None:
    by_name, by_parts = make(preset=preset), make(**PRESETS[preset])  # type: ignore[index]
    assert torch.equal(map_of(by_name, images), map_of(by_parts, images))


def test_what_is_asked_for_goes_before_the_preset() -> None:
    options = MapOptions(preset="best", refine="none", scales=(1.5,)).filled()
    assert (options.refine, options.scales, options.flip, options.norm_share) == ("none", (1.5,), True, 0.25)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({"preset": "best"}, "best"),
        ({"preset": "best", "refine": "none"}, "balanced"),
        ({"flip": True, "scales": (1.0, 1.5)}, "scales 1 1.5, flip"),
        ({"refine": "grabcut", "norm_share": 0.5}, "F 0.5, grabcut"),
    ],
)
def test_what_is_told_of_the_options(options: dict[str, object], words: str) -> None:
    assert MapOptions(**options).told() == words  # type: ignore[arg-type]
    assert MapOptions(**options).is_plain == (not words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scales": ()}, "scales"),
        ({"scales": (0.0,)}, "scales"),
        ({"norm_share": 2.0}, "norm_share"),
        ({"preset": "fastest"}, "preset must be one of"),
        ({"refine": "crf"}, "refine must be one of"),
    ],
)
def test_options_out_of_range_are_told(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LocalizerOptions(**options)  # type: ignore[arg-type]


def test_a_larger_picture_goes_through_in_parts_of_as_many_pixels(
    make: MakeLocalizer, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = make(scales=(1.0, 2.0), flip=True)
    seen: list[tuple[int, ...]] = []
    forward = Localizer.forward

    def counted(self: Localizer, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append((len(images), images.shape[-1]))
        return forward(self, images)

    monkeypatch.setattr(Localizer, "forward", counted)
    many = torch.cat([images, images, images])[:8]
    found = localizer.see(many)
    assert seen == [*2 * [(8, 96)], *8 * [(2, 192)]]
    alone = localizer.see(images[:1])
    for (whole, mirrored), (one, _) in zip(found.views, alone.views, strict=True):
        torch.testing.assert_close(whole[:1], one, msg=f"mirrored: {mirrored}")


def test_a_damaged_view_leaves_an_empty_map(make: MakeLocalizer, images: torch.Tensor) -> None:
    localizer = make(preset="balanced")
    seen = localizer.see(images)
    features, mirrored = seen.views[-1]
    damaged = features.clone()
    damaged[1] = torch.nan
    found = localizer.score_maps(replace(seen, views=(*seen.views[:-1], (damaged, mirrored))), LABELS)
    assert found[1].eq(0).all()
    whole = localizer.score_maps(seen, LABELS)
    assert torch.equal(found[[0, 2]], whole[[0, 2]]) and whole[1].any()


def test_methods_without_a_feature_norm_take_presets_without_it(model: Model) -> None:
    for preset in PRESETS:
        localizer = Localizer(replace(model, method="acol"), LocalizerOptions(preset=preset))
        assert localizer.options.norm_share == 0
        assert localizer.options.scales == PRESETS[preset]["scales"]


def test_methods_without_a_feature_norm_refuse_a_share_of_it(model: Model) -> None:
    assert "norm" not in METHODS["acol"].maps
    with pytest.raises(UsageError, match="norm"):
        Localizer(replace(model, method="acol"), LocalizerOptions(norm_share=0.25))


@pytest.mark.parametrize(
    ("given", "flip"), [([], None), (["--flip"], True), (["--flip", "false"], False), (["--flip=true"], True)]
)
def test_flip_is_a_switch_that_can_be_left_open(given: list[str], flip: bool | None) -> None:
    parser = ArgumentParser()
    add_options(parser, MapOptions)
    options: MapOptions = options_of(MapOptions, parser.parse_args([*given, "--scales", "[1,2]"]))
    assert (options.flip, options.scales) == (flip, (1.0, 2.0))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_result_comes_back_whole_and_says_how_it_was_made(
    make: MakeLocalizer, images: torch.Tensor, preset: Preset
) -> None:
    (result, *_) = make(preset=preset)(images)
    assert isinstance(result, Localization)
    assert result.test_time == ("" if preset == "fast" else preset)
    line = json.dumps(result.to_dict())
    again = Localization.from_dict(json.loads(line))
    assert again.test_time == result.test_time
    for name, values in result.raw_maps.items():
        np.testing.assert_array_equal(again.raw_maps[name], values)


@pytest.mark.parametrize("what", ["levels", "between levels", "infinite"])
def test_large_maps_of_levels_are_kept_as_levels(what: str) -> None:
    values = (np.random.default_rng(0).integers(0, 256, (40, 50)) / 255).astype(np.float32)
    if what != "levels":
        values[3, 4] = 0.3 if what == "between levels" else np.inf
    encoded = encode_map(values)
    assert ("float32" in encoded) == (what != "levels")
    np.testing.assert_array_equal(decode_map(encoded), values)
