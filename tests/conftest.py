"""What every test shares: no network, golden values, a way to skip what the machine cannot do."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before timm reads it: a test that needs the network is a defect

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray

settings.register_profile("deterministic", deadline=None, derandomize=True)
settings.load_profile("deterministic")

torch.set_num_threads(1)  # pytest runs in several processes; more threads than cores make it crawl

GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str], dict[str, NDArray[np.float64]]]


@pytest.fixture(scope="session")
def golden() -> Golden:
    """Stored inputs and outputs of the published systems, by file name."""

    def load(name: str) -> dict[str, NDArray[np.float64]]:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
            return dict(file)

    return load


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
