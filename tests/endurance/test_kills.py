"""Commands that are killed, or whose disk is full: what they write is whole or absent, and they go on.

After each fault every file is read to its end, and compared where it may only be the old one or the new one.
Then the same command again has to end in what an undisturbed run ends in, and leave nothing else behind.
"""

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.endurance.children import Ended, Fault, Kind, run_command
from tests.endurance.contents import Contents, contents, files, leftovers
from wsol.models import ModelOptions

Unit = Literal["folder", "entry", "file"]

MOMENTS = 10
"""At which each command is killed, and at which its disk is full: one in each tenth of it."""

BLOCK = 4096
"""Bytes that a file takes of a disk at a time."""

GROWING = ("results.jsonl", "run.json")
"""Of a run over a folder: they tell how far it is."""


@dataclass(frozen=True)
class Scenario:
    """A command that is disturbed.

    Attributes:
        arguments: but for the output folder.
        before: what an earlier command left there; None: nothing.
        unit: what appears at once: the output folder, each file or folder in it, or each file.
        whole: what an undisturbed run ends in.
        size: bytes of that on a disk.
        moments: of that run.
    """

    arguments: tuple[str, ...]
    before: Path | None
    unit: Unit
    whole: Contents
    size: int
    moments: int

    @property
    def command(self) -> str:
        """Its name."""
        return self.arguments[0]

    def start(self, place: Path) -> None:
        """Put in place what an earlier command left."""
        place.mkdir(exist_ok=True)
        if self.before is not None:
            shutil.copytree(self.before, place / "out")

    def run(self, place: Path, fault: Fault | None = None, *, powerless: bool = False) -> Ended:
        """Call the command."""
        return call(self.arguments, place, fault, powerless=powerless)

    def moment(self, kind: Kind, number: int) -> Fault:
        """A moment within that tenth of the run."""
        chance = random.Random(f"{kind} {self.command} {number}")
        moment = 1 + int(self.moments * (number + chance.random()) / MOMENTS)
        return Fault(kind, moment, room=chance.randrange(300))

    def check(self, place: Path) -> None:
        """Make sure that nothing there is half."""
        found = contents(place / "out")
        before = {} if self.before is None else contents(self.before)
        if self.unit == "folder":
            assert found in ({}, before, self.whole)
        if self.unit == "entry":
            for name in found.keys() - GROWING:
                assert found[name] in (before.get(name), self.whole[name]), name

    def go_on(self, place: Path) -> None:
        """Call the command again; it has to end as if nothing had been."""
        ended = self.run(place)
        assert ended.code == 0, ended.told
        assert contents(place / "out") == self.whole
        if self.unit == "folder":  # it was beside the output, where another evaluation may be writing, too
            assert all(path.name == "out" or path.name.startswith(".out.") for path in place.iterdir())
            assert leftovers(place / "out") == []
        else:
            assert [path.name for path in place.iterdir()] == ["out"]
            assert leftovers(place) == []


def call(
    arguments: tuple[str, ...], place: Path, fault: Fault | None = None, *, powerless: bool = False
) -> Ended:
    """Call a command with an output folder."""
    return run_command([*arguments, "--output", str(place / "out")], place, fault, powerless=powerless)


@pytest.fixture(
    scope="module", params=["localize", "train", "evaluate", pytest.param("ae", marks=pytest.mark.endurance)]
)
def scenario(
    request: pytest.FixtureRequest,
    squares: Path,
    network: ModelOptions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Scenario:
    return prepare(request.param, squares, network, tmp_path_factory.mktemp(request.param))


def prepare(name: str, squares: Path, network: ModelOptions, place: Path) -> Scenario:
    """A command, with what an undisturbed run of it ends in."""
    first, second, unit = commands(name, squares, network)
    before = None
    if first:
        ended = call(first, place)
        assert ended.code == 0, ended.told
        before = Path(shutil.copytree(place / "out", place / "before"))
    ended = call(second, place)
    assert ended.code == 0, ended.told
    assert leftovers(place) == []
    size = sum(BLOCK * -(-file.stat().st_size // BLOCK) for file in files(place / "out"))
    return Scenario(second, before, unit, contents(place / "out"), size, ended.moments)


def commands(
    name: str, squares: Path, network: ModelOptions
) -> tuple[tuple[str, ...], tuple[str, ...], Unit]:
    """An earlier command into the same folder, the one that is disturbed, and what of it appears at once."""
    model = ("--backbone", network.backbone, "--checkpoint", str(network.checkpoint), "--input-size", "64")
    here = ("--classes", str(network.classes), "--device", "cpu", "--workers", "0", "--quiet")
    match name:
        case "localize":  # some images and formats were done before
            options = (*model, *here, "--preset", "fast", "--batch-size", "4", "--format", "coco", "masks")
            images = squares / "images"
            return (
                ("localize", str(images / "val"), *options),
                ("localize", str(images), *options, "csv", "label-studio", "report"),
                "entry",
            )
        case "evaluate":  # an earlier result is replaced
            asked = ("evaluate", "--data", str(squares), *model, *here, "--resamples", "10")
            return (*asked, "--name", "old"), (*asked, "--name", "new", "--overwrite"), "folder"
        case _:
            method = ("--method", "ae", "--ae.steps", "2", "--training.epochs", "1") if name == "ae" else ()
            trainer = ("--trainer.workers", "0", "--trainer.accelerator", "cpu", "--quiet")
            epochs = ("--training.batch-size", "4", "--training.epochs", "1" if name == "ae" else "3")
            return (), ("train", "--data", str(squares), *model, *trainer, *epochs, *method), "file"


def killed(scenario: Scenario, place: Path, fault: Fault) -> None:
    """Kill a command, look at what is there, and call it again."""
    scenario.start(place)
    ended = scenario.run(place, fault)
    if fault.kind == "kill":
        assert ended.code == -signal.SIGKILL, ended.told
    else:  # the last files may be smaller than the room
        assert ended.code in (-signal.SIGXFSZ, 0), ended.told
    scenario.check(place)
    scenario.go_on(place)


def test_killed(scenario: Scenario, tmp_path: Path) -> None:
    killed(scenario, tmp_path / "place", scenario.moment("cut", 0 if scenario.command == "localize" else 4))


@pytest.mark.endurance
@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_at_many_moments(scenario: Scenario, number: int, tmp_path: Path) -> None:
    killed(scenario, tmp_path / "place", scenario.moment("kill" if number % 2 else "cut", number))


def filled(scenario: Scenario, place: Path, fault: Fault | None) -> None:
    """Let the disk be full, look at what is there and at what is told, and call again when there is room."""
    ended = scenario.run(place, fault)
    if ended.code == 0:  # what was left to do needed no room
        assert contents(place / "out") == scenario.whole
        return
    message = told_in_one_line(scenario, ended)
    assert any(reason in message for reason in ("No space left on device", "File too large"))
    if "the numbers are in" in message:  # of an evaluation, which outlive the page that tells them
        found = contents(place / "out")
        assert all(found[name] == scenario.whole[name] for name in ("result.json", "test.npz", "val.npz"))
        assert "report.html" not in found and f"--records {place / 'out'} tries again" in message
    else:
        scenario.check(place)
        assert "make room, and call the same command again" in message or "another --output" in message
    assert leftovers(place) == []


def told_in_one_line(scenario: Scenario, ended: Ended) -> str:
    """The error that a command ended with; a training may have warned of something else before."""
    assert ended.code == 1, ended.told
    *before, message = ended.told.splitlines()
    assert message.startswith(f"wsol {scenario.command}: ") and " /" in message.replace("'", " ")
    assert not any(word in line for word in ("Traceback", "Error", "wsol") for line in before), ended.told
    return message


def test_full_disk(scenario: Scenario, tmp_path: Path) -> None:
    place = tmp_path / "place"
    scenario.start(place)
    filled(scenario, place, scenario.moment("limit", 2))
    scenario.go_on(place)


@pytest.mark.endurance
@pytest.mark.parametrize("number", range(MOMENTS))
def test_full_disk_at_many_moments(scenario: Scenario, number: int, tmp_path: Path) -> None:
    place = tmp_path / "place"
    scenario.start(place)
    filled(scenario, place, scenario.moment("full" if number % 2 else "limit", number))
    scenario.go_on(place)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    made = _mount("-t", "tmpfs", "tmpfs", str(place))
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def _mount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)


@pytest.mark.endurance
@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_small_disk(scenario: Scenario, share: float, disk: Path) -> None:
    """A disk that has room for a part of what a command writes; then it grows."""
    scenario.start(disk)
    free = int(share * scenario.size)
    used = shutil.disk_usage(disk).used
    _mount("-o", f"remount,size={used + free}", str(disk)).check_returncode()
    filled(scenario, disk, None)
    _mount("-o", "remount,size=64m", str(disk)).check_returncode()
    scenario.go_on(disk)


def test_read_only(scenario: Scenario, tmp_path: Path) -> None:
    """Nobody may write there: it is told before any work, and nothing is changed."""
    place = tmp_path / "place"
    scenario.start(place)
    before = contents(place / "out")
    folders = [place, *filter(Path.exists, [place / "out"])]
    for folder in folders:
        folder.chmod(0o555)
    ended = scenario.run(place, powerless=True)
    for folder in folders:
        folder.chmod(0o755)
    message = told_in_one_line(scenario, ended)
    assert message.endswith(": Permission denied; choose another --output") and f" {place}" in message
    assert contents(place / "out") == before and leftovers(place) == []
