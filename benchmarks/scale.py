"""Bulk localisation: images a second and peak memory against the number of images and of models at work.

    python benchmarks/scale.py [--images 1000 10000] [--actors 1 2] [--gpus 8 --gpu-rate 2000]

Each row is a command in a process of its own, over small JPEG files; its start is in its seconds. The
marginal rate is that of the images above the smallest number, without the start. Memory is the sum over all
processes of the command (a shared page counts once), sampled. Machines are shared: read the ratios.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from tabulate import tabulate

import wsol
from wsol.bulk.shards import record_of, write_shard
from wsol.data.samples import sample_photographs
from wsol.inference.reading import Batch, read_batch

MANY = 100_000_000
SIDE = 256
SHARD = 250


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000], help="numbers of images")
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2], help="numbers of models at work")
    parser.add_argument("--gpus", type=int, default=8, help="for the last line")
    parser.add_argument(
        "--gpu-rate",
        type=float,
        help="images a second of one GPU, if it is known; measured where there is one",
    )
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; torch {torch.__version__}, "
        f"Python {platform.python_version()}; EfficientNet-Lite0, 224 pixels, preset fast, batches of 32, CPU"
    )
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            run for count in sorted(options.images) for run in _measure(Path(folder), count, options.actors)
        ]
        reading = _reading_rate(Path(folder) / str(min(options.images)))
        writing = _writing_rate(Path(folder) / str(min(options.images)), Path(folder) / "written")
    first = {run.what: run for run in reversed(runs)}
    rates = {run: run.rate_above(first[run.what]) for run in runs}
    rows = [
        (run.images, *run.what, run.seconds, run.images / run.seconds, rates[run], run.memory) for run in runs
    ]
    headers = ("images", "engine", "models", "seconds", "images/s", "marginal", "peak memory, MiB")
    print(tabulate(rows, headers, tablefmt="github", floatfmt=".1f"))
    model = max(
        (rate or run.images / run.seconds) / run.what[1]
        for run, rate in rates.items()
        if run.what[0] == "ray"
    )
    print(f"\nOne core reads and resizes {reading:.0f} such images a second; larger photographs take longer.")
    print(f"The driver writes the results of {writing:.0f} images a second.")
    print(_forecast(model, reading, writing, options.gpus, options.gpu_rate))


class Run(NamedTuple):
    """One command."""

    images: int
    what: tuple[str, int]  # engine and models
    seconds: float
    memory: float  # MiB

    def rate_above(self, first: "Run") -> float | None:
        """Images a second above those of a smaller run."""
        more = self.images - first.images
        return more / (self.seconds - first.seconds) if more else None


def _measure(folder: Path, count: int, actors: list[int]) -> Iterator[Run]:
    photos = folder / str(count)
    _write_photos(photos, count)
    command = [
        *(sys.executable, "-m", "wsol", "localize", str(photos), "--preset", "fast", "--quiet"),
        *("--device", "cpu", "--output"),
    ]
    yield Run(count, ("local", 1), *_run([*command, str(folder / f"local-{count}")]))
    for number in actors:
        more = ["--engine", "ray", "--actors", str(number), "--shard-size", str(SHARD)]
        yield Run(count, ("ray", number), *_run([*command, str(folder / f"ray-{count}-{number}"), *more]))


def _write_photos(folder: Path, count: int) -> None:
    """Small photographs, every one different."""
    folder.mkdir()
    samples = [Image.open(path).convert("RGB") for path in sample_photographs()]
    generator = np.random.default_rng(0)
    for number in range(count):
        photo = samples[number % len(samples)]
        side = int(generator.integers(min(photo.size) // 2, min(photo.size)))
        x, y = (int(generator.integers(0, length - side + 1)) for length in photo.size)
        photo.resize((SIDE, SIDE), box=(x, y, x + side, y + side)).save(
            folder / f"{number:06d}.jpg", quality=90
        )


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peaks))
    watcher.start()
    if process.wait():
        raise SystemExit(f"failed: {' '.join(command)}")
    watcher.join()
    return time.perf_counter() - start, peaks[0]


def _watch(process: subprocess.Popen[bytes], peaks: list[float]) -> None:
    while process.poll() is None:
        peaks[0] = max(peaks[0], sum(map(_share, _family(process.pid))) / 1024)
        time.sleep(0.5)


def _family(top: int) -> set[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    family = {top}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _share(process: int) -> int:
    """Its memory in KiB, of shared pages its share."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _reading_rate(folder: Path) -> float:
    paths = sorted(folder.iterdir())[:256]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        for index in range(0, len(paths), 32):
            read_batch(paths[index : index + 32], (224, 224))
        times.append(time.perf_counter() - start)
    return len(paths) / statistics.median(times)


def _writing_rate(photos: Path, output: Path) -> float:
    """Images a second of which the driver writes the results."""
    localizer = wsol.load("efficientnet_lite0", device="cpu", preset="fast")
    found = localizer(sorted(photos.iterdir())[:64])
    records = [record_of(f"{place}.jpg", result) for place in range(SHARD // 64 + 1) for result in found][
        :SHARD
    ]
    text = json.dumps(records)
    times = []
    for shard in range(5):
        start = time.perf_counter()
        classes = localizer.model.classes.names
        write_shard(str(output), shard, json.loads(text), classes=classes, root="", coco=True)
        times.append(time.perf_counter() - start)
    return len(records) / statistics.median(times)


def _gpu_rate() -> float:
    """Images a second of an actor on one GPU, from decoded batches to records."""
    localizer = wsol.load("efficientnet_lite0", device="cuda", preset="fast", batch_size=128)
    images = torch.randint(0, 256, (128, 3, 224, 224), dtype=torch.uint8)
    batch = Batch(images, list(range(128)), [(SIDE, SIDE)] * 128, [])
    names = [f"{place}.jpg" for place in range(128)]
    times = []
    for _ in range(10):
        start = time.perf_counter()
        json.dumps([record_of(names[place], result) for place, result in localizer.of_batch(batch, names)])
        times.append(time.perf_counter() - start)
    return len(names) / statistics.median(times)


def _forecast(model: float, reading: float, writing: float, gpus: int, rate: float | None) -> str:
    """What 100 million images would take, and how that is derived."""
    seconds = 1 / model + 1 / reading  # of a core, an image
    limit = MANY / writing / 3600
    lines = [
        f"{MANY:,} images: a core takes 1/{model:.0f} s for the network (the best marginal rate above) and "
        f"1/{reading:.0f} s to read one, {MANY * seconds / 86400:.0f} core-days: on 1,000 cores "
        f"{max(MANY * seconds / 3.6e6, limit):.1f} hours, of which the driver writes for {limit:.1f}."
    ]
    source = "as --gpu-rate says, not measured"
    if rate is None and torch.cuda.is_available():
        rate, source = _gpu_rate(), "measured here, from decoded batches to records"
    if rate is None:
        lines.append(
            f"On {gpus} GPUs: {MANY:,} / ({gpus} × a GPU's rate); none is here, --gpu-rate tells it."
        )
    else:
        lines.append(
            f"On {gpus} GPUs of {rate:.0f} images a second ({source}): "
            f"{max(MANY / (gpus * rate) / 3600, limit):.1f} hours, if {gpus * rate / reading:.0f} cores read "
            f"({rate:.0f} / {reading:.0f} a GPU) and the driver writes {gpus * rate:.0f} a second."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
