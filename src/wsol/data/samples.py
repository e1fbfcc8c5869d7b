"""Photographs that come with scikit-image, for the demonstration."""

import importlib.util
from pathlib import Path

from wsol.errors import WsolError

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "camera.png", "motorcycle_left.png")


def sample_photographs() -> list[Path]:
    """The files, in scikit-image's own folder.

    Raises:
        WsolError: scikit-image is not installed.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise WsolError("the sample photographs come with the extra 'demo': pip install \"wsol[demo]\"")
    return [Path(spec.origin).parent / "data" / name for name in PHOTOGRAPHS]
