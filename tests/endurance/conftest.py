"""Pictures, and a network small enough for thousands of them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.training.conftest import COLOURS, draw
from wsol.models import ModelOptions, build


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the official layout: three classes, 12 / 6 / 6 images."""
    folder = tmp_path_factory.mktemp("squares")
    for split, count in {"train": 4, "val": 2, "test": 2}.items():
        draw(folder, split, count)
    (folder / "classes.txt").write_text("\n".join(COLOURS) + "\n")
    return folder


@pytest.fixture(scope="session")
def network(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelOptions:
    """A tiny ResNet of the squares' classes with random weights."""
    options = ModelOptions(backbone="test_resnet", input_size=64, classes=str(squares / "classes.txt"))
    torch.manual_seed(5)
    weights = build(options, pretrained=False, num_classes=len(COLOURS)).classifier.network.state_dict()
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    save_file(weights, path)
    return ModelOptions(**vars(options) | {"checkpoint": str(path)})
