"""The trainings of the grid, one after the other, as far as a budget goes; what is trained stays."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.study.grid import EPOCHS, SEEDS, Level, Training, planned
from benchmarks.study.measure import LEVELS, is_measured
from wsol.methods.saved import WEIGHTS
from wsol.training.directory import finished

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # a training on each core is faster than one on all
    "OMP_WAIT_POLICY": "PASSIVE",
    # glibc gives large blocks back at once, and the kernel clears them again: twice the time of a step
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


def folder(work: Path, data: str, training: str, seed: int) -> Path:
    """Of a run."""
    return work / data / f"{training}-seed{seed}"


def level(training: Training, seed: int) -> Level:
    """With which maps a run is measured."""
    return "presets" if training.measured == "parts" and seed != SEEDS[0] else training.measured


def is_trained(run: Path) -> bool:
    """Whether it has ended."""
    return finished(run) is not None


def is_done(run: Path, records: Path, maps: Iterable[str]) -> bool:
    """Whether it is trained, and measured since."""
    return is_trained(run) and is_measured(records, maps, since=(run / WEIGHTS).stat().st_mtime)


def command(run: Path, data: Path, training: Training, seed: int) -> list[str]:
    """That trains one run, and goes on with it where it was stopped."""
    epochs = EPOCHS[data.name]
    options = [option.format(runs=run.parent) for option in training.options]
    if not training.usual:  # validated after the last epoch alone, to save time
        options += [f"--training.epochs={epochs}", f"--validation.every={epochs}"]
    asked = ("--data", str(data), *options, f"--training.seed={seed}", "--output", str(run))
    return ["wsol", "train", *asked]


def train_all(sets: list[Path], work: Path, *, hours: float, jobs: int) -> list[str]:
    """Train what is missing, seed by seed, until the time is over.

    Args:
        sets: folders of the data.
        work: folder of the runs.
        hours: nothing new is begun after so long.
        jobs: trainings at a time.

    Returns:
        What was not trained, with the reason.
    """
    end = time.monotonic() + 3600 * hours
    todo = [
        (data, training, seed)
        for training, seed in planned()
        for data in sets
        if not is_done(
            folder(work, data.name, training.name, seed),
            work / "records" / data.name / f"{training.name}-seed{seed}",
            LEVELS[level(training, seed)],
        )
    ]

    def run(job: tuple[Path, Training, int]) -> str | None:
        data, training, seed = job
        target = folder(work, data.name, training.name, seed)
        if time.monotonic() > end:
            return f"{target}: the time was over"
        target.parent.mkdir(parents=True, exist_ok=True)
        log = target.parent / f"{target.name}.log"
        start = time.monotonic()
        if not is_trained(target):
            with log.open("w") as file:
                asked = [sys.executable, "-m", *command(target, data, training, seed)]
                done = subprocess.run(
                    asked, env=ENVIRONMENT | os.environ, stdout=file, stderr=file, check=False
                )
            if done.returncode:
                return f"{target}: failed, see {log}"
        trained = time.monotonic()
        measure = [sys.executable, "-m", "benchmarks.study.measure", str(data), str(target)]
        kept = ["--records", str(work / "records"), "--maps", level(training, seed)]
        done = subprocess.run([*measure, *kept], env={"OMP_NUM_THREADS": "1"} | os.environ, check=False)
        took = f"{trained - start:.0f} s, measured {time.monotonic() - trained:.0f} s"
        print(f"{target}: {took}", flush=True)
        return f"{target}: not measured" if done.returncode else None

    with ThreadPoolExecutor(jobs) as pool:
        return [left for left in pool.map(run, todo) if left]
