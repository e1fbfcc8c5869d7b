from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsol.export.names import common_root, image_names, output_names

from .conftest import OnDisk, make

MEMORY = Image.new("RGB", (1, 1))


def outputs(names: Sequence[str | None], ranked: bool = False, alternatives: int = 0) -> list[str]:
    others = (make(MEMORY, (1, 1)),) * alternatives
    images = [
        make(MEMORY if name is None else Path("/in", name), (1, 1), alternatives=others) for name in names
    ]
    return [output for _, output, _ in output_names(images, Path("/in"), ranked=ranked)]


def test_common_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert common_root([]) == tmp_path
    assert common_root([Path("/a/b/c.jpg")]) == Path("/a/b")
    assert common_root([Path("/a/b/c.jpg"), Path("/a/b/d/e.jpg")]) == Path("/a/b")
    assert common_root([Path("/a/b/d/e.jpg"), Path("/a/b2/c.jpg")]) == Path("/a")
    assert common_root([Path("/a/b.jpg"), Path("/c/d.jpg")]) == Path("/")
    assert common_root([Path("x/../y/a.jpg"), Path("y/b.jpg")]) == tmp_path / "y"


def test_links_are_not_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert common_root([tmp_path / "link" / "a.jpg"]) == tmp_path / "link"


def test_image_names(results: OnDisk) -> None:
    names = [name for name, _ in image_names(results)]
    assert names == [
        "birds/a.jpg",
        "birds/a.png",
        "empty.jpg",
        'Über <&>\x01/it\'s, "so"\n100% \udcff.v2.jpeg',
        "image_000004",
        "deep/er/still/b.tif",
    ]


def test_outside_the_root() -> None:
    with pytest.raises(ValueError, match=r"got /in: /in2/b\.jpg is outside"):
        outputs(["a.jpg", "../in2/b.jpg"])


def test_output_names() -> None:
    assert outputs(["a.jpg", "x/a.png", "b.v2.jpg"]) == ["a", "x/a", "b.v2"]
    assert outputs(["a.jpg", "a.png", "b.png"]) == ["a.jpg", "a.png", "b"]
    assert outputs(["a.jpg", "a.png", "a.jpg.gif"]) == ["a.jpg", "a.png", "a.jpg.gif"]
    assert outputs(["a", "a.jpg"]) == ["a", "a.jpg"]
    assert outputs(["a.jpg", "a.jpg", "b.jpg"]) == ["a.jpg", "a.jpg~2", "b"]
    assert outputs(["image_000001.jpg", None]) == ["image_000001.jpg", "image_000001"]


def test_alternatives_have_files_of_their_own() -> None:
    names = ["a.jpg", "a.2.jpg", "b.9.jpg"]
    assert outputs(names, alternatives=2) == ["a", "a.2", "b.9"]
    assert outputs(names, ranked=True, alternatives=2) == ["a.jpg", "a.2.jpg", "b.9"]


@settings(deadline=None)
@given(st.sets(st.from_regex(r"\A[ab](/[ab])?(\.[ab]){0,3}\Z"), max_size=12), st.integers(0, 2))
def test_no_two_images_share_a_file(names: set[str], alternatives: int) -> None:
    for ranked in (False, True):
        found = outputs(sorted(names), ranked, alternatives)
        files = [
            f"{output}.{rank}" for output in found for rank in ["", *range(2, 2 + alternatives * ranked)]
        ]
        assert len(set(files)) == len(files)
