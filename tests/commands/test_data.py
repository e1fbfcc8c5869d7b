"""``wsol data``: what a user sees."""

import shlex
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from tests.data.sets import boxed_set, masked_set
from wsol.commands.data import add_data_commands, data, data_parser
from wsol.data.dataset import open_data
from wsol.data.known import KNOWN
from wsol.errors import DataError


def _run(line: str) -> int:
    parser = ArgumentParser(prog="wsol")
    commands = parser.add_subcommands(required=True)
    command = data_parser()
    commands.add_subcommand("data", command)
    add_data_commands(command)
    return data(parser.parse_args(["data", *shlex.split(line)]).data)


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(f"check '{boxed_set(tmp_path / 'my set')}'") == 0
    printed = capsys.readouterr().out
    assert "my set: format official, 2 class names" in printed
    assert "Taken for none of the known data sets" in printed
    rows = [line.split() for line in printed.splitlines()]
    assert ["split", "images", "classes", "truth", "boxes", "masks", "missing", "files", "problems"] in rows
    assert ["test", "2", "2", "boxes", "3", "0", "0", "0"] in rows
    assert printed.endswith("All well.\n")


def test_check_lists_some_or_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxed_set(tmp_path)
    ids = [f"x{number:02}.png" for number in range(25)]
    table = tmp_path / "metadata" / "train"
    (table / "image_ids.txt").write_text("".join(f"{id}\n" for id in ids))
    (table / "class_labels.txt").write_text("".join(f"{id},0\n" for id in ids))
    (table / "image_sizes.txt").write_text("")
    assert _run(f"check {tmp_path}") == 1
    printed = capsys.readouterr().out
    assert "train: 25 files are missing:\n  x00.png\n" in printed
    assert "  x09.png\n  … and 15 more; --all lists them\n" in printed
    assert printed.endswith("Not well: see above.\n")
    assert _run(f"check {tmp_path} --all") == 1
    assert "  x24.png\n" in capsys.readouterr().out


def test_check_names_parts_and_expects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masked_set(tmp_path / "set")
    for name in ("images", "masks", "metadata"):
        (tmp_path / "set" / name).rename(tmp_path / name)
    (tmp_path / "set").mkdir(exist_ok=True)
    places = " ".join(f"--{name} {tmp_path / name}" for name in ("images", "masks", "metadata"))
    assert _run(f"check {tmp_path / 'set'} {places} --expect none") == 0
    assert f"masks   {tmp_path / 'masks'}" in capsys.readouterr().out
    assert _run(f"check {tmp_path / 'set'} {places} --expect openimages") == 1
    assert "val: 2 masks, OpenImages30K has 3,854" in capsys.readouterr().out


@pytest.mark.parametrize("name", KNOWN)
def test_guide(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(f"guide {name}") == 0
    printed = capsys.readouterr().out
    assert f"wsol data check {name} --expect {name}" in printed
    assert all(f"{count:,}" in printed for count in KNOWN[name].images.values())
    assert ("masks/" in printed) == (name == "openimages")
    assert max(map(len, printed.splitlines())) < 115


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = masked_set(tmp_path / "set")
    assert _run(f"convert {source} {tmp_path / 'out'} --to voc --link symlink") == 0
    printed = capsys.readouterr().out
    assert f"written as voc to {tmp_path / 'out'}: train 1, val 2, test 2 pictures." in printed
    assert "Not carried over: masks: of each file its extent is written, as a box." in printed
    assert open_data(tmp_path / "out").format == "voc"
    assert _run(f"convert {source} {tmp_path / 'tables'} --to csv --link none") == 0
    where = f"--images {source / 'images'} --masks {source / 'masks'}"
    assert f"read it with {where}" in capsys.readouterr().out
    assert _run(f"check {tmp_path / 'tables'} {where}") == 0


def test_convert_lists_what_it_skips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = boxed_set(tmp_path / "set")
    (source / "images" / "ant" / "2.png").unlink()
    assert _run(f"convert {source} {tmp_path / 'out'} --to coco") == 3
    printed = capsys.readouterr()
    assert "Skipped, 1 in all:\n  metadata/val/image_ids.txt, line 2: ant/2.png: " in printed.err
    assert "val 1" in printed.out


def test_errors_reach_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set found"):
        _run(f"check {tmp_path}")
    with pytest.raises(SystemExit):
        _run("guide coco")
