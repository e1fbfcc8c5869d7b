"""Measuring saved score maps: one process and two, one thread and two.

    python -m benchmarks.evaluate_maps

Maps are .npy files, float32; each contender reads, upsamples, normalises and digests them, and finds the IoU
of every threshold in both contour modes with the true boxes, as ``wsol evaluate --maps`` does before it
scores. Threads share the pictures of a batch; processes have batches of their own. Before a time is taken all
contenders' records are compared. Starting the processes counts. Processor time, of all processes together,
suffers less where other programs run.
"""

import argparse
import os
import platform
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.sweep import processor
from wsol.data.dataset import open_data
from wsol.evaluation.measure import Measured, measure
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.sources import SavedMaps

CONTENDERS = {"one thread": (0, 1), "two threads": (0, 2), "two processes of one thread": (2, 2)}
"""Processes beside the calling one, and threads of all together."""


def main() -> None:
    """Compare results, then times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--maps", type=int, default=1024, help="how many")
    parser.add_argument("--rounds", type=int, default=5, help="of each timing, interleaved")
    options = parser.parse_args()
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    print(f"{processor()}, {os.cpu_count()} cores; {versions}")
    for side in (14, 224):
        with TemporaryDirectory() as folder:
            write(Path(folder), side, options.maps)
            compare(Path(folder), side, options.maps, options.rounds)


def write(folder: Path, side: int, count: int) -> None:
    """A split ``test`` in the official layout, and the maps of its pictures: three blobs each."""
    generator = np.random.default_rng(0)
    place = (np.arange(side) + 0.5) / side
    rows = {
        "image_ids": "",
        "class_labels": ",0",
        "image_sizes": ",500,400",
        "localization": ",90,80,350,300",
    }
    (folder / "maps").mkdir()
    for number in range(count):
        centre, width = generator.uniform(0, 1, (2, 3)), generator.uniform(0.1, 0.3, 3)
        x, y = (np.exp(-(((place - at[:, None]) / width[:, None]) ** 2)) for at in centre)  # (3, side) each
        np.save(folder / "maps" / f"{number}.npy", np.einsum("ky,kx->yx", y, x).astype(np.float32))
    (folder / "images").mkdir()
    (folder / "metadata" / "test").mkdir(parents=True)
    for name, row in rows.items():
        lines = "".join(f"{number}.jpg{row}\n" for number in range(count))
        (folder / "metadata" / "test" / f"{name}.txt").write_text(lines)


def run(folder: Path, processes: int, threads: int) -> Measured:
    """All maps once."""
    data = open_data(folder)
    protocol = Protocol(split="test", truth="boxes", policy="oracle", selected_on="test", label_source="true")
    torch.set_num_threads(threads)
    with patch("wsol.evaluation.measure.usable_cores", lambda: threads):
        source = SavedMaps(folder / "maps", processes=processes)
        measured = measure(source, data, data.split("test"), protocol, progress=False)
    if measured is None:
        raise RuntimeError("one process alone gets the whole")
    return measured


def compare(folder: Path, side: int, count: int, rounds: int) -> None:
    """Images a second of each, and over the first."""
    contenders = {name: partial(run, folder, *options) for name, options in CONTENDERS.items()}
    first, *others = (contender() for contender in contenders.values())
    for other in others:
        if other.digests != first.digests or not all(
            np.array_equal(value, getattr(other.records, name)) for name, value in vars(first.records).items()
        ):
            raise SystemExit("the results differ")
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            before = os.times()
            contender()
            after = os.times()
            spent[name].append((after.elapsed - before.elapsed, sum(after[:4]) - sum(before[:4])))
    medians = {name: np.median(each, axis=0) / count for name, each in spent.items()}
    base = medians["one thread"][0]
    print(f"\n{count} maps of {side}×{side}{'images/s':>22}{'of one thread':>15}{'processor, ms a map':>21}")
    for name, (clock, processor_) in medians.items():
        print(f"{name:<34}{1 / clock:10.0f}{base / clock:15.2f}{1e3 * processor_:21.2f}")


if __name__ == "__main__":
    main()
