"""Files that claim to be photographs: good ones of every kind, damaged ones, and what is no file at all."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

Fate = Literal["good", "bad", "either"]
Size = tuple[int, int]

BOMB = 10_000
"""Sides of the pictures that are small as files and large in memory, and still allowed."""

PARENTS = ("photos", "photos/Größe/深い/🦋", "photos/folder.jpg")


@dataclass(frozen=True)
class Input:
    """A file of the corpus.

    Attributes:
        name: its path below the corpus.
        pixels: whether its pixels can be used: a good one must get a result, a bad one a reason.
        header: the same of its header, which is all that ``wsol data check`` looks at.
        size: (height, width) of a good one as it is stored; None if that is not known.
        turned: by EXIF, so that upright it is as wide as it is high here.
    """

    name: str
    pixels: Fate = "either"
    header: Fate = "either"
    size: Size | None = None
    turned: bool = False

    @property
    def listable(self) -> bool:
        """Whether a line of a table can name it."""
        return self.name.isprintable() and "\\" not in self.name

    @property
    def upright(self) -> Size | None:
        """(height, width) as people see it."""
        return self.size[::-1] if self.size and self.turned else self.size


@dataclass(frozen=True)
class _Seed:
    """A small picture as a file."""

    suffix: str
    content: bytes
    size: Size
    turned: bool = False


def write_corpus(folder: Path, count: int, *, bombs: bool = False, seed: int = 0) -> list[Input]:
    """Write a corpus, the same for the same arguments.

    Args:
        folder: does not exist yet.
        count: files, at least; half of them are damaged in random ways.
        bombs: with good pictures of ``BOMB`` × ``BOMB`` pixels.
        seed: of the random numbers.
    """
    for parent in PARENTS:
        (folder / parent).mkdir(parents=True)
    seeds = list(_seeds(np.random.default_rng(seed)))
    inputs = [*_good(folder, seeds), *_refused(folder, seeds), *_special(folder, seeds[0])]
    inputs += _bombs(folder) if bombs else []
    generator = np.random.default_rng(seed + 1)
    inputs += [_damaged(folder, seeds, number, generator) for number in range(max(count - len(inputs), 0))]
    return inputs


def _seeds(generator: np.random.Generator) -> Iterator[_Seed]:
    """Noise, so that nothing of it can be left out, in every format and kind of pixels."""
    height, width = 33, 47
    rgb = Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8))
    deep = Image.fromarray(generator.integers(0, 65536, (height, width), np.uint16))
    clear = Image.merge("RGBA", [*rgb.split(), rgb.getchannel(0)])
    more: dict[str, Any] = {"save_all": True, "append_images": [rgb.rotate(180), rgb.rotate(90)]}
    kinds: list[tuple[str, str, Image.Image, dict[str, Any]]] = [
        ("jpg", "JPEG", rgb, {}),
        ("jpeg", "JPEG", rgb, {"progressive": True, "quality": 95}),
        ("jpe", "JPEG", rgb.convert("L"), {}),
        ("jfif", "JPEG", rgb.convert("CMYK"), {}),
        ("png", "PNG", rgb, {}),
        ("PNG", "PNG", clear, {}),
        ("png", "PNG", rgb.convert("P"), {"transparency": 3}),
        ("png", "PNG", rgb.convert("LA"), {}),
        ("png", "PNG", rgb.convert("1"), {}),
        ("png", "PNG", deep, {}),
        ("apng", "PNG", rgb, more),
        ("webp", "WEBP", rgb, {}),
        ("webp", "WEBP", clear, {"lossless": True}),
        ("webp", "WEBP", rgb, {"lossless": True, **more}),
        ("gif", "GIF", rgb.convert("P"), {}),
        ("gif", "GIF", rgb.convert("P"), {"save_all": True, "append_images": [rgb.convert("P").rotate(180)]}),
        ("tif", "TIFF", rgb, {}),
        ("tif", "TIFF", deep, {}),
        ("tiff", "TIFF", rgb.convert("CMYK"), {"compression": "tiff_lzw"}),
        ("tiff", "TIFF", rgb, {"compression": "jpeg"}),
        ("tif", "TIFF", rgb.convert("1"), {"compression": "group4"}),
        ("tif", "TIFF", clear, {"compression": "tiff_adobe_deflate"}),
        ("bmp", "BMP", rgb, {}),
        ("ppm", "PPM", rgb, {}),
        ("tga", "TGA", rgb, {"compression": "tga_rle"}),
        ("ico", "ICO", clear, {"sizes": [(width, height)]}),
        ("jp2", "JPEG2000", rgb, {}),
        ("avif", "AVIF", rgb, {}),
        ("mpo", "MPO", rgb, more),
    ]
    for suffix, kind, picture, options in kinds:
        yield _Seed(suffix, _encoded(picture, kind, **options), (height, width))
    exif = Image.Exif()
    for orientation in range(2, 9):
        exif[0x0112] = orientation
        for suffix, kind in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
            content = _encoded(rgb, kind, exif=exif)
            yield _Seed(suffix, content, (height, width), turned=orientation >= 5)


def _good(folder: Path, seeds: list[_Seed]) -> Iterator[Input]:
    """Pictures as they should be, under names that they should not have, and of unusual shapes."""
    for number, seed in enumerate(seeds):
        parent = PARENTS[number % len(PARENTS)]
        yield _put(folder, f"{parent}/good {number}.{seed.suffix}", seed)
    wrong = [seeds[0].suffix, "png", "gif", "webp", "tif", "bmp", "avif", "ico"]
    for number, suffix in enumerate(wrong):
        yield _put(folder, f"photos/wrong suffix {number}.{suffix}", seeds[(7 * number + 3) % len(seeds)])
    longest = "n" * 251 + ".jpg"
    names = [
        longest, "ü" * 125 + ".jpg", "🦋.jpg", "e\u0301.jpg", "\u05e9\u05dc\u05d5\u05dd.jpg", "日本語.jpg",
        "a,b;c.jpg", "'\"`$(touch x)`.jpg", "<img src=x onerror=alert(1)>.jpg", "%2e%2e%00.jpg", "[a]*?.jpg",
        "-rf.jpg", "~.jpg", "CON.jpg", "a.jpg.png.exe.jpg", " .jpg", "a  .jpg", "#.jpg", "back\\slash.jpg",
        "new\nline.jpg", "tab\t.jpg", "bell\x07.jpg", "clear\x1b[2J.jpg", "line\u2028.jpg",
        "bad\udcff\udce9.jpg",
    ]  # fmt: skip
    yield from (_put(folder, f"photos/{name}", seeds[0]) for name in names)
    for width, height in [(1, 1), (1, 3000), (3000, 1), (70_000, 2), (2, 70_000)]:
        content = _encoded(Image.new("RGB", (width, height), "teal"), "PNG")
        yield _put(folder, f"photos/shape {width}x{height}.png", _Seed("png", content, (height, width)))
    for width, height in [(4000, 3000), (65_500, 8)]:
        content = _encoded(Image.new("RGB", (width, height), "teal"), "JPEG")
        yield _put(folder, f"photos/shape {width}x{height}.jpg", _Seed("jpg", content, (height, width)))
    for name, target in (("link.jpg", "good 0.jpg"), ("link to link.jpg", "link.jpg")):
        (folder / "photos" / name).symlink_to(target)
        yield Input(f"photos/{name}", "good", "good", seeds[0].size)


def _put(folder: Path, name: str, seed: _Seed) -> Input:
    (folder / name).write_bytes(seed.content)
    return Input(name, "good", "good", seed.size, seed.turned)


def _refused(folder: Path, seeds: list[_Seed]) -> Iterator[Input]:
    """Files without a picture, cut ones, and those that claim to be larger than is allowed."""
    contents = {
        "empty.jpg": b"",
        "zeros.png": bytes(1000),
        "letter.jpg": b"Dear photograph,\nI am a letter.\n" * 20,
        "page.webp": b"<!DOCTYPE html><html><title>404 Not Found</title></html>",
        "paper.tif": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" * 9,
        "drawing.gif": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
        "vector.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "archive.jpg": b"PK\x05\x06" + bytes(18),
        "video.jpg": b"\0\0\0\x18ftypmp42" + bytes(500),
        **{f"claims 30000.{kind.lower()}": _claiming(kind, 30_000) for kind in ("PNG", "JPEG", "BMP", "GIF")},
        "claims 16000.webp": _claiming("WEBP", 16_000),
    }
    for name, content in contents.items():
        (folder / "photos" / name).write_bytes(content)
        yield Input(f"photos/{name}", "bad", "bad")
    for number, seed in enumerate(seeds):
        if seed.suffix in ("jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "ppm"):
            half = f"photos/half {number}.{seed.suffix}"
            (folder / half).write_bytes(seed.content[: len(seed.content) // 2])
            yield Input(half, "bad")
        start = f"photos/start {number}.{seed.suffix}"
        (folder / start).write_bytes(seed.content[:5])
        yield Input(start, "bad", "bad")


def _special(folder: Path, seed: _Seed) -> Iterator[Input]:
    """What is no file, leads nowhere or in circles, or must not be read."""
    photos = folder / "photos"
    os.mkfifo(photos / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as door:
        here = Path.cwd()
        os.chdir(photos)  # a socket's whole path may have 107 bytes
        try:
            door.bind("socket.jpg")
        finally:
            os.chdir(here)
    links = {
        "self.jpg": "self.jpg", "ping.jpg": "pong.jpg", "pong.jpg": "ping.jpg",
        "nowhere.jpg": "not/there.jpg", "zero.jpg": "/dev/zero", "random.png": "/dev/urandom",
        "below a file.jpg": "empty.jpg/x.jpg",
    }  # fmt: skip
    for name, target in links.items():
        (photos / name).symlink_to(target)
    for name in ("pipe.jpg", "socket.jpg", *links):
        yield Input(f"photos/{name}", "bad", "bad")
    (photos / "circle").symlink_to(".")  # links to folders are not followed
    (photos / "circle.jpg").symlink_to("..")
    (photos / "no photograph.txt").write_text("notes", encoding="utf-8")
    locked = photos / "locked.jpg"
    locked.write_bytes(seed.content)
    locked.chmod(0)
    fate: Fate = "good" if os.access(locked, os.R_OK) else "bad"  # root may read every file
    yield Input("photos/locked.jpg", fate, fate, seed.size)


def _bombs(folder: Path) -> Iterator[Input]:
    """Large pictures of one colour: some kilobytes each."""
    palette = _chunk(b"PLTE", bytes(6)) + _chunk(b"tRNS", bytes(2))
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))
    contents = {
        "bomb bilevel.png": _flat_png(1, 0),
        "bomb palette.png": _flat_png(1, 3, palette),
        "deep bomb.png": _flat_png(16, 0),
        "huge bomb.png": _flat_png(8, 6),
        "large bomb.tif": _encoded(Image.new("1", (BOMB, BOMB)), "TIFF", compression="group4"),
        "small bomb.gif": _encoded(Image.new("P", (BOMB, BOMB)), "GIF"),
        "text bomb.png": _flat_png(1, 0, text, side=9),
    }
    for name, content in contents.items():
        (folder / "photos" / name).write_bytes(content)
        of_text = name.startswith("text")
        yield Input(f"photos/{name}") if of_text else Input(f"photos/{name}", "good", "good", (BOMB, BOMB))


def _damaged(folder: Path, seeds: list[_Seed], number: int, generator: np.random.Generator) -> Input:
    """A seed changed in a random way, which may go unnoticed."""
    seed = seeds[int(generator.integers(len(seeds)))]
    damage = _DAMAGES[int(generator.integers(len(_DAMAGES)))]
    content = np.frombuffer(damage(np.frombuffer(seed.content, np.uint8), generator), np.uint8)
    parent = PARENTS[number % len(PARENTS)]
    name = f"{parent}/{number:05} {damage.__name__.strip('_')}.{seed.suffix}"
    (folder / name).write_bytes(content.tobytes())
    return Input(name)


Damage = Callable[[Any, np.random.Generator], bytes]


def _flipped(content: Any, generator: np.random.Generator) -> bytes:
    """Some bits are others."""
    changed = content.copy()
    places = generator.integers(0, len(content), int(2 ** generator.uniform(0, 6)))
    changed[places] ^= (1 << generator.integers(0, 8, len(places))).astype(np.uint8)
    return bytes(changed)


def _flipped_head(content: Any, generator: np.random.Generator) -> bytes:
    """Some bits of what tells size and kind are others."""
    head = min(len(content), 200)
    return _flipped(content[:head], generator) + bytes(content[head:])


def _cut(content: Any, generator: np.random.Generator) -> bytes:
    """The end is not there."""
    return bytes(content[: int(generator.integers(1, len(content)))])


def _hole(content: Any, generator: np.random.Generator) -> bytes:
    """A stretch of zeros, as a bad disk leaves it."""
    changed = content.copy()
    start = int(generator.integers(0, len(content)))
    changed[start : start + 512] = 0
    return bytes(changed)


def _noise(content: Any, generator: np.random.Generator) -> bytes:
    """Something else behind the start."""
    start = int(generator.integers(4, 64))
    return bytes(content[:start]) + generator.bytes(300)


def _missing(content: Any, generator: np.random.Generator) -> bytes:
    """A stretch in the middle is not there."""
    start, stop = sorted(generator.integers(0, len(content), 2).tolist())
    return bytes(content[:start]) + bytes(content[stop:])


def _appended(content: Any, generator: np.random.Generator) -> bytes:
    """Twice, one after the other, and noise behind."""
    return 2 * bytes(content) + generator.bytes(100)


_DAMAGES: tuple[Damage, ...] = (_flipped, _flipped, _flipped_head, _cut, _hole, _noise, _missing, _appended)


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _claiming(kind: str, side: int) -> bytes:
    """A small file whose header tells of a square with this side."""
    options = {"lossless": True} if kind == "WEBP" else {}
    content = bytearray(_encoded(Image.new("L" if kind == "GIF" else "RGB", (8, 8)), kind, **options))
    match kind:
        case "PNG":
            content[16:24] = struct.pack(">II", side, side)
            content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        case "JPEG":
            frame = content.index(b"\xff\xc0")
            content[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
        case "BMP":
            content[18:26] = struct.pack("<ii", side, side)
        case "GIF":
            content[6:10] = struct.pack("<HH", side, side)
        case "WEBP":  # 14 bits each of width − 1 and height − 1, behind the signature 0x2f
            place = content.index(b"VP8L") + 9
            flags = int.from_bytes(content[place : place + 4], "little") >> 28 << 28
            content[place : place + 4] = (flags | (side - 1) << 14 | (side - 1)).to_bytes(4, "little")
    return bytes(content)


def _flat_png(depth: int, colour: int, more: bytes = b"", side: int = BOMB) -> bytes:
    """A black PNG, made a row at a time: these tests need little memory themselves."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = bytes(1 + (side * bits + 7) // 8)
    packer = zlib.compressobj(1)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    parts = _chunk(b"IHDR", head) + more + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
