"""Bridging the Gap (Kim et al., CVPR 2022): strong features and likeness to the class are aligned.

python examples/methods/bridging.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods.bridging import BridgingOptions
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="bridging",
            bridging=BridgingOptions(warm_up=1, similarity=2.0, norm=0.3, drop=2.0),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=2),
            trainer=TrainerOptions(workers=0),
            output="runs/bridging",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
