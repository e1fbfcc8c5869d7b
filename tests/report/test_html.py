"""What the written file holds, without a browser."""

import json
import re
import tracemalloc
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.report.conftest import Make, localization, photo
from wsol.inference.localization import Localization
from wsol.report.html import write_report


class Once(Collection[Localization]):
    """Results as a disk-backed collection: made anew when asked for, and to be asked for once."""

    def __init__(self, count: int) -> None:
        self.count, self.iterations = count, 0

    def __len__(self) -> int:
        return self.count

    def __contains__(self, item: object) -> bool:
        raise AssertionError("nobody needs to search")

    def __iter__(self) -> Iterator[Localization]:
        self.iterations += 1
        picture = Image.effect_noise((300, 300), 90)
        result = localization(picture, (300, 300))
        for number in range(self.count):
            yield replace(result, label=f"class {number % 5}", source=picture.copy())


def embedded(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_index_and_entries_keep_the_order(make: Make, tmp_path: Path) -> None:
    results = [make(f"{letter}.png", label=f"class {letter}") for letter in "dacbfehgljknmporqtsvuxwzy"]
    write_report(results, tmp_path / "report.html", root=tmp_path)
    page = (tmp_path / "report.html").read_text()
    rows = embedded(page, "index")
    assert [row[0] for row in rows] == [f"{letter}.png" for letter in "dacbfehgljknmporqtsvuxwzy"]
    for number, (row, result) in enumerate(zip(rows, results, strict=True)):
        assert row[1:] == [result.label, result.score, result.probability, 1, result.uncertainty]
        entry = embedded(page, f"entry-{number}")
        assert entry["classes"][0]["label"] == result.label
        assert entry["classes"][0]["boxes"] == result.boxes.tolist()


def test_names_are_relative_to_the_root_where_they_can_be(make: Make, tmp_path: Path) -> None:
    results = [make("a/b.png"), localization(photo((30, 30)), (30, 30)), make("c.png")]
    write_report(results, tmp_path / "report.html", root=tmp_path / "a")
    rows = embedded((tmp_path / "report.html").read_text(), "index")
    assert [row[0] for row in rows] == ["b.png", "image 2", (tmp_path / "c.png").as_posix()]


def test_results_are_read_once_and_memory_stays_flat(tmp_path: Path) -> None:
    write_report(Once(2), tmp_path / "warm.html")
    results = Once(150)
    tracemalloc.start()
    write_report(results, tmp_path / "report.html")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert results.iterations == 1
    size = (tmp_path / "report.html").stat().st_size
    assert size > 4e6  # noise does not compress
    assert peak < size / 2


def test_failure_leaves_no_half_report(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()

    def fail() -> Iterator[Localization]:
        yield make("a.png")
        raise RuntimeError("disk gone")

    class Broken(Once):
        def __iter__(self) -> Iterator[Localization]:
            return fail()

    with pytest.raises(RuntimeError, match="disk gone"):
        write_report(Broken(2), folder / "report.html")
    assert list(folder.iterdir()) == []


def test_file_names_that_are_no_unicode(make: Make, tmp_path: Path) -> None:
    odd = b"caf\xe9.png".decode(errors="surrogateescape")
    result = replace(make("a.png"), source=tmp_path / odd)
    write_report([result], tmp_path / "report.html", skipped=[(odd, "the file is empty")])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "caf\\udce9.png" in page


def test_image_that_was_never_a_file(make: Make, tmp_path: Path) -> None:
    result = Localization.from_dict(localization(photo((30, 30)), (30, 30)).to_dict())
    write_report([result], tmp_path / "report.html")
    entry = embedded((tmp_path / "report.html").read_text(), "entry-0")
    assert entry["thumbnail"] is None
    assert entry["reason"] == "it was never a file"
