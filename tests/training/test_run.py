"""A training from configuration to run directory, and on again after it was stopped."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import wsol
from wsol.cli import main
from wsol.errors import DataError, ModelError, UsageError, WsolError
from wsol.evaluation.result import load_result
from wsol.methods import METHODS
from wsol.methods.bridging import BridgingOptions
from wsol.methods.saved import describe
from wsol.models import Classifier
from wsol.training import epochs as epochs_module
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions
from wsol.training.data import Images
from wsol.training.epochs import Epochs
from wsol.training.module import TrainingModule
from wsol.training.recipes import read_config, write_config
from wsol.training.run import train


class StopError(Exception):
    """Stands for the end of a process."""


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    """The tensors of a run."""
    return load_file(folder / f"{name}.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_run_directory_holds_everything(config: TrainConfig) -> None:
    run = train(config, progress=False)
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "best.safetensors", "last.safetensors", "last.ckpt", "config.yaml", "run.json", "metrics.csv",
    }  # fmt: skip
    assert read_config(run.folder / "config.yaml") == config
    with (run.folder / "metrics.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [dict(row) for row in run.rows] == rows
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    told = json.loads((run.folder / "run.json").read_text())
    assert told["status"] == "finished"
    assert told["data"]["classes"] == 3
    assert {"wsol", "torch", "lightning"} <= told["calls"][0]["versions"].keys()
    assert run.criterion == "MaxBoxAccV2"
    assert run.best["val MaxBoxAccV2"] == max(row["val MaxBoxAccV2"] for row in rows)
    assert run.trained == 3


def test_loss_falls(config: TrainConfig) -> None:
    run = train(replace(config, training=replace(config.training, epochs=8)), progress=False)
    assert run.rows[-1]["loss"] < 0.3 * run.rows[0]["loss"]


def test_same_seed_same_weights_other_seed_others(config: TrainConfig, tmp_path: Path) -> None:
    one = train(replace(config, output=str(tmp_path / "one")), progress=False)
    two = train(replace(config, output=str(tmp_path / "two")), progress=False)
    other = train(
        replace(config, output=str(tmp_path / "other"), training=replace(config.training, seed=1)),
        progress=False,
    )
    assert same(weights(one.folder), weights(two.folder))
    assert not same(weights(one.folder), weights(other.folder))


def test_reading_processes_and_cache_change_nothing(config: TrainConfig, tmp_path: Path) -> None:
    plain = train(replace(config, output=str(tmp_path / "plain")), progress=False)
    training = replace(config.training, cache="none")
    trainer = replace(config.trainer, workers=2)
    other = replace(config, output=str(tmp_path / "other"), training=training, trainer=trainer)
    assert same(weights(plain.folder), weights(train(other, progress=False).folder))


@pytest.mark.parametrize("method", ["cam", "bridging"])
@pytest.mark.parametrize("moment", ["step", "weights", "checkpoint", "metrics"])
def test_goes_on_bit_for_bit(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, moment: str
) -> None:
    """Stopped in the second epoch: in a step, or while one of its files is being written."""
    bridging = BridgingOptions(warm_up=1, similarity=0.5) if method == "bridging" else BridgingOptions()
    config = replace(config, method=method, bridging=bridging)  # type: ignore[arg-type]
    whole = train(replace(config, output=str(tmp_path / "whole")), progress=False)

    def stopping(original: Callable[..., Any], at: int) -> Callable[..., Any]:
        calls = iter(range(1, 1000))

        def call(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == at:
                raise StopError
            return original(*args, **kwargs)

        return call

    places = {
        "step": (TrainingModule, "training_step", 5),
        "weights": (epochs_module, "save_model", 3),
        "checkpoint": (epochs_module.WholeCheckpoints, "save_checkpoint", 2),
        "metrics": (epochs_module, "write_rows", 2),
    }
    owner, name, at = places[moment]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopping(getattr(owner, name), at))
        with pytest.raises(StopError):
            train(config, progress=False)
    run = train(config, progress=False)
    assert run.trained == (2 if moment in ("step", "checkpoint") else 1)  # the checkpoint is written first
    for file in ("last", "best"):
        assert same(weights(run.folder, file), weights(whole.folder, file))
    untimed = [[{k: v for k, v in row.items() if k != "seconds"} for row in r.rows] for r in (run, whole)]
    assert untimed[0] == untimed[1]
    assert not [path for path in run.folder.iterdir() if path.name.endswith(".tmp")]


def test_finished_run_is_not_trained_again(config: TrainConfig) -> None:
    first = train(config, progress=False)
    before = (first.folder / "best.safetensors").stat().st_mtime_ns
    again = train(config, progress=False)
    assert again.trained == 0
    assert again.best == first.best
    assert (first.folder / "best.safetensors").stat().st_mtime_ns == before
    assert train(replace(config, overwrite=True), progress=False).trained == 3


def test_other_settings_are_refused_by_name(config: TrainConfig) -> None:
    train(config, progress=False)
    with pytest.raises(UsageError, match=r"training\.learning_rate: 0\.01, 0\.02"):
        train(replace(config, training=replace(config.training, learning_rate=0.02)), progress=False)
    more = replace(config.trainer, workers=1)
    assert train(replace(config, trainer=more), progress=False).trained == 0


def test_other_data_is_refused(config: TrainConfig) -> None:
    """A training that has begun does not go on with other images."""
    file = train(config, progress=False).folder / "run.json"
    told = json.loads(file.read_text()) | {"status": "begun"}
    told["data"]["fingerprints"]["train"] = "sha256:other"
    file.write_text(json.dumps(told))
    with pytest.raises(DataError, match="others now"):
        train(config, progress=False)


def test_settings_of_a_training_that_came_to_nothing_do_not_bind(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", lambda *_: (_ for _ in ()).throw(StopError))
        with pytest.raises(StopError):
            train(config, progress=False)
    other = replace(config, training=replace(config.training, learning_rate=0.02))
    assert train(other, progress=False).trained == 3


def test_folder_of_something_else_is_left_alone(config: TrainConfig) -> None:
    folder = Path(config.output or "")
    folder.mkdir()
    (folder / "thesis.txt").write_text("years")
    (folder / "config.yaml").write_text("of: something else")
    with pytest.raises(UsageError, match="not from wsol train"):
        train(config, progress=False)
    with pytest.raises(UsageError, match="not from wsol train"):
        train(replace(config, overwrite=True), progress=False)
    assert (folder / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_is_usable(config: TrainConfig, squares: Path, method: str) -> None:
    training = replace(config.training, epochs=1)
    run = train(replace(config, method=method, training=training), progress=False)  # type: ignore[arg-type]
    localizer = wsol.load(str(run.folder), device="cpu")
    assert localizer.model.method == method
    assert localizer.model.classes.names == ("blue", "green", "red")
    assert wsol.load(str(run.folder), device="cpu", preset="fast").options.ratio == run.ratio
    assert localizer.options.preset == "balanced"
    assert localizer.options.ratio == describe(run.folder / "best.safetensors").use["balanced_ratio"]
    found = localizer(sorted((squares / "images" / "test").rglob("*.png")))
    assert len(found) == 9  # type: ignore[arg-type]
    again = wsol.load(run.folder / "best.safetensors", device="cpu").model
    assert again.run["epoch"] == run.best["step" if method == "ae" else "epoch"]


def test_the_threshold_of_balanced_is_the_best_on_val(
    config: TrainConfig, squares: Path, tmp_path: Path
) -> None:
    run = train(config, progress=False)
    output = tmp_path / "evaluation"
    asked = ["--split", "val", "--policy", "oracle", "--preset", "balanced", "--device", "cpu", "--quiet"]
    assert main(["evaluate", str(run.folder), "--data", str(squares), *asked, "--output", str(output)]) == 0
    (best,) = load_result(output).score("MaxBoxAcc").ratios
    assert wsol.load(str(run.folder), device="cpu").options.ratio == best
    assert run.balanced_ratio == best
    weights = (run.folder / "best.safetensors").read_bytes()
    again = train(config, progress=False)
    assert again.trained == 0 and again.balanced_ratio == best
    assert (run.folder / "best.safetensors").read_bytes() == weights


def test_the_thresholds_told_are_those_that_are_used(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(config, tmp_path / "config.yaml")
    assert main(["train", "--config", str(tmp_path / "config.yaml")]) == 0
    told = capsys.readouterr().out
    for preset in ("balanced", "fast"):
        ratio = wsol.load(str(config.output), device="cpu", preset=preset).options.ratio
        assert f"{ratio:.3f} (--preset {preset})" in told


def test_a_run_of_an_older_version_stays_as_it_is(config: TrainConfig) -> None:
    run = train(config, progress=False)
    known = json.loads((run.folder / "run.json").read_text())
    del known["balanced_ratio"]
    (run.folder / "run.json").write_text(json.dumps(known))
    weights = (run.folder / "best.safetensors").read_bytes()
    assert train(config, progress=False).balanced_ratio is None
    assert (run.folder / "best.safetensors").read_bytes() == weights


def test_a_network_of_one_size_has_no_threshold_of_balanced(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forward = Classifier.forward

    def of_one_size(self: Classifier, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert images.shape[-1] == 64
        return forward(self, images)

    monkeypatch.setattr(Classifier, "forward", of_one_size)
    run = train(config, progress=False)
    assert run.ratio is not None and run.balanced_ratio is None
    assert "cannot take pictures of 128 × 128 pixels" in caplog.text
    with pytest.raises(ModelError, match="choose --preset fast"):
        wsol.load(str(run.folder), device="cpu")
    assert wsol.load(str(run.folder), device="cpu", preset="fast").options.ratio == run.ratio


def test_files_of_others_in_a_run_directory_stay(config: TrainConfig) -> None:
    folder = train(config, progress=False).folder
    (folder / "notes.txt").write_text("mine")
    assert train(replace(config, overwrite=True), progress=False).trained == 3
    assert (folder / "notes.txt").read_text() == "mine"


def test_finished_run_without_its_checkpoint_stays(config: TrainConfig) -> None:
    """The checkpoint is large, and only needed to go on."""
    folder = train(config, progress=False).folder
    (folder / "last.ckpt").unlink()
    before = weights(folder, "best")
    assert train(config, progress=False).trained == 0
    assert same(weights(folder, "best"), before)


def test_early_stop_holds_when_it_goes_on(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Epochs, "_better", lambda self, row: self.best is None)
    training = replace(config.training, epochs=9)
    config = replace(config, training=training, trainer=replace(config.trainer, early_stop=2))
    run = train(config, progress=False)
    file = run.folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "begun"}))
    again = train(config, progress=False)
    assert again.trained == 0
    assert again.rows == run.rows


def test_process_is_as_before(config: TrainConfig) -> None:
    train(replace(config, training=replace(config.training, epochs=1)), progress=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_early_stop(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Epochs, "_better", lambda self, row: self.best is None)
    training = replace(config.training, epochs=9)
    run = train(
        replace(config, training=training, trainer=replace(config.trainer, early_stop=2)), progress=False
    )
    assert len(run.rows) == 3


def test_validates_every_nth_epoch_and_after_the_last(config: TrainConfig) -> None:
    training = replace(config.training, epochs=5)
    run = train(replace(config, training=training, validation=ValidationOptions(every=2)), progress=False)
    assert ["val MaxBoxAccV2" in row for row in run.rows] == [False, True, False, True, True]


def test_criterion(config: TrainConfig) -> None:
    run = train(replace(config, validation=ValidationOptions(criterion="Top-1 Cls")), progress=False)
    assert run.best["val Top-1 Cls"] == max(row["val Top-1 Cls"] for row in run.rows)
    with pytest.raises(UsageError, match=r"validation\.criterion 'PxAP'.*boxes"):
        train(replace(config, overwrite=True, validation=ValidationOptions(criterion="PxAP")), progress=False)


def test_batch_size_after_warm_up(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    original = TrainingModule.training_step

    def noting(self: TrainingModule, batch: Images, batch_idx: int) -> torch.Tensor:
        sizes.append((self.current_epoch + 1, len(batch.labels)))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", noting)
    options = BridgingOptions(warm_up=1, batch_size_after=16)
    train(replace(config, method="bridging", bridging=options), progress=False)
    assert sizes == [(1, 8), (1, 8), (1, 5), (2, 16), (2, 5), (3, 16), (3, 5)]


def test_logs_for_tensorboard(config: TrainConfig) -> None:
    pytest.importorskip("tensorboard")
    run = train(
        replace(config, trainer=TrainerOptions(workers=0, accelerator="cpu", loggers=("tensorboard",))),
        progress=False,
    )
    assert list((run.folder / "tensorboard").glob("events*"))


def test_defaults_by_size_of_the_data(config: TrainConfig) -> None:
    run = train(replace(config, training=TrainingOptions(epochs=1)), progress=False)
    assert read_config(run.folder / "config.yaml").training.batch_size == 2


def test_nothing_is_chosen_on_test(config: TrainConfig) -> None:
    with pytest.raises(ValueError, match="test"):
        replace(config, val_split="test")


def test_wrong_checkpoint_is_told(config: TrainConfig, tmp_path: Path) -> None:
    run = train(replace(config, training=replace(config.training, epochs=1)), progress=False)
    broken = run.folder / "last.ckpt"
    broken.write_bytes(broken.read_bytes()[:1000])
    told = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps(told | {"status": "begun"}))
    with pytest.raises(WsolError, match=r"last\.ckpt cannot be read"):
        train(replace(config, training=replace(config.training, epochs=1)), progress=False)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", [name for name in METHODS if name != "ae"])
def test_trains_on_a_gpu_in_half_precision(config: TrainConfig, method: str) -> None:
    trainer = TrainerOptions(workers=0, accelerator="cuda", devices=1, precision="bfloat16")
    run = train(replace(config, method=method, trainer=trainer), progress=False)  # type: ignore[arg-type]
    assert len(run.rows) == 3
