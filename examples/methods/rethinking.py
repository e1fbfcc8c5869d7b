"""Rethinking CAM (Bae et al., ECCV 2020): TAP in training, NWC and PaS for maps and boxes.

python examples/methods/rethinking.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="cam",
            pooling="tap",
            tap_threshold=0.1,
            validation=ValidationOptions(map="nwc", threshold="percentile", percentile=90),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/rethinking",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
