"""CAM (Zhou et al., CVPR 2016): classification, and nothing else.

python examples/methods/cam.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="cam",
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/cam",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
