"""Evaluations that several processes share: the numbers of one, each image once, errors that all hear of."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import active_children, current_process
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.distributed import is_gloo_available

from tests.evaluation.toys import CLASSES, Toys, make_toys, save_mask
from wsol.cli import main
from wsol.errors import WsolError
from wsol.evaluation import measure as measure_module
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.records import measure_boxes
from wsol.evaluation.result import Result, load_result
from wsol.evaluation.run import evaluate
from wsol.evaluation.sources import SavedMaps
from wsol.models import ModelOptions

pytest_plugins = ["tests.evaluation.fixtures"]

needs_gloo = pytest.mark.skipif(not is_gloo_available(), reason="needs gloo")
WORLDS = [2, pytest.param(4, marks=pytest.mark.endurance)]


def run(toys: Toys, processes: int, **options: Any) -> Result:
    maps = SavedMaps(
        toys.maps, label_source="true", predictions=toys.predictions, classes=CLASSES, batch_size=4,
        processes=processes,
    )  # fmt: skip
    out = toys.folder / f"of {processes}"
    evaluate(maps, toys.data, EvaluationOptions(resamples=20, **options), out, progress=False)
    return load_result(out)


def assert_same(found: Result, wanted: Result) -> None:
    assert replace(found, created="", folder=None) == replace(wanted, created="", folder=None)
    assert found.folder is not None and wanted.folder is not None
    for split in ("val", "test"):
        mine, theirs = (vars(result.records_of(split)) for result in (found, wanted))
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(value, theirs[name]) for name, value in mine.items())
    assert found.model == wanted.model


def damage(toys: Toys) -> None:
    """A map that is none, one that is missing, and one that two images could mean, in other batches."""
    toys.map_of("test/03.png").write_bytes(b"no map")
    toys.map_of("val/09.png").unlink()
    (toys.folder / "images" / "test" / "00.jpg").write_bytes(
        (toys.folder / "images" / "test" / "00.png").read_bytes()
    )
    for name in ("image_ids", "class_labels", "image_sizes", "localization"):
        lines = [line for line in toys.table(name).read_text().splitlines() if line.startswith("test/00.png")]
        for line in lines:
            toys.add_line(name, line.replace("00.png", "00.jpg"))
    with toys.predictions.open("a") as file:
        file.write(f"test/00.jpg,{','.join(CLASSES)}\n")


@pytest.mark.usefixtures("no_page")
@pytest.mark.parametrize("truth", ["boxes", "masks"])
@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than there are cores
def test_saved_maps(tmp_path: Path, truth: Any, processes: int) -> None:
    toys = make_toys(tmp_path / "toys", truth, count=13)
    damage(toys)
    alone = run(toys, 0)
    assert_same(run(toys, processes), alone)
    said = [line.split(": ")[1] for line in alone.skipped]
    assert said == ["test/00.png", "test/03.png", "test/00.jpg", "val/09.png"]  # in order, once each
    assert len(alone.records) == 11


@pytest.mark.usefixtures("no_page")
def test_a_batch_without_a_pixel_of_an_object(masked: Toys) -> None:
    """Alone there would be nothing to find in it; with the others it counts as background."""
    for id in masked.ids["test"][4:8]:
        for path in (masked.folder / "masks").glob(f"{id}_[01].png"):
            save_mask(path, (0, 0, 0, 0), masked.sizes[id])
    alone = run(masked, 0)
    assert len(alone.records) == 12
    assert_same(run(masked, 2), alone)


def in_another_process(work: Callable[[], object]) -> Callable[..., Any]:
    """What the kernel is called by, doing something else where maps are read."""

    def patched(*given: Any) -> Any:
        if current_process().name != "MainProcess":
            work()
        return measure_boxes(*given)

    return patched


def test_a_process_that_dies(boxed: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    kill = in_another_process(lambda: os.kill(os.getpid(), signal.SIGKILL))
    monkeypatch.setattr(measure_module, "measure_boxes", kill)
    with pytest.raises(WsolError, match=r"a reading process died .*Try fewer workers"):
        run(boxed, 2)
    assert not active_children() and {path.name for path in boxed.folder.glob("*of*")} == set()


def test_interrupted_by_a_person(
    boxed: Toys, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(1)

    monkeypatch.setattr(measure_module, "measure_boxes", in_another_process(interrupt))
    words = ["--maps", str(boxed.maps), "--data", str(boxed.folder), "--output", str(boxed.folder / "out")]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    try:
        assert main(["evaluate", *words, "--workers", "2", "--quiet"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "wsol evaluate: interrupted\n"
    assert not active_children() and not (boxed.folder / "out").exists()


def torchrun(world: int, *words: str, program: tuple[str, ...] = ("-m", "wsol")) -> tuple[int, str, str]:
    """Exit code, output and errors of ``wsol evaluate`` under torchrun, as far as they are not torchrun's."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world), *program]
    done = subprocess.run(
        [sys.executable, *command, "evaluate", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@needs_gloo
@pytest.mark.usefixtures("no_page")
@pytest.mark.parametrize("world", WORLDS)
def test_a_model_under_torchrun(tmp_path: Path, own_model: ModelOptions, world: int) -> None:
    """Of 13 images in batches of 4, one of which cannot be read: 2 batches and 2, or one each."""
    toys = make_toys(tmp_path / "toys", count=13)
    (toys.folder / "images" / "test" / "11.png").write_bytes(b"no picture")
    words = [
        *("resnet18", "--checkpoint", str(own_model.checkpoint), "--classes", str(own_model.classes)),
        *("--input-size", "96", "--device", "cpu", "--workers", "0", "--batch-size", "4"),
        *("--data", str(toys.folder), "--resamples", "20", "--output"),
    ]
    assert main(["evaluate", *words, str(tmp_path / "one"), "--quiet"]) == 3
    code, out, err = torchrun(world, *words, str(tmp_path / "several"))
    codes = re.findall(r"exitcode  : (-?\d+)", err)
    assert code == 1 and codes.count("3") == 1 and {*codes} <= {"3", "-15", "130"}, err
    assert out.count("GT-known Loc") == 1 and err.count("skipped: test: test/11.png") == 1
    assert_same(load_result(tmp_path / "several"), load_result(tmp_path / "one"))
    assert {path.name for path in tmp_path.iterdir()} == {"toys", "one", "several"}


ONE_FAILS = """
import os, sys
from wsol.cli import main
from wsol.errors import DataError
from wsol.evaluation import measure

def measure_boxes(*_):
    raise DataError("it is the second that fails")

if os.environ["RANK"] == "1":
    measure.measure_boxes = measure_boxes
sys.exit(main())
"""


@needs_gloo
@pytest.mark.endurance
@pytest.mark.parametrize("end", ["error", "killed"])
def test_one_of_several_fails(boxed: Toys, tmp_path: Path, end: str) -> None:
    program = ONE_FAILS
    if end == "killed":
        program = program.replace("raise DataError(", "os.kill(os.getpid(), 9) or (")
    (tmp_path / "program.py").write_text(program)
    words = ["--maps", str(boxed.maps), "--data", str(boxed.folder), "--output", str(tmp_path / "out")]
    began = time.monotonic()
    code, out, err = torchrun(2, *words, "--workers", "0", program=(str(tmp_path / "program.py"),))
    assert code == 1 and not out and time.monotonic() - began < 300
    told = [line for line in err.splitlines() if line.startswith("wsol evaluate: ")]
    assert len(told) == 1 and not (tmp_path / "out").exists()
    if end == "error":
        assert told == ["wsol evaluate: it is the second that fails"]
    else:  # torchrun may be faster
        assert "another process has ended" in told[0] or "interrupted" in told[0]
