"""Maps that other people's code saved: every file that is no map is a listed skip, and nothing in it runs."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.evaluation import reference
from tests.evaluation.toys import CLASSES, Toys, write_predictions
from wsol.errors import DataError, ImageError
from wsol.evaluation.sources import SavedMaps, Scored, read_map, read_predictions

pytest_plugins = ["tests.evaluation.fixtures"]

VALUES = np.arange(12.0).reshape(3, 4)


def npy(values: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, map=VALUES)
    return file.getvalue()


def one_batch(maps: SavedMaps, toys: Toys, split: str = "test") -> Scored:
    data = toys.data
    (scored,) = maps.stream(data, data.split(split).examples)
    return scored


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", ">f4", "uint8", "int16", "uint64", "longdouble"]
)
def test_maps_of_every_number_type(tmp_path: Path, dtype: str) -> None:
    for name, values in {"plain": VALUES, "one": VALUES[None], "columns": np.asfortranarray(VALUES)}.items():
        np.save(tmp_path / f"{name}.npy", values.astype(dtype))
        found = read_map(tmp_path / f"{name}.npy")
        assert found.dtype == np.float64 and found.dtype.isnative and np.array_equal(found, VALUES)
    np.save(tmp_path / "bool.npy", VALUES > 5)
    assert read_map(tmp_path / "bool.npy").sum() == 6


_HUGE = npy(VALUES).replace(b"(3, 4)", b"(999999999, 99999)")

NOT_MAPS: dict[str, tuple[bytes, str]] = {
    "nan": (npy(np.array([[1, np.nan], [np.inf, 0]])), "2 values are NaN or infinite"),
    "too large for float64": (npy(np.array([["1e400", "0"]]).astype(np.longdouble)), "infinite"),
    "three maps": (npy(np.zeros((3, 4, 4))), r"float64 \(3, 4, 4\)"),
    "a vector": (npy(np.zeros(9)), r"a map is \(h, w\) of real numbers; this is float64 \(9,\)"),
    "no dimensions": (npy(np.float64(3)), r"float64 \(\)"),
    "no pixels": (npy(np.zeros((0, 5))), r"\(0, 5\)"),
    "complex": (npy(VALUES * 1j), "complex128"),
    "text": (npy(np.array([["a"]])), "real numbers"),
    "dates": (npy(np.array([["2020-01-01"]], "M8[D]")), "datetime64"),
    "records": (npy(np.zeros((2, 2), [("a", "f4")])), "real numbers"),
    "an archive": (npz(), "an archive of arrays; a map is one .npy file"),
    "a cut archive": (npz()[:90], "not a .npy file of numbers"),
    "empty": (b"", "not a .npy file of numbers"),
    "cut": (npy(VALUES)[:-9], "not a .npy file of numbers"),
    "cut in the header": (npy(VALUES)[:30], "not a .npy file of numbers"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a .npy file of numbers"),
    "a header that lies": (_HUGE, "memory|not a .npy file"),
}


@pytest.mark.parametrize("kind", NOT_MAPS)
def test_what_is_no_map_is_listed(boxed: Toys, kind: str) -> None:
    content, reason = NOT_MAPS[kind]
    path = boxed.map_of("test/02.png")
    path.write_bytes(content)
    scored = one_batch(SavedMaps(boxed.maps), boxed)
    ((place, said),) = scored.errors
    assert place == 2 and scored.indices == [0, 1, *range(3, 12)]
    assert len(scored.maps) == len(scored.sizes) == len(scored.chosen) == 11
    with pytest.raises(ImageError, match=reason):
        read_map(path)
    assert said.startswith(f"{path}: ")


def test_maps_that_are_not_there(boxed: Toys) -> None:
    ids = boxed.ids["test"]
    boxed.map_of(ids[0]).unlink()
    boxed.map_of(ids[1]).unlink()
    boxed.map_of(ids[1]).mkdir(parents=True)
    scored = one_batch(SavedMaps(boxed.maps), boxed)
    said = dict(scored.errors)
    assert said[0] == f"{boxed.maps / ids[0]}.npy: no such map, nor 00.npy"
    assert str(boxed.maps / "test" / "01") in said[1] and len(said) == 2
    with pytest.raises(DataError, match="no such folder of maps"):
        SavedMaps(boxed.folder / "nowhere")
    with pytest.raises(DataError, match="no such folder of maps"):
        SavedMaps(boxed.predictions)


def test_a_name_that_no_file_can_have(boxed: Toys) -> None:
    long = "test/" + 253 * "x"
    boxed.add_line("image_ids", long)
    boxed.add_line("class_labels", f"{long},1")
    boxed.add_line("image_sizes", f"{long},9,9")
    boxed.add_line("localization", f"{long},1,1,5,5")
    ((place, said),) = one_batch(SavedMaps(boxed.maps), boxed).errors
    assert place == 12 and "xxx" in said


def test_the_name_with_the_suffix_comes_first(boxed: Toys) -> None:
    for path in (boxed.maps / "test").iterdir():
        path.unlink()
    np.save(boxed.maps / "test" / "03.npy", VALUES)
    np.save(boxed.maps / "test" / "03.png.npy", -VALUES)
    np.save(boxed.maps / "test" / "04.npy", VALUES)
    scored = one_batch(SavedMaps(boxed.maps), boxed)
    assert scored.indices == [3, 4]
    for map_, values in zip(scored.maps.numpy(), (-VALUES, VALUES), strict=True):
        assert np.allclose(map_, reference.bicubic(values), atol=1e-12)


def test_pictures_are_not_needed_if_the_tables_tell_their_sizes(boxed: Toys) -> None:
    for path in (boxed.folder / "images" / "test").iterdir():
        path.write_bytes(b"")
    assert one_batch(SavedMaps(boxed.maps), boxed).sizes == [
        boxed.sizes[id][::-1] for id in boxed.ids["test"]
    ]
    boxed.table("image_sizes").write_text("")
    Image.new("RGB", (77, 55)).save(boxed.folder / "images" / "test" / "05.png")
    (boxed.folder / "images" / "test" / "06.png").unlink()
    scored = one_batch(SavedMaps(boxed.maps), boxed)
    assert scored.sizes == [(55, 77)] and len(scored.errors) == 11
    said = dict(scored.errors)
    assert "04.png: the file is empty" in said[4] and "06.png: No such file" in said[6]


def test_what_is_told_of_the_classes(boxed: Toys) -> None:
    maps = SavedMaps(boxed.maps, predictions=boxed.predictions, classes=CLASSES)
    scored = one_batch(maps, boxed)
    rows = [line.split(",") for line in boxed.predictions.read_text().splitlines()]
    expected = [row[1:].index(CLASSES[boxed.labels[row[0]]]) for row in rows if row[0] in boxed.ids["test"]]
    assert scored.ranks is not None and scored.ranks.tolist() == expected and maps.depth == 6
    assert set(scored.chosen.tolist()) == {-1} and set(expected) >= {0, 1, 5}
    write_predictions(boxed.predictions, [row[:3] for row in rows if row[0] != "test/07.png"])
    maps = SavedMaps(boxed.maps, predictions=boxed.predictions, classes=CLASSES)
    scored = one_batch(maps, boxed)
    assert scored.errors == [(7, "no line in the predictions names it")] and maps.depth == 2
    del expected[7]
    assert scored.ranks is not None and scored.ranks.tolist() == [min(rank, 2) for rank in expected]
    assert one_batch(SavedMaps(boxed.maps), boxed).ranks is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a.png,ant,bee\nb.png,ant,cow\n", "line 2: .*'cow'"),
        ("a.png,ant,bee\nb.png,ant,6\n", "line 2: class 6 does not exist"),
        ("a.png,ant,bee\n\nb.png,ant\n", "line 3: expected 2 different classes, got 'ant'"),
        ("a.png,ant,bee\nb.png,ant,bee,bee\n", "line 2: expected 2 different"),
        ("a.png,ant,ant\n", "line 1: expected 2 different"),
        ("a.png,ant,0\n", "line 1: expected 2 different"),
        ("a.png,ant\na.png,bee\n", "line 2: 'a.png' has a line already"),
        ("a.png\n", "line 1: expected 1 different"),
        ("image,class\n", "line 1: .*'class'"),
        ("\n", "no predictions in it"),
        (b"\xff\xfe", "cannot read"),
        (b"a.png,a\x00nt\n", r"predictions\.csv"),
    ],
)
def test_predictions_that_cannot_be_right(tmp_path: Path, text: str | bytes, reason: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=reason) as stop:
        read_predictions(path, CLASSES)
    assert str(path) in str(stop.value)


def test_predictions_by_name_or_index(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_bytes(b"\xef\xbb\xbf" + b'"a,1.png",BEE,0\r\nb.png, 5 ,cat\r\n')
    assert read_predictions(path, CLASSES) == {"a,1.png": (1, 0), "b.png": (5, 2)}
    path.write_text("a.png,17,3\n")
    assert read_predictions(path, ()) == {"a.png": (17, 3)}
    for wrong in ("x", "-1", "1.5", ""):
        path.write_text(f"a.png,3,{wrong}\n")
        with pytest.raises(DataError, match="line 1: "):
            read_predictions(path, ())
    with pytest.raises(DataError, match="cannot read"):
        read_predictions(tmp_path / "gone.csv", ())


@given(data=st.data())
def test_any_bytes_are_a_map_or_an_image_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(data.draw(st.sampled_from([npy(VALUES), npz(), pickle.dumps(VALUES)])))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4)
    ):
        whole[place] = value
    path = tmp_path_factory.getbasetemp() / "fuzz.npy"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    try:
        found: NDArray[np.float64] = read_map(path)
    except ImageError as error:
        assert error.path == str(path) and error.reason
    else:
        assert found.ndim == 2 and np.isfinite(found).all()
