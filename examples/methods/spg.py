"""SPG (Zhang et al., ECCV 2018): sure pixels of the network's map teach branches inside.

python examples/methods/spg.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods.spg import SPGOptions
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="spg",
            spg=SPGOptions(attention_high=0.7, attention_low=0.01),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/spg",
        )
    )
    print(run.folder, "loss", round(run.rows[-1]["loss"], 3))
