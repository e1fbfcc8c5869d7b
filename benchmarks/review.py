"""What is it worth to look at uncertain boxes first? How many wrong ones are among the first looked at.

    python benchmarks/review.py --data DATA RUN ... [--split test] [--share 0.2]

A box is wrong if its IoU with every box of the object is below a bound; the class is the predicted one. Each
run is used as ``wsol localize`` would: its map, preset and threshold. An order is worth what it finds in the
first share of the photographs: by chance that share, at best all wrong ones that fit in. ``uncertainty`` was
chosen on val (docs/annotate.md); the others are told for comparison.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate
from torchvision.ops import box_iou

import wsol
from wsol.data.dataset import DataSet, open_data

BOUNDS = (0.5, 0.7)
ORDERS: dict[str, Callable[[wsol.Localization], float]] = {
    "uncertainty": lambda found: found.uncertainty,
    "probability alone": lambda found: -found.probability,
    "agreement alone": lambda found: -found.agreement,
    "contrast alone": lambda found: -contrast(found),
    "box score": lambda found: -found.score,
}
"""What photographs are ordered by, the highest first."""


def contrast(found: wsol.Localization) -> float:
    """Mean of the map on the object less that of the rest."""
    inside = found.components > 0
    return float(found.map[inside].mean() - found.map[~inside].mean()) if 0 < inside.mean() < 1 else 0.0


def looked_at(
    localizer: wsol.Localizer, data: DataSet, split: str
) -> tuple[NDArray[np.float64], list[float]]:
    """The place of each photograph in each order, (orders, N), and the IoU of its box."""
    examples = data.split(split).examples
    values, overlaps = [], []
    for index, found in localizer.stream([data.images / example.id for example in examples]):
        if isinstance(found, wsol.ImageError):
            raise found
        truth = torch.tensor(examples[index].boxes, dtype=torch.float64)
        best = torch.from_numpy(found.boxes[:1]).double()
        overlaps.append(float(box_iou(best, truth).max()) if len(best) else 0.0)
        values.append([order(found) for order in ORDERS.values()])
    return np.array(values).T, overlaps


def found_first(values: NDArray[np.float64], wrong: NDArray[np.bool_], share: float) -> float:
    """The share of the wrong ones among the first; NaN if none is wrong."""
    first = np.argsort(-values, kind="stable")[: round(share * len(values))]
    return float(wrong[first].sum() / wrong.sum()) if wrong.any() else float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table a bound."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--share", type=float, default=0.2)
    options = parser.parse_args(arguments)
    data = open_data(options.data)
    measured = {run: looked_at(wsol.load(run), data, options.split) for run in options.runs}
    for bound in BOUNDS:
        rows = []
        for run, (values, overlaps) in measured.items():
            wrong = np.array(overlaps) < bound
            best = min(1.0, round(options.share * len(wrong)) / max(1, wrong.sum()))
            orders = [found_first(each, wrong, options.share) for each in values]
            rows.append(
                [run, f"{wrong.sum()} of {len(wrong)}", *(f"{100 * each:.0f}" for each in (*orders, best))]
            )
        print(
            f"\n{data.name} · {options.split} · wrong: IoU < {bound} · % of these found in the first "
            f"{options.share:.0%}"
        )
        print(tabulate(rows, ["run", "wrong", *ORDERS, "at best"], disable_numparse=True))


if __name__ == "__main__":
    main()
