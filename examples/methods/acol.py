"""ACoL (Zhang et al., CVPR 2018): a second head learns what the first left over.

python examples/methods/acol.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods.acol import ACoLOptions
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="acol",
            acol=ACoLOptions(threshold=0.7),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/acol",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
