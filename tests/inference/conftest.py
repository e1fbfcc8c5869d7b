"""Small classifiers and pictures, so that the tests need neither downloads nor the demo's weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from wsol import Localizer, LocalizerOptions, RuntimeOptions
from wsol.inference.options import Preset
from wsol.models import Model, ModelOptions, build

MakeLocalizer = Callable[..., Localizer]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> ModelOptions:
    """A ResNet with five classes and random weights, as a user's own checkpoint."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(3)
    torch.save(timm.create_model("resnet18", num_classes=5).eval().state_dict(), folder / "own.pth")
    (folder / "classes.txt").write_text("ant\nbee\ncat\ndog\nemu\n", encoding="utf-8")
    return ModelOptions(
        backbone="resnet18",
        checkpoint=str(folder / "own.pth"),
        classes=str(folder / "classes.txt"),
        input_size=96,
    )


@pytest.fixture(scope="session")
def model(checkpoint: ModelOptions) -> Model:
    return build(checkpoint)


@pytest.fixture
def make(model: Model) -> MakeLocalizer:
    def make_localizer(*, batch_size: int = 4, preset: Preset = "fast", **options: object) -> Localizer:
        chosen = LocalizerOptions(preset=preset, **options)  # type: ignore[arg-type]
        return Localizer(model, chosen, RuntimeOptions(device="cpu", batch_size=batch_size, workers=0))

    return make_localizer


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six pictures of several sizes in two folders."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for index, (width, height) in enumerate([(120, 80), (96, 96), (300, 200), (40, 90), (1, 50), (640, 33)]):
        small = generator.integers(0, 256, (4, 5, 3), np.uint8)
        picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        picture.save(folder / ("more" if index % 2 else ".") / f"{index}.png")
    return folder
