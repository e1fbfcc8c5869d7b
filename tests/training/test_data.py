"""Which images an epoch has, and what becomes of each."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from wsol.data.dataset import DataSet, open_data
from wsol.errors import DataError, ImageError, UsageError
from wsol.training import data as data_module
from wsol.training.config import Cache
from wsol.training.data import Erased, TrainingImages, derive, epoch_batches, frame_size, load

SIZE = (28, 42)


@pytest.fixture
def data(squares: Path) -> DataSet:
    return open_data(squares)


def images_of(data: DataSet, **options: Any) -> TrainingImages:
    given: dict[str, Any] = {"augmentation": "protocol", "seed": 3, "size": SIZE} | options
    return TrainingImages(data, data.split("train").examples, **given)


def decoded(data: DataSet, place: int, frame: tuple[int, int]) -> NDArray[np.uint8]:
    """The frame (h, w, 3), by Pillow alone."""
    with Image.open(data.images / data.split("train").examples[place].id) as picture:
        resized = picture.convert("RGB").resize((frame[1], frame[0]), Image.Resampling.BILINEAR)
        return np.asarray(resized)


shapes = {
    "count": st.integers(1, 60),
    "world": st.integers(1, 5),
    "batch_size": st.integers(1, 17),
    "seed": st.integers(0, 2**32),
    "epoch": st.integers(0, 300),
}


@given(**shapes, balanced=st.booleans())
def test_every_process_has_a_part_of_every_batch(
    count: int, world: int, batch_size: int, seed: int, epoch: int, balanced: bool
) -> None:
    labels = [place % 3 for place in range(count)]
    options: dict[str, Any] = {"epoch": epoch, "batch_size": batch_size, "seed": seed, "world": world}
    if count < world:
        with pytest.raises(UsageError, match=f"{world} processes are more than the {count} training images"):
            epoch_batches(labels, balanced=balanced, **options)
        return
    batches = epoch_batches(labels, balanced=balanced, **options)
    assert all(len(batch) == batch_size * world for batch in batches[:-2])
    for batch in batches[-2:]:
        sizes = [len(batch[rank::world]) for rank in range(world)]
        assert max(sizes) - min(sizes) <= 1 and min(sizes) > 0 and max(sizes) <= batch_size + 2
        assert batch_size == 1 or len(batches) == 1 or min(sizes) > 1  # one image is no batch of its own
    drawn = [draw for batch in batches for draw in batch]
    assert {number for number, _ in drawn} == {epoch} and len(drawn) == count
    if not balanced:
        assert sorted(place for _, place in drawn) == list(range(count))


@given(**shapes)
def test_batches_are_a_function_of_seed_and_epoch(
    count: int, world: int, batch_size: int, seed: int, epoch: int
) -> None:
    """Whatever else was drawn before; several processes have the batches of one, but for a joined last."""
    labels = list(range(max(count, world)))
    several = epoch_batches(labels, epoch=epoch, batch_size=batch_size, seed=seed, world=world)
    np.random.seed(epoch)
    torch.manual_seed(epoch)
    assert epoch_batches(labels, epoch=epoch, batch_size=batch_size, seed=seed, world=world) == several
    one = epoch_batches(labels, epoch=epoch, batch_size=batch_size * world, seed=seed)
    if len(one[-1]) >= 2 * world:
        assert several == one
    assert [draw for batch in several for draw in batch] == [draw for batch in one for draw in batch]


def test_epochs_and_seeds_differ() -> None:
    labels = [0] * 40
    orders = {
        tuple(place for _, place in epoch_batches(labels, epoch=epoch, batch_size=40, seed=seed)[0])
        for epoch in range(5)
        for seed in range(5)
    }
    assert len(orders) == 25


def test_balanced_draws_classes_equally() -> None:
    """Of 900, 90 and 10 images a third of the draws each, and within a class each image alike."""
    labels = [5] * 900 + [0] * 90 + [2] * 10
    counts: Counter[int] = Counter()
    for epoch in range(10):
        batches = epoch_batches(labels, epoch=epoch, batch_size=64, seed=1, balanced=True)
        counts.update(place for batch in batches for _, place in batch)
    assert counts.total() == 10_000
    for places in (range(900), range(900, 990), range(990, 1000)):
        assert abs(sum(counts[place] for place in places) - 10_000 / 3) < 5 * (10_000 * 2 / 9) ** 0.5
    rare = [counts[place] for place in range(990, 1000)]
    assert max(abs(number - 1000 / 3) for number in rare) < 5 * (1000 / 3) ** 0.5


def test_derived_seeds_differ() -> None:
    seeds = {derive(a, b) for a in range(50) for b in range(50)}
    assert len(seeds) == 2500 and all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("augmentation", ["protocol", "crops", "none"])
def test_an_image_depends_on_epoch_and_place_alone(data: DataSet, augmentation: str) -> None:
    draws = [(epoch, place) for epoch in range(2) for place in range(0, 21, 4)]
    first = images_of(data, augmentation=augmentation)
    expected = {draw: first[draw][0] for draw in draws}
    cached = images_of(data, augmentation=augmentation)
    cached.keep("memory", progress=False)
    assert cached.cache is not None
    for number, images in enumerate((first, cached)):
        random.Random(number).shuffle(draws)
        for draw in draws:
            torch.manual_seed(number + 7)
            state = torch.get_rng_state()
            image, label, errors = images[draw]
            assert torch.equal(image, expected[draw]) and not errors
            assert label == data.split("train").examples[draw[1]].label
            assert torch.equal(torch.get_rng_state(), state)
            assert image.shape == (3, *SIZE) and image.dtype == torch.uint8
    changed = [not torch.equal(expected[0, place], expected[1, place]) for place in range(0, 21, 4)]
    assert any(changed) == (augmentation != "none")
    other = images_of(data, augmentation=augmentation, seed=4)
    seeded = [not torch.equal(expected[draw], other[draw][0]) for draw in draws]
    assert any(seeded) == (augmentation != "none")


def test_frames() -> None:
    assert frame_size((224, 224), "protocol") == (256, 256)
    assert frame_size((224, 224), "crops") == (336, 336)
    assert frame_size((224, 112), "protocol") == (256, 128)
    assert frame_size((299, 299), "none") == (299, 299)


def test_protocol_crops_and_flips_the_resized_picture(data: DataSet) -> None:
    images = images_of(data)
    assert images.frame == (32, 48)
    found = set()
    for place in range(3):
        frame = decoded(data, place, (32, 48))
        for epoch in range(80):
            image = images[epoch, place][0].permute(1, 2, 0).numpy()
            fits = [
                (y, x, flipped)
                for y in range(32 - 28 + 1)
                for x in range(48 - 42 + 1)
                for flipped in (False, True)
                if np.array_equal(frame[y : y + 28, x : x + 42][:, :: -1 if flipped else 1], image)
            ]
            assert len(fits) == 1
            found.add(fits[0])
    assert {y for y, _, _ in found} == set(range(5)) and {x for _, x, _ in found} == set(range(7))
    assert abs(np.mean([flipped for _, _, flipped in found]) - 0.5) < 0.15


def test_none_is_the_resized_picture(data: DataSet) -> None:
    images = images_of(data, augmentation="none")
    for place in range(21):
        image = images[5, place][0].permute(1, 2, 0).numpy()
        assert np.array_equal(image, decoded(data, place, SIZE))


def broken(data: DataSet, tmp_path: Path, *places: int) -> DataSet:
    """The data set with some images damaged, in a copy."""
    for place, example in enumerate(data.split("train").examples):
        target = tmp_path / example.id
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"" if place in places else (data.images / example.id).read_bytes())
    return replace(data, images=tmp_path)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_another_image_stands_for_one_that_cannot_be_read(data: DataSet, tmp_path: Path, cache: Any) -> None:
    bad = broken(data, tmp_path, 2, 3, 20)
    images, whole = (images_of(each, augmentation="none") for each in (bad, data))
    images.keep(cache, progress=False)
    assert (images.cache is None) == (cache == "none")
    assert not images[0, 1][2]
    examples, stood = data.split("train").examples, set()
    for epoch in range(8):
        for place in (2, 3, 20):
            image, label, errors = images[epoch, place]
            (instead,) = (at for at in range(21) if torch.equal(image, whole[0, at][0]))
            assert instead not in (2, 3, 20) and label == examples[instead].label
            assert errors[0].path == str(tmp_path / examples[place].id)
            assert all(error.reason == "the file is empty" for error in errors)
            assert torch.equal(images[epoch, place][0], image)
            stood.add(instead)
    assert len(stood) > 5  # not the next one, which may be of the same broken folder
    with pytest.raises(ImageError, match="the file is empty"):
        images.frame_of(2)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_nothing_can_be_read(data: DataSet, tmp_path: Path, cache: Any) -> None:
    images = images_of(broken(data, tmp_path, *range(21)))
    images.keep(cache, progress=False)
    with pytest.raises(DataError, match=r"of 20 training images none can be read; the first: .*empty"):
        images[0, 0]


def test_the_cache_is_kept_small(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 21 * 3 * 32 * 48
    cases: tuple[tuple[int, Cache, bool], ...] = (
        *((size - 1, "auto", False), (size, "auto", True)),
        *((0, "memory", True), (size, "none", False)),
    )
    for limit, cache, kept in cases:
        monkeypatch.setattr(data_module, "CACHE_BYTES", limit)
        images = images_of(data)
        images.keep(cache, progress=False)
        assert (images.cache is not None) == kept


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_erased_pixels_have_the_mean_colour(data: DataSet, cache: Any) -> None:
    masks = np.random.default_rng(0).random((21, 28, 42)) < 0.3
    packed = np.packbits(masks.reshape(21, -1), axis=1)
    options: dict[str, Any] = {"augmentation": "none", "erased": Erased(packed, (124, 116, 104))}
    images = images_of(data, **options)
    images.keep(cache, progress=False)
    for place in (0, 8, 20):
        expected = decoded(data, place, SIZE).copy()
        expected[masks[place]] = (124, 116, 104)
        assert np.array_equal(images[0, place][0].permute(1, 2, 0).numpy(), expected)
    if images.cache is not None:
        assert np.array_equal(images.cache[0].permute(1, 2, 0).numpy(), decoded(data, 0, SIZE))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_gives_the_batches(data: DataSet, tmp_path: Path, workers: int) -> None:
    images = images_of(broken(data, tmp_path, 5), augmentation="crops")
    batches = epoch_batches([0] * 21, epoch=1, batch_size=8, seed=0)
    loaded = list(load(images, batches, workers=workers, pin=False))
    assert [len(batch.labels) for batch in loaded] == [8, 8, 5]
    for batch, draws in zip(loaded, batches, strict=True):
        expected = [images[draw] for draw in draws]
        assert torch.equal(batch.images, torch.stack([image for image, _, _ in expected]))
        assert batch.labels.tolist() == [label for _, label, _ in expected]
    assert [Path(error.path).name for batch in loaded for error in batch.errors] == ["5.png"]
