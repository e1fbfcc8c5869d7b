"""A training that only tells what it was asked for."""

from pathlib import Path
from typing import Any

import pytest

from wsol.training import run as run_module
from wsol.training.config import TrainConfig
from wsol.training.directory import Run


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """The configurations that a training was asked for with."""
    asked: list[TrainConfig] = []

    def train(config: TrainConfig, *, progress: bool = True) -> Run:
        asked.append(config)
        come: dict[str, Any] = {"rows": [], "best": {"epoch": 1.0}, "criterion": None, "ratio": None}
        return Run(folder=Path("there"), balanced_ratio=None, warnings=[], skipped=[], trained=1, **come)

    monkeypatch.setattr(run_module, "train", train)
    return asked
