"""What the app computes and keeps, without a page."""

import copy
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
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
from wsol.app.page import Asked, Page
from wsol.app.session import DOWNLOADS, Session, Sessions, corrected, file_name
from wsol.app.settings import Settings
from wsol.errors import ModelError, UsageError
from wsol.inference.options import Preset
from wsol.maps import MapKind
from wsol.models.classes import Classes
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


def accept(page: Page, session: Session, label: Asked, chosen: Settings, boxes: Any = None) -> None:
    """Look at a class, leave the boxes so, and accept."""
    view = page.view(session, label, chosen, judged=True)
    page.accept(session, view["turn"], view["boxes"] if boxes is None else boxes)


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
    first = bench.predicted(photo, "first", FAST, 5)
    assert bench.of_photo(photo, "key", lambda: "kept") == bench.of_photo(photo, "key", lambda: "new")
    session.clear(bench)
    assert bench.of_photo(photo, "key", lambda: "new") == "new"
    assert (session.photos, session.skipped, session.photo) == ([], [], None)
    assert bench.predicted(photo, "first", FAST, 5) == first


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
        ("a\x00b\n\u202egnp.png", "a_b__gnp.png"),
        (
            "Screenshot 9.41.00\u202fPM \U0001f469\u200d\U0001f33e.png",
            "Screenshot 9.41.00\u202fPM \U0001f469\u200d\U0001f33e.png",
        ),
        (NASTY, NASTY),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ("写" * 100 + ".png", "写" * 65 + ".png"),
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
                for region in task["annotations"][0]["result"]:
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
    accept(page, session, None, chosen)
    session.go(0)
    accept(page, session, NASTY, chosen, [[3, 4, 50, 60], [10, 20, 200, 150]])
    assert session.place == 1
    page.reject(session, page.view(session, None, chosen)["turn"])
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
    result = found(bench, session, ratio=0.9)
    height, width = result.size
    whole = corrected(result, [(0, 0, width, height)])
    np.testing.assert_array_equal(whole.components > 0, result.components > 0)
    assert whole.scores.tolist() == [1] and whole.agreement == 1
    (edges,) = result.boxes.tolist()
    both = corrected(result, [edges, (0, 0, width, height), (0, 0, width, height)])  # one as it was
    assert both.boxes.tolist() == [[0, 0, width, height], edges]
    assert both.scores.tolist() == [1, result.score]
    np.testing.assert_array_equal(both.components == 2, result.components > 0)
    assert (both.components == 1).any() and (both.components > 0).all()
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
        page.accept(session, page.view(session, None, chosen)["turn"], boxes)
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
    accept(page, session, "cat", chosen, [[3, 4, 50, 60]])
    session.go(0)
    view = page.view(session, "cat", chosen, judged=True)
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
    assert usual.options(FAST).build_threshold() == made
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


def test_what_was_before_a_person_is_what_they_judge(
    session: Session, page: Page, chosen: Settings, bench: Bench
) -> None:
    one, two, *_ = session.photos
    view = page.view(session, None, chosen)
    session.go(1)  # the page shows the first one still
    page.accept(session, view["turn"], view["boxes"])
    page.accept(session, view["turn"], view["boxes"])  # a double click
    assert session.place == 1
    (verdict,) = session.verdicts[one].values()
    assert (verdict.kind, verdict.result.boxes.tolist()) == ("accepted", view["boxes"])
    assert two not in session.verdicts
    before = page.view(session, None, chosen)
    page.view(session, None, replace(chosen, ratio=0.9))  # not on the screen yet
    page.reject(session, before["turn"])
    (verdict,) = session.verdicts[two].values()
    assert verdict.result.boxes.tolist() == before["boxes"]
    with pytest.raises(UsageError, match="not before you any more"):
        page.reject(session, -1)
    session.clear(bench)
    with pytest.raises(UsageError, match="put your photographs away"):
        page.accept(session, before["turn"], before["boxes"])
    with pytest.raises(UsageError, match="put your photographs away"):
        session.go(1)


def test_accepting_again_is_no_correction(session: Session, page: Page, chosen: Settings) -> None:
    one = session.photos[0]
    accept(page, session, "cat", replace(chosen, ratio=0.2))
    session.go(0)
    accept(page, session, "cat", replace(chosen, ratio=0.8))  # the page shows the verdict's box
    (verdict,) = session.verdicts[one].values()
    assert verdict.kind == "accepted" and verdict.result.score < 1
    session.go(0)
    accept(page, session, "cat", chosen, [[3, 4, 50, 60]])
    session.go(0)
    accept(page, session, "cat", chosen)
    (verdict,) = session.verdicts[one].values()
    assert (verdict.kind, verdict.result.boxes.tolist()) == ("corrected", [[3, 4, 50, 60]])
    page.reject(session, page.view(session, "cat", chosen, judged=True)["turn"])
    session.go(0)
    accept(page, session, "cat", chosen)
    (verdict,) = session.verdicts[one].values()
    assert (verdict.kind, verdict.result.boxes.tolist()) == ("corrected", [[3, 4, 50, 60]])


def test_clearing_while_photographs_are_read_leaves_none(bench: Bench, pictures: list[Path]) -> None:
    session = Session()

    def files() -> Iterator[tuple[Path, str]]:
        yield pictures[0], "one.png"
        session.clear(bench)
        yield pictures[1], "two.png"

    session.add(files(), bench)
    assert (session.photos, session.moved) == ([], False)


def test_two_lots_of_photographs_at_once(bench: Bench, pictures: list[Path]) -> None:
    session = Session()

    def files() -> Iterator[tuple[Path, str]]:
        yield pictures[0], "one.png"
        session.add([(pictures[1], "one.png"), (pictures[4], "broken.jpg")], bench)
        yield pictures[2], "one.png"

    session.add(files(), bench)
    assert session.moved
    assert [photo.name for photo in session.photos] == ["one.png", "one (2).png", "one (3).png"]
    assert session.place == 0
    session.add([(pictures[0], "one.png"), (pictures[1], "one.png"), (pictures[3], "new.png")], bench)
    assert [photo.name for photo in session.photos[3:]] == ["new.png"]
    assert session.place == 3
    session.add([(pictures[1], "one.png"), (pictures[4], "broken.jpg")], bench)
    assert session.place == 1
    assert len(session.photos) == 4


def test_a_lot_that_cannot_be_used_changes_nothing_but_the_list(
    bench: Bench, session: Session, page: Page, pictures: list[Path]
) -> None:
    session.go(2)
    session.moved = False
    session.add([(pictures[4], f"broken {number}.jpg") for number in range(30)], bench)
    assert (session.place, session.moved) == (2, False)
    skipped = page.strip(session)["skipped"]
    assert [name for name, _ in skipped] == [*(f"broken {number}.jpg" for number in range(20)), "and more"]
    assert skipped[-1][1] == "10 files that could not be used either"


@pytest.mark.parametrize(
    "options",
    [
        {"ratio": 0.7},
        {"threshold": "percentile", "percentile": 55.0, "ratio": 0.6},
        {"map": "similarity", "boxes": "all", "min_area": 0.05},
        {"min_area": 0.9},
        {"min_probability": 1.0},
        {"preset": "balanced"},
    ],
)
def test_the_page_begins_with_the_options_of_the_localizer(
    bench: Bench, pictures: list[Path], options: dict[str, Any]
) -> None:
    localizer = bench.localizers["first"].with_options(LocalizerOptions(**{"preset": "fast", **options}))
    page, session = Page(Bench({"only": localizer})), Session()
    for path in pictures[:3]:
        page.add(session, [(path, path.name)])
        expected = localizer(path)
        assert isinstance(expected, Localization)
        view = page.view(session, None, settings.first(localizer))
        assert view["boxes"] == expected.boxes.tolist()
        assert f"level {expected.level} of 255" in view["facts"]


@pytest.mark.parametrize("name", ["ratio", "percentile"])
@pytest.mark.parametrize("value", [None, "", "0.5", True])
def test_numbers_that_are_none_are_told(
    session: Session, page: Page, chosen: Settings, name: str, value: object
) -> None:
    view = page.view(session, None, replace(chosen, **{name: value}))  # type: ignore[arg-type]
    assert "must be a number" in view["problem"]
    assert "must be in [0, 1]" in page.view(session, 0, replace(chosen, ratio=5))["problem"]


def test_presets_that_the_network_cannot_take_are_not_offered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = bench.localizers["first"]
    assert settings.presets(localizer) == ["fast", "balanced", "best"]
    rigid = copy.copy(localizer)
    rigid._taken = {1.0}

    def forward(images: torch.Tensor) -> Any:
        raise AssertionError("pictures of one size alone")

    monkeypatch.setattr(rigid, "forward", forward)
    assert settings.presets(rigid) == ["fast"]


def test_classes_beside_are_those_of_the_same_name(bench: Bench, pictures: list[Path]) -> None:
    localizer = bench.localizers["first"]
    models = {
        "mine": ("7", "3", "cat", "dog", "emu"),
        "other": ("ant", "bee", "cat", "dog", "7"),
        "third": ("ant", "bee", "CAT", "dog", "emu"),
    }
    localizers = {}
    for name, names in models.items():
        localizers[name] = copy.copy(localizer)
        localizers[name].model = replace(localizer.model, classes=Classes(names))
    page, session = Page(Bench(localizers)), Session()
    page.add(session, [(pictures[0], "one.png")])
    chosen = settings.first(localizer)
    assert page.beside(session, 0, "other", chosen)["label"] == "7"
    assert page.beside(session, 1, "other", chosen)["problem"] == "the other knows no class '3'"
    assert page.beside(session, 2, "third", chosen)["label"] == "CAT"


def test_a_class_that_is_kept_is_among_the_choices(session: Session, chosen: Settings, page: Page) -> None:
    choices = page.classes(session, chosen)
    assert page.classes(session, chosen, kept=choices[0][1]) == choices
    page.bench.predicted = lambda *_, **__: [(2, 0.5)]  # type: ignore[method-assign]
    try:
        assert page.classes(session, chosen, kept=4) == [("cat · 0.50", 2), (NASTY, 4)]
    finally:
        del page.bench.predicted


def test_long_names_are_downloaded_in_every_format(
    bench: Bench, pictures: list[Path], page: Page, chosen: Settings, tmp_path: Path
) -> None:
    session = Session()
    page.add(session, [(pictures[0], "写" * 120 + ".png"), (pictures[1], "写" * 130 + ".png")])
    for _ in range(2):
        accept(page, session, None, chosen)
    for format in DOWNLOADS:
        folder = tmp_path / format
        folder.mkdir()
        assert session.download(format, NAMES, folder).is_file()


def test_pictures_are_sent_again_with_another_map(session: Session, page: Page, chosen: Settings) -> None:
    assert "photo" in page.view(session, 1, chosen, whole=False)
    assert "photo" not in page.view(session, 1, replace(chosen, ratio=0.7), whole=False)
    for other in ({"map": "similarity"}, {"map": "cam", "preset": "balanced"}):
        now = replace(chosen, **other)  # type: ignore[arg-type]
        assert "photo" in page.view(session, 1, now, whole=False)
        before = page.view(session, 1, now)["pictures"]
        assert page.view(session, 1, replace(now, ratio=0.7), whole=False)["pictures"] == before
        assert page.view(session, 1, chosen)["pictures"] != before
    page.view(session, "no class", chosen)
    assert "photo" in page.view(session, 1, chosen, whole=False)


def test_a_file_that_cannot_be_read_for_now_can_be_tried_again(
    bench: Bench, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session()

    def full(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(session_, "_read", full)
        session.add([(pictures[0], "one.png")], bench)
    session.add([(pictures[0], "one.png")], bench)
    assert [photo.name for photo in session.photos] == ["one.png"]


def test_photographs_are_put_away(
    bench: Bench, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_, "SESSIONS", 2)
    sessions = Sessions(bench)
    ada = sessions.get("ada")
    ada.add([(pictures[0], "one.png")], bench)
    sessions.get("bob").add([(pictures[1], "two.png")], bench)
    assert sessions.get("ada") is ada
    sessions.get("eve")  # one too many: bob was away the longest
    assert not sessions.was_put_away("ada")
    assert sessions.was_put_away("bob")
    assert sessions.get("bob").photos == []
    assert not sessions.was_put_away("bob")
    sessions.put_away()
    assert ada.photos == []  # it was ada's turn to go when bob came back
    sessions.get("bob").add([(pictures[1], "two.png")], bench)
    sessions.put_away(time.monotonic() + 3599)
    assert sessions.get("bob").photos
    sessions.put_away(time.monotonic() + 3601)
    assert sessions.was_put_away("bob")
    assert not sessions.was_put_away("eve")  # who had none
