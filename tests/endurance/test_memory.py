"""Thousands of photographs in one process: memory stays flat, and no file stays open.

The resident memory of a process of its own is sampled; what counts is the slope of a straight line through
the samples after a warm-up, in which libraries load, caches fill and the allocator finds its size.
"""

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.endurance.children import run
from wsol import Localizer, LocalizerOptions, RuntimeOptions
from wsol.inference.journal import Journal
from wsol.inference.localization import Localization
from wsol.inference.run import localize_files
from wsol.methods.saved import load_model
from wsol.models import ModelOptions

LONG_RUN = 20_000
SHORT_RUN = 600
GROWTH = 1024
"""Bytes by which a process may grow with each image after the warm-up: 20 MB in 20,000 of them."""

SHORT_GROWTH = 6 * 1024
"""The same of a short run, in which a single step of the allocator counts; a result alone takes more."""

PAGE = os.sysconf("SC_PAGE_SIZE")

Measure = Callable[[int], "Curve"]

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")


@dataclass
class Curve:
    """Memory and open files of this process over a run.

    Attributes:
        every: images between two samples.
        done: images at each sample.
        resident: bytes at each sample.
        handles: open files before and after.
        index: bytes of a journal's index for each image.
    """

    every: int
    done: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    index: float = 0.0

    def watch(self, results: Iterator[Any]) -> Iterator[Any]:
        """Pass results on, and sample as they come."""
        for number, result in enumerate(results, start=1):
            yield result
            if number % self.every == 0:
                self.done.append(number)
                self.resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE)

    def count_handles(self) -> None:
        """Note how many files are open."""
        self.handles.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - names alone

    def growth(self) -> float:
        """Slope after the first fifth of the run, in bytes an image."""
        late = len(self.done) // 5
        return float(np.polyfit(self.done[late:], self.resident[late:], 1)[0])

    def told(self) -> str:
        """The figures in a line."""
        shown = [f"{self.resident[k] / 2**20:.1f}" for k in np.linspace(0, len(self.done) - 1, 9).astype(int)]
        return (
            f"{self.done[-1]} images: {' '.join(shown)} MB, {self.growth():.0f} bytes an image; "
            f"{self.handles[0]} and {self.handles[1]} open files; index {self.index:.0f} bytes an image"
        )


class Watched(Localizer):
    """A localizer whose results are watched."""

    curve: Curve

    def stream(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        return self.curve.watch(super().stream(*arguments, **named))


def make(network: ModelOptions, curve: Curve) -> Watched:
    """A localizer of the tiny network."""
    localizer = Watched(
        load_model(network),
        LocalizerOptions(preset="fast"),
        RuntimeOptions(device="cpu", batch_size=16, workers=0),
    )
    localizer.curve = curve
    return localizer


def stream(_: Any, network: ModelOptions, files: list[Path], count: int, told: Path) -> None:
    """Localise files and arrays in turn; nothing is kept."""
    curve = Curve(count // 100)
    arrays = [np.asarray(Image.open(file)) for file in files]
    images = [(files if number % 2 else arrays)[number // 2 % len(files)] for number in range(count)]
    localizer = make(network, curve)
    curve.count_handles()
    done = sum(isinstance(result, Localization) for _, result in localizer.stream(images))
    curve.count_handles()
    assert done == count
    told.write_text(json.dumps(asdict(curve)))


def folder(_: Any, network: ModelOptions, files: list[Path], count: int, told: Path) -> None:
    """Localise a folder into a journal, and write formats from it."""
    curve = Curve(count // 100)
    photos = told.with_name("photos")
    photos.mkdir()
    for number in range(count):
        (photos / f"{number:05}.png").hardlink_to(files[number % len(files)])
    localizer = make(network, curve)
    output = told.with_name("out")
    curve.count_handles()
    summary = localize_files(localizer, network, [photos], output, formats=["coco", "csv"], progress=False)
    curve.count_handles()
    assert summary.done == len(summary.journal) == count and not summary.skipped
    del summary
    tracemalloc.start()
    journal = Journal(output / "results.jsonl")
    curve.index = tracemalloc.get_traced_memory()[0] / len(journal)
    told.write_text(json.dumps(asdict(curve)))


@pytest.fixture(params=[stream, folder], ids=["stream", "folder"])
def measure(request: pytest.FixtureRequest, squares: Path, network: ModelOptions, tmp_path: Path) -> Measure:
    """Measures a run over so many photographs in a process of its own."""

    def measured(count: int) -> Curve:
        files = sorted((squares / "images" / "train").rglob("*.png"))
        ended = run(request.param, network, files, count, tmp_path / "curve.json")
        assert ended.code == 0, ended.told
        curve = Curve(**json.loads((tmp_path / "curve.json").read_text()))
        print(curve.told())  # noqa: T201 - the figures are worth knowing
        return curve

    return measured


def check(curve: Curve, growth: float) -> None:
    """Memory is flat, but for the index of a journal, which is small; no file stays open."""
    assert curve.growth() < growth, curve.told()
    assert curve.index < GROWTH, curve.told()
    assert curve.handles[0] == curve.handles[1], curve.told()


def test_hundreds(measure: Measure) -> None:
    check(measure(SHORT_RUN), SHORT_GROWTH)


@pytest.mark.endurance
def test_thousands(measure: Measure) -> None:
    check(measure(LONG_RUN), GROWTH)
