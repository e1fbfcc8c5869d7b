"""The steps of adversarial erasing, one after the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wsol.errors import UsageError
from wsol.methods.ae import AEOptions
from wsol.training.config import TrainConfig, TrainerOptions
from wsol.training.data import TrainingImages
from wsol.training.erasing import mean_colour, most_discriminative
from wsol.training.run import open_parts, train


def test_most_discriminative_is_a_share_of_the_maximum() -> None:
    """Above 0.2 · 5 = 1, whatever the minimum is; where nothing is positive, nothing."""
    maps = torch.tensor([[[-5.0, 0.9], [1.1, 5.0]], [[-3.0, -1.0], [-2.0, 0.0]]])
    expected = [[[False, False], [True, True]], [[False, False], [False, False]]]
    assert most_discriminative(maps, 0.2).tolist() == expected


def test_mean_colour_of_the_training_images(config: TrainConfig) -> None:
    data = open_parts(config).data
    images = TrainingImages(data, data.split("train").examples, (64, 64), augmentation="protocol", seed=0)
    frames = np.stack([images.frame_of(place).numpy() for place in range(len(images))])
    assert mean_colour(images) == tuple(frames.mean(axis=(0, 2, 3)).round().astype(int).tolist())


def test_each_step_erases_more(config: TrainConfig) -> None:
    training = replace(config.training, epochs=1)
    run = train(replace(config, method="ae", training=training), progress=False)
    first, second = (np.load(run.folder / f"erased{step}.npy") for step in (1, 2))
    assert first.shape == second.shape == (21, -(-73 * 73 // 8))  # 64 · 8/7 = 73
    assert (first & ~second).sum() == 0  # what was erased stays erased
    assert np.unpackbits(second).sum() >= np.unpackbits(first).sum() > 0
    assert [row.get("step") for row in run.rows] == [1, 2, 3, 3]
    assert {path.name for path in run.folder.iterdir() if path.is_dir()} == {"step1", "step2", "step3"}


def test_steps_that_are_done_are_not_trained_again(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, method="ae", ae=AEOptions(steps=2), training=replace(config.training, epochs=1))

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("wsol.training.erasing._mine", stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, progress=False)
    before = (Path(config.output or "") / "step1" / "best.safetensors").stat().st_mtime_ns
    run = train(config, progress=False)
    assert run.trained == 1
    assert (run.folder / "step1" / "best.safetensors").stat().st_mtime_ns == before


def test_several_devices_are_refused(config: TrainConfig) -> None:
    trainer = TrainerOptions(devices=2, accelerator="cpu")
    with pytest.raises(UsageError, match="one device"):
        train(replace(config, method="ae", trainer=trainer), progress=False)
