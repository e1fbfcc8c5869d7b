"""CutMix (Yun et al., ICCV 2019): a box of each image shows another one, and labels are mixed.

python examples/methods/cutmix.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods.cutmix import CutMixOptions
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="cutmix",
            cutmix=CutMixOptions(alpha=1.0, probability=1.0),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/cutmix",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
