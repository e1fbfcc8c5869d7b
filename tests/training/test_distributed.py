"""Several processes: the same numbers as one, and no image lost or counted twice."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.conftest import draw
from wsol.data.dataset import open_data
from wsol.errors import UsageError
from wsol.inference.options import RuntimeOptions
from wsol.methods.saved import load_model
from wsol.models import ModelOptions, build
from wsol.training.config import TrainConfig
from wsol.training.recipes import write_config
from wsol.training.run import train
from wsol.training.validation import validate

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs gloo")


def torchrun(config: TrainConfig, folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    """``wsol train`` under torchrun with the processes that the configuration asks for."""
    write_config(config, folder / "asked.yaml")
    words = ["--standalone", "--nproc-per-node", str(config.trainer.devices), *program, "train"]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words, "--config", str(folder / "asked.yaml")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def run_processes(config: TrainConfig, folder: Path) -> str:
    """What they print, all well."""
    done = torchrun(config, folder, "-m", "wsol")
    skipped = "skipped: " in done.stderr  # torchrun tells what the first process returned, and ends with 1
    assert done.returncode == skipped, done.stdout + done.stderr
    codes = re.findall(r"exitcode  : (-?\d+)", done.stderr)
    assert codes.count("3") == skipped and {*codes} <= {"3", "-15", "130"}, (
        codes
    )  # of others that still leave
    return done.stdout


@pytest.fixture
def with_large_val(squares: Path, tmp_path: Path) -> Path:
    """21 images to train on, 69 in val, of which two cannot be read: batches of 32, 32 and 5."""
    data = Path(shutil.copytree(squares, tmp_path / "data"))
    for part in ("images", "metadata"):
        shutil.rmtree(data / part / "val")
    draw(data, "val", 23)
    for id in ("blue/3", "red/22"):
        (data / "images" / "val" / f"{id}.png").write_bytes(b"no picture")
    return data


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.endurance)])
def test_several_processes(config: TrainConfig, with_large_val: Path, tmp_path: Path, world: int) -> None:
    """What they measure on val is what one process measures of the same weights."""
    several = replace(
        config,
        data=str(with_large_val),
        trainer=replace(config.trainer, devices=world),
        training=replace(config.training, batch_size=8 // world),
    )
    told = run_processes(several, tmp_path)
    assert told.count("epoch 3/3") == 1  # one process tells
    run = train(several, progress=False)  # finished
    assert run.trained == 0
    data, options = open_data(with_large_val), (config.validation, RuntimeOptions(device="cpu", workers=0))
    model = load_model(ModelOptions(backbone=str(run.folder / "last.safetensors")))
    alone = validate(model, data, data.split("val"), *options)
    last = {
        name.removeprefix("val "): value for name, value in run.rows[-1].items() if name.startswith("val ")
    }
    assert last == alone.scores
    assert run.skipped == alone.skipped and len(run.skipped) == 2
    best = load_model(ModelOptions(backbone=str(run.folder)))
    balanced = validate(best, data, data.split("val"), *options, preset="balanced")
    assert run.balanced_ratio == balanced.ratio == best.use["balanced_ratio"]


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.endurance)])
def test_steps_are_those_of_one_process_with_the_whole_batch(
    config: TrainConfig, tmp_path: Path, world: int
) -> None:
    """Batches of 12 and 9 of 21 images, in parts of 5 and 4 or 3, 2, 2 and 2; no batch norms."""
    torch.manual_seed(5)
    network = build(ModelOptions(backbone="test_nfnet"), pretrained=False).classifier.network
    save_file(network.state_dict(), tmp_path / "nfnet.safetensors")
    one = replace(
        config,
        backbone="test_nfnet",
        checkpoint=str(tmp_path / "nfnet.safetensors"),
        output=str(tmp_path / "one"),
        training=replace(config.training, epochs=2, batch_size=12, learning_rate=1e-3),
    )
    several = replace(
        one,
        output=str(tmp_path / "several"),
        training=replace(one.training, batch_size=12 // world),
        trainer=replace(config.trainer, devices=world),
    )
    run_processes(several, tmp_path)
    alone, together = train(one, progress=False), train(several, progress=False)
    for name in ("loss", "val MaxBoxAccV2"):
        assert [row[name] for row in together.rows] == pytest.approx(
            [row[name] for row in alone.rows], rel=1e-5
        )
    start = load_file(tmp_path / "nfnet.safetensors")
    mine, theirs = (load_file(run.folder / "last.safetensors") for run in (alone, together))
    learned = torch.cat(
        [(mine[f"network.{name}"] - first).flatten() for name, first in start.items() if "head." not in name]
    )
    apart = torch.cat([(mine[name] - theirs[name]).flatten() for name in mine])
    assert apart.norm() < 1e-3 * learned.norm()


def test_torchrun_has_started_others_than_asked_for(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would train by itself, into the same folder."""
    for name, value in {
        "TORCHELASTIC_RUN_ID": "1",
        "WORLD_SIZE": "2",
        "RANK": "0",
        "LOCAL_RANK": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"torchrun has started 2 processes, but .* make 1"):
        train(config, progress=False)


SECOND_IS_KILLED = """
import os, sys
from wsol.cli import main
from wsol.training.module import TrainingModule

if os.environ["RANK"] == "1":
    TrainingModule.training_step = lambda *_: os.kill(os.getpid(), 9)
sys.exit(main())
"""


@pytest.mark.endurance
def test_one_of_two_is_killed(config: TrainConfig, tmp_path: Path) -> None:
    """The other one waits for it in vain."""
    (tmp_path / "program.py").write_text(SECOND_IS_KILLED)
    both = replace(config, trainer=replace(config.trainer, devices=2))
    done = torchrun(both, tmp_path, str(tmp_path / "program.py"))
    told = [line for line in done.stderr.splitlines() if line.startswith("wsol train: ")]
    assert done.returncode == 1 and len(told) == 1
    assert "another process has ended" in told[0] or "interrupted" in told[0]  # torchrun may be faster
    assert "in training_step" not in done.stderr
