"""Train and measure the grid: ``python -m benchmarks.study DATA [DATA …]``."""

import argparse
import sys
from pathlib import Path

from benchmarks.study.train import train_all


def main() -> int:
    """Spend a budget on the grid; the same command goes on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders of the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="folder of the runs")
    parser.add_argument("--hours", type=float, default=20, help="begin no training after so long")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    asked = parser.parse_args()
    left = train_all(asked.data, asked.work, hours=asked.hours, jobs=asked.jobs)
    for line in left:
        print("not trained:", line)
    return 3 if left else 0


if __name__ == "__main__":
    sys.exit(main())
