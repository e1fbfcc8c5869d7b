"""Photographs from files: expected pixels follow from the formats' definitions, or are worked by hand."""

import io
import os
import pickle
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsol.data.images import SUFFIXES, find_images, read_image, read_size, read_values, upright_rgb
from wsol.errors import ImageError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ENDS_OF_FIRST_ROW = {  # EXIF, tag 0x0112: where the first stored row starts and ends when upright
    1: ("top left", "top right"),
    2: ("top right", "top left"),
    3: ("bottom right", "bottom left"),
    4: ("bottom left", "bottom right"),
    5: ("top left", "bottom left"),
    6: ("top right", "bottom right"),
    7: ("bottom right", "top right"),
    8: ("bottom left", "top left"),
}


def _corners(width: int, height: int) -> Image.Image:
    """White, with the start of the first row red and its end green."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 3, : width // 3] = RED
    pixels[: height // 3, -(width // 3) :] = GREEN
    return Image.fromarray(pixels)


def _at(picture: Image.Image, corner: str) -> tuple[int, ...]:
    """The corner's colour, a tenth of the picture inside."""
    x, y = picture.width // 10, picture.height // 10
    pixel = picture.getpixel(
        (
            picture.width - 1 - x if "right" in corner else x,
            picture.height - 1 - y if "bottom" in corner else y,
        )
    )
    assert isinstance(pixel, tuple)
    return tuple(255 * round(value / 255) for value in pixel)  # JPEG is a few levels off


def _oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _saved(folder: Path, name: str, picture: Image.Image, **options: Any) -> Path:
    picture.save(folder / name, **options)
    return folder / name


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _pixels(path: Path) -> list[list[tuple[int, ...]]]:
    picture, size = read_image(path)
    array = np.asarray(picture)
    assert picture.mode == "RGB"
    assert array.shape == (*size, 3)
    return [[tuple(map(int, pixel)) for pixel in row] for row in array]


def _reason(path: Path, size: tuple[int, int] | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path, size)
    assert caught.value.path == str(path)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


def _photograph(width: int, height: int) -> Image.Image:
    """Smooth shapes with some noise, as a camera makes them."""
    generator = np.random.default_rng(0)
    small = Image.fromarray(generator.integers(0, 256, (15, 20, 3), np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int64)
    noisy = smooth + generator.integers(-6, 7, (height, width, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
def test_every_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = _saved(tmp_path, f"a.{suffix}", _corners(60, 30), exif=_oriented(orientation))
    picture, size = read_image(path)
    assert size == ((60, 30) if orientation >= 5 else (30, 60))
    assert (picture.height, picture.width) == size
    start, end = ENDS_OF_FIRST_ROW[orientation]
    assert (_at(picture, start), _at(picture, end)) == (RED, GREEN)
    assert upright_rgb(Image.open(path)).tobytes() == picture.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_photograph_that_is_decoded_smaller(tmp_path: Path, orientation: int) -> None:
    path = _saved(tmp_path, "a.jpg", _corners(2000, 1500), exif=_oriented(orientation))
    picture, size = read_image(path, (112, 112))
    assert size == ((2000, 1500) if orientation >= 5 else (1500, 2000))
    # 1500 / (4 · 112) = 3.3: a half keeps both sides at 448 or more, a quarter does not
    assert (picture.height, picture.width) == (size[0] // 2, size[1] // 2)
    start, end = ENDS_OF_FIRST_ROW[orientation]
    assert (_at(picture, start), _at(picture, end)) == (RED, GREEN)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(50, 150), (150, 50)])
def test_a_smaller_photograph_has_four_times_the_sides_asked(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    path = _saved(tmp_path, "a.jpg", _corners(1600, 800), exif=_oriented(orientation))
    picture, _ = read_image(path, size)
    assert picture.height >= 4 * size[0]
    assert picture.width >= 4 * size[1]


def test_a_photograph_decoded_smaller_looks_the_same(tmp_path: Path) -> None:
    path = _saved(tmp_path, "a.jpg", _photograph(2000, 1500), quality=90)
    exact, drafted = (read_image(path, size)[0] for size in (None, (112, 112)))
    assert exact.size == (2000, 1500)
    assert drafted.size == (1000, 750)
    a, b = (
        np.asarray(picture.resize((112, 112), Image.Resampling.BILINEAR)).astype(np.int64)
        for picture in (exact, drafted)
    )
    assert np.abs(a - b).mean() < 0.3  # of 255 levels
    assert a.std() > 30  # there is something to see


def test_a_small_jpeg_and_other_formats_are_decoded_whole(tmp_path: Path) -> None:
    for name, width, height in [("small.jpg", 447, 3000), ("large.png", 2000, 1500)]:
        path = _saved(tmp_path, name, Image.new("RGB", (width, height), RED))
        assert read_image(path, (224, 224))[0].size == (width, height)


def test_orientation_in_xmp(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    picture, size = read_image(_saved(tmp_path, "a.jpg", _corners(60, 30), xmp=xmp))
    assert size == (60, 30)
    assert (_at(picture, "top right"), _at(picture, "bottom right")) == (RED, GREEN)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0neither II nor MM",
        b"Exif\0\0II*\0\xff\xff\xff\xff",  # its directory lies outside
        b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01",  # ends within its first entry
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0",  # orientation "abc"
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",  # orientation 99
    ],
    ids=["byte order", "directory", "truncated", "text", "range"],
)
def test_damaged_exif_does_not_spoil_the_pixels(tmp_path: Path, kind: str, exif: bytes) -> None:
    picture, size = read_image(_written(tmp_path / "a", _encoded(_corners(60, 30), kind, exif=exif)))
    assert size == (30, 60)
    assert (_at(picture, "top left"), _at(picture, "top right")) == (RED, GREEN)


def test_other_exif_may_be_what_nobody_can_write_again(tmp_path: Path) -> None:
    """Orientation 6 beside a resolution whose type is text: turning must not need to save the rest."""
    entries = [(0x0112, 3, 1, 6), (0x011A, 2, 4, int.from_bytes(b"abc\0", "little"))]
    directory = struct.pack("<H", 2) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + directory + bytes(4)
    picture, size = read_image(_saved(tmp_path, "a.jpg", _corners(60, 30), exif=exif))
    assert size == (60, 30)
    assert _at(picture, "bottom right") == GREEN


def test_grey_and_bilevel(tmp_path: Path) -> None:
    grey = Image.fromarray(np.array([[0, 100, 255]], np.uint8))
    assert _pixels(_saved(tmp_path, "l.png", grey)) == [[(0, 0, 0), (100, 100, 100), WHITE]]
    bilevel = Image.new("1", (3, 1))
    bilevel.putpixel((1, 0), 1)
    assert _pixels(_saved(tmp_path, "1.png", bilevel)) == [[(0, 0, 0), WHITE, (0, 0, 0)]]


def test_palette(tmp_path: Path) -> None:
    picture = Image.new("P", (3, 1))
    picture.putpalette([*RED, *GREEN, *BLUE])
    for x in range(3):
        picture.putpixel((x, 0), x)
    for name in ("p.png", "p.gif"):
        assert _pixels(_saved(tmp_path, name, picture)) == [[RED, GREEN, BLUE]]
        assert _pixels(_saved(tmp_path, name, picture, transparency=1)) == [[RED, WHITE, BLUE]]
    half = bytes([255, 102, 0])  # green at 102 / 255 = 0.4: 0.6 of the white shows through red and blue
    assert _pixels(_saved(tmp_path, "p.png", picture, transparency=half)) == [[RED, (153, 255, 153), WHITE]]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)  # 51 / 255 = 0.2
    expected = [RED, WHITE, (204, 204, 204)]
    for name, options in [("a.png", {}), ("a.webp", {"lossless": True, "exact": True}), ("a.tif", {})]:
        assert _pixels(_saved(tmp_path, name, Image.fromarray(rgba), **options)) == [expected]
    grey = Image.merge("LA", [Image.fromarray(np.array([[v]], np.uint8)) for v in (100, 51)])
    assert _pixels(_saved(tmp_path, "la.png", grey)) == [[(224, 224, 224)]]  # 0.2 * 100 + 0.8 * 255
    one_colour = Image.fromarray(np.array([[RED, BLUE]], np.uint8))
    assert _pixels(_saved(tmp_path, "rgb.png", one_colour, transparency=RED)) == [[WHITE, BLUE]]


def test_cmyk_jpeg(tmp_path: Path) -> None:
    inks = {(0, 255, 255, 0): RED, (255, 255, 0, 0): BLUE, (0, 0, 0, 255): (0, 0, 0), (0, 0, 0, 0): WHITE}
    for ink, colour in inks.items():
        path = _saved(tmp_path, "a.jpg", Image.new("CMYK", (16, 16), ink), quality=95)
        assert np.abs(np.subtract(_pixels(path)[8][8], colour)).max() <= 3


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_scaled_over_its_full_range(tmp_path: Path, name: str) -> None:
    # v / 257, rounded: 128 / 257 = 0.498, 129 / 257 = 0.502, 1000 / 257 = 3.89, 65406 / 257 = 254.498
    values = {0: 0, 128: 0, 129: 1, 1000: 4, 32767: 127, 32768: 128, 65406: 254, 65407: 255, 65535: 255}
    picture = Image.fromarray(np.array([list(values)], np.uint16))
    assert picture.mode == "I;16"
    assert _pixels(_saved(tmp_path, name, picture)) == [[(v, v, v) for v in values.values()]]


def test_16_bit_grey_is_turned_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 257, 514]], np.uint16))
    assert _pixels(_saved(tmp_path, "a.png", picture, exif=_oriented(6))) == [[(v, v, v)] for v in (0, 1, 2)]


def test_big_endian_16_bit_tiff(tmp_path: Path) -> None:
    entries = [(256, 2), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 4)]
    directory = struct.pack(">H", len(entries)) + b"".join(
        struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in entries
    )
    content = b"MM\0*" + struct.pack(">I", 12) + struct.pack(">HH", 257, 65535) + directory + bytes(4)
    assert _pixels(_written(tmp_path / "a.tif", content)) == [[(1, 1, 1), WHITE]]


def test_32_bit_integers_within_16_bits(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 25700, 65535]], np.int32))
    assert _pixels(_saved(tmp_path, "a.tif", picture)) == [[(0, 0, 0), (100, 100, 100), WHITE]]


@pytest.mark.parametrize("values", [[0, 65536], [-1, 100]])
def test_32_bit_integers_beyond_16_bits_are_refused(tmp_path: Path, values: list[int]) -> None:
    path = _saved(tmp_path, "a.tif", Image.fromarray(np.array([values], np.int32)))
    assert _reason(path) == "32-bit pixels have no defined white; save it with 8 or 16 bits"


def test_floating_point_is_refused(tmp_path: Path) -> None:
    path = _saved(tmp_path, "a.tif", Image.fromarray(np.array([[0.5]], np.float32)))
    assert _reason(path) == "floating-point pixels have no defined white; save it with 8 or 16 bits"


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (20_000, 3)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_extreme_shapes(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = _saved(tmp_path, f"a.{suffix}", Image.new("RGB", size, (10, 20, 30)))
    picture, (height, width) = read_image(path, (224, 224))
    assert picture.size == (width, height) == size
    assert np.abs(np.asarray(picture).astype(np.int64) - (10, 20, 30)).max() <= 2


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.gif", {}), ("a.webp", {"lossless": True}), ("a.png", {}), ("a.tif", {}), ("a.avif", {})],
)
def test_the_first_frame_or_page(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (8, 4), colour) for colour in (RED, BLUE, GREEN)]
    path = _saved(tmp_path, name, frames[0], save_all=True, append_images=frames[1:], **options)
    with Image.open(path) as opened:
        assert getattr(opened, "n_frames", 1) == 3
    assert np.abs(np.subtract(_pixels(path), RED)).max() <= 3


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "TGA", "ICO"]
)
def test_the_content_decides_not_the_name(tmp_path: Path, kind: str) -> None:
    path = _written(tmp_path / "a.txt", _encoded(Image.new("RGB", (16, 16), RED), kind))
    assert np.abs(np.subtract(_pixels(path), RED)).max() <= 3


def test_a_picture_of_several_views_gives_the_first(tmp_path: Path) -> None:
    views = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    path = _saved(tmp_path, "a.mpo", views[0], format="MPO", save_all=True, append_images=views[1:])
    assert np.abs(np.subtract(_pixels(path), RED)).max() <= 3


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated(tmp_path: Path, kind: str, share: float) -> None:
    content = _encoded(_noise(), kind)
    path = _written(tmp_path / "a", content[: int(share * len(content))])
    for size in (None, (8, 8)):
        assert _reason(path, size)


def test_truncated_says_so(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG"):
        content = _encoded(_noise(), kind)
        assert "truncated" in _reason(_written(tmp_path / "a", content[: len(content) // 2]))


def test_corrupted_png(tmp_path: Path) -> None:
    content = bytearray(_encoded(_noise(), "PNG"))
    content[len(content) // 2] ^= 0xFF
    assert "broken" in _reason(_written(tmp_path / "a.png", bytes(content)))


def test_refused_files(tmp_path: Path) -> None:
    assert _reason(_written(tmp_path / "empty.jpg", b"")) == "the file is empty"
    text = _written(tmp_path / "text.jpg", b"Dear photograph,\nI am a letter.\n" * 20)
    assert _reason(text) == "not an image in a format that can be read"
    assert _reason(tmp_path / "missing.jpg") == "No such file or directory"
    (tmp_path / "folder.jpg").mkdir()
    assert _reason(tmp_path / "folder.jpg") == "a folder"
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    assert _reason(tmp_path / "broken.jpg") == "No such file or directory"
    assert _reason(text / "a.jpg") == "Not a directory"
    assert "null" in _reason(Path("nul\0.jpg"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = _saved(tmp_path, "a.png", Image.new("RGB", (2, 2)))
    path.chmod(0)
    assert _reason(path) == "Permission denied"


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    reasons: list[str] = []
    reading = threading.Thread(target=lambda: reasons.append(_reason(tmp_path / "pipe.jpg")), daemon=True)
    reading.start()
    reading.join(timeout=5)
    assert reasons == ["not a regular file"]


def test_postscript_is_not_run(tmp_path: Path) -> None:
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    path = _written(tmp_path / "a.png", content)
    with Image.open(path) as opened:
        assert opened.format == "EPS"  # Pillow would hand it to Ghostscript
    assert _reason(path) == "not an image in a format that can be read"


def _claiming_30000_squared(kind: str) -> bytes:
    content = bytearray(_encoded(Image.new("L", (8, 8)), kind))
    if kind == "PNG":
        content[16:24] = struct.pack(">II", 30_000, 30_000)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif kind == "JPEG":
        frame = content.index(b"\xff\xc0")
        content[frame + 5 : frame + 9] = struct.pack(">HH", 30_000, 30_000)
    else:  # BMP
        content[18:26] = struct.pack("<ii", 30_000, 30_000)
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("size", [None, (224, 224)])
def test_decompression_bomb(tmp_path: Path, kind: str, size: tuple[int, int] | None) -> None:
    path = _written(tmp_path / "a", _claiming_30000_squared(kind))
    assert path.stat().st_size < 10_000
    assert _reason(path, size) == "more than 178 million pixels, refused as a decompression bomb"


def test_webp_has_a_lower_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its decoder takes four times the memory of a picture."""
    path = _saved(tmp_path, "a.webp", Image.new("L", (40, 30)), lossless=True)
    monkeypatch.setattr("wsol.data.images.MAX_WEBP_PIXELS", 1200)
    assert read_image(path)[1] == read_size(path)[0] == (30, 40)
    monkeypatch.setattr("wsol.data.images.MAX_WEBP_PIXELS", 1199)
    for read in (read_image, read_size, read_values):
        with pytest.raises(ImageError, match="refused as a decompression bomb"):
            read(path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_in_tiles_is_the_whole_picture(
    mode: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = _noise().resize((50, 37))
    if mode.startswith("I"):
        picture = Image.fromarray(np.arange(50 * 37, dtype=np.uint16).reshape(37, 50) * 35).convert(mode)
    else:
        picture = noise.convert(mode)
    if mode in ("P", "RGB"):
        picture.info["transparency"] = 3 if mode == "P" else noise.getpixel((20, 30))
    picture.getexif()[0x0112] = orientation
    whole = upright_rgb(picture)
    monkeypatch.setattr("wsol.data.images.TILE", 16)
    assert upright_rgb(picture).tobytes() == whole.tobytes()
    assert whole.mode == "RGB"
    assert whole.size == ((50, 37) if orientation == 1 else (37, 50))


def test_the_size_of_a_png_is_told_without_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _saved(tmp_path, "a.png", Image.new("L", (40, 30)))
    content = _encoded(Image.new("L", (40, 30)), "PNG", exif=_oriented(6))
    start = content.index(b"eXIf") - 4
    stop = start + 12 + int.from_bytes(content[start : start + 4])
    end = content.index(b"IEND") - 4  # EXIF may stand behind the pixels
    late = _written(
        tmp_path / "late.png", content[:start] + content[stop:end] + content[start:stop] + content[end:]
    )
    assert read_size(late) == ((30, 40), 6)
    assert read_image(late)[1] == (40, 30)

    def load(_: Image.Image) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    assert read_size(path) == ((30, 40), 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_between_pillows_limits_without_a_warning(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _written(tmp_path / "a", _encoded(Image.new("RGB", (40, 30), RED), kind))  # 1200 pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # warns above, refuses above twice as many
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
    assert read_image(path)[1] == (30, 40)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 599)
    assert "decompression bomb" in _reason(path)


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError(Path("a/b.jpg"), "the file is empty")))
    assert isinstance(error, ImageError)
    assert (error.path, error.reason) == ("a/b.jpg", "the file is empty")
    assert str(error) == "a/b.jpg: the file is empty"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
def test_reading_leaves_no_file_open(tmp_path: Path) -> None:
    good = _saved(tmp_path, "a.png", _noise())
    truncated = _written(tmp_path / "b.png", good.read_bytes()[:900])
    before = len(list(Path("/proc/self/fd").iterdir()))
    read_image(good)
    _reason(truncated)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_upright_rgb_leaves_the_picture_alone() -> None:
    picture = Image.fromarray(np.array([[0, 65535]], np.uint16))
    picture.getexif()[0x0112] = 6
    assert np.asarray(upright_rgb(picture)).tolist() == [[[0, 0, 0]], [[255, 255, 255]]]
    assert (picture.mode, picture.size, picture.getexif()[0x0112]) == ("I;16", (2, 1), 6)
    rgb = Image.new("RGB", (2, 1))
    assert upright_rgb(rgb) is not rgb


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files without content, for what only looks at names."""
    names = ["b.jpg", "a.PNG", "notes.txt", "sub/c.jpeg", "sub/deep/d.webp", "sub/readme.md", "sub2/e.gif"]
    hidden = [".hidden.jpg", ".cache/f.jpg", "sub/.g.png"]
    for name in names + hidden:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def _found(*paths: str | Path) -> tuple[list[str], int]:
    files, ignored = find_images(paths)
    return [str(file) for file in files], ignored


IN_PHOTOS = [f"photos/{name}" for name in ("a.PNG", "b.jpg", "sub/c.jpeg", "sub/deep/d.webp", "sub2/e.gif")]


@pytest.mark.parametrize("name", ["photos", "photos/", "./photos", Path("photos")])
def test_a_folder(tree: Path, name: str | Path) -> None:
    assert _found(name) == (IN_PHOTOS, 2)


def test_the_current_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "sub")
    assert _found(".") == (["c.jpeg", "deep/d.webp"], 1)
    assert _found("..")[0][-1] == "../sub2/e.gif"


def test_named_files_count_whatever_they_are(tree: Path) -> None:
    named = ["photos/notes.txt", "photos/.hidden.jpg", "photos/missing.jpg"]
    assert _found(*named) == (named, 0)
    assert _found("photos/.cache") == (["photos/.cache/f.jpg"], 0)


def test_names_that_no_file_can_have_are_named_all_the_same(tree: Path) -> None:
    named = [f"photos/{300 * 'n'}.jpg", "photos/b.jpg/x.jpg", f"{20 * ('d' * 250 + '/')}x.jpg"]
    assert _found("photos/b.jpg", *named) == (["photos/b.jpg", *named], 0)
    assert [_reason(Path(name)) for name in named] == [
        *("File name too long", "Not a directory", "File name too long"),
    ]


def test_a_folder_too_deep_to_be_listed_is_found(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    for _ in range(20):  # 5,000 bytes; a path may have 4,095
        Path(250 * "d").mkdir()
        os.chdir(250 * "d")
    os.chdir(tree.parent)
    files, _ = _found("photos")
    (deep,) = [file for file in files if file not in IN_PHOTOS]
    assert _reason(Path(deep)) == "File name too long"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_may_not_be_looked_into_is_found(tree: Path) -> None:
    (tree / "sub").chmod(0)
    try:
        assert _found("photos") == (["photos/a.PNG", "photos/b.jpg", "photos/sub", "photos/sub2/e.gif"], 1)
        assert _found("photos/sub") == (["photos/sub"], 0)
        assert _found("photos/sub/c.jpeg") == (["photos/sub/c.jpeg"], 0)
        assert _reason(tree / "sub") == "a folder that may not be looked into"
    finally:
        (tree / "sub").chmod(0o755)


def test_each_file_once_in_the_order_of_the_arguments(tree: Path) -> None:
    assert _found("photos/sub2", "photos/b.jpg", "photos", "photos/*.jpg", "./photos/b.jpg") == (
        [
            "photos/sub2/e.gif",
            "photos/b.jpg",
            *(name for name in IN_PHOTOS if name[7:] not in ("b.jpg", "sub2/e.gif")),
        ],
        2,
    )
    assert _found("photos", "photos/sub") == (IN_PHOTOS, 2)  # other files are counted once, too
    assert _found("photos", "photos/notes.txt") == ([*IN_PHOTOS, "photos/notes.txt"], 1)


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("photos/*.jpg", ["b.jpg"]),
        ("photos/?.*", ["a.PNG", "b.jpg"]),
        ("photos/[ab].*", ["a.PNG", "b.jpg"]),
        ("photos/*/*.jp*g", ["sub/c.jpeg"]),
        ("photos/sub*", ["sub/c.jpeg", "sub/deep/d.webp", "sub2/e.gif"]),  # folders are searched
        ("photos/*.txt", ["notes.txt"]),
        ("photos/**/*.webp", ["sub/deep/d.webp"]),
        ("photos/**/*.jpg", ["b.jpg"]),  # any depth, none too
        ("photos/**/deep/*", ["sub/deep/d.webp"]),
        ("photos/**/**/*.gif", ["sub2/e.gif"]),
        ("photos/.*.jpg", [".hidden.jpg"]),
    ],
)
def test_globs(tree: Path, pattern: str, files: list[str]) -> None:
    for start in ("", f"{tree.parent}/"):
        assert find_images([start + pattern])[0] == [Path(start, "photos", file) for file in files]


def test_any_depth(tree: Path) -> None:
    assert _found("photos/**") == (IN_PHOTOS, 2)
    assert _found("**/*.gif") == (["photos/sub2/e.gif"], 0)
    assert _found("**/sub/*.jpeg") == (["photos/sub/c.jpeg"], 0)


@pytest.mark.parametrize("pattern", ["photos/*.bmp", "nowhere/**/*.jpg", "photos/[", "photos/a[1].jpg"])
def test_a_glob_without_matches_is_kept_and_refused_as_missing(tree: Path, pattern: str) -> None:
    assert _found(pattern) == ([pattern], 0)
    assert _reason(Path(pattern)) == "No such file or directory"


def test_names_with_glob_characters(tree: Path) -> None:
    for name in ("a[1].jpg", "what?.jpg", "album [2]/x*.png"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    (tree / "a1.jpg").touch()
    assert _found("photos/a[1].jpg", "photos/what?.jpg") == (["photos/a[1].jpg", "photos/what?.jpg"], 0)
    assert _found("photos/album [2]") == (["photos/album [2]/x*.png"], 0)
    assert _found("photos/**/x*.png") == (["photos/album [2]/x*.png"], 0)


def test_unicode_names(tree: Path) -> None:
    names = ["été.jpg", "写真.png", "🐈 cat.webp"]
    for name in names:
        (tree / "sub2" / name).touch()
    assert _found("photos/sub2") == ([f"photos/sub2/{name}" for name in ["e.gif", *sorted(names)]], 0)
    path = _saved(tree, "猫.png", Image.new("RGB", (1, 1), RED))
    assert _pixels(path) == [[RED]]


def test_link_loops_end(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to(tree)
    (tree / "again").symlink_to(tree)
    assert _found("photos") == (IN_PHOTOS, 2)
    assert _found("photos/**/*.jpg") == (["photos/b.jpg"], 0)  # following both links, 2**40 names


def test_links(tree: Path) -> None:
    (tree.parent / "album").symlink_to(tree)
    (tree / "sub2" / "linked.jpg").symlink_to(tree / "b.jpg")
    assert _found("album/sub2") == (["album/sub2/e.gif", "album/sub2/linked.jpg"], 0)
    assert _found("album")[1] == 2  # a folder that is named may be a link
    assert _found("al*/*.jpg") == (["album/b.jpg"], 0)


def test_nothing(tmp_path: Path) -> None:
    assert find_images([]) == ([], 0)
    assert find_images([tmp_path]) == ([], 0)


def test_what_is_found_is_read(tmp_path: Path) -> None:
    """Every suffix that is searched for belongs to a format that is decoded."""
    modes, formats = {".pgm": "L", ".pbm": "1"}, {".pnm": "PPM"}
    for suffix in SUFFIXES:
        picture = Image.new("RGB", (16, 16), RED).convert(modes.get(suffix, "RGB"), dither=Image.Dither.NONE)
        _saved(tmp_path, f"a{suffix}", picture, format=formats.get(suffix))
    files, ignored = find_images([tmp_path])
    assert (len(files), ignored) == (len(SUFFIXES), 0)
    grey, black = (76, 76, 76), (0, 0, 0)  # 0.299 * 255; below one half
    for file in files:
        expected = {".pgm": grey, ".pbm": black}.get(file.suffix, RED)
        assert np.abs(np.subtract(_pixels(file), expected)).max() <= 3, file
