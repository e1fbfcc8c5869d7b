"""Pictures from memory: every form gives the same pixels, and the rest is refused by what it is."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from wsol.data.inputs import to_image

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
CHW = torch.from_numpy(PIXELS.transpose(2, 0, 1).copy())


def _same(image: Any) -> None:
    picture = to_image(image)
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), PIXELS)


def test_every_form_gives_the_same_pixels() -> None:
    _same(Image.fromarray(PIXELS))
    _same(PIXELS)
    _same(CHW)
    _same(CHW.float() / 255)
    _same(CHW.double() / 255)


def test_memory_layout_does_not_matter() -> None:
    _same(np.asfortranarray(PIXELS))
    _same(PIXELS[::-1, ::-1].copy()[::-1, ::-1])
    read_only = PIXELS.copy()
    read_only.flags.writeable = False
    _same(read_only)
    _same(torch.from_numpy(PIXELS).permute(2, 0, 1))
    _same(torch.nn.Parameter(CHW.float() / 255))  # a gradient is not asked for


def test_floating_point_is_rounded() -> None:
    # 0.5 / 255 = 0.00196 rounds to the even 0; 0.002 * 255 = 0.51; 0.5 * 255 = 127.5 rounds to the even 128
    values = torch.tensor([0.0, 0.0019, 0.002, 0.5, 0.9979, 0.9981, 1.0])
    expected = [0, 0, 1, 128, 254, 255, 255]
    assert np.asarray(to_image(values.expand(3, 1, -1)))[0, :, 0].tolist() == expected
    half = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float16)  # exact in 16 bits
    for values in (half, half.bfloat16()):
        assert np.asarray(to_image(values.expand(3, 1, -1)))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_grey_array() -> None:
    assert np.array_equal(np.asarray(to_image(PIXELS[..., 0])), PIXELS[..., [0, 0, 0]])


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 7, (7, 7, 7)),
        ("LA", (100, 51), (224, 224, 224)),  # 0.2 * 100 + 0.8 * 255
        ("P", 0, (0, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("YCbCr", (255, 128, 128), (255, 255, 255)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        ("I", 25700, (100, 100, 100)),
        ("I;16", 25700, (100, 100, 100)),
    ],
)
def test_every_mode(mode: str, colour: Any, expected: tuple[int, ...]) -> None:
    picture = to_image(Image.new(mode, (3, 2), colour))
    assert (picture.mode, picture.size, picture.getpixel((1, 1))) == ("RGB", (3, 2), expected)


def test_a_picture_is_turned_upright() -> None:
    picture = Image.fromarray(PIXELS)
    picture.getexif()[0x0112] = 3
    assert np.array_equal(np.asarray(to_image(picture)), PIXELS[::-1, ::-1])


def test_the_input_stays_as_it_was() -> None:
    array, tensor = PIXELS.copy(), CHW.float() / 255
    for image in (array, tensor):
        np.asarray(to_image(image))
    before = tensor.clone()
    to_image(array).putpixel((0, 0), (1, 2, 3))
    to_image(tensor).putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(array, PIXELS)
    assert torch.equal(tensor, before)


@pytest.mark.parametrize("low, high", [(0.0, 255.0), (-1.0, 1.0), (0.0, 1.01), (-2.1, 2.6)])
def test_values_outside_0_to_1(low: float, high: float) -> None:
    image = torch.full((3, 2, 2), low)
    image[1, 1, 1] = high
    with pytest.raises(ValueError, match=rf"in \[0, 1\], got {low:.3g} to {high:.3g}: give it before norm"):
        to_image(image)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers(value: float) -> None:
    image = torch.zeros(3, 2, 2)
    image[0, 0, 0] = value
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got"):
        to_image(image)


def test_pixels_without_a_white() -> None:
    with pytest.raises(ValueError, match="floating-point pixels have no defined white"):
        to_image(Image.new("F", (2, 2)))
    with pytest.raises(ValueError, match="32-bit pixels have no defined white"):
        to_image(Image.new("I", (2, 2), 70_000))


def test_a_picture_without_pixels() -> None:
    for size in ((0, 0), (0, 3)):
        with pytest.raises(ValueError, match=f"no pixels: it is {size[0]} × {size[1]}"):
            to_image(Image.new("RGB", size))


@pytest.mark.parametrize(
    ("image", "came"),
    [
        (np.zeros((2, 2, 3)), "ndarray of float64, shape (2, 2, 3)"),
        (np.zeros((2, 2), np.uint16), "ndarray of uint16, shape (2, 2)"),
        (np.zeros((2, 2), bool), "ndarray of bool, shape (2, 2)"),
        (np.zeros((2, 2, 4), np.uint8), "ndarray of uint8, shape (2, 2, 4)"),
        (np.zeros((3, 20, 20), np.uint8), "ndarray of uint8, shape (3, 20, 20)"),
        (np.zeros((1, 2, 2, 3), np.uint8), "ndarray of uint8, shape (1, 2, 2, 3)"),
        (np.zeros((0, 2, 3), np.uint8), "ndarray of uint8, shape (0, 2, 3)"),
        (torch.zeros(2, 2, 3), "Tensor of torch.float32, shape (2, 2, 3)"),
        (torch.zeros(1, 3, 2, 2), "Tensor of torch.float32, shape (1, 3, 2, 2)"),
        (torch.zeros(1, 4, 4), "Tensor of torch.float32, shape (1, 4, 4)"),
        (torch.zeros(3, 0, 4), "Tensor of torch.float32, shape (3, 0, 4)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "Tensor of torch.int64, shape (3, 4, 4)"),
        (torch.zeros(3, 4, 4, dtype=torch.bool), "Tensor of torch.bool, shape (3, 4, 4)"),
        ([[0, 0, 0]], "list"),
        (b"\xff\xd8", "bytes"),
        (None, "NoneType"),
    ],
)
def test_something_else(image: Any, came: str) -> None:
    with pytest.raises(TypeError) as caught:
        to_image(image)
    assert str(caught.value).startswith("an image must be a path, a PIL image, a uint8 array (H, W, 3)")
    assert str(caught.value).endswith(f"; got {came}")
