import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsol.export import FORMATS
from wsol.export.files import atomic_write
from wsol.inference.localization import Localization

from .conftest import CLASSES, OnDisk, make


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Broken(Localization):
    """Fails when its classes are written."""

    def __iter__(self) -> Iterator[Localization]:
        raise RuntimeError("broken")

    @property
    def uncertainty(self) -> float:
        raise RuntimeError("broken")


def test_atomic_write_replaces_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with atomic_write(path) as temporary:
            temporary.write_text(text)
            assert temporary.parent == path.parent
            assert contents(tmp_path).get("new/file.txt") == (None if text == "first" else b"first")
        assert contents(tmp_path) == {"new/file.txt": text.encode()}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_write_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error
    assert contents(tmp_path) == {"file.txt": b"old"}


def test_a_full_disk_is_told_with_the_file_that_did_not_fit(tmp_path: Path) -> None:
    """The system names no file, or the temporary one; an error about another file is left as it is."""
    path = tmp_path / "file.txt"
    for named in (None, "temporary", "photo.jpg"):
        with pytest.raises(OSError, match="No space left") as raised, atomic_write(path) as temporary:
            told = (errno.ENOSPC, "No space left on device")
            raise OSError(*told, temporary if named == "temporary" else named)
        assert raised.value.filename == ("photo.jpg" if named == "photo.jpg" else str(path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder'$"), atomic_write(tmp_path / "folder") as temporary:
        temporary.touch()
    with pytest.raises(OSError, match=r"^broken$"), atomic_write(path):
        raise OSError("broken")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", FORMATS)
def test_failure_leaves_nothing_half_written(name: str, root: Path, tmp_path: Path) -> None:
    write, output = FORMATS[name]
    good = [make(root / f"{stem}.jpg", (30, 40), (2, 2, 9, 9)) for stem in "ab"]
    broken = Broken(**vars(make(root / "c.jpg", (30, 40), (2, 2, 9, 9))))
    with pytest.raises(RuntimeError, match="broken"):
        write([*good, broken], tmp_path / "fresh" / output, classes=CLASSES)
    write(good, tmp_path / "out" / output, classes=CLASSES)
    before = contents(tmp_path / "out")
    with pytest.raises(RuntimeError, match="broken"):
        write([*good, broken], tmp_path / "out" / output, classes=CLASSES)
    assert contents(tmp_path / "out") == before
    done = {file: data for file, data in before.items() if output in Path(file).parts[:-1]}
    done.pop("yolo/data.yaml", None)  # written last
    assert contents(tmp_path / "fresh") == done


@pytest.mark.parametrize("name", FORMATS)
def test_no_results(name: str, tmp_path: Path) -> None:
    write, output = FORMATS[name]
    write([], tmp_path / output, classes=CLASSES)
    for path in tmp_path.rglob("*.json"):
        json.loads(path.read_text())


@pytest.mark.parametrize("name", FORMATS)
def test_relative_root_and_paths(
    name: str, results: OnDisk, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, output = FORMATS[name]
    write(results, tmp_path / "absolute" / output, classes=CLASSES, root=root)
    root.mkdir()
    monkeypatch.chdir(root)
    write(results, tmp_path / "relative" / output, classes=CLASSES, root=Path("../photos"))
    assert contents(tmp_path / "relative") == contents(tmp_path / "absolute")
    with pytest.raises(ValueError, match="root must be a folder that holds all images"):
        write(results, tmp_path / "outside" / output, classes=CLASSES, root=root / "birds")
    assert not contents(tmp_path / "outside")
