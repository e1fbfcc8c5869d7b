"""ADL (Choe & Shim, CVPR 2019): inner layers drop what they attend to most.

python examples/methods/adl.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods.adl import ADLOptions
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="adl",
            adl=ADLOptions(threshold=0.9, drop_probability=0.75),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/adl",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
