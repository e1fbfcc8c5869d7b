"""HaS (Singh & Lee, ICCV 2017): patches of training images are hidden.

python examples/methods/has.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods.has import HaSOptions
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="has",
            has=HaSOptions(sizes=(0, 16, 32), probability=0.5),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/has",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
