"""What is kept of each image: the same after a round trip, and nothing else passes for it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.toys import Truth, make_records
from wsol.errors import DataError
from wsol.evaluation.records import BoxRecords, MaskRecords, load_records

IDS = ["a/ä.jpg", "b, c.png", "a/very/long/" + 90 * "n" + ".jpg"]


def arrays_of(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("truth", ["boxes", "masks"])
def test_a_round_trip(tmp_path: Path, truth: Truth) -> None:
    records = make_records(truth, IDS, 1)
    records.save(tmp_path / "new" / "test.npz")
    found = load_records(tmp_path / "new" / "test.npz", truth)
    assert type(found) is type(records) and found.ids.tolist() == IDS and len(found) == 3
    for name, values in vars(records).items():
        again = getattr(found, name)
        assert np.array_equal(again, values) and again.dtype == values.dtype, name
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["test.npz"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_records("boxes", IDS, 1).save(tmp_path / "test.npz")
    before = (tmp_path / "test.npz").read_bytes()

    def fail(file: Any, **_: Any) -> None:
        file.write(b"half of")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="No space"):
        make_records("boxes", IDS, 2).save(tmp_path / "test.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["test.npz"]
    assert (tmp_path / "test.npz").read_bytes() == before


def test_true_boxes_of_each_image() -> None:
    records = make_records("boxes", IDS, 1)
    assert isinstance(records, BoxRecords)
    changed = {"truth": np.arange(24).reshape(6, 4), "counts": np.array([2, 1, 3])}
    found = BoxRecords(**vars(records) | changed).true_boxes()
    assert [each.shape for each in found] == [(2, 4), (1, 4), (3, 4)]
    assert found[1].tolist() == [[8, 9, 10, 11]] and found[2][-1].tolist() == [20, 21, 22, 23]


def test_boxes_and_overlaps_at_a_ratio_agree() -> None:
    records = make_records("boxes", IDS, 3)
    assert isinstance(records, BoxRecords)
    for ratio, percentile in ((0.2, 100.0), (0.35, 90.0), (1.0, 100.0)):
        boxes = records.boxes_at(ratio, percentile)
        overlaps = records.overlaps_at(ratio, percentile)
        for (x0, y0, x1, y1), (true,), overlap in zip(boxes, records.true_boxes(), overlaps, strict=True):
            right, low = min(x1, 223), min(y1, 223)
            wide = min(right, true[2]) - max(x0, true[0]) + 1
            high = min(low, true[3]) - max(y0, true[1]) + 1
            shared = max(0, wide) * max(0, high)
            areas = (right - x0 + 1) * (low - y0 + 1) + (true[2] - true[0] + 1) * (true[3] - true[1] + 1)
            assert overlap == pytest.approx(shared / (areas - shared), abs=1e-12)
    assert (boxes == 0).all()  # nothing is above the maximum


def test_other_files_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    with pytest.raises(DataError, match="No such file"):
        load_records(path, "boxes")
    make_records("boxes", IDS, 1).save(path)
    with pytest.raises(DataError, match="maps is not a file in the archive"):
        load_records(path, "masks")
    boxes = arrays_of(path)
    make_records("masks", IDS, 1).save(path)
    with pytest.raises(DataError, match=r"test\.npz: not the records"):
        load_records(path, "boxes")
    for name in ("labels", "ranks", "chosen", "histograms", "largest", "counts"):
        np.savez(path, **boxes | {name: boxes[name][:2]})
        with pytest.raises(DataError, match="not the records"):
            load_records(path, "boxes")
    np.savez(path, **{name: values for name, values in boxes.items() if name != "boxes"})
    with pytest.raises(DataError, match="boxes"):
        load_records(path, "boxes")
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="not the records"):
        load_records(path, "boxes")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not the records"):
        load_records(path, "boxes")


@pytest.mark.parametrize("truth", ["boxes", "masks"])
def test_arrays_of_another_shape_or_kind(tmp_path: Path, truth: Truth) -> None:
    path = tmp_path / "test.npz"
    make_records(truth, IDS, 1).save(path)
    good = arrays_of(path)
    for name, values in good.items():
        for wrong in (values[..., None], np.zeros(values.shape, "S1")):
            np.savez(path, **good | {name: wrong})
            with pytest.raises(DataError, match=rf"test\.npz: not the records .*against {truth}"):
                load_records(path, truth)
    np.savez(path, **good)
    assert len(load_records(path, truth)) == 3


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Records in a small file, as histograms that are nearly empty."""
    path = tmp_path_factory.mktemp("records") / "test.npz"
    few = {
        "ids": np.array(["a"]),
        "labels": np.zeros(1, int),
        "ranks": np.zeros(1, int),
        "depth": np.array(3),
    }
    counts, small = np.ones((1, 2, 9), np.uint16), np.zeros((1, 28, 28), np.uint8)
    MaskRecords(**few, chosen=np.zeros(1, int), histograms=counts, maps=small).save(path)
    return path, path.read_bytes()


@given(data=st.data())
def test_any_bytes_are_records_or_a_data_error(data: st.DataObject, saved: tuple[Path, bytes]) -> None:
    path, content = saved
    whole = bytearray(content)
    changes = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4)
    for place, value in data.draw(changes):
        whole[place] = value
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    try:
        assert isinstance(load_records(path, "masks"), MaskRecords)
    except DataError as error:
        assert str(path) in str(error)


def test_every_kind_of_damage_to_an_archive(saved: tuple[Path, bytes]) -> None:
    """A byte changed at each place in turn: compression, flags, sizes, encryption bits, names."""
    path, content = saved
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            load_records(path, "masks")
        except DataError:
            continue
    path.write_bytes(content)
    assert load_records(path, "masks").ids.tolist() == ["a"]
    assert io.BytesIO(content).read(2) == b"PK"
