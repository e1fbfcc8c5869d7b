"""What goes wrong in a training: it ends, or goes on, with a message that says what to do."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import fill_boxes
from wsol.errors import DataError, UsageError, WsolError
from wsol.methods.base import Batch
from wsol.models import ModelOptions, build
from wsol.training import epochs
from wsol.training.config import TrainConfig, ValidationOptions
from wsol.training.module import TrainingModule
from wsol.training.recipes import write_config
from wsol.training.run import train


@pytest.fixture
def copied(squares: Path, tmp_path: Path) -> Path:
    """The data set, to be damaged."""
    return Path(shutil.copytree(squares, tmp_path / "data"))


def command(config: TrainConfig, folder: Path) -> list[str]:
    """``wsol train`` with a configuration, as a process of its own."""
    write_config(config, folder / "asked.yaml")
    return [sys.executable, "-m", "wsol", "train", "--config", str(folder / "asked.yaml"), "--quiet"]


def test_killed_at_any_moment_and_on_again(config: TrainConfig, tmp_path: Path) -> None:
    """SIGKILL, which nothing can catch: once within the second epoch, once as soon as a file appears."""
    training = replace(config.training, epochs=6)
    config = replace(config, training=training, trainer=replace(config.trainer, workers=1))
    whole = train(replace(config, output=str(tmp_path / "whole")), progress=False)
    folder = Path(config.output or "")
    for rows, wait in ((1, 0.05), (3, 0.0)):
        process = subprocess.Popen(
            command(config, tmp_path), start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        metrics = folder / "metrics.csv"
        until = time.monotonic() + 120
        while (
            not metrics.is_file() or len(metrics.read_text().splitlines()) < 1 + rows
        ) and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for file in folder.glob("*.safetensors"):
            load_file(file)  # whole
    run = train(config, progress=False)
    for name in ("best", "last"):
        mine, theirs = (load_file(each.folder / f"{name}.safetensors") for each in (run, whole))
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_interrupted_by_a_person(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(epochs, "save_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, progress=False)
    assert train(config, progress=False).trained == 2  # the checkpoint of the first epoch was there


def test_weights_that_are_not_finite_are_not_saved(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss may be finite while its gradients are not."""
    original = TrainingModule.on_before_optimizer_step

    def spoil(self: TrainingModule, optimizer: torch.optim.Optimizer) -> None:
        original(self, optimizer)
        if self.current_epoch == 1 and self.steps == 3:
            optimizer.param_groups[0]["params"][0].grad.fill_(torch.nan)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "on_before_optimizer_step", spoil)
        with pytest.raises(WsolError, match="epoch 2, step 3: weights are not finite"):
            train(config, progress=False)
    assert train(config, progress=False).trained == 2


def test_killed_while_an_earlier_run_is_removed(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it is gone, the folder is known to be a training's."""
    train(config, progress=False)
    anew, unlink = replace(config, overwrite=True), Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        raise KeyboardInterrupt

    files = len(list(Path(config.output or "").iterdir()))
    for left in reversed(range(files)):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", killed)
            with pytest.raises(KeyboardInterrupt):
                train(anew, progress=False)
        assert len(list(Path(config.output or "").iterdir())) == left
    assert train(anew, progress=False).trained == 3


def test_loss_that_is_not_finite(config: TrainConfig) -> None:
    wild = replace(config, training=replace(config.training, learning_rate=1e9))
    with pytest.raises(WsolError, match=r"epoch \d, step \d: .* not finite.*learning rate than 1e\+09"):
        train(wild, progress=False)


def test_unreadable_images_are_replaced_and_listed(config: TrainConfig, copied: Path) -> None:
    broken = copied / "images" / "train" / "red" / "0.png"
    broken.write_bytes(broken.read_bytes()[:200])
    (copied / "images" / "train" / "blue" / "1.png").unlink()
    (copied / "images" / "val" / "blue" / "1.png").write_text("no picture")
    for cache in ("auto", "none"):
        changed = replace(config.training, cache=cache)
        run = train(replace(config, data=str(copied), training=changed, overwrite=True), progress=False)
        assert len(run.rows) == 3
        told = "\n".join(run.skipped)
        assert len(run.skipped) == 3
        for name in ("train/red/0.png", "train/blue/1.png", "val/blue/1.png"):
            assert name in told
    assert json.loads((run.folder / "run.json").read_text())["skipped"] == list(run.skipped)


def test_no_image_can_be_read(config: TrainConfig, copied: Path) -> None:
    shutil.rmtree(copied / "images" / "train")
    with pytest.raises(DataError, match="none can be read"):
        train(replace(config, data=str(copied)), progress=False)


def test_full_disk(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that does not fit is not there; what was saved before is, and the run goes on from it."""
    written = iter(range(100))

    def full(values: Any, file: Any) -> None:
        file.write(b"half")
        if next(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.seek(0)
        torch_save(values, file)

    torch_save = torch.save
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*last\.ckpt'"):
            train(config, progress=False)
    folder = Path(config.output or "")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert train(config, progress=False).trained == 2


def test_disk_that_is_full_in_earnest(config: TrainConfig, tmp_path: Path) -> None:
    """Files of more than 1 MB cannot be written: it is told which, and what to do; nothing half stays."""
    script = f"""
import resource, signal
from wsol.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
raise SystemExit(main({command(config, tmp_path)[3:]!r}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert "File too large: " in told and "last.ckpt" in told and "make room" in told
    assert "Traceback" not in done.stderr
    assert not list(Path(config.output or "").glob("*.safetensors"))


def test_one_class_alone(config: TrainConfig, copied: Path) -> None:
    for split in ("train", "val", "test"):
        file = copied / "metadata" / split / "class_labels.txt"
        file.write_text(re.sub(r",\d", ",0", file.read_text()))
    (copied / "classes.txt").write_text("thing\n")
    with pytest.raises(DataError, match="class"):
        train(replace(config, data=str(copied)), progress=False)


def test_class_without_images_is_told(config: TrainConfig, copied: Path) -> None:
    (copied / "classes.txt").write_text("blue\ngreen\nred\nviolet\n")
    run = train(replace(config, data=str(copied)), progress=False)
    assert any("violet" in line for line in run.warnings)


def test_val_without_boxes(config: TrainConfig, copied: Path) -> None:
    (copied / "metadata" / "val" / "localization.txt").write_text("")
    run = train(replace(config, data=str(copied)), progress=False)
    assert run.criterion is None
    assert run.best == run.rows[-1]
    assert "val Top-1 Cls" in run.best
    assert run.ratio is None
    kept, last = (load_file(run.folder / f"{name}.safetensors") for name in ("best", "last"))
    assert all(torch.equal(tensor, last[name]) for name, tensor in kept.items())


def test_val_without_boxes_is_told_of_and_not_waited_for(
    config: TrainConfig, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image of val that cannot be read is listed; weights are there before the first validation."""
    (copied / "metadata" / "val" / "localization.txt").write_text("")
    (copied / "images" / "val" / "blue" / "1.png").write_text("no picture")
    rare = replace(config, data=str(copied), validation=ValidationOptions(every=3))
    written: list[str] = []
    save = epochs.save_model

    def noted(path: Path, *given: Any, **named: Any) -> None:
        written.append(path.name)
        save(path, *given, **named)

    monkeypatch.setattr(epochs, "save_model", noted)
    run = train(rare, progress=False)
    assert [line for line in run.skipped if "val/blue/1.png" in line]
    assert written == ["last.safetensors", "best.safetensors"] * 3


def test_val_without_boxes_stops_early_by_accuracy_alone(config: TrainConfig, copied: Path) -> None:
    (copied / "metadata" / "val" / "localization.txt").write_text("")
    stopping = replace(config, data=str(copied), trainer=replace(config.trainer, early_stop=1))
    with pytest.raises(UsageError, match=r"early_stop has nothing to compare.*criterion 'Top-1 Cls'"):
        train(stopping, progress=False)
    accuracy = ValidationOptions(criterion="Top-1 Cls")
    assert train(replace(stopping, validation=accuracy), progress=False).criterion == "Top-1 Cls"


def test_photos_of_ones_own(config: TrainConfig, squares: Path, tmp_path: Path) -> None:
    """Folders by class, no split, no boxes: a part is held out, and told."""
    photos = Path(shutil.copytree(squares / "images" / "train", tmp_path / "photos"))
    run = train(replace(config, data=str(photos)), progress=False)
    assert run.criterion is None
    told = json.loads((run.folder / "run.json").read_text())
    held = told["data"]["held_out"]
    assert told["data"]["images"] + len(held) == 21
    assert {Path(name).parent.name for name in held} == {"blue", "green", "red"}


def test_masks_choose_by_pxap(config: TrainConfig, copied: Path) -> None:
    fill_boxes(copied, copied / "metadata" / "val" / "localization.txt")
    run = train(replace(config, data=str(copied)), progress=False)
    assert run.criterion == "PxAP"
    assert run.ratio is not None


def test_start_from_a_checkpoint_of_other_classes(config: TrainConfig, tmp_path: Path) -> None:
    """A run of three classes starts from weights of 1,000: the head is new, the trunk is not."""
    run = train(config, progress=False)
    assert load_file(run.folder / "best.safetensors")["network.fc.weight"].shape[0] == 3
    other = replace(config, checkpoint=str(tmp_path / "absent.pth"), output=str(tmp_path / "other"))
    with pytest.raises(WsolError, match="no checkpoint"):
        train(other, progress=False)


def test_checkpoint_of_another_network(config: TrainConfig, tmp_path: Path) -> None:
    network = build(ModelOptions(backbone="test_efficientnet"), pretrained=False).classifier.network
    path = tmp_path / "other.pth"
    torch.save(network.state_dict(), path)
    with pytest.raises(WsolError, match="does not fit"):
        train(replace(config, checkpoint=str(path)), progress=False)


def test_same_image_in_train_and_val(config: TrainConfig, copied: Path) -> None:
    for table in ("image_ids", "class_labels", "image_sizes", "localization"):
        train_file, val_file = (copied / "metadata" / split / f"{table}.txt" for split in ("train", "val"))
        val_file.write_text(val_file.read_text() + train_file.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="both in 'train' and in 'val'"):
        train(replace(config, data=str(copied)), progress=False)


def test_labels_of_images_stay_what_they_are() -> None:
    """A method never changes the batch that it is given."""
    batch = Batch(images=torch.zeros(2, 3, 4, 4), labels=torch.tensor([0, 1]))
    with pytest.raises(AttributeError):
        batch.labels = torch.tensor([1, 0])  # type: ignore[misc]
