"""Fixtures that several modules here share, as a plugin."""

from pathlib import Path

import pytest
import timm
import torch

from tests.evaluation.toys import CLASSES, Toys, make_toys
from wsol.models import ModelOptions


@pytest.fixture
def boxed(tmp_path: Path) -> Toys:
    return make_toys(tmp_path / "toys", "boxes")


@pytest.fixture
def masked(tmp_path: Path) -> Toys:
    return make_toys(tmp_path / "toys", "masks")


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the page out, which takes longer than the rest; its own tests draw it."""
    monkeypatch.setattr("wsol.report.evaluation.write_evaluation_report", lambda *_: None)


@pytest.fixture(scope="session")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> ModelOptions:
    """A checkpoint of random weights with the classes of the toys, in another order."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(3)
    weights = timm.create_model("resnet18", num_classes=len(CLASSES)).state_dict()
    torch.nn.init.normal_(weights["fc.weight"])
    torch.save(weights, folder / "own.pth")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in reversed(CLASSES)))
    return ModelOptions(
        backbone="resnet18", checkpoint=str(folder / "own.pth"), classes=str(folder / "classes.txt"),
        input_size=96,
    )  # fmt: skip
