"""Masks against OpenCV, which the official protocol resizes with, and cases worked by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsol.data.dataset import DataSet, Example
from wsol.data.masks import read_mask, resize_nearest
from wsol.errors import ImageError

SIDES = st.integers(1, 1200)


def _data(folder: Path) -> DataSet:
    return DataSet("set", "official", folder, folder, (), {}, False)


def _saved(folder: Path, name: str, values: object, mode: str = "L") -> str:
    Image.fromarray(np.array(values, np.uint8)).convert(mode).save(folder / name)
    return name


@given(SIDES, SIDES, st.sampled_from([(224, 224), (28, 28), (7, 300), (224, 1)]), st.integers(0, 2**32 - 1))
def test_resizes_as_opencv(height: int, width: int, size: tuple[int, int], seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    expected = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(resize_nearest(mask, size), expected > 0.5)


def test_every_side_to_224_as_opencv() -> None:
    for side in range(1, 3000):
        pixels = np.arange(side, dtype=np.float32)[None]
        expected = cv2.resize(pixels, (224, 1), interpolation=cv2.INTER_NEAREST) % 2 > 0.5
        np.testing.assert_array_equal(resize_nearest(pixels % 2 > 0.5, (1, 224)), expected)


def test_union_of_instances_and_ignore_without_the_object(tmp_path: Path) -> None:
    masks = (
        _saved(tmp_path, "1.png", [[255, 0, 0], [0, 0, 0]]),
        _saved(tmp_path, "2.png", [[0, 1, 0], [0, 0, 0]]),
    )
    ignore = _saved(tmp_path, "i.png", [[255, 0, 0], [0, 0, 255]])
    example = Example("a.jpg", 0, (2, 3), masks=masks, ignore=ignore)
    mask, ignored = read_mask(_data(tmp_path), example, (2, 3))
    np.testing.assert_array_equal(mask, [[1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(ignored, [[0, 0, 0], [0, 0, 1]])


def test_no_mask_is_no_object(tmp_path: Path) -> None:
    mask, ignored = read_mask(_data(tmp_path), Example("a.jpg", 0))
    assert mask.shape == ignored.shape == (224, 224)
    assert not mask.any()
    assert not ignored.any()


def test_stored_values_count(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    palette.putpalette([255] * 3 + [0] * 6)  # index 0 looks white, and is background
    palette.save(tmp_path / "p.png")
    _saved(tmp_path, "1.png", [[0, 255, 255]], "1")
    Image.fromarray(np.array([[0, 1, 40000]], np.uint16)).save(tmp_path / "16.png")
    for name in ("p.png", "1.png", "16.png"):
        mask, _ = read_mask(_data(tmp_path), Example("a.jpg", 0, masks=(name,)), (1, 3))
        np.testing.assert_array_equal(mask, [[False, True, True]])


def test_masks_of_another_size(tmp_path: Path) -> None:
    name = _saved(tmp_path, "m.png", [[0, 255]])
    example = Example("a.jpg", 0, (2, 4), masks=(name,), where="image_ids.txt, line 3")
    with pytest.raises(ImageError, match=r"m.png: the mask is 2 × 1, its picture a.jpg is 4 × 2 .*line 3"):
        read_mask(_data(tmp_path), example)
    unknown = Example("a.jpg", 0, masks=(name,))
    np.testing.assert_array_equal(read_mask(_data(tmp_path), unknown, (2, 4))[0], [[0, 0, 1, 1]] * 2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "the file is empty"),
        (b"nothing", "not an image"),
        (b"\x89PNG\r\n\x1a\n nothing", "Truncated"),
        ("RGB", "one channel, this picture has R, G, B"),
        ("LA", "one channel, this picture has L, A"),
    ],
)
def test_unusable_masks(tmp_path: Path, content: bytes | str | None, reason: str) -> None:
    if isinstance(content, str):
        _saved(tmp_path, "m.png", [[0, 255]], content)
    elif content is not None:
        (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        read_mask(_data(tmp_path), Example("a.jpg", 0, masks=("m.png",)))
    assert caught.value.path == str(tmp_path / "m.png")


def test_no_folder_of_masks(tmp_path: Path) -> None:
    data = DataSet("set", "coco", tmp_path, None, (), {}, True)
    with pytest.raises(ImageError, match=r"m\.png: no folder of masks"):
        read_mask(data, Example("a.jpg", 0, masks=("m.png",)))
