"""Photographs as files: found, decoded into RGB, or refused with a reason that a person understands."""

import glob
import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from wsol.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "ICO")
"""Decoders that are used (JPEG reads MPO too); others of Pillow, as PostScript's, run outside programs."""

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .mpo "
    ".jp2 .j2k .avif .tga .ico".split()
)
"""File names that count as photographs when a folder is searched."""

MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
"""Larger pictures are refused as decompression bombs: about 179 million pixels, Pillow's own limit."""


class Unusable(ValueError):
    """Pixels that decode but cannot be shown as a photograph."""


def find_images(paths: Iterable[str | Path]) -> tuple[list[Path], int]:
    """The image files that files, folders and globs stand for.

    A file that is named counts whatever its suffix and even if it is missing, so that reading it says
    why it cannot be used; folders are searched for image suffixes through all levels, without following
    links to folders; a glob (``photos/*.jpg``, ``**`` for any depth) stands for what it matches.

    Args:
        paths: names of files, folders, or globs.

    Returns:
        The files, each once, sorted within each argument; and how many other files the folders held.
    """
    found: dict[Path, None] = {}
    ignored = 0
    for path in map(str, paths):
        if not os.path.lexists(path) and glob.has_magic(path):
            matches = sorted(Path(match) for match in glob.glob(path, recursive=True))
            if not matches:
                found[Path(path)] = None  # reported as missing
        else:
            matches = [Path(path)]
        for match in matches:
            if match.is_dir():
                inside = list(_walk(match))
                images = [file for file in inside if file.suffix.lower() in SUFFIXES]
                ignored += len(inside) - len(images)
                found.update(dict.fromkeys(images))
            else:
                found[match] = None
    return list(found), ignored


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(parent, name)


def read_image(path: str | Path, size: tuple[int, int] | None = None) -> tuple[Image.Image, tuple[int, int]]:
    """Decode a photograph into upright RGB.

    Orientation from EXIF is applied; grey, palette and CMYK pictures are converted; transparent pixels
    are laid on white; 16-bit grey is scaled to 8 bits over its full range; of an animation the first
    frame is taken.

    Args:
        path: the file.
        size: (height, width) that the caller will shrink the picture to. A JPEG is then decoded at the
            smallest eighth that keeps both sides at least twice that large, which saves most of the
            time of a large photograph; ``None`` decodes every pixel.

    Returns:
        The RGB picture, and the (height, width) of the photograph at full size.

    Raises:
        ImageError: the file is missing, empty, no regular file, no image, truncated, too large, or of a
            kind of pixels with no defined white; the message says which.
    """
    try:
        return _read(path, size)
    except UnidentifiedImageError:
        reason = "not an image in a format that can be read"
    except Image.DecompressionBombError:
        reason = f"more than {MAX_PIXELS // 10**6} million pixels, refused as a decompression bomb"
    except Unusable as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged data
        reason = f"damaged or unsupported ({type(error).__name__}: {error})"
    raise ImageError(path, reason)


def upright_rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as upright RGB, as :func:`read_image` does it.

    Raises:
        Unusable: 32-bit or floating-point pixels.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise Unusable("floating-point pixels have no defined white; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _read(path: str | Path, size: tuple[int, int] | None) -> tuple[Image.Image, tuple[int, int]]:
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise Unusable("a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
    if status.st_size == 0:
        raise Unusable("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities in metadata; pixels that fail raise
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if size is not None:
                image.draft("RGB", (min(2 * size[1], width), min(2 * size[0], height)))  # acts on JPEG alone
            shrunk = image.size != (width, height)
            sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF orientation
            upright = upright_rgb(image)
    if not shrunk:
        return upright, (upright.height, upright.width)
    return upright, ((width, height) if sideways else (height, width))


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise Unusable("32-bit pixels have no defined white; save it with 8 or 16 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
