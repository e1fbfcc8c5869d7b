"""How much localising costs over classifying, in memory and from files; and against other CAM libraries.

    python benchmarks/localize.py [--photos 1000] [--rounds 3]

Everything that is compared runs in turns within one process, or as processes in turns; medians are
reported, and ratios matter more than times: machines are shared.
"""

import argparse
import copy
import functools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import wsol
from wsol.data.samples import sample_photographs
from wsol.inference.options import PRESETS

BATCH = 32


def main() -> None:
    """Run the benchmark, or (``--plain``) be the loop that it compares with."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--photos", type=int, default=1000, help="photographs for the part from files; 0 leaves it out"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of the part from files")
    parser.add_argument("--repeats", type=int, default=15, help="turns of the part in memory")
    parser.add_argument(
        "--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="reading processes"
    )
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_loop(options.plain, options.workers)
        return
    cpu = next((line for line in _cpuinfo() if line.startswith("model name")), platform.processor())
    print(
        f"{cpu.split(':')[-1].strip()}, {os.cpu_count()} cores; "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
    print(f"EfficientNet-Lite0, 224 pixels, stride 32, batch {BATCH}, CPU; medians\n")
    in_memory(options.repeats)
    presets(max(1, options.repeats // 5))
    if options.photos:
        from_files(options.photos, options.rounds, options.workers)


def in_memory(repeats: int) -> None:
    """(a) the bare forward, (b) the localizer, and other libraries' CAMs, on one batch of ready tensors."""
    from pytorch_grad_cam import GradCAM
    from torchcam.methods import CAM

    localizer = wsol.load("efficientnet_lite0", device="cpu", preset="fast")
    # copies, so that one contestant's hooks do not slow another
    classifier = copy.deepcopy(localizer.model.classifier).to(memory_format=torch.channels_last)
    for_grad_cam, for_torchcam = (copy.deepcopy(classifier.network) for _ in range(2))
    images = torch.rand(BATCH, 3, 224, 224)  # what the localizer takes
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (localizer.model.mean, localizer.model.std)
    )
    ready = ((images - mean) / std).contiguous(memory_format=torch.channels_last)  # what the others take

    def bare() -> None:
        with torch.inference_mode():
            classifier(ready)

    grad_cam = GradCAM(for_grad_cam, target_layers=[for_grad_cam.bn2])

    def with_grad_cam() -> None:
        grad_cam(input_tensor=ready, targets=None)

    def with_torchcam() -> None:
        with CAM(
            for_torchcam, target_layer="bn2", fc_layer="classifier", input_shape=(3, 224, 224)
        ) as extractor:
            with torch.no_grad():
                scores = for_torchcam(ready)
            maps = extractor(scores.argmax(dim=1).tolist(), scores)
            torch.nn.functional.interpolate(maps[0][:, None], size=(224, 224), mode="bilinear")

    def folded() -> None:
        with torch.inference_mode():
            localizer.classifier(ready)

    medians = _medians(
        {
            "(a) bare forward": bare,
            "    the same, batch norms folded": folded,
            "(b) wsol.Localizer: boxes and classes": lambda: localizer(images),
            "CAM of torchcam: maps alone": with_torchcam,
            "Grad-CAM of grad-cam: maps alone": with_grad_cam,
        },
        repeats,
    )
    _print_table("in memory", medians, BATCH, reference="(a) bare forward")


def presets(repeats: int) -> None:
    """What each preset costs, on photographs: GrabCut's time depends on what it sees."""
    photos = [
        Image.open(path).convert("RGB").resize((224, 224)) for path in sample_photographs()
    ]  # decoded before
    images = torch.stack([torch.from_numpy(np.array(photo)).permute(2, 0, 1) for photo in photos])
    images = images.repeat(BATCH // len(photos), 1, 1, 1)
    localizers = {preset: wsol.load("efficientnet_lite0", device="cpu", preset=preset) for preset in PRESETS}
    contestants: dict[str, Callable[[], object]] = {
        f"({preset[0]}) --preset {preset}": functools.partial(localizer, images)
        for preset, localizer in localizers.items()
    }
    medians = _medians(contestants, repeats)
    _print_table("presets, in memory", medians, len(images), reference="(f) --preset fast")


def from_files(photos: int, rounds: int, workers: int) -> None:
    """(c) ``wsol localize`` with COCO written, against (d) a plain loop, each as a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "photos", Path(folder) / "out"
        make_photos(source, photos)
        common = ["--device", "cpu", "--batch-size", str(BATCH), "--workers", str(workers), "--quiet"]

        def localize() -> None:
            command = [sys.executable, "-m", "wsol", "localize", str(source), "--output", str(output)]
            plainly = ["--preset", "fast", "--overwrite", "--format", "coco"]
            subprocess.run([*command, *plainly, *common], check=True)

        def plain() -> None:
            subprocess.run(
                [sys.executable, __file__, "--plain", str(source), "--workers", str(workers)], check=True
            )

        medians = _medians(
            {"(d) plain DataLoader and forward": plain, "(c) wsol localize, COCO written": localize}, rounds
        )
    _print_table(
        f"from {photos} JPEG files of 1 to 2 megapixels, {workers} reading processes, start-up included",
        medians,
        photos,
        reference="(d) plain DataLoader and forward",
    )


class _Photos(Dataset[Tensor]):
    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as image:
            pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
        return (torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 - 127 / 255) / (128 / 255)


def plain_loop(folder: Path, workers: int) -> None:
    """What people write first: read, resize, normalise, classify, keep the classes."""
    network = wsol.load("efficientnet_lite0", device="cpu", preset="fast").model.classifier.network
    network = network.to(memory_format=torch.channels_last)
    classes = []
    with torch.inference_mode():
        for batch in DataLoader(_Photos(folder), batch_size=BATCH, num_workers=workers):
            classes.append(network(batch.contiguous(memory_format=torch.channels_last)).argmax(dim=1))
    print(f"    plain loop: {len(torch.cat(classes))} images", file=sys.stderr)


def make_photos(folder: Path, count: int) -> None:
    """JPEG photographs of 1 to 2 megapixels: coloured blobs with fine texture."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    texture = generator.integers(-12, 13, (1300, 1700, 1), np.int16)
    for index in range(count):
        width = int(generator.integers(1160, 1640))
        size = (width, width * 3 // 4)
        blobs = Image.fromarray(generator.integers(0, 256, (9, 12, 3), np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        pixels = np.asarray(blobs, np.int16) + texture[: size[1], : size[0]]
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:05d}.jpg", quality=90)


def _medians(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, taken in turns after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def _print_table(title: str, medians: dict[str, float], images: int, reference: str) -> None:
    print(f"{title}\n{'':<42}{'images/s':>10}{'of ' + reference[:3]:>10}")
    for name, seconds in medians.items():
        print(f"{name:<42}{images / seconds:>10.1f}{medians[reference] / seconds:>10.2f}")
    print()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
