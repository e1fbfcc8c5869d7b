"""The trainings that the figures look into, a few epochs each, made where they are missing.

CAM and Bridging the Gap see the built-in drawn data; AE, ACoL and SPG crops of the four sample photographs, a
class each, which are easy to tell apart: new layers learn on them at once, and something is left when a part
is erased.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from wsol.data.samples import sample_photographs
from wsol.data.synthetic import synthetic
from wsol.methods import MethodKind
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions
from wsol.training.run import train

FOLDER = Path(__file__).parents[2] / "runs" / "figures"
COUNTS = {"train": 300, "val": 60, "test": 40}
CROPS = 24
"""Of each sample photograph."""


def drawn() -> Path:
    """The drawn data set."""
    folder = FOLDER / "drawn"
    return folder if folder.exists() else synthetic(folder, counts=COUNTS)


def crops() -> Path:
    """A folder by class, of crops that keep four fifths of each side or more."""
    folder, rng = FOLDER / "crops", np.random.default_rng(0)
    if folder.exists():
        return folder
    for path in sample_photographs():
        photo = Image.open(path).convert("RGB")
        (folder / path.stem).mkdir(parents=True)
        for index in range(CROPS):
            width, height = (round(side * rng.uniform(0.8, 1)) for side in photo.size)
            x0, y0 = rng.integers(photo.width - width + 1), rng.integers(photo.height - height + 1)
            crop = photo.crop((int(x0), int(y0), int(x0) + width, int(y0) + height))
            crop.save(folder / path.stem / f"{index:02d}.png")
    return folder


DATA: dict[MethodKind, tuple[Callable[[], Path], int]] = {
    "cam": (drawn, 5),
    "bridging": (drawn, 5),
    "ae": (crops, 4),
    "acol": (crops, 6),
    "spg": (crops, 6),
}
"""What each method sees, and for how many epochs."""


def run_of(method: MethodKind) -> Path:
    """The run of a method."""
    return train(config_of(method), progress=False).folder


def config_of(method: MethodKind) -> TrainConfig:
    """How a method is trained."""
    data, epochs = DATA[method]
    return TrainConfig(
        data=str(data()),
        method=method,
        output=str(FOLDER / method),
        training=TrainingOptions(epochs=epochs, batch_size=30 if data is drawn else 12),
        trainer=TrainerOptions(accelerator="cpu", workers=0),
        validation=ValidationOptions(every=epochs),
    )


if __name__ == "__main__":
    for kind in DATA:
        run_of(kind)
        sys.stderr.write(f"{kind} is trained\n")
