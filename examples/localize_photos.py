"""Boxes, masks and pictures of the sample photographs: python examples/localize_photos.py."""

from pathlib import Path

import wsol
from wsol.data.samples import sample_photographs

localizer = wsol.load("efficientnet_lite0", preset="balanced")  # "best" follows edges, "fast" is one pass
folder = Path("found")
folder.mkdir(exist_ok=True)
for result in localizer(sample_photographs()):
    assert result.path is not None
    print(f"{result.path.name:22} {result.label:16} {result.probability:.2f}  {result.boxes.tolist()}")
    print(f"{'':22} the mask covers {result.mask.mean():.0%} of the picture")
    result.save(folder / f"{result.path.stem}.jpg")  # the photograph with box and mask
    result.save(folder / f"{result.path.stem}.json")  # everything, to be read back by Localization.from_dict
