"""The same pictures under different names."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.data.sets import real
from wsol.data import duplicates
from wsol.data.dataset import open_data
from wsol.data.duplicates import near_duplicates


def photograph(path: Path, seed: int, side: int = 160) -> Path:
    """Smooth blobs of random brightness, as photographs have them."""
    cells = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(cells).resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(path)
    return path


def plain(path: Path, grey: int, noise: int = 0) -> Path:
    values = np.full((60, 80), grey) + np.random.default_rng(grey).integers(0, noise + 1, (60, 80))
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


@pytest.fixture(name="one")
def _one(tmp_path: Path) -> list[Path]:
    return [photograph(tmp_path / f"one{seed}.png", seed) for seed in range(30)]


def test_different_pictures(one: list[Path], tmp_path: Path) -> None:
    assert near_duplicates(one, [photograph(tmp_path / f"{seed}.png", seed) for seed in range(30, 60)]) == []
    assert near_duplicates([], one) == near_duplicates(one, []) == []


def test_the_same_file(one: list[Path], tmp_path: Path) -> None:
    copy = Path(shutil.copy(one[4], tmp_path / "copy.png"))
    assert near_duplicates(one, [tmp_path / "none.png", copy, one[2]]) == [(one[4], copy), (one[2], one[2])]


def test_an_identical_file_goes_before_one_that_looks_the_same(one: list[Path], tmp_path: Path) -> None:
    again = tmp_path / "again.png"
    Image.open(one[3]).save(again, compress_level=0)  # the same pixels in another file
    assert near_duplicates([again, one[3]], [one[3]]) == [(one[3], one[3])]
    assert near_duplicates([one[3]], [again]) == [(one[3], again)]


@pytest.mark.parametrize("edit", ["quality", "size", "contrast", "grey"])
def test_saved_anew(one: list[Path], tmp_path: Path, edit: str) -> None:
    other = []
    for path in one:
        picture: Image.Image = Image.open(path)
        if edit == "size":
            picture = picture.resize((70, 50))
        elif edit == "contrast":
            picture = ImageEnhance.Contrast(picture).enhance(0.7)
        elif edit == "grey":
            picture = picture.convert("L")
        other.append(tmp_path / f"{path.stem}-other.jpg")
        picture.save(other[-1], quality=30 if edit == "quality" else 85)
    assert near_duplicates(one, other) == list(zip(one, other, strict=True))


def test_plain_pictures_are_not_all_the_same(tmp_path: Path) -> None:
    """There is nothing in them to compare but the files."""
    walls = [plain(tmp_path / f"{grey}.png", grey, noise=1) for grey in (10, 100, 200)]
    assert near_duplicates(walls[:2], walls[2:]) == []
    assert near_duplicates(walls, walls[1:]) == [(walls[1], walls[1]), (walls[2], walls[2])]


def test_a_dark_spot_on_white_is_at_its_place(tmp_path: Path) -> None:
    """Hashes of objects on an even background are near; the finer cells tell them apart."""
    paths = []
    for x in (50, 58, 66):
        values = np.full((160, 160), 255, np.uint8)
        values[60:90, x : x + 25] = 0
        paths.append(tmp_path / f"{x}.png")
        Image.fromarray(values).save(paths[-1])
    assert near_duplicates(paths[:1], paths[1:]) == []


def test_files_that_cannot_be_read_are_passed_over(one: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(one[0].read_bytes()[:200])
    bad = [broken, tmp_path, tmp_path / "none.png"]
    assert near_duplicates([*bad, *one], [*bad, one[1]]) == [(one[1], one[1])]
    assert near_duplicates(bad, bad) == []


def test_blocks_make_no_difference(one: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = []
    for path in one[::3]:
        other += [tmp_path / f"{path.stem}.jpg", photograph(tmp_path / f"{path.stem}-else.png", 99)]
        Image.open(path).save(other[-2])
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    assert near_duplicates(one, other) == list(zip(one[::3], other[::2], strict=True))


@pytest.mark.parametrize(("name", "pairs"), [("butterfly10", 0), ("sysu5", 1)])
def test_real_sets(name: str, pairs: int) -> None:
    """The one pair is two pictures of the same motorcycle from the same place."""
    data = open_data(real(name))
    files = {part: [data.images / each.id for each in data.split(part).examples] for part in data.tables}
    found = near_duplicates(files["train"], files["val"]) + near_duplicates(files["val"], files["test"])
    assert len(found) == pairs
