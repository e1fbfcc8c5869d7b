"""The official numbers of maps that other code made: python examples/evaluate_score_maps.py.

Here the "method" is a bump in the middle of each picture: the number that every method has to beat.
"""

from pathlib import Path

import numpy as np

from wsol.cli import main
from wsol.data.synthetic import synthetic

DATA, MAPS = Path("drawn-small"), Path("centre-maps")
if not DATA.exists():
    synthetic(DATA, counts={"train": 5, "val": 10, "test": 10})
rows, columns = np.mgrid[-1:1:28j, -1:1:28j]
for image in sorted((DATA / "images").glob("*/*.png")):
    target = MAPS / image.relative_to(DATA / "images").with_suffix(".npy")  # <image id>.npy
    target.parent.mkdir(parents=True, exist_ok=True)
    np.save(target, np.exp(-2 * (rows**2 + columns**2)))

# as on the command line: wsol evaluate --maps centre-maps --data drawn-small --overwrite …
chosen = [
    "--maps",
    str(MAPS),
    "--data",
    str(DATA),
    "--label-source",
    "true",
    "--output",
    "evaluations/centre",
]
main(["evaluate", *chosen, "--overwrite", "--workers", "0"])
