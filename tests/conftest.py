"""What every test shares: no network, golden values, a way to skip what the machine cannot do."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

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

CHROMIUM = Path("/usr/bin/chromium")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Debian's chromium, offline; one for all tests of a process, as Playwright allows no second."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (wsol[dev])")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield browser
        browser.close()
