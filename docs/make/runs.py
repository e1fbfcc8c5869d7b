"""The trainings that the figures look into: each method for a few epochs on the built-in drawn data."""

import sys
from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods import MethodKind
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions
from wsol.training.run import train

FOLDER = Path(__file__).parents[2] / "runs" / "figures"
COUNTS = {"train": 300, "val": 60, "test": 40}
EPOCHS = 5
TRAINED: tuple[MethodKind, ...] = ("cam", "bridging", "acol", "spg", "ae")


def drawn() -> Path:
    """The drawn data set, made where it is missing."""
    folder = FOLDER / "drawn"
    return folder if folder.exists() else synthetic(folder, counts=COUNTS)


def run_of(method: MethodKind) -> Path:
    """The run of a method, trained where it is missing."""
    folder = FOLDER / method
    config = TrainConfig(
        data=str(drawn()),
        method=method,
        output=str(folder),
        training=TrainingOptions(epochs=EPOCHS, batch_size=30),
        trainer=TrainerOptions(accelerator="cpu", workers=0),
        validation=ValidationOptions(every=EPOCHS),
    )
    return train(config, progress=False).folder


if __name__ == "__main__":
    for kind in TRAINED:
        run_of(kind)
        sys.stderr.write(f"{kind} is trained\n")
