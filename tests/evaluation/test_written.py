"""A result appears whole or not at all, and an earlier one stays until the new one is complete."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.toys import Toys
from wsol.errors import DataError, WsolError
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.result import Result, load_result
from wsol.evaluation.run import evaluate
from wsol.evaluation.sources import SavedMaps

pytest_plugins = ["tests.evaluation.fixtures"]

Bytes = dict[str, bytes]


def run(toys: Toys, output: Path, *, overwrite: bool = False, **options: Any) -> Result:
    chosen = EvaluationOptions(policy="fixed", ratio=0.2, resamples=2, **options)
    return evaluate(SavedMaps(toys.maps), toys.data, chosen, output, overwrite=overwrite, progress=False)


def contents(folder: Path) -> Bytes:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def test_everything_is_there(boxed: Toys, place: Path) -> None:
    run(boxed, place / "new" / "out", name="first")
    assert {"result.json", "test.npz", "report.html"} <= contents(place / "new" / "out").keys()
    assert [path.name for path in (place / "new").iterdir()] == ["out"]
    assert load_result(place / "new" / "out").name == "first"


PAGE = "wsol.report.evaluation.write_evaluation_report"
FAILURES = {
    "page": PAGE,
    "records": "wsol.evaluation.records.Records.save",
    "result": "wsol.evaluation.result.Result.save",
    "numbers": "wsol.evaluation.run.scores_of",
}


def test_numbers_outlive_a_page_that_cannot_be_drawn(
    boxed: Toys, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("on purpose")

    monkeypatch.setattr(PAGE, fail)
    with pytest.raises(WsolError, match=r"the numbers are in .*out, but .*\(OSError: on purpose\)"):
        run(boxed, place / "out", name="kept")
    assert load_result(place / "out").name == "kept" and len(load_result(place / "out").records) == 12
    assert [path.name for path in place.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("what", "error"),
    [(what, error) for what in FAILURES for error in (OSError, KeyboardInterrupt)
     if (what, error) != ("page", OSError)],
)  # fmt: skip
@pytest.mark.usefixtures("no_page")
def test_a_failure_leaves_nothing_or_the_old_result(
    boxed: Toys, place: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: type[BaseException]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error("on purpose")

    for attempt in range(2):
        if attempt:
            run(boxed, place / "out", name="old")
        before = contents(place)
        assert bool(before) == bool(attempt)
        with monkeypatch.context() as patch:
            patch.setattr(FAILURES[what], fail)
            with pytest.raises(error, match="on purpose"):
                run(boxed, place / "out", overwrite=True, name="new")
        assert contents(place) == before
        assert [path.name for path in place.iterdir()] == (["out"] if attempt else [])


@pytest.mark.usefixtures("no_page")
def test_a_failure_of_the_last_step_brings_the_old_result_back(
    boxed: Toys, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(boxed, place / "out", name="old")
    before, rename, failed = contents(place), Path.rename, []

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp" and (self / "result.json").exists():
            failed.append(self)
            raise OSError("on purpose")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="on purpose"):
        run(boxed, place / "out", overwrite=True, name="new")
    assert failed and contents(place) == before and [path.name for path in place.iterdir()] == ["out"]


@pytest.mark.usefixtures("no_page")
def test_overwriting_replaces_the_whole_folder(boxed: Toys, place: Path) -> None:
    run(boxed, place / "out", name="old")
    (place / "out" / "val.npz").write_bytes(b"of an earlier policy")
    run(boxed, place / "out", overwrite=True, name="new")
    assert contents(place).keys() == {"out/result.json", "out/test.npz"}
    assert load_result(place / "out").name == "new"


@pytest.mark.usefixtures("no_page")
def test_an_empty_folder_is_free(boxed: Toys, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "out").mkdir()
    run(boxed, place / "out")
    (place / "here").mkdir()
    monkeypatch.chdir(place / "here")
    run(boxed, Path())
    assert contents(place / "out").keys() == contents(place / "here").keys() == {"result.json", "test.npz"}
    assert sorted(path.name for path in place.iterdir()) == ["here", "out"]
    monkeypatch.chdir(place)


@pytest.mark.parametrize("overwrite", [True, False])
def test_something_else_is_left_alone_before_any_work(boxed: Toys, place: Path, overwrite: bool) -> None:
    class NoMaps(SavedMaps):
        def stream(self, *_: Any) -> Any:
            raise AssertionError("work was done")

    (place / "folder").mkdir()
    (place / "folder" / "thesis.tex").write_text("mine")
    (place / "file").write_text("mine")
    for name in ("folder", "file"):
        with pytest.raises(DataError, match=rf"{name} is there already, and not from wsol evaluate"):
            evaluate(NoMaps(boxed.maps), boxed.data, EvaluationOptions(), place / name, overwrite=overwrite)
    (place / "folder" / "result.json").write_text("{}")
    if not overwrite:
        with pytest.raises(DataError, match="holds a result already; choose another --output, or say"):
            evaluate(NoMaps(boxed.maps), boxed.data, EvaluationOptions(), place / "folder")
    assert contents(place) == {"folder/thesis.tex": b"mine", "folder/result.json": b"{}", "file": b"mine"}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_stopped_while_it_writes(boxed: Toys, place: Path, stop: signal.Signals) -> None:
    (place / "out").mkdir()
    (place / "out" / "result.json").write_text("an earlier one")
    program = textwrap.dedent(f"""
        import os, signal, sys
        import wsol.report.evaluation
        from wsol.cli import main
        def page(*_):
            os.kill(os.getpid(), {stop.value})
            signal.pause()
        wsol.report.evaluation.write_evaluation_report = page
        sys.exit(main(sys.argv[1:]))
    """)
    arguments = [
        *("evaluate", "--data", str(boxed.folder), "--maps", str(boxed.maps), "--output", str(place / "out")),
        *("--overwrite", "--quiet", "--policy", "oracle", "--resamples", "2"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == (-stop if stop == signal.SIGKILL else 130), done.stderr
    assert b"Traceback" not in done.stderr
    assert contents(place / "out") == {"result.json": b"an earlier one"}
    left = [path.name for path in place.iterdir() if path.name != "out"]
    if stop == signal.SIGKILL:  # nobody can clean up: what is left is hidden, and not mistaken for a result
        assert len(left) == 1 and left[0].startswith(".out.") and left[0].endswith(".tmp")
    else:
        assert left == []
