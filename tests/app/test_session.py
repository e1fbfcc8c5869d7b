"""What the app computes and keeps, without a page."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.app.conftest import NAMES, NASTY
from wsol import Localization, LocalizerOptions
from wsol.app import session as session_
from wsol.app import settings
from wsol.app.bench import Bench, Recent
from wsol.app.page import Page
from wsol.app.session import DOWNLOADS, Session, corrected, file_name
from wsol.app.settings import Settings
from wsol.errors import ModelError, UsageError
from wsol.inference.options import Preset
from wsol.maps import MapKind
from wsol.thresholds import ThresholdKind

FAST = LocalizerOptions(preset="fast")


@pytest.fixture
def session(bench: Bench, pictures: list[Path]) -> Session:
    made = Session()
    made.add([(path, path.name) for path in pictures], bench)
    return made


@pytest.fixture
def page(bench: Bench) -> Page:
    return Page(bench)


@pytest.fixture
def chosen(bench: Bench) -> Settings:
    return settings.first(bench.localizers["first"])


def found(bench: Bench, session: Session, label: int | None = None, **options: Any) -> Localization:
    assert session.photo
    chosen = LocalizerOptions(**{"preset": "fast", **options})
    return bench.localize(session.photo, "first", label, chosen)


@pytest.mark.parametrize("preset", get_args(Preset))
@pytest.mark.parametrize("kind", get_args(MapKind))
def test_results_are_the_localizers(
    bench: Bench, session: Session, pictures: list[Path], kind: MapKind, preset: Preset
) -> None:
    options = LocalizerOptions(map=kind, preset=preset, boxes="all", threshold="percentile", ratio=0.4)
    localizer = bench.localizers["first"].with_options(options)
    for place in range(2):
        session.go(place)
        assert session.photo
        seen = bench.localize(session.photo, "first", None, options)
        expected = localizer(pictures[place])
        assert isinstance(expected, Localization)
        assert (seen.label, seen.size, seen.level) == (expected.label, expected.size, expected.level)
        np.testing.assert_array_equal(seen.boxes, expected.boxes)
        np.testing.assert_array_equal(seen.components, expected.components)
        np.testing.assert_allclose(seen.scores, expected.scores, rtol=1e-6)


def test_the_network_runs_once_an_image(bench: Bench, session: Session, page: Page, chosen: Settings) -> None:
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    handle = bench.localizers["first"].classifier.register_forward_hook(count)
    try:
        page.view(session, None, chosen)
        assert passes == 1
        levels = set()
        for ratio in np.linspace(0.1, 0.9, 9):
            for boxes in ("largest", "all"):
                page.view(session, None, replace(chosen, ratio=ratio, boxes=boxes))
            levels.add(found(bench, session, ratio=float(ratio)).level)
        assert len(levels) == 9
        for label in (1, 4):
            for kind in get_args(MapKind):
                page.view(session, label, replace(chosen, map=kind))
        assert passes == 1
        page.view(session, None, replace(chosen, preset="balanced"))
        assert passes == 1 + 4  # two scales, mirrored and not
        page.view(session, None, replace(chosen, preset="best"))
        assert passes == 5
    finally:
        handle.remove()


def test_what_is_kept_is_bounded_and_forgotten(bench: Bench, session: Session) -> None:
    recent = Recent(2)
    made: list[str] = []

    def get(key: str) -> None:
        def make() -> int:
            made.append(key)
            return 0

        recent.get((key,), make)

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "b"]  # "b" was the one not asked for the longest
    photo = session.photos[0]
    first = bench.predicted(photo, "first", FAST)
    assert bench.of_photo(photo, "key", lambda: "kept") == bench.of_photo(photo, "key", lambda: "new")
    session.clear(bench)
    assert bench.of_photo(photo, "key", lambda: "new") == "new"
    assert (session.photos, session.skipped, session.photo) == ([], [], None)
    assert bench.predicted(photo, "first", FAST) == first


def test_files_that_cannot_be_used_are_listed_and_the_others_go_on(session: Session) -> None:
    assert [photo.name for photo in session.photos] == [
        "one.png",
        "two.jpg",
        "<b onclick=hacked>three.png",
        "four.webp",
    ]
    ((name, reason),) = session.skipped
    assert name == "broken.jpg"
    assert "damaged" in reason or "not an image" in reason
    assert "/" not in reason


def test_no_more_photographs_than_there_is_room_for(
    bench: Bench, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_, "PHOTOS", 2)
    session = Session()
    session.add([(path, path.name) for path in pictures[:3]], bench)
    assert len(session.photos) == 2
    assert session.skipped[0][1].startswith("more than 2 photographs")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\my cat.JPG", "my cat.JPG"),
        ("..", "photograph"),
        ("", "photograph"),
        ("a\x00b\n.png", "a_b_.png"),
        (NASTY, NASTY),
        ("x" * 300 + ".jpeg", "x" * 115 + ".jpeg"),
    ],
)
def test_names_are_those_of_one_file(given: str, expected: str) -> None:
    assert file_name(given) == expected


def test_photographs_of_one_name_get_a_number(bench: Bench, pictures: list[Path]) -> None:
    session = Session()
    session.add([(pictures[0], "a.png"), (pictures[1], "A.png"), (pictures[2], "x/a.png")], bench)
    assert [photo.name for photo in session.photos] == ["a.png", "A (2).png", "a (3).png"]


def read(file: Path) -> dict[str, str]:
    if file.suffix != ".zip":
        return {file.name: file.read_text(encoding="utf-8")}
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith("/")}


def boxes_of(
    format: str, files: dict[str, str], sizes: dict[str, tuple[int, int]]
) -> set[tuple[object, ...]]:
    """Stem of the file, class, and box of each object, whatever the format."""
    if format == "coco":
        data = json.loads(files["wsol-coco.json"])
        names = {image["id"]: Path(image["file_name"]).stem for image in data["images"]}
        kinds = {each["id"]: each["name"] for each in data["categories"]}
        return {
            (names[each["image_id"]], kinds[each["category_id"]], *_corners(each["bbox"]))
            for each in data["annotations"]
        }
    rows: set[tuple[object, ...]] = set()
    for name, text in files.items():
        path = Path(name)
        if format == "yolo" and path.suffix == ".txt":
            height, width = sizes[path.stem]
            for line in text.splitlines():
                index, *numbers = line.split()
                x, y, w, h = np.array(numbers, float) * [width, height, width, height]
                rows.add(
                    (
                        path.stem,
                        NAMES[int(index)],
                        *_corners([round(x - w / 2), round(y - h / 2), round(w), round(h)]),
                    )
                )
        elif format == "voc" and path.suffix == ".xml":
            for thing in ElementTree.fromstring(text).iter("object"):
                x0, y0, x1, y1 = (int(edge.text or "") for edge in thing.findall("bndbox/*"))
                rows.add((path.stem, thing.findtext("name"), x0 - 1, y0 - 1, x1, y1))
        elif format == "label-studio" and path.suffix == ".json":
            for task in json.loads(text):
                for region in task["predictions"][0]["result"]:
                    value = region["value"]
                    scale = np.array([region["original_width"], region["original_height"]] * 2) / 100
                    edges = scale * [value[key] for key in ("x", "y", "width", "height")]
                    folder, _, file = task["data"]["image"].rpartition("/")
                    assert folder == "/data/local-files/?d=photos"  # nothing of where the app runs
                    stem = Path(file).stem
                    rows.add(
                        (stem, value["rectanglelabels"][0], *_corners(edges.round().astype(int).tolist()))
                    )
    return rows


def _corners(box: Sequence[int]) -> tuple[int, int, int, int]:
    x, y, width, height = (int(value) for value in box)
    return x, y, x + width, y + height


@pytest.mark.parametrize("format", DOWNLOADS)
def test_downloads_hold_what_was_accepted_and_corrected(
    bench: Bench, session: Session, page: Page, chosen: Settings, tmp_path: Path, format: str
) -> None:
    first = found(bench, session)
    page.accept(session, None, chosen, first.boxes.tolist())
    session.go(0)
    page.accept(session, NASTY, chosen, [[3, 4, 50, 60], [10, 20, 200, 150]])
    assert session.place == 1
    page.reject(session, None, chosen)
    kinds = [said.kind for said in session.verdicts[session.photos[0]].values()]
    assert kinds == ["accepted", "corrected"]
    assert [said.kind for said in session.verdicts[session.photos[1]].values()] == ["rejected"]
    file = session.download(format, NAMES, tmp_path)
    sizes = {Path(photo.name).stem: photo.size for photo in session.photos}
    expected = {("one", NASTY, 3, 4, 50, 60), ("one", NASTY, 10, 20, 200, 150)}
    expected |= {("one", first.label, *box) for box in first.boxes.tolist()}
    assert boxes_of(format, read(file), sizes) == expected


def test_nothing_accepted_is_nothing_to_download(session: Session, page: Page, tmp_path: Path) -> None:
    for name in (*DOWNLOADS, "../coco"):
        with pytest.raises(UsageError, match=r"nothing to download yet|format must be"):
            session.download(name, NAMES, tmp_path)
    assert page.download(session, "coco")["words"].startswith("nothing to download")


def test_masks_of_corrected_boxes_are_of_the_map_inside_them(bench: Bench, session: Session) -> None:
    result = found(bench, session)
    height, width = result.size
    whole = corrected(result, [(0, 0, width, height)])
    np.testing.assert_array_equal(whole.components > 0, result.components > 0)
    assert whole.scores.tolist() == [1] and whole.agreement == 1
    empty = replace(result, components=np.zeros_like(result.components))
    half = corrected(empty, [(0, 0, width // 2, height)])
    expected: NDArray[np.bool_] = np.zeros(half.components.shape, bool)
    expected[:, : expected.shape[1] // 2] = True
    np.testing.assert_array_equal(half.components > 0, expected)
    assert result.components.max() == 1  # it was not changed


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 241, 5), (5, 9, 9, 9), (0, 0, 5, 161)])
def test_boxes_that_are_none_are_refused(
    bench: Bench, session: Session, box: tuple[int, int, int, int]
) -> None:
    with pytest.raises(UsageError, match="a box must lie within 0 to 240 and 0 to 160"):
        corrected(found(bench, session), [box])


@pytest.mark.parametrize("boxes", [None, "x", [[1, 2, 3]], [[0, 0, 0.5, 1]], [{}], [[True, 0, 5, 5]]])
def test_what_is_no_box_is_refused(page: Page, session: Session, chosen: Settings, boxes: object) -> None:
    with pytest.raises(ValueError, match="boxes"):
        page.accept(session, None, chosen, boxes)
    assert not session.verdicts


def test_classes_by_name_and_by_prediction(
    bench: Bench, session: Session, page: Page, chosen: Settings
) -> None:
    (first, index), *others = page.classes(session, chosen)
    assert len(others) == 4
    assert first.startswith(found(bench, session).label)
    assert page.view(session, index, chosen)["label"] == found(bench, session).label
    assert page.view(session, "Bee", chosen)["label"] == "bee"
    assert page.view(session, NASTY, chosen)["label"] == NASTY
    assert "knows no class 'beee'; near it are bee" in page.view(session, "beee", chosen)["problem"]
    assert page.view(Session(), "beee", chosen).keys() == {"turn", "editable"}


def test_the_same_class_is_shown_beside(session: Session, page: Page, chosen: Settings) -> None:
    assert page.beside(session, "bee", "second", chosen)["label"] == "bee"
    assert (
        page.beside(session, "bee", "first", replace(chosen, map="similarity"))["panels"][0]["title"]
        == "Similarity S"
    )
    assert "second knows no class 'ant'" in page.beside(session, "ant", "second", chosen)["problem"]


def test_views_tell_verdicts_and_bring_their_boxes_back(
    session: Session, page: Page, chosen: Settings
) -> None:
    page.accept(session, "cat", chosen, [[3, 4, 50, 60]])
    session.go(0)
    view = page.first_view(session, "cat", chosen)
    assert (view["verdict"], view["boxes"], view["scores"]) == ("corrected", [[3, 4, 50, 60]], ["1.00"])
    assert page.view(session, "cat", chosen)["boxes"] != [[3, 4, 50, 60]]  # anew, by the map
    strip = page.strip(session)
    assert [photo["verdict"] for photo in strip["photos"]] == ["corrected", "", "", ""]
    assert strip["words"] == "4 photographs, 1 looked through"


@pytest.mark.parametrize("threshold", get_args(ThresholdKind))
@pytest.mark.parametrize("preset", get_args(Preset))
def test_usual_settings_are_the_localizers(bench: Bench, threshold: ThresholdKind, preset: Preset) -> None:
    localizer = bench.localizers["first"]
    usual = settings.usual(localizer, "cam", preset, threshold, "all")
    made = localizer.with_options(
        LocalizerOptions(preset=preset, threshold=threshold)
    ).options.build_threshold()
    assert usual.ratio == made.ratio
    assert usual.options().build_threshold() == made
    assert settings.first(localizer).preset == "fast"


def test_other_options_share_the_network(bench: Bench) -> None:
    localizer = bench.localizers["first"]
    other = localizer.with_options(LocalizerOptions(preset="balanced", map="similarity"))
    assert other.classifier is localizer.classifier
    assert (other.map, localizer.map) == ("similarity", "cam")
    with pytest.raises(ModelError):
        other.model.classes.index("no such class")
    images = torch.zeros(1, 3, 96, 96)
    assert len(other.see(images).views) == 4
    assert len(localizer.see(images).views) == 1
