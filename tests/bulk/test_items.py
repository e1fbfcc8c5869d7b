"""From shards to encoded images: tables, archives, other stores; and whatever is wrong with them."""

import gzip
import io
import os
import tarfile
from functools import partial
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.bulk.sets import write_bytes, write_tar
from wsol import ImageError
from wsol.bulk.apart import read_apart
from wsol.bulk.items import MAX_BYTES, chunks
from wsol.bulk.search import Entry, Search
from wsol.data.images import StoredImage, find_images, read_image
from wsol.inference.reading import read_batch


def _read(*paths: Path | str, column: str | None = None) -> dict[str, object]:
    """Each image's name with its bytes, or the reason why there are none."""
    return _of(list(Search([str(path) for path in paths], column)), column)


def _of(entries: list[Entry], column: str | None = None) -> dict[str, object]:
    found: dict[str, object] = {}
    for items, _ in chunks(entries, column, 4):
        for item in items:
            try:
                picture, _ = read_image(item)
                found[str(item)] = picture.tobytes()
            except ImageError as error:
                assert error.path == str(item)
                found[str(item)] = error.reason
    return found


@pytest.fixture
def pixels(photos: Path) -> dict[str, bytes]:
    """The pixels of each photograph, by its name."""
    return {path.name: read_image(path)[0].tobytes() for path in find_images([photos])[0]}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz")]
)
def test_archives(name: str, mode: str, photos: Path, tmp_path: Path, pixels: dict[str, bytes]) -> None:
    (tmp_path / "0.txt").write_text("no picture")
    archive = write_tar(tmp_path / name, [tmp_path / "0.txt", *find_images([photos])[0]], mode)
    assert _read(archive) == {f"{archive}/{name}": data for name, data in pixels.items()}


def test_tables(photos: Path, tmp_path: Path, pixels: dict[str, bytes]) -> None:
    table = write_bytes(tmp_path / "t.parquet", find_images([photos])[0], rows_a_group=4)
    assert _read(table) == {f"{table}/{name}": data for name, data in pixels.items()}
    held = [{"jpg": data.read_bytes(), "__key__": f"k{n}"} for n, data in enumerate(find_images([photos])[0])]
    pq.write_table(pa.Table.from_pylist([*held, {"jpg": None, "__key__": "none"}]), tmp_path / "u.parquet")
    found = _read(tmp_path / "u.parquet")
    assert list(found) == [
        f"{tmp_path}/u.parquet/{name}" for name in ("k0", "k1", "k2", "k3", "k4", "k5", "none")
    ]
    assert list(found.values())[:6] == list(pixels.values())
    assert found[f"{tmp_path}/u.parquet/none"] == f"no bytes in {tmp_path}/u.parquet, row 7"


def test_rows_without_a_name_are_called_by_their_place(photos: Path, tmp_path: Path) -> None:
    data = [path.read_bytes() for path in find_images([photos])[0]]
    pq.write_table(pa.table({"content": data}), tmp_path / "t.parquet", row_group_size=4)
    assert list(_read(tmp_path / "t.parquet")) == [f"{tmp_path}/t.parquet, row {row}" for row in range(1, 7)]


def test_other_stores(photos: Path, pixels: dict[str, bytes]) -> None:
    system = fsspec.filesystem("memory")
    for path in find_images([photos])[0]:
        system.pipe(f"/items/{path.name}", path.read_bytes())
    found = _read("memory://items", "memory://items/gone.png")
    assert found.pop("memory:///items/gone.png") == "No such file or directory"
    assert found == {f"memory:///items/{name}": data for name, data in pixels.items()}


def test_an_archive_that_breaks_off_gives_what_it_holds_until_there(photos: Path, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", find_images([photos])[0])
    whole = archive.read_bytes()
    with tarfile.open(archive) as opened:
        second = opened.getmembers()[1]
    for cut in (0, 1, 512, 513):  # after the first file; in, after the header of the second; in the second
        archive.write_bytes(whole[: second.offset + cut])
        (first, _), (last, reason) = _read(archive).items()
        assert (first, last) == (f"{archive}/0.png", str(archive))
        assert str(reason).startswith("the archive breaks off here: ")
    archive.write_bytes(whole[: second.offset] + b"\xff" * 512 + whole[second.offset + 512 :])
    assert list(_read(archive)) == [f"{archive}/0.png", str(archive)]


@pytest.mark.parametrize(
    "data", [b"", b"no archive at all" * 100, gzip.compress(b"x" * 5000)[:-20]], ids=("empty", "text", "gzip")
)
def test_what_is_no_archive(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    ((name, reason),) = _read(tmp_path / "a.tar").items()
    assert name == str(tmp_path / "a.tar")
    assert str(reason).startswith("the archive breaks off here: ")


def test_members_that_lead_elsewhere_are_neither_followed_nor_written(photos: Path, tmp_path: Path) -> None:
    secret = photos / "0.png"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("up.png", tarfile.SYMTYPE),
            ("hard.png", tarfile.LNKTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
        member = tarfile.TarInfo("../../escaped.png")
        member.size = secret.stat().st_size
        archive.addfile(member, io.BytesIO(secret.read_bytes()))
    before = set(tmp_path.rglob("*"))
    assert list(_read(tmp_path / "a.tar")) == [f"{tmp_path}/a.tar/../../escaped.png"]
    assert set(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent.parent / "escaped.png").exists()


def test_a_member_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("bomb.png")
    header.size = MAX_BYTES + 1
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(4096))
    found = _read(tmp_path / "a.tar")
    assert found[f"{tmp_path}/a.tar/bomb.png"] == f"{MAX_BYTES + 1} bytes, which is no photograph"


def test_a_table_that_changes_after_it_was_planned(photos: Path, tmp_path: Path) -> None:
    table = write_bytes(tmp_path / "t.parquet", find_images([photos])[0], rows_a_group=4)
    entries = list(Search([str(table)]))
    table.write_bytes(b"something else")
    found = _of(entries)
    assert list(found) == [f"{table}, row group 0", f"{table}, row group 1"]
    assert all(str(reason).startswith("cannot be read: ") for reason in found.values())


def test_a_store_that_fails_says_why() -> None:
    def fail() -> bytes:
        raise RuntimeError("access denied by policy")

    from wsol.bulk.items import _fetched

    with pytest.raises(ImageError, match=r"cannot be read \(RuntimeError: access denied by policy\)"):
        read_image(_fetched(StoredImage("s3://a/b.jpg", fail)))


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (3, [3]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
def test_the_last_chunk_says_that_it_is(count: int, sizes: list[int]) -> None:
    found = list(chunks([Entry("image", f"/{number}.png") for number in range(count)], None, 4))
    assert [len(items) for items, _ in found] == sizes
    assert [last for _, last in found] == [False] * (len(sizes) - 1) + [True]


def test_an_image_that_ends_the_process_is_an_error(photos: Path) -> None:
    pictures = find_images([photos])[0]
    fatal, broken = (
        StoredImage("fatal.png", partial(os._exit, 1)),
        StoredImage("broken.png", partial(bytes, b"x")),
    )
    items = [pictures[0], fatal, broken, pictures[1]]
    batch = read_apart(items, (32, 32))
    assert batch.indices == [0, 3]
    assert [(place, str(error)) for place, error in batch.errors] == [
        (1, "fatal.png: its decoding ended the process"),
        (2, "broken.png: not an image in a format that can be read"),
    ]
    expected = read_batch([pictures[0], pictures[1]], (32, 32))
    assert torch.equal(batch.images, expected.images)
    assert batch.sizes == expected.sizes
    assert read_apart([fatal], (32, 32)).indices == []
    assert len(read_apart([fatal], (32, 32)).images) == 0


def test_whatever_is_wrong_with_an_entry_is_its_reason(photos: Path, tmp_path: Path) -> None:
    sparse = tarfile.TarInfo("a.png")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(sparse, io.BytesIO())
    table = write_bytes(tmp_path / "t.parquet", find_images([photos])[0], rows_a_group=9)
    entries = [*Search([str(table), str(tmp_path / "a.tar")]), Entry("image", "nowhere://bucket/x.png")]
    pq.write_table(pa.table({"other": [1]}), table)
    found = _of(entries)
    assert [str(reason).partition(":")[0] for reason in found.values()] == [
        "cannot be read",
        "the archive breaks off here",
        "nowhere",
    ]
