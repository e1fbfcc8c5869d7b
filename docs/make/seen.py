"""What a network sees in a picture: its features, weights and maps, all from wsol's own functions."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import wsol
from wsol.inference.localizer import Localizer

FRAME = (224, 224)


@dataclass(frozen=True)
class Sight:
    """One picture.

    Attributes:
        picture: (H, W, 3) uint8, as it is shown.
        label: name of the class.
        index: (1,), of the class.
        features: (1, K, h, w).
        weight: (C, K).
    """

    picture: NDArray[np.uint8]
    label: str
    index: Tensor
    features: Tensor
    weight: Tensor

    def cam(self, *, clamp_negative: bool = False) -> Tensor:
        """(1, h, w)."""
        return wsol.maps.class_activation_map(
            self.features, self.weight, self.index, clamp_negative=clamp_negative
        )

    def frame(self, raw: Tensor) -> Tensor:
        """A map (1, h, w) in the input frame, in [0, 1]."""
        return wsol.maps.normalize(wsol.maps.upsample(raw, FRAME))

    def box(self, mask: Tensor) -> list[float]:
        """The box of the largest contour of a mask (1, 224, 224), in the picture's pixels."""
        x0, y0, x1, y1 = wsol.boxes.largest_box(mask)[0].tolist()
        height, width = self.picture.shape[:2]
        return [
            x0 * width / FRAME[1],
            y0 * height / FRAME[0],
            x1 * width / FRAME[1],
            y1 * height / FRAME[0],
        ]


@cache
def localizer(model: str = "efficientnet_lite0") -> Localizer:
    """One plain pass: the map that the papers speak of."""
    return wsol.load(model, preset="fast", device="cpu")


def look(
    path: Path, *, label: str | None = None, model: str = "efficientnet_lite0", side: int = 400
) -> Sight:
    """Run the network on a picture, shown with ``side`` pixels at most.

    Args:
        path: the picture.
        label: the class whose map is wanted; default: the predicted one.
        model: of ``wsol.load``.
        side: of the longer side.
    """
    here = localizer(model)
    photo = Image.open(path).convert("RGB")
    framed = np.asarray(photo.resize(FRAME[::-1], Image.Resampling.BILINEAR))
    features, logits = here.forward(torch.from_numpy(framed.copy()).permute(2, 0, 1)[None])
    index = logits.argmax(dim=1) if label is None else torch.tensor([here.model.classes.index(label)])
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    return Sight(
        picture=np.asarray(photo),
        label=here.model.classes.names[int(index)],
        index=index.clone(),
        features=features.clone(),
        weight=here.classifier.linear.weight.detach().float(),
    )
