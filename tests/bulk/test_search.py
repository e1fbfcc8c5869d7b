"""What paths stand for in bulk work, and the plan that is made of it."""

import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bulk.sets import write_bytes, write_paths, write_tar
from wsol import WsolError
from wsol.bulk.items import chunks
from wsol.bulk.plan import Plan, write_plan
from wsol.bulk.search import Entry, Search
from wsol.data.images import find_images


def _files(*paths: object, column: str | None = None) -> list[str]:
    return [entry.file for entry in Search([str(path) for path in paths], column)]


def test_folders_are_searched_as_by_the_local_engine(photos: Path) -> None:
    (photos / ".hidden.png").touch()
    (photos / ".git").mkdir()
    (photos / ".git" / "a.png").touch()
    (photos / "more.png").touch()  # sorts after more/, by its parts
    (photos / "note.txt").touch()
    (photos / "circle").symlink_to(photos)
    (photos / "link.png").symlink_to(photos / "0.png")
    search = Search([str(photos)])
    found, ignored = find_images([photos])
    assert [entry.file for entry in search] == [str(path) for path in found]
    assert search.ignored == ignored == 1
    assert {entry.kind for entry in search} <= {"image"}


def test_each_file_once_however_often_it_is_named(photos: Path) -> None:
    gone, dot = photos / "gone.png", photos / ".dot.png"
    dot.touch()
    twice = _files(
        photos / "0.png", photos / "*.png", photos / "more", photos, photos / "0.png", gone, dot, gone
    )
    assert sorted(twice) == sorted(map(str, [*find_images([photos])[0], gone, dot]))
    assert twice[0] == str(photos / "0.png")


def test_globs_and_missing_files(photos: Path) -> None:
    assert _files(photos / "**" / "[13].png") == [str(photos / "more" / f"{n}.png") for n in (1, 3)]
    assert _files(photos / "gone.png", photos / "*.webp") == [
        str(photos / name) for name in ("gone.png", "*.webp")
    ]


def test_tables_of_paths(photos: Path) -> None:
    pictures = find_images([photos])[0]
    assert _files(write_paths(photos / "list.csv", pictures)) == [str(path) for path in pictures]
    table = pa.table(
        {"file_name": ["0.png", None, "memory://far/a.jpg", "/absolute.png"], "id": [1, 2, 3, 4]}
    )
    pq.write_table(table, photos / "list.parquet")
    rows = [str(photos / "0.png"), f"{photos}/list.parquet, row 2", "memory://far/a.jpg", "/absolute.png"]
    assert _files(photos / "list.parquet") == rows


def test_paths_start_at_the_folder_images_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "a.csv").write_text("\ufeffname, image \nx,1.png\n", encoding="utf-8")
    assert _files(tmp_path / "a.csv") == [str(tmp_path / "images" / "1.png")]


def test_tables_and_archives_that_hold_images(photos: Path, tmp_path: Path) -> None:
    pictures = find_images([photos])[0]
    table = write_bytes(tmp_path / "held.parquet", pictures, rows_a_group=4)
    archive = write_tar(tmp_path / "a.tar", pictures)
    entries = list(Search([str(table), str(archive)]))
    assert entries == [
        Entry("table", str(table), 0, images=4),
        Entry("table", str(table), 1, images=2),
        Entry("archive", str(archive), images=0),
    ]


@pytest.mark.parametrize(
    ("content", "column", "told"),
    [
        ({"a": ["x"]}, None, "which column has the images.*there are a"),
        ({"a": [b"x"], "b": [b"x"]}, None, "which column.*there are a, b"),
        ({"image": ["x"]}, "photo", "no column photo.*there are image"),
    ],
)
def test_a_table_without_a_clear_column(
    content: dict[str, list[object]], column: str | None, told: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table(content), tmp_path / "t.parquet")
    with pytest.raises(WsolError, match=told):
        _files(tmp_path / "t.parquet", column=column)


@pytest.mark.parametrize("name", ["broken.parquet", "broken.csv"])
def test_a_table_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"image\n\xff\xfe")
    with pytest.raises(WsolError, match=f"{name} cannot be read"):
        _files(tmp_path / name)


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "missing.tar", "phtos"])
def test_what_is_named_and_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(WsolError, match=f"{name} does not exist"):
        _files(tmp_path / name)


def test_other_stores() -> None:
    system = fsspec.filesystem("memory")
    for name in ("a.jpg", "sub/b.png", "sub/c.txt", ".d.jpg"):
        system.pipe(f"/bucket/{name}", b"x")
    assert _files("memory://bucket") == ["memory:///bucket/a.jpg", "memory:///bucket/sub/b.png"]
    assert _files("memory://bucket/**/*.png") == ["memory:///bucket/sub/b.png"]
    with pytest.raises(WsolError, match="nowhere://x cannot be reached: Protocol not known"):
        _files("nowhere://x")


def test_a_plan_is_shards_of_image_files_and_of_whole_archives(photos: Path, tmp_path: Path) -> None:
    pictures = find_images([photos])[0]
    archive = write_tar(tmp_path / "a.tar", pictures)
    address = str(tmp_path / "plan.parquet")
    totals = write_plan(address, [str(photos), str(archive)], shard_size=4, column=None)
    assert (totals.shards, totals.images, totals.root) == (3, 6, str(tmp_path))
    plan = Plan(address)
    assert plan.totals == totals
    assert plan.totals.counts == (4, 0, 2)
    images = [Entry("image", str(path)) for path in pictures]
    assert [plan.entries(shard) for shard in range(3)] == [
        images[:4],
        [Entry("archive", str(archive), images=0)],
        images[4:],
    ]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    (tmp_path / name).touch()
    write_plan(str(tmp_path / "plan.parquet"), [str(tmp_path)], shard_size=4, column=None)
    assert Plan(str(tmp_path / "plan.parquet")).entries(0) == [Entry("image", str(tmp_path / name))]


def test_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.tar").touch()
    (tmp_path / "b.tar").touch()
    with pytest.raises(WsolError, match=r"no images in .*the folders hold 2 \.tar: .* are to be named"):
        write_plan(str(tmp_path / "plan.parquet"), [str(tmp_path)], shard_size=4, column=None)
    assert not (tmp_path / "plan.parquet").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "b.tar"}


def test_what_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(WsolError, match="is not the plan of a run"):
        Plan(str(tmp_path / "plan.parquet"))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "plan.parquet")
    with pytest.raises(WsolError, match="is not the plan of a run"):
        Plan(str(tmp_path / "plan.parquet"))


def test_a_folder_that_cannot_be_listed_is_told_of(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert _files(photos) == sorted([*map(str, photos.glob("*.png")), str(photos / "more")])
    assert _files(photos) == [str(path) for path in find_images([photos])[0]]


class _Trap:
    """Whose unpickling makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.canary,)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.parametrize("column", ["image", "other"])
def test_a_table_that_holds_pickles_is_refused_unread(column: str, tmp_path: Path) -> None:
    """Ray Data registers a type with Arrow whose values are unpickled as they are looked at."""
    from ray.data.extensions import ArrowPythonObjectArray

    trap = ArrowPythonObjectArray.from_objects([_Trap(tmp_path / "canary")])
    pq.write_table(pa.table({column: trap, "id": trap}), tmp_path / "t.parquet")
    with pytest.raises(WsolError, match=r"neither paths nor bytes|which column has the images"):
        _files(tmp_path / "t.parquet")
    with pytest.raises(WsolError, match="neither paths nor bytes"):
        _files(tmp_path / "t.parquet", column=column)
    held = pa.table({"jpg": [b"x"], "id": trap, "key": trap})
    pq.write_table(held, tmp_path / "t.parquet")
    for entry in Search([str(tmp_path / "t.parquet")]):
        assert [str(item) for items, _ in chunks([entry], None, 4) for item in items] == [
            f"{tmp_path}/t.parquet, row 1"
        ]
    assert not (tmp_path / "canary").exists()
    assert pq.read_table(tmp_path / "t.parquet")["id"].to_pylist()  # the trap is real
    assert (tmp_path / "canary").exists()


def test_globs_pass_over_what_is_hidden(photos: Path) -> None:
    for name in (".git/h.png", "more/.cache/i.png", ".j.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).touch()
    found = _files(photos / "**" / "*.png")
    assert found == [str(path) for path in sorted(find_images([photos / "**" / "*.png"])[0])]
    assert len(found) == 6
    assert _files(photos / ".git" / "*.png") == [str(photos / ".git" / "h.png")]
    (photos / "linked").symlink_to(photos / "more")
    assert _files(photos / "link*") == [str(photos / "linked" / f"{number}.png") for number in (1, 3, 5)]


def test_names_with_signs_that_mean_something_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a::b.png", "~c.png", "#d.png", "e f.PNG"):
        (tmp_path / name).touch()
    assert _files("a::b.png", "~c.png") == [str(tmp_path / "a::b.png"), str(tmp_path / "~c.png")]
    assert sorted(_files(tmp_path)) == sorted(map(str, tmp_path.iterdir()))


def test_a_table_may_name_archives(tmp_path: Path) -> None:
    (tmp_path / "list.CSV").write_text("path\na.TAR\n", encoding="utf-8")
    assert list(Search([str(tmp_path / "list.CSV")])) == [Entry("archive", str(tmp_path / "a.TAR"), images=0)]


def test_a_shard_of_any_size_is_one(tmp_path: Path) -> None:
    count = 2**20 + 5  # Parquet would begin a new row group by itself
    with (tmp_path / "list.csv").open("w", encoding="utf-8") as file:
        file.write("path\n" + "x.png\n" * count)
    address = str(tmp_path / "plan.parquet")
    totals = write_plan(address, [str(tmp_path / "list.csv")], shard_size=2 * count, column=None)
    assert totals.shards == 1
    assert len(Plan(address).entries(0)) == totals.images == count
