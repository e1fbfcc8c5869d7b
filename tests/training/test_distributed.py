"""Two processes: the same numbers as one, and no image counted twice."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from wsol.data.dataset import open_data
from wsol.inference.options import RuntimeOptions
from wsol.methods.saved import load_model
from wsol.models import ModelOptions, build
from wsol.training.config import TrainConfig
from wsol.training.recipes import write_config
from wsol.training.run import train
from wsol.training.validation import validate

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs gloo")


def run_two(config: TrainConfig, folder: Path) -> str:
    """``wsol train`` under torchrun with two processes."""
    write_config(config, folder / "asked.yaml")
    words = ["--standalone", "--nproc-per-node", "2", "-m", "wsol", "train"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words, "--config", str(folder / "asked.yaml")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_processes(config: TrainConfig, squares: Path, tmp_path: Path) -> None:
    """21 images on two processes: 20 train; 9 of val are measured once each, unevenly shared."""
    trainer = replace(config.trainer, devices=2)
    both = replace(config, trainer=trainer, training=replace(config.training, batch_size=4))
    told = run_two(both, tmp_path)
    assert told.count("epoch 3/3") == 1  # one process tells
    run = train(both, progress=False)  # finished
    assert run.trained == 0
    model = load_model(ModelOptions(backbone=str(run.folder / "last.safetensors")))
    data = open_data(squares)
    alone = validate(
        model, data, data.split("val"), config.validation, RuntimeOptions(device="cpu", workers=0)
    )
    last = {
        name.removeprefix("val "): value for name, value in run.rows[-1].items() if name.startswith("val ")
    }
    assert last == alone.scores
    best = load_model(ModelOptions(backbone=str(run.folder)))
    balanced = validate(
        best, data, data.split("val"), config.validation, RuntimeOptions(device="cpu", workers=0),
        preset="balanced",
    )  # fmt: skip
    assert run.balanced_ratio == balanced.ratio == best.use["balanced_ratio"]


def test_steps_are_those_of_one_process_with_the_whole_batch(
    config: TrainConfig, squares: Path, tmp_path: Path
) -> None:
    """Two processes with batches of 5, one with 10, on 20 images and a network without batch norms."""
    data = Path(shutil.copytree(squares, tmp_path / "data"))
    for file in (data / "metadata" / "train").iterdir():
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    torch.manual_seed(5)
    network = build(ModelOptions(backbone="test_nfnet"), pretrained=False).classifier.network
    save_file(network.state_dict(), tmp_path / "nfnet.safetensors")
    training = replace(config.training, epochs=2, batch_size=10, learning_rate=1e-3)
    one = replace(
        config,
        data=str(data),
        backbone="test_nfnet",
        checkpoint=str(tmp_path / "nfnet.safetensors"),
        output=str(tmp_path / "one"),
        training=training,
    )
    two = replace(
        one,
        output=str(tmp_path / "two"),
        training=replace(training, batch_size=5),
        trainer=replace(config.trainer, devices=2),
    )
    run_two(two, tmp_path)
    alone, both = train(one, progress=False), train(two, progress=False)
    for name in ("loss", "val MaxBoxAccV2"):
        assert [row[name] for row in both.rows] == pytest.approx([row[name] for row in alone.rows], rel=1e-3)
    mine, theirs = (load_file(run.folder / "last.safetensors") for run in (alone, both))
    assert all(torch.allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-5) for name in mine)
