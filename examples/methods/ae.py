"""AE (Wei et al., CVPR 2017): each classifier learns what those before it left over.

python examples/methods/ae.py
"""

from pathlib import Path

from wsol.data.synthetic import synthetic
from wsol.methods.ae import AEOptions
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.run import train

DATA = Path("drawn")

if __name__ == "__main__":  # reading processes of larger trainings import this file
    if not DATA.exists():
        synthetic(DATA, counts={"train": 20, "val": 5, "test": 5})
    run = train(
        TrainConfig(
            data=str(DATA),
            method="ae",
            ae=AEOptions(steps=2, threshold=0.2),
            input_size=96,  # small and short, to run in a moment: leave these out
            training=TrainingOptions(epochs=1),
            trainer=TrainerOptions(workers=0),
            output="runs/ae",
        )
    )
    print(run.folder, "MaxBoxAccV2 on val", round(run.rows[-1]["val MaxBoxAccV2"], 3))
