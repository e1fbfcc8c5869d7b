"""The method that a page adds, in a copy of the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.blocks import ROOT, blocks
from tests.docs.shell import QUICK

PAGE = "docs/howto/method.md"


def test_the_method_of_the_page_trains(place: Path) -> None:
    """By its file, the lines of the table, and nothing else."""
    package = place / "package" / "wsol"
    package.mkdir(parents=True)
    for part in (ROOT / "src" / "wsol").iterdir():
        if part.name != "methods":
            (package / part.name).symlink_to(part)
    shutil.copytree(ROOT / "src" / "wsol" / "methods", package / "methods")
    source, table = (
        next(block.text for block in blocks(PAGE) if block.language == language)
        for language in ("python", "diff")
    )
    (package / "methods" / "cutout.py").write_text(source)
    entries = package / "methods" / "__init__.py"
    entries.write_text(_patched(entries.read_text(), table))
    command = ["train", "--data", "photos", "--method", "cutout", "--cutout.share", "0.4"]
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "wsol", *command, "--output", "runs/cutout", *QUICK["train"]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "share: 0.4" in (place / "runs" / "cutout" / "config.yaml").read_text()


def _patched(text: str, changes: str) -> str:
    """A file with the hunks of a diff applied, which are set apart by empty lines."""
    for hunk in changes.split("\n\n"):
        lines = [line for line in hunk.splitlines() if line]
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        assert text.count(old) == 1, f"{PAGE}: the file has no longer, or not once:\n{old}"
        text = text.replace(old, new)
    return text
