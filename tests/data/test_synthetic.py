"""The built-in data set: what is drawn, what is written, and how it is found by name."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from wsol.data import synthetic as module
from wsol.data.check import check
from wsol.data.convert import convert
from wsol.data.creatures import PLANS
from wsol.data.dataset import open_data
from wsol.data.drawing import cover, ellipse, points, sample
from wsol.data.scenes import BADGE, CLASSES, SIDE, Picture
from wsol.data.synthetic import COUNTS, cached, picture, synthetic
from wsol.data.textures import TEXTURES
from wsol.errors import DataError

FEW = {"train": 5, "val": 5, "test": 10}


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [picture(0, "train", index) for index in range(80)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic(tmp_path_factory.mktemp("drawn") / "set", counts=FEW)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a small data set, and an empty working folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(COUNTS, "train", FEW["train"])
    monkeypatch.setitem(COUNTS, "val", FEW["val"])
    monkeypatch.setitem(COUNTS, "test", FEW["test"])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "cache" / "wsol"


def test_a_picture_is_a_function_of_seed_split_and_index() -> None:
    first, again = picture(3, "val", 7), picture(3, "val", 7)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.mask, again.mask)
    for other in (picture(4, "val", 7), picture(3, "test", 7), picture(3, "val", 12)):
        assert first.label == other.label
        assert first.pixels.shape != other.pixels.shape or (first.pixels != other.pixels).any()


def test_a_pixel_counts_where_half_of_its_sample_points_are_covered() -> None:
    half = points(
        (0, 0), (2.4, 0), (2.4, 3), (0, 3)
    )  # points lie at 1/4 steps: column 2 has 2 of 4 at x ≤ 2.4
    samples = sample([half], (4, 4))
    assert samples.shape == (4, 4, 16)
    assert samples[1, 1].all()
    assert not samples[:, 3].any()
    assert 8 <= samples[1, 2].sum() <= 12
    np.testing.assert_array_equal(cover([half], (4, 4)), samples.mean(axis=2, dtype=np.float32))


def test_cover_is_the_same_wherever_it_cuts() -> None:
    shapes = [ellipse(30, 20, 12, 5, 0.4), ellipse(-4, 50, 9, 9), ellipse(44.3, 40, 8, 3, power=4)]
    whole = sample(shapes, (60, 50)).mean(axis=2, dtype=np.float32)
    np.testing.assert_array_equal(cover(shapes, (60, 50)), whole)
    assert not cover([ellipse(90, 90, 5, 5)], (60, 50)).any()  # outside


def test_the_area_of_a_disc() -> None:
    share = cover([ellipse(50, 50, 30, 30)], (100, 100))
    assert share.sum() == pytest.approx(np.pi * 900, rel=0.02)
    canvas = Image.new("L", (100, 100))
    ImageDraw.Draw(canvas).ellipse((20, 20, 79, 79), fill=1)
    assert (np.asarray(canvas, bool) != (share >= 0.5)).mean() < 0.01


def test_pictures_vary_and_their_objects_lie_inside(pictures: list[Picture]) -> None:
    assert len({each.pixels.shape for each in pictures}) > 70
    for each in pictures:
        assert each.pixels.shape == (*each.mask.shape, 3)
        assert all(SIDE[0] <= side <= SIDE[1] for side in each.mask.shape)
        assert 0.03 < each.mask.mean() < 0.7
        assert each.pixels.std() > 10
        edges = (each.mask[0], each.mask[-1], each.mask[:, 0], each.mask[:, -1])
        assert not any(edge.any() for edge in edges)


def test_the_object_differs_from_the_ground_where_the_mask_says(pictures: list[Picture]) -> None:
    """Across the mask's border colours jump more than half a dozen pixels outside it."""
    at_border, outside = [], []
    for each in pictures:
        grey = each.pixels.mean(axis=2)
        jump = np.abs(np.diff(grey, axis=1))
        border = np.diff(each.mask.astype(int), axis=1) != 0
        at_border.append(jump[border].mean())
        outside.append(jump[~border].mean())
    assert np.mean(at_border) > 4 * np.mean(outside)


def test_the_badge_lies_on_the_object_and_covers_its_share(pictures: list[Picture]) -> None:
    for each in pictures:
        assert not (each.badge & ~each.mask).any()
        assert 0.4 * BADGE[0] < each.badge.sum() / each.mask.sum() < 1.4 * BADGE[1]
    shares = [each.badge.sum() / each.mask.sum() for each in pictures]
    assert BADGE[0] < np.median(shares) < 1.2 * BADGE[1]


def test_classes_take_turns(pictures: list[Picture]) -> None:
    assert set(Counter(each.label for each in pictures).values()) == {len(pictures) // len(CLASSES)}
    assert all(count % len(CLASSES) == 0 for count in COUNTS.values())


def centroid_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Nearest class mean, from the even pictures for the odd ones and back."""
    right = 0
    for one, other in ((0, 1), (1, 0)):
        fit, test = np.arange(len(labels)) // 5 % 2 == one, np.arange(len(labels)) // 5 % 2 == other
        means = np.stack([features[fit & (labels == label)].mean(axis=0) for label in range(len(CLASSES))])
        distance = np.linalg.norm(features[test][:, None] - means, axis=2)
        right += int((distance.argmin(axis=1) == labels[test]).sum())
    return right / len(labels)


def test_only_the_badge_tells_the_class(pictures: list[Picture]) -> None:
    def colours(where: list[np.ndarray]) -> np.ndarray:
        return np.stack([
            np.concatenate((each.pixels[at].mean(axis=0), each.pixels[at].std(axis=0)))
            for each, at in zip(pictures, where, strict=True)
        ])  # fmt: skip

    labels = np.array([each.label for each in pictures])
    chance, spread = 1 / len(CLASSES), np.sqrt(0.2 * 0.8 / len(pictures))
    for where in ([each.mask & ~each.badge for each in pictures], [~each.mask for each in pictures]):
        assert abs(centroid_accuracy(colours(where), labels) - chance) < 4 * spread
    assert centroid_accuracy(colours([each.badge for each in pictures]), labels) > 0.9


def test_every_texture_is_a_map_from_0_to_1_and_every_creature_is_painted_as_it_can_be() -> None:
    rng = np.random.default_rng(0)
    for texture in TEXTURES:
        values = texture(rng, (61, 47))
        assert values.shape == (61, 47)
        assert values.dtype == np.float32
        assert 0 <= values.min() < values.max() <= 1
    for plan in PLANS:
        parts = plan(rng)
        assert len(parts) >= 7
        assert {part.paint for part in parts} <= {"coat", "second", "white", "dark"}


def test_the_folder_has_boxes_and_masks_that_agree(written: Path) -> None:
    boxed, masked = open_data(written), open_data(written, metadata="metadata-masks")
    assert boxed.format == "official"
    assert boxed.classes == masked.classes == CLASSES
    assert (boxed.split("train").truth, masked.split("train").truth) == ("none", "none")
    seen: set[str] = set()
    for split, count in FEW.items():
        examples = boxed.split(split).examples
        assert len(examples) == count
        assert not boxed.split(split).problems
        assert seen.isdisjoint(example.id for example in examples)
        seen |= {example.id for example in examples}
        if split == "train":
            continue
        for index, (box, mask) in enumerate(zip(examples, masked.split(split).examples, strict=True)):
            drawn = picture(0, split, index)
            with Image.open(written / "masks" / mask.masks[0]) as image:
                values = np.asarray(image)
            np.testing.assert_array_equal(values, np.where(drawn.mask, 255, 0))
            with Image.open(written / "images" / box.id) as image:
                np.testing.assert_array_equal(np.asarray(image), drawn.pixels)
            ys, xs = np.nonzero(values)
            assert box.boxes == ((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1),)
            assert (box.label, mask.label) == (drawn.label, drawn.label)


@pytest.mark.parametrize("metadata", ["metadata", "metadata-masks"])
def test_the_folder_is_well(written: Path, metadata: str) -> None:
    assert check(open_data(written, metadata=metadata)).well


def test_pictures_of_the_splits_differ(written: Path) -> None:
    contents = [path.read_bytes() for path in written.glob("images/*/*.png")]
    assert len(set(contents)) == sum(FEW.values())


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(DataError, match="is there already"):
        synthetic(tmp_path)
    with pytest.raises(DataError, match="is there already"):
        synthetic(tmp_path / "mine.txt")


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_official", fail)
    with pytest.raises(DataError, match="set: No space left"):
        synthetic(tmp_path / "set", counts={"val": 1})
    assert not list(tmp_path.iterdir())


def test_a_process_that_was_faster_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = module._write_tables

    def be_slow(*tables: Any) -> None:
        monkeypatch.setattr(module, "_write_tables", finish)
        synthetic(tmp_path / "set", counts={"val": 5})
        finish(*tables)

    monkeypatch.setattr(module, "_write_tables", be_slow)
    synthetic(tmp_path / "set", counts={"val": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert len(open_data(tmp_path / "set").split("val").examples) == 5
    assert check(open_data(tmp_path / "set")).well


def test_by_name_it_is_drawn_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_data("synthetic")
    assert (data.name, data.classes) == ("synthetic", CLASSES)
    assert [path.name for path in cache.iterdir()] == [f"synthetic-{module.VERSION}-0"]
    monkeypatch.setattr(module, "picture", None)  # from now on nothing can be drawn
    assert open_data("synthetic").split("val").fingerprint == data.split("val").fingerprint
    masked = open_data("synthetic", metadata="metadata-masks")
    assert masked.split("test").truth == "masks"
    assert masked.name == "synthetic"


def test_a_folder_of_that_name_comes_first(cache: Path) -> None:
    Path("synthetic/bee").mkdir(parents=True)
    picture_file = Path("synthetic/bee/1.png")
    Image.new("RGB", (8, 8)).save(picture_file)
    assert open_data("synthetic").format == "folder"
    assert not cache.exists()


def test_it_converts(cache: Path) -> None:
    convert(open_data("synthetic", metadata="metadata-masks"), "coco", to="coco")
    assert open_data("coco").split("test").fingerprint == open_data("synthetic").split("test").fingerprint


def test_seeds_and_versions_have_folders_of_their_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VERSION", 99)
    assert cached(5).name == "synthetic-99-5"


def test_a_cache_that_cannot_be_written_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.parent.write_text("a file where a folder should be")
    with pytest.raises(DataError, match="set XDG_CACHE_HOME"):
        open_data("synthetic")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "relative/does/not/count")
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(DataError, match=r"home directory.*set XDG_CACHE_HOME"):
        open_data("synthetic")
