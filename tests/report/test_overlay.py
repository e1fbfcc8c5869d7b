import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from tests.report.conftest import Make, localization, photo
from wsol.errors import ImageError
from wsol.inference.localization import Localization
from wsol.report import overlay
from wsol.report.folder import LONGEST, write_overlays
from wsol.report.labels import Labels, extent

PINK = np.array([0xE0, 0x00, 0x5A])
BLUE = np.array([0x00, 0x70, 0xB8])


def same(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.asarray((pixels == colour).all(axis=-1))


def test_lines_lie_on_the_edges_of_the_box_and_outside_is_unchanged(make: Make) -> None:
    result = make(size=(300, 400), width=0.15)
    before, after = np.asarray(result.image()), np.asarray(overlay.draw(result))
    x0, y0, x1, y1 = result.boxes[0]
    for line in (after[y0:y1, x0], after[y0:y1, x1 - 1], after[y0, x0:x1], after[y1 - 1, x0:x1]):
        assert same(line, PINK).all()
    outside = np.ones(before.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    changed = (before != after).any(axis=-1) & outside
    rows, columns = np.nonzero(changed)  # the label alone, on top of the box
    assert rows.max() < y0
    assert columns.min() == x0
    assert changed.sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


def test_mask_is_tinted_and_the_box_around_it_is_not(make: Make) -> None:
    result = make(size=(300, 400), width=0.15)
    before, after = np.asarray(result.image()).astype(int), np.asarray(overlay.draw(result)).astype(int)
    x0, y0, x1, y1 = result.boxes[0]
    margin = overlay._thickness(result.size)
    inner = np.s_[y0 + margin : y1 - margin, x0 + margin : x1 - margin]
    mask = result.mask[inner]
    assert 0.5 < mask.mean() < 0.95  # a disc in its box
    np.testing.assert_array_equal(before[inner][~mask], after[inner][~mask])
    expected = 0.65 * before[inner][mask] + 0.35 * PINK
    assert np.abs(after[inner][mask] - expected).max() <= 1


def test_alternatives_have_their_own_colour(make: Make) -> None:
    other = make(size=(300, 400), label="tabby", blob=(0.8, 0.15), width=0.08)
    result = make(size=(300, 400), blob=(0.4, 0.7), width=0.1, alternatives=(other,))
    after = np.asarray(overlay.draw(result))
    for box, colour in ((result.boxes[0], PINK), (other.boxes[0], BLUE)):
        assert same(after[box[3] - 1, box[0] : box[2]], colour).all()


def test_nothing_found_leaves_the_photograph_with_a_note(make: Make) -> None:
    result = make(size=(200, 300), empty=True)
    before, after = np.asarray(result.image()), np.asarray(overlay.draw(result))
    rows, columns = np.nonzero((before != after).any(axis=-1))
    assert rows.min() > 160
    assert columns.max() < 150
    assert (after == 255).all(axis=-1).any()  # white text


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (20, 20), (10, 2000), (2000, 10), (60, 90), (1500, 2000)])
def test_any_size(make: Make, size: tuple[int, int], empty: bool) -> None:
    result = make(size=size, empty=empty)
    assert overlay.draw(result).size == size[::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        overlay.figure(result).canvas.draw()


@pytest.mark.parametrize("size", [(3, 70_000), (70_000, 3)])
def test_a_picture_longer_than_jpeg_can_be(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", size[::-1]).save(path)
    write_overlays([localization(path, size)], tmp_path / "overlays")
    with Image.open(tmp_path / "overlays" / "a.jpg") as drawn:
        assert sorted(drawn.size) == [1, LONGEST]


def test_smaller_picture_has_the_box_where_it_is(make: Make) -> None:
    result = make(size=(600, 800))
    picture = np.asarray(overlay.draw(result, longest_side=200))
    assert picture.shape == (150, 200, 3)
    x0, _, x1, y1 = result.boxes[0] // 4
    rows, columns = np.nonzero(same(picture, PINK))
    assert abs(columns.min() - x0) <= 1
    assert abs(columns.max() + 1 - x1) <= 1
    assert abs(rows.max() + 1 - y1) <= 1


@pytest.mark.parametrize("size", [(20, 20), (10, 2000), (2000, 16), (60, 90), (480, 640), (3000, 4000)])
@pytest.mark.parametrize("name", ["Egyptian cat", "кошка", "x" * 500, "two\nlines"])
def test_labels_stay_inside_and_apart(size: tuple[int, int], name: str) -> None:
    labels = Labels(size)
    height, width = size
    for box in ([0, 0, width, height], [width - 2, 0, width, 2], [0, height - 2, 2, height]):
        labels.add(name, "0.87", box, colour="#e0005a", must=False)
    assert labels.placed
    seen = np.zeros(size, int)
    for (x0, y0, x1, y1), text, font_size, _ in labels.placed:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert (x1 - x0, y1 - y0) == extent(text, font_size)
        assert text.endswith("0.87")
        seen[y0:y1, x0:x1] += 1
    assert seen.max() == 1


def test_label_grows_with_the_picture_and_reads_in_full() -> None:
    sizes = []
    for side in (60, 224, 1000, 4000):
        labels = Labels((side, 2 * side))
        labels.add("Egyptian cat", "0.87", [5, 30, 50, 50], colour="#e0005a", must=True)
        assert labels.placed[0].text == "Egyptian cat 0.87"
        sizes.append(labels.placed[0].font_size)
    assert sizes == sorted(sizes)
    assert sizes[0] >= 9
    assert sizes[-1] > 100


def test_letters_of_other_alphabets_are_drawn() -> None:
    pictures = {}
    for name in ("кошка", "γάτα ", "قطة  ", "\ufffe\ufffe\ufffe"):  # the last has no letters at all
        labels = Labels((100, 400))
        labels.add(name, "", [0, 40, 300, 100], colour="#000000", must=True)
        image = Image.new("RGB", (400, 100))
        labels.draw(image)
        pictures[name] = image.tobytes()
    assert len(set(pictures.values())) == 4


@pytest.mark.parametrize(
    ("test_time", "title"), [("", "CAM, the map"), ("balanced", "CAM + balanced, the map")]
)
def test_figure_says_what_the_map_was_made_with(make: Make, test_time: str, title: str) -> None:
    axes = replace(make(), test_time=test_time).plot().axes
    assert axes[1].get_title().startswith(title)


def test_save_writes_every_format_at_full_size(make: Make, tmp_path: Path) -> None:
    result = make(size=(120, 160))
    for suffix in (".png", ".jpg", ".JPEG", ".webp"):
        path = overlay.save(result, tmp_path / f"out{suffix}")
        with Image.open(path) as image:
            assert image.size == (160, 120)
    path = overlay.save(result, tmp_path / "out.json")
    again = Localization.from_dict(json.loads(path.read_text()))
    np.testing.assert_array_equal(again.boxes, result.boxes)


def test_save_refuses_other_suffixes(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.jpg, \.jpeg, \.webp, \.json, got 'a\.tiff'"):
        overlay.save(make(), tmp_path / "a.tiff")


def test_save_that_fails_leaves_what_was_there(make: Make, tmp_path: Path) -> None:
    result = make("cat.png")
    (tmp_path / "cat.png").unlink()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "out.png").write_bytes(b"before")
    with pytest.raises(ImageError):
        overlay.save(result, folder / "out.png")
    assert [path.name for path in folder.iterdir()] == ["out.png"]
    assert (folder / "out.png").read_bytes() == b"before"


def test_image_from_memory_is_not_changed() -> None:
    image = photo((100, 100))
    before = image.tobytes()
    overlay.draw(localization(image, (100, 100)))
    assert image.tobytes() == before


def test_figure_has_four_panels_and_stays_out_of_pyplot(make: Make, tmp_path: Path) -> None:
    figure = overlay.figure(make(label="$5 note $"))  # no formula
    titles = [axis.get_title() for axis in figure.axes]
    assert len(titles) == 4
    for title, part in zip(titles, ("$5 note $", "CAM", "Feature norm F", "Similarity S"), strict=True):
        assert part in title
    assert pyplot.get_fignums() == []
    figure.savefig(tmp_path / "figure.png")


def test_figure_names_the_map(make: Make) -> None:
    assert "NWC" in overlay.figure(make(kind="nwc")).axes[1].get_title()
