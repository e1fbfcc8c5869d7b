"""Folders full of broken, odd and hostile files, through the commands: none is lost, none ends a run."""

import importlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.endurance.corpus import Fate, Input, write_corpus
from wsol.cli import main
from wsol.evaluation.result import load_result
from wsol.inference.journal import Journal
from wsol.inference.run import TARGETS
from wsol.models import ModelOptions

pytest_plugins = ["tests.evaluation.fixtures"]

FEW, MANY = 240, 2400
"""Inputs of the quick part and of the long one."""

HANGS = {FEW: 60, MANY: 900}
"""Seconds after which a command hangs."""

MEMORY = 5 * 2**29
"""Bytes that a process may hold: PyTorch's own, and one large picture."""

BARE = re.compile(r"\s*$|[\w.]*(Error|Exception|Warning)\b|Traceback|<class|-?\d+$")
"""Reasons that tell a person nothing."""

ROW = "metadata/test/image_ids.txt, line "


@dataclass(frozen=True)
class Done:
    """What a command did; seconds, and bytes of its largest process, are 0 if nobody looked."""

    code: int
    out: str
    err: str
    seconds: float = 0
    peak: int = 0


Command = Callable[..., Done]


@contextmanager
def _no_hang(seconds: int) -> Iterator[None]:
    def give_up(*_: object) -> None:
        pytest.fail(f"it hangs: {seconds} seconds")  # no Exception, which would be taken for the file's

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""

    def run(*arguments: str) -> Done:
        with _no_hang(HANGS[FEW]):
            code = main(arguments)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def process(tmp_path: Path) -> Command:
    """Runs a command in a process of its own, as users do, while files vanish one by one."""

    def run(*arguments: str, vanishing: Sequence[Path] = ()) -> Done:
        out, err = tmp_path / "stdout", tmp_path / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            started = subprocess.Popen(
                [sys.executable, "-m", "wsol", *arguments], stdout=stdout, stderr=stderr
            )
            peak, left, start = 0, list(vanishing), time.monotonic()
            while started.poll() is None:
                peak = max(peak, _held(started.pid))
                if left and (tmp_path / "out" / "results.jsonl").exists():
                    left.pop().unlink()
                if time.monotonic() > start + HANGS[MANY]:
                    started.kill()
                time.sleep(0.02)
        seconds = time.monotonic() - start
        assert started.returncode >= 0, f"killed by signal {-started.returncode}:\n{err.read_text()[-2000:]}"
        return Done(started.returncode, out.read_text("utf-8"), err.read_text("utf-8"), seconds, peak)

    return run


def _held(pid: int) -> int:
    """The most memory so far of a process and of those that it started, the largest one's; 0 off Linux."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        told = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", told)
    return max([int(found[1]) * 1024 if found else 0, *(_held(int(child)) for child in children)])


@pytest.fixture
def model(own_model: ModelOptions) -> list[str]:
    return [
        *("resnet18", "--checkpoint", str(own_model.checkpoint), "--classes", str(own_model.classes)),
        *("--input-size", "64", "--preset", "fast", "--device", "cpu", "--quiet"),
    ]


def _data(folder: Path, inputs: Sequence[Input]) -> list[Input]:
    """Tables of a split that names the inputs, and more that is not there; returns what they name."""
    long = 300 * "n"
    more = [
        "photos/folder.jpg",
        "photos/gone.jpg",
        f"photos/{long}.jpg",
        f"{long}/a.jpg",
        "photos/🦋/gone.jpg",
    ]
    listed = [each for each in inputs if each.listable] + [Input(name, "bad", "bad") for name in more]
    tables = folder / "metadata" / "test"
    tables.mkdir(parents=True)
    for name, rest in (("image_ids", ""), ("class_labels", ",0"), ("localization", ",0,0,2,2")):
        text = "".join(f"{each.name}{rest}\n" for each in listed)
        (tables / f"{name}.txt").write_text(text, encoding="utf-8")
    return listed


def _fates(inputs: Sequence[Input], found: Sequence[str], refused: Sequence[tuple[str, str]]) -> None:
    """Each input is in one of the two, once, and in the right one; every reason is one."""
    names = [*found, *(name for name, _ in refused)]
    assert sorted(names) == sorted(each.name for each in inputs)
    lost = {each.name for each in inputs if each.pixels == "good"} & dict(refused).keys()
    assert not lost, {name: dict(refused)[name] for name in lost}
    assert not {each.name for each in inputs if each.pixels == "bad"} & set(found)
    _tell(reason for _, reason in refused)


def _tell(reasons: Iterator[str]) -> None:
    assert not [reason for reason in reasons if BARE.match(reason)]


def _check_localized(done: Done, corpus: Path, output: Path, inputs: Sequence[Input]) -> Journal:
    assert done.code == 3, done.err[-2000:]
    assert "Traceback" not in done.err
    journal = Journal(output / "results.jsonl")
    state = json.loads((output / "run.json").read_text(encoding="utf-8"))
    refused = [(entry["path"], entry["reason"]) for entry in state["skipped"]]
    assert refused == journal.skipped
    assert f"Skipped, {len(refused)} in all:\n" in done.err
    for path, reason in refused:
        line = f"  {path}: {reason}\n".encode(errors="backslashreplace").decode()
        assert done.err.count(line) == 1, line
    below = len(f"{corpus}/")
    _fates(
        inputs, [str(path)[below:] for path in journal.paths], [(path[below:], why) for path, why in refused]
    )
    sizes = {str(result.path)[below:]: result.size for result in journal}
    known = {each.name: each.upright for each in inputs if each.name in sizes and each.upright}
    assert {name: sizes[name] for name in known} == known
    return journal


def _check_written(output: Path, journal: Journal) -> None:
    """Every format is there, readable, with every image."""
    count = len(journal)
    assert {*TARGETS.values(), "results.jsonl", "run.json"} <= {path.name for path in output.iterdir()}
    coco = json.loads((output / "coco.json").read_text(encoding="utf-8"))
    assert len(coco["images"]) == len({image["file_name"] for image in coco["images"]}) == count
    assert len(json.loads((output / "label_studio.json").read_text(encoding="utf-8"))) == count
    assert len([ElementTree.parse(path) for path in output.glob("voc/**/*.xml")]) == count
    for folder, suffix in (("masks", "png"), ("overlays", "jpg"), ("yolo", "txt")):
        files = [path for path in (output / folder).rglob(f"*.{suffix}") if path.stat().st_size]
        assert len(files) >= count, folder


def _check_evaluated(done: Done, output: Path, listed: Sequence[Input]) -> None:
    assert done.code == 3, done.err[-2000:]
    assert "Traceback" not in done.err
    result = load_result(output)
    refused = []
    for line in result.skipped:
        assert done.err.count(f"skipped: {line}\n") == 1
        found = re.fullmatch(rf"test: (.*) \({ROW}(\d+)\)", line)
        assert found
        name = listed[int(found[2]) - 1].name
        assert found[1].startswith(f"{name}: ")
        refused.append((name, found[1][len(name) + 2 :]))
    _fates(listed, result.records.ids.tolist(), refused)
    assert (output / "report.html").is_file()


def _check_checked(done: Done, listed: Sequence[Input]) -> None:
    """Headers alone are looked at; a file that is not there is listed by its name."""
    assert done.code == 1, done.err[-2000:]
    assert "Traceback" not in done.err
    told: dict[str, list[str]] = {each.name: [] for each in listed}
    for line in done.out.split("\n"):
        if found := re.fullmatch(rf"  {ROW}(\d+): (.*)", line):
            told[listed[int(found[1]) - 1].name].append(found[2])
        elif line[2:] in told:
            told[line[2:]].append("missing")
    for each in listed:
        assert len(told[each.name]) in {"good": [0], "bad": [1], "either": [0, 1]}[each.header], each
    _tell(reason.rpartition(": ")[2] for reasons in told.values() for reason in reasons)


def _evaluate(folder: Path, model: Sequence[str]) -> list[str]:
    return [
        *(
            "evaluate",
            *model,
            "--workers",
            "0",
            "--data",
            str(folder / "set"),
            "--output",
            str(folder / "out"),
        ),
        *("--images", str(folder / "corpus"), "--policy", "fixed", "--ratio", "0.2", "--resamples", "5"),
    ]


def _check(folder: Path) -> list[str]:
    return ["data", "check", str(folder / "set"), "--images", str(folder / "corpus"), "--all"]


@pytest.fixture
def few(tmp_path: Path) -> list[Input]:
    return write_corpus(tmp_path / "corpus", FEW)


def test_localize(command: Command, model: list[str], few: list[Input], tmp_path: Path) -> None:
    corpus, output = tmp_path / "corpus", tmp_path / "out"
    arguments = ["localize", str(corpus), "--output", str(output), "--model", *model, "--workers", "0"]
    done = command(*arguments, "--format", *TARGETS)
    _check_written(output, _check_localized(done, corpus, output, few))
    assert "1 other files in the folders are not images by their names.\n" in done.err


def test_evaluate(command: Command, model: list[str], few: list[Input], tmp_path: Path) -> None:
    listed = _data(tmp_path / "set", few)
    _check_evaluated(command(*_evaluate(tmp_path, model)), tmp_path / "out", listed)


def test_check(command: Command, few: list[Input], tmp_path: Path) -> None:
    listed = _data(tmp_path / "set", few)
    _check_checked(command(*_check(tmp_path)), listed)


def test_a_corpus_is_the_same_for_the_same_seed(few: list[Input], tmp_path: Path) -> None:
    assert write_corpus(tmp_path / "again", FEW) == few
    assert write_corpus(tmp_path / "other", FEW, seed=1) != few
    for each in few:
        if (tmp_path / "corpus" / each.name).is_file() and each.name != "photos/locked.jpg":
            files = (tmp_path / folder / each.name for folder in ("corpus", "again"))
            assert len({file.read_bytes() for file in files}) == 1


@pytest.fixture
def going(tmp_path: Path) -> list[Input]:
    """Photographs that vanish before they are read, after that, or never, by their names."""
    (tmp_path / "corpus" / "photos").mkdir(parents=True)
    inputs = []
    for number in range(9):
        name = f"photos/{('before', 'after', 'never')[number % 3]} {number}.png"
        Image.new("RGB", (40 + number, 30), (20 * number, 80, 80)).save(tmp_path / "corpus" / name)
        fate: Fate = "good" if number % 3 else "bad"
        inputs.append(Input(name, fate, fate, (30, 40 + number)))
    return inputs


@pytest.fixture
def vanish(tmp_path: Path, going: list[Input], monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes files of a name vanish at the moment when a function is called."""

    def at(word: str, target: str) -> None:
        module, _, name = target.rpartition(".")
        function = getattr(importlib.import_module(module), name)

        def called(*arguments: Any, **named: Any) -> Any:
            for path in (tmp_path / "corpus" / "photos").glob(f"{word} *"):
                path.unlink(missing_ok=True)  # another thread may be faster
            return function(*arguments, **named)

        monkeypatch.setattr(target, called)

    return at


def test_files_vanish_while_they_are_localized(
    command: Command, model: list[str], going: list[Input], vanish: Callable[[str, str], None], tmp_path: Path
) -> None:
    vanish("before", "wsol.inference.run._localize")
    vanish("after", "wsol.inference.run._write_formats")
    corpus, output = tmp_path / "corpus", tmp_path / "out"
    arguments = ["localize", str(corpus), "--output", str(output), "--model", *model, "--workers", "0"]
    done = command(*arguments, "--format", *TARGETS)
    journal = _check_localized(done, corpus, output, going)
    assert {reason for _, reason in journal.skipped} == {"No such file or directory"}
    assert len(list((output / "masks").iterdir())) == 6
    assert len(list((output / "overlays").iterdir())) == 3  # there is nothing to draw on for the others
    assert (output / "report.html").is_file()


def test_files_vanish_while_a_model_is_evaluated(
    command: Command, model: list[str], going: list[Input], vanish: Callable[[str, str], None], tmp_path: Path
) -> None:
    listed = _data(tmp_path / "set", going)
    vanish("before", "wsol.evaluation.run.measure")
    vanish("after", "wsol.evaluation.run._write")
    _check_evaluated(command(*_evaluate(tmp_path, model)), tmp_path / "out", listed)


def test_files_vanish_while_a_data_set_is_checked(
    command: Command, going: list[Input], vanish: Callable[[str, str], None], tmp_path: Path
) -> None:
    listed = _data(tmp_path / "set", going)
    vanish("before", "wsol.data.check.read_size")
    _check_checked(command(*_check(tmp_path)), listed)


@pytest.mark.endurance
class TestThousands:
    """The same with thousands of files, bombs among them, each command in a process of its own."""

    @pytest.fixture
    def many(self, tmp_path: Path) -> list[Input]:
        return write_corpus(tmp_path / "corpus", MANY, bombs=True)

    def test_localize(self, process: Command, model: list[str], many: list[Input], tmp_path: Path) -> None:
        corpus, output = tmp_path / "corpus", tmp_path / "out"
        going = [f"photos/vanishing {number}.png" for number in range(50)]
        for name in going:
            Image.new("RGB", (40, 30), "teal").save(corpus / name)
        inputs = [*many, *map(Input, going)]
        done = process(
            *("localize", str(corpus), "--output", str(output), "--model", *model, "--format", *TARGETS),
            vanishing=[corpus / name for name in going],
        )
        journal = _check_localized(done, corpus, output, inputs)
        _account("localize", done, len(inputs), len(journal))

    def test_evaluate(self, process: Command, model: list[str], many: list[Input], tmp_path: Path) -> None:
        listed = _data(tmp_path / "set", many)
        done = process(*_evaluate(tmp_path, model))
        _check_evaluated(done, tmp_path / "out", listed)
        _account("evaluate", done, len(listed), load_result(tmp_path / "out").data["images"])

    def test_check(self, process: Command, many: list[Input], tmp_path: Path) -> None:
        listed = _data(tmp_path / "set", many)
        done = process(*_check(tmp_path))
        _check_checked(done, listed)
        _account("data check", done, len(listed), len(listed) - done.out.count(f"\n  {ROW}"))


def _account(name: str, done: Done, asked: int, good: int) -> None:
    """Memory stays bounded; the figures, for ``pytest -rA``."""
    print(  # noqa: T201
        f"{name}: {asked} inputs, {good} good, {asked - good} refused, "
        f"{done.seconds:.0f} s, {done.peak / 2**20:.0f} MiB at most"
    )
    assert asked >= 2000
    assert done.peak < MEMORY
