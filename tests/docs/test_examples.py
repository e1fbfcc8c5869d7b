"""Every example runs, and fits on a screen."""

import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

EXAMPLES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").rglob("*.py"))

ONNX = "examples/onnx_boxes.py"
"""It wants a file of ``wsol export``; tests/export runs it."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One working directory for all of them: the drawn data are made once."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("examples")
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.mark.parametrize("example", [name for name in EXAMPLES if name != ONNX])
def test_it_runs(
    example: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a program, in a folder of its own; with small heads: to write their weights takes the time."""
    for method in ("acol", "spg"):
        monkeypatch.setattr(f"wsol.methods.{method}.WIDTH", 32)
    runpy.run_path(str(ROOT / example), run_name="__main__")
    assert capsys.readouterr().out


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_fits_on_a_screen(example: str) -> None:
    """Fewer than 45 lines, and the page of examples has it."""
    assert len((ROOT / example).read_text().splitlines()) < 45
    assert f"({'../' + example})" in (ROOT / "docs" / "examples.md").read_text()
