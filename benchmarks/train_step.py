"""What a training step of each method costs over plain classification: forward, losses, backward, SGD.

    python benchmarks/train_step.py [--device cuda --precision bfloat16 --batch-size 32]

All methods of a backbone take one step in turn, again and again; each step is divided by the plain one of
its turn, and medians of these ratios are reported, by the clock and in processor time, which suffers less
where other programs run. On the CPU, memory is that of a process for each method.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch

from wsol import methods
from wsol.methods import Batch, Method, MethodKind, MethodOptions
from wsol.models import ModelOptions, build

BACKBONES = {
    "resnet50_cam-14": ModelOptions(backbone="resnet50_cam", map_size=14),
    "resnet50_cam-28": ModelOptions(backbone="resnet50_cam", map_size=28),
    "efficientnet_lite0-16": ModelOptions(backbone="efficientnet_lite0", stride=16),
    "vgg16_cam-14": ModelOptions(backbone="vgg16_cam", map_size=14),
    "inception_v3_cam-14": ModelOptions(backbone="inception_v3_cam", map_size=14),
}
PLAIN = "cam"
CONTESTANTS = (PLAIN, "tap", "has", "cutmix", "adl", "bridging", "acol", "spg")
CLASSES, PIXELS, EPOCHS = 200, 224, 70  # in the last epoch every loss takes part
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}

Step = Callable[[], object]


def main() -> None:
    """Run the benchmark, or (``--memory-of``) be the process whose memory is measured."""
    options = _arguments()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(peak_memory(options.backbones[0], options.memory_of, options))
        return
    print(
        f"{_machine(options.device)}; torch {torch.__version__}, Python {platform.python_version()}\n"
        f"{options.device}, {options.precision}, batch {options.batch_size}, {PIXELS} pixels, channels-last, "
        f"{CLASSES} classes; medians of {options.repeats} turns"
    )
    for backbone in options.backbones:
        compare(backbone, options)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = list(BACKBONES)[:3]
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7, help="turns that count")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--backbones", nargs="+", default=usual, choices=BACKBONES)
    parser.add_argument("--methods", nargs="+", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--no-memory", action="store_true", help="times alone")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(backbone: str, options: argparse.Namespace) -> None:
    """One backbone's table."""
    names = [PLAIN, *(name for name in options.methods if name != PLAIN)]
    steps = {name: make_step(backbone, name, options) for name in names}
    walls: dict[str, list[float]] = {name: [] for name in names}
    works: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(options.repeats + 2):  # two to warm up
        for name, step in steps.items():
            wall, work = time.perf_counter(), time.process_time()
            step()
            if turn > 1:
                walls[name].append(time.perf_counter() - wall)
                works[name].append(time.process_time() - work)
    steps.clear()
    columns = ["ms a step", "of plain", "CPU time"]
    columns += [] if options.no_memory else ["memory, MiB", "of plain"]
    print(f"\n{backbone:<24}", *(f"{column:>12}" for column in columns), sep="")
    plain_memory = 0.0
    for name in names:
        print(f"{name:<24}{1000 * statistics.median(walls[name]):>12.1f}", end="")
        for times in (walls, works):
            print(f"{_ratio(times[name], times[PLAIN]):>12.2f}", end="")
        if not options.no_memory:
            memory = _measured_memory(backbone, name, options)
            plain_memory = plain_memory or memory
            print(f"{memory:>12.0f}{memory / plain_memory:>12.2f}", end="")
        print(flush=True)


def _ratio(times: list[float], plain: list[float]) -> float:
    """Median of the ratios within a turn."""
    return statistics.median(each / other for each, other in zip(times, plain, strict=True))


def make_step(backbone: str, name: str, options: argparse.Namespace) -> Step:
    """A network of its own and one step of its training, on one batch of noise."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    method = make_method(backbone, name).to(memory_format=torch.channels_last).to(device).train()
    optimizer = torch.optim.SGD(
        method.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4, foreach=True
    )
    images = torch.randn(options.batch_size, 3, PIXELS, PIXELS).to(device, memory_format=torch.channels_last)
    batch = Batch(images=images, labels=torch.arange(options.batch_size, device=device) % CLASSES)
    generator = torch.Generator(device).manual_seed(0)
    precision = PRECISIONS[options.precision]

    def step() -> None:
        with nullcontext() if precision is None else torch.autocast(device.type, precision):
            given = method.transform_batch(batch, generator)
            terms = method.losses(given, epoch=EPOCHS, generator=generator)
        optimizer.zero_grad()
        cast("Any", sum(terms.values())).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def make_method(backbone: str, name: str) -> Method:
    """A method with its defaults, on a backbone with random weights."""
    classifier = build(BACKBONES[backbone], pretrained=False).classifier
    network: Any = classifier.network
    if hasattr(network, "reset_classifier"):
        network.reset_classifier(CLASSES)
    else:
        network.fc = torch.nn.Linear(network.fc.in_features, CLASSES)
    if name == "tap":
        classifier.pooling = "tap"
    chosen = MethodOptions(method=cast("MethodKind", PLAIN if name == "tap" else name))
    classifier = methods.adapt(chosen, classifier, BACKBONES[backbone].backbone)
    return methods.build(chosen, classifier, epochs=EPOCHS)


def peak_memory(backbone: str, name: str, options: argparse.Namespace) -> float:
    """MiB that two steps take at most: on CUDA all that is allocated, else above the process before them."""
    step = make_step(backbone, name, options)
    before = _highest_mark()
    step()
    step()
    return torch.cuda.max_memory_allocated() / 2**20 if options.device != "cpu" else _highest_mark() - before


def _highest_mark() -> float:
    """MiB of memory that this process has had at most; Linux alone tells, others give NaN.

    Not by ``getrusage``, whose figure a new process takes over from the one that started it.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))


def _measured_memory(backbone: str, name: str, options: argparse.Namespace) -> float:
    """Memory of a process that does nothing else."""
    command = [sys.executable, __file__, "--memory-of", name, "--backbones", backbone]
    for argument in ("device", "precision", "batch_size", "threads"):
        command += [f"--{argument.replace('_', '-')}", str(getattr(options, argument))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _machine(device: str) -> str:
    if device != "cpu":
        return torch.cuda.get_device_name()
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    cpu = next((line for line in lines if line.startswith("model name")), platform.processor())
    return f"{cpu.split(':')[-1].strip()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
