"""Photographs as files: found, decoded into RGB, or refused with a reason that a person understands."""

import glob
import mmap
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from wsol.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "ICO")
"""Decoders that are used (JPEG reads MPO too); others of Pillow, as PostScript's, run outside programs."""

SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".mpo", ".jp2", ".j2k", ".avif", ".tga", ".ico",
))  # fmt: skip
"""File names that count as photographs when a folder is searched."""

DRAFT = 4
"""A large JPEG is decoded at a fraction of its size, at least this many times the size asked for."""

MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
"""Larger pictures are refused as decompression bombs: about 179 million pixels, Pillow's own limit."""

MAX_WEBP_PIXELS = MAX_PIXELS // 2
"""The same of WebP, whose decoder holds a picture four times over."""

TILE = 2048
"""Side of the squares in which a picture becomes RGB: whole, a large one of 16 bits would take gigabytes."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings each EXIF orientation upright."""

_PNG_TURNS = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
"""Where a PNG tells it, perhaps behind the pixels: without any, Pillow would decode them all to find none."""


class UnusableError(ValueError):
    """Pixels that decode but cannot be shown as a photograph."""


@dataclass(frozen=True)
class StoredImage:
    """An image file that is no local file: in a table, an archive, or a store over a network.

    Attributes:
        name: what it is called.
        read: gives the bytes of the file; what it raises is the reason why there are none.
    """

    name: str
    read: Callable[[], bytes]

    def __str__(self) -> str:
        return self.name


def find_images(paths: Iterable[str | Path]) -> tuple[list[Path], int]:
    """The image files that files, folders and globs stand for.

    A file that is named counts whatever its suffix and even if it is missing, so that reading it says
    why it cannot be used; folders are searched for image suffixes through all levels, without following
    links to folders; a glob (``photos/*.jpg``, ``**`` for any depth) stands for what it matches. Names
    that begin with a dot are left out, unless they are named. A folder that cannot be listed stands
    among the files: reading it says why.

    Args:
        paths: names of files, folders, or globs.

    Returns:
        The files, each once, sorted within each argument; and how many other files the folders held.

    Raises:
        ValueError: an empty path.
    """
    found: dict[Path, None] = {}
    others: set[Path] = set()
    for path in map(str, paths):
        if not path:
            raise ValueError("an empty path names nothing; is a variable not set?")
        here: set[Path] = set()
        matches = _expand(path) if glob.has_magic(path) and not os.path.lexists(path) else []
        for match in matches or [Path(path)]:  # a glob that matches nothing is reported as missing
            if os.path.isdir(match):  # noqa: PTH112 - Path's raises where a name is too long or closed off
                closed: list[OSError] = []
                inside = {
                    Path(folder, name) for folder, names in _walk(match, closed.append) for name in names
                }
                images = {file for file in inside if file.suffix.lower() in SUFFIXES}
                others |= inside - images
                here |= images.union(Path(error.filename) for error in closed)
            else:
                here.add(match)
        found.update(dict.fromkeys(sorted(here)))
    return list(found), len(others - found.keys())


def _expand(pattern: str) -> list[Path]:
    """What a glob matches; ``**`` does not follow links to folders, which may run in circles."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return [Path(match) for match in glob.glob(pattern)]  # noqa: PTH207 - Path's shows hidden files
    at = parts.index("**")
    tops = _expand(str(Path(*parts[:at])))
    folders = [folder for top in tops for folder, _ in _walk(top)]
    return [
        match for folder in folders for match in _expand(str(Path(glob.escape(folder), *parts[at + 1 :])))
    ]


def _walk(
    folder: str | Path, onerror: Callable[[OSError], None] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """The folder and those below it, each with the names of its files; nothing hidden."""
    for parent, folders, files in os.walk(folder, onerror=onerror):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield parent, [name for name in files if not name.startswith(".")]


def read_image(
    path: str | Path | StoredImage, size: tuple[int, int] | None = None, *, upright: bool = True
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode a photograph into upright RGB.

    Orientation from EXIF is applied; grey, palette and CMYK pictures are converted; transparent pixels
    are laid on white; 16-bit grey is scaled to 8 bits over its full range; of an animation the first
    frame is taken.

    Args:
        path: the file, wherever it is kept.
        size: (height, width) that the caller will shrink the picture to. A JPEG is then decoded at the
            half, quarter or eighth that keeps both sides at least four times that large, which saves most
            of the time of a large photograph and hardly changes a pixel; ``None`` decodes every pixel.
        upright: apply EXIF's orientation; else pixels stay as they are stored.

    Returns:
        The RGB picture, and the (height, width) of the photograph at full size.

    Raises:
        ImageError: the file is missing, empty, no regular file, no image, truncated, too large, or of a
            kind of pixels with no defined white; the message says which.
    """
    with _refusals(path):
        return _read(path, size, upright)


def read_values(path: str | Path) -> NDArray[np.float32]:
    """The values of a picture of one channel as they are stored, for masks: of a palette, its indices.

    Returns:
        (height, width), float32; not turned by EXIF.

    Raises:
        ImageError: as :func:`read_image`, or there are several channels.
    """
    with _refusals(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in _read
        with _opened(path) as image:
            image.load()
            if len(image.getbands()) != 1:
                raise UnusableError(f"a mask has one channel, this picture has {', '.join(image.getbands())}")
            if 0 in image.size:
                raise UnusableError(f"no pixels: it is {image.width} × {image.height}")
            return np.asarray(image, np.float32)


def read_size(path: str | Path) -> tuple[tuple[int, int], int]:
    """(height, width) as stored, and the EXIF orientation, 1 to 8, from the header.

    For use in threads: Pillow's warnings are left to the caller.

    Raises:
        ImageError: as :func:`read_image`, as far as the header tells.
    """
    with _refusals(path), _opened(path) as image:
        width, height = image.size
        upright = image.format == "PNG" and not _holds(path, _PNG_TURNS)
        return (height, width), 1 if upright else _orientation(image)


@contextmanager
def _refusals(path: str | Path | StoredImage) -> Iterator[None]:
    """Whatever goes wrong with a file as an ImageError that says why."""
    try:
        yield
        return
    except UnidentifiedImageError:
        reason = "not an image in a format that can be read"
    except Image.DecompressionBombError:
        reason = _bomb(MAX_PIXELS)
    except UnusableError as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged data
        reason = f"damaged or unsupported ({type(error).__name__}: {error})"
    raise ImageError(str(path), reason)


def _bomb(limit: int) -> str:
    return f"more than {limit // 10**6} million pixels, refused as a decompression bomb"


def upright_rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as upright RGB, as :func:`read_image` does it.

    Raises:
        UnusableError: 32-bit or floating-point pixels, or none.
    """
    if 0 in image.size:
        raise UnusableError(f"no pixels: it is {image.width} × {image.height}")
    image.load()
    picture = _rgb(image, _orientation(image))
    return picture.copy() if picture is image else picture


def _rgb(image: Image.Image, orientation: int) -> Image.Image:
    """Upright RGB; the picture itself where nothing has to change."""
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if image.mode == "F":
        raise UnusableError("floating-point pixels have no defined white; save it with 8 or 16 bits")
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    picture = Image.new("RGB", image.size)
    for top in range(0, image.height, TILE):
        for left in range(0, image.width, TILE):
            tile = (left, top, min(left + TILE, image.width), min(top + TILE, image.height))
            picture.paste(_opaque(image.crop(tile)), tile)
    return picture


def _opaque(image: Image.Image) -> Image.Image:
    """Pixels of any mode as RGB, on white."""
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _file(path: str | Path | StoredImage) -> str | Path | BytesIO:
    """What Pillow is to open."""
    if not isinstance(path, StoredImage):
        _check_file(path)
        return path
    data = path.read()
    if not data:
        raise UnusableError("the file is empty")
    return BytesIO(data)


def _check_file(path: str | Path) -> None:
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        listed = os.access(path, os.R_OK | os.X_OK)
        raise UnusableError("a folder" if listed else "a folder that may not be looked into")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableError("not a regular file")
    if status.st_size == 0:
        raise UnusableError("the file is empty")


@contextmanager
def _opened(path: str | Path | StoredImage) -> Iterator[Image.Image]:
    with Image.open(_file(path), formats=FORMATS) as image:
        if image.format == "WEBP" and image.width * image.height > MAX_WEBP_PIXELS:
            raise UnusableError(_bomb(MAX_WEBP_PIXELS))
        yield image


def _read(
    path: str | Path | StoredImage, size: tuple[int, int] | None, upright: bool
) -> tuple[Image.Image, tuple[int, int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities in metadata; pixels that fail raise
        with _opened(path) as image:
            width, height = image.size
            if size is not None:
                side = DRAFT * max(size)  # whichever way up
                image.draft("RGB", (min(side, width), min(side, height)))  # acts on JPEG alone
            image.load()
            orientation = _orientation(image) if upright else 1
            picture = _rgb(image, orientation)
    return picture, ((width, height) if orientation >= 5 else (height, width))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 if there is none, or damaged EXIF, which takes nothing from the pixels."""
    try:
        orientation = image.getexif().get(0x0112)  # reads XMP too
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything
        return 1
    return orientation if orientation in _TURNS else 1


def _holds(path: str | Path, words: Sequence[bytes]) -> bool:
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(word) >= 0 for word in words)


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise UnusableError("32-bit pixels have no defined white; save it with 8 or 16 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
