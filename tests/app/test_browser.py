"""The app as people use it, in a real browser."""

import json
import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.app.conftest import NASTY, Open, boxes, changed, facts, level, overflow, serving, upload
from tests.evaluation.conftest import Write, write
from wsol import Localizer, LocalizerOptions
from wsol.app import session
from wsol.app.bench import Bench, Photo
from wsol.app.page import Page as Handlers
from wsol.evaluation.compare import compare
from wsol.inference.localization import Localization

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Page, Route

__all__ = ["write"]  # a fixture

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # Gradio's own


def localized(bench: Bench, path: Path, label: str | None = None, **options: Any) -> Localization:
    """What the localizer itself finds."""
    chosen = LocalizerOptions(**{"preset": "fast", **options})
    localizer: Localizer = bench.localizers["first"].with_options(chosen)
    result = localizer(path, label)
    assert isinstance(result, Localization)
    return result


def slide(page: "Page", name: str, value: float) -> None:
    """Move a slider, as dragging it does."""
    slider = page.locator(".side").get_by_role("slider", name=name)
    slider.evaluate(
        "(s, value) => { s.value = value; s.dispatchEvent(new Event('input', {bubbles: true})) }", value
    )


def wait_until(page: "Page", holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it does not come to that")


def choose(page: "Page", name: str, side: str = ".side") -> None:
    page.locator(side).get_by_role("radio", name=name, exact=True).check()


def test_uploaded_photographs_show_box_mask_and_maps(visit: Open, bench: Bench, pictures: list[Path]) -> None:
    page = visit()
    upload(page, *pictures[:2])
    expected = localized(bench, pictures[0])
    assert page.locator(".view .label").inner_text() == expected.label
    assert f"probability {expected.probability:.2f}" in facts(page)
    assert level(facts(page)) == expected.level
    np.testing.assert_allclose(boxes(page), expected.boxes, atol=1)
    tinted = page.evaluate(
        """async () => {
          const mask = document.querySelector(".view .mask");
          await mask.decode();
          const canvas = new OffscreenCanvas(mask.naturalWidth, mask.naturalHeight);
          const c = canvas.getContext("2d");
          c.drawImage(mask, 0, 0);
          return [...c.getImageData(0, 0, canvas.width, canvas.height).data].filter((_, i) => i % 4 === 3);
        }"""
    )
    np.testing.assert_array_equal(np.array(tinted).reshape(96, 96) > 0, expected.components > 0)
    assert page.locator(".view figcaption").all_inner_texts() == ["CAM", "Feature norm F", "Similarity S"]
    assert page.locator(".view .panel .box").count() == 3
    assert "a CAM is ‖f‖ × S × a constant" in page.locator(".view .words").inner_text()
    page.get_by_label("Map", exact=True).check()
    assert page.locator(".view .stage .heat").is_visible()
    page.get_by_label("Mask", exact=True).uncheck()
    assert page.locator(".view .stage .mask").is_hidden()
    assert page.locator("footer").is_hidden()


def test_switches_of_map_preset_threshold_and_components(
    visit: Open, bench: Bench, pictures: list[Path]
) -> None:
    page = visit()
    upload(page, pictures[0])

    def shows(**options: Any) -> None:
        expected = localized(bench, pictures[0], **options)
        text = f"level {expected.level} of 255"
        page.locator(".view .facts", has_text=text).wait_for()
        title = page.locator(".view figcaption").first
        page.wait_for_function(
            "(n) => document.querySelectorAll('.view .stage .box').length === n", arg=len(expected.boxes)
        )
        np.testing.assert_allclose(boxes(page), expected.boxes, atol=1)
        assert title.is_visible()

    choose(page, "Similarity S")
    page.locator(".view figcaption", has_text="Similarity S").nth(1).wait_for()
    shows(map="similarity")
    choose(page, "balanced")
    page.locator(".view figcaption", has_text="Similarity S + balanced").wait_for()
    shows(map="similarity", preset="balanced")
    assert "more than that of one plain pass (balanced)" in page.locator(".view .words").inner_text()
    choose(page, "best")
    shows(map="similarity", preset="best")
    choose(page, "fast")
    choose(page, "a percentile")
    shows(map="similarity", threshold="percentile")
    slide(page, "Percentile", 50)
    shows(map="similarity", threshold="percentile", percentile=50)
    choose(page, "all")
    shows(map="similarity", threshold="percentile", percentile=50, boxes="all")


def test_classes_are_chosen_from_the_predicted_and_by_name(
    visit: Open, bench: Bench, pictures: list[Path]
) -> None:
    page = visit()
    upload(page, *pictures[:2])
    field = page.locator(".class input")
    field.click()
    options = page.locator("li[role=option]")
    assert options.count() == 5
    other = options.nth(2).inner_text().split(" · ")[0].strip("✓ \n")
    options.nth(2).click()
    page.locator(".view .label", has_text=other).wait_for()
    field.fill("BEE")
    field.press("Enter")
    page.locator(".view .label", has_text="bee").wait_for()
    np.testing.assert_allclose(boxes(page), localized(bench, pictures[0], "bee").boxes, atol=1)
    field.fill("bees")
    field.press("Enter")
    page.locator(".view .problem", has_text="knows no class 'bees'; near it are bee").wait_for()
    assert page.locator(".view .stage .photo").is_visible()
    assert page.locator(".view .stage :is(.mask, .heat, .box):visible").count() == 0
    for name in ("Accept", "Reject"):
        assert page.get_by_role("button", name=name, exact=True).is_disabled()
    field.fill("bee")
    field.press("Enter")
    page.locator(".view .stage").wait_for()
    page.get_by_label("Keep it for the next photographs").check()
    page.get_by_role("button", name="Next photograph").click()
    page.locator(".own-strip [aria-current=true]", has_text="two.jpg").wait_for()
    assert page.locator(".view .label").inner_text() == "bee"


def test_sliding_runs_no_network_and_sends_no_photograph(
    visit: Open, bench: Bench, pictures: list[Path]
) -> None:
    page = visit()
    upload(page, pictures[0])
    answers: list[bytes] = []
    page.on("response", lambda answer: answers.append(answer.body()) if "/run/" in answer.url else None)
    ratios = (0.3, 0.5, 0.7, 0.9)
    expected = [localized(bench, pictures[0], ratio=ratio) for ratio in ratios]
    passes: list[int] = []
    handle = bench.localizers["first"].classifier.register_forward_hook(lambda *_: passes.append(1))
    try:
        for ratio, result in zip(ratios, expected, strict=True):
            before = facts(page)
            slide(page, "τ", ratio)
            assert level(changed(page, before)) == result.level
            np.testing.assert_allclose(boxes(page), result.boxes, atol=1)
    finally:
        handle.remove()
    assert passes == []
    assert len(answers) == 4
    assert all(b"image/jpeg" not in answer and b"image/png" in answer for answer in answers)


def test_another_map_and_another_model_are_shown_beside(
    visit: Open, bench: Bench, pictures: list[Path]
) -> None:
    page = visit()
    upload(page, pictures[0])
    page.get_by_label("Another model or map beside it").check()
    page.locator(".other .label").wait_for()
    choose(page, "Similarity S", ".other")
    page.locator(".other .own-viewer .model", has_text="second · Similarity S").wait_for()
    expected = localized(bench, pictures[0], map="similarity")
    np.testing.assert_allclose(boxes(page, "other"), expected.boxes, atol=1)
    assert level(facts(page, "other")) == expected.level
    assert page.locator(".view .model").inner_text() == "first · CAM"
    before = facts(page, "other")
    page.locator(".other").get_by_role("slider", name="τ").press("End")
    assert level(changed(page, before, "other")) > 250
    page.locator(".class input").fill("ant")
    page.locator(".class input").press("Enter")
    page.locator(".other .problem", has_text="the second knows no class 'ant'").wait_for()
    page.get_by_label("Another model or map beside it").uncheck()
    page.locator(".other").wait_for(state="hidden")


def test_boxes_are_corrected_accepted_and_downloaded(
    visit: Open, pictures: list[Path], tmp_path: Path
) -> None:
    page = visit()
    upload(page, *pictures[:3])

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        stage = page.locator(".view .stage .picture").bounding_box()
        assert stage
        scale = stage["width"] / 240
        page.mouse.move(stage["x"] + scale * start[0], stage["y"] + scale * start[1])
        page.mouse.down()
        page.mouse.move(stage["x"] + scale * end[0], stage["y"] + scale * end[1], steps=4)
        page.mouse.up()

    for edge, value in (("right", 200), ("bottom", 150), ("left", 40), ("top", 30)):
        page.locator(".view .edges").get_by_label(edge).fill(str(value))
        page.locator(".view .edges").get_by_label(edge).press("Enter")
    assert boxes(page) == [[40, 30, 200, 150]]
    drag((200, 150), (120, 110))  # a corner
    np.testing.assert_allclose(boxes(page), [[40, 30, 120, 110]], atol=1)
    drag((80, 70), (90, 75))  # the inside
    np.testing.assert_allclose(boxes(page), [[50, 35, 130, 115]], atol=1)
    drag((180, 20), (230, 500))  # outside: another one instead, which ends where the photograph does
    np.testing.assert_allclose(boxes(page), [[180, 20, 230, 160]], atol=1)
    assert "by hand" in page.locator(".view .stage .tag").inner_text()
    page.get_by_role("button", name="Undo").click()
    assert page.locator(".view .stage .tag").inner_text().endswith(re.findall(r"score (\S+)", facts(page))[0])
    drag((0, 80), (60, 80))
    page.get_by_role("button", name="Accept the corrected box").click()
    page.locator(".own-strip [aria-current=true]", has_text="two.jpg").wait_for()
    second = page.locator(".view .label").inner_text()
    page.get_by_role("button", name="Reject").click()
    page.locator(".own-strip [aria-current=true]", has_text="three.png").wait_for()
    page.get_by_role("button", name="Accept", exact=True).click()
    page.locator(".own-strip .count", has_text="3 photographs, 3 looked through").wait_for()
    assert page.locator(".own-strip button .verdict").all_inner_texts() == [
        "corrected",
        "rejected",
        "accepted",
    ]
    page.get_by_role("button", name="one.png").click()
    page.locator(".view .verdict", has_text="corrected").wait_for()
    np.testing.assert_allclose([box[0] for box in boxes(page)], [60], atol=1)
    for format, name in (("coco", "wsol-coco.json"), ("yolo", "wsol-yolo.zip"), ("voc", "wsol-voc.zip"),
                         ("label-studio", "wsol-label-studio.zip")):  # fmt: skip
        page.locator(".own-download select").select_option(format)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    data = json.loads((tmp_path / "wsol-coco.json").read_text())
    assert [image["file_name"] for image in data["images"]] == ["one.png", pictures[2].name]
    assert data["annotations"][0]["bbox"][0] in (59, 60, 61)
    assert data["annotations"][0]["score"] == 1
    assert second


def test_nothing_accepted_is_told(visit: Open, pictures: list[Path]) -> None:
    page = visit()
    upload(page, pictures[0])
    page.get_by_role("button", name="Download").click()
    page.get_by_text("nothing to download yet: accept or correct a box first").wait_for()


def test_broken_files_are_told_and_the_others_go_on(visit: Open, pictures: list[Path]) -> None:
    page = visit()
    upload(page, pictures[4], pictures[1])
    told = page.locator(".own-strip .skipped")
    assert told.locator("li").count() == 1
    assert re.match(r"broken\.jpg: .*(damaged|not an image)", told.locator("li").inner_text())
    assert page.locator(".own-strip .name").all_inner_texts() == ["two.jpg"]
    page.get_by_role("button", name="Clear all").click()
    page.locator(".own-strip .welcome").wait_for()
    assert page.locator(".view .stage").is_hidden()
    assert told.is_hidden()


def test_files_that_are_too_large_are_told(visit: Open, pictures: list[Path], tmp_path: Path) -> None:
    large = tmp_path / f"{NASTY}.jpg"
    with large.open("wb") as file:
        file.truncate(51 * 2**20)
    page = visit()
    upload(page, pictures[1], large)
    told = page.locator(".own-strip .skipped li")
    assert told.all_inner_texts() == [f"{large.name}: larger than 50 MB"]
    assert page.locator(".own-strip .name").all_inner_texts() == ["two.jpg"]
    page.locator(".uploads input[type=file]").set_input_files(large)
    told.nth(1).wait_for(state="detached")
    assert page.locator("[onerror]").count() == 0
    assert page.evaluate("window.hacked") is None
    page.evaluate(
        """async () => {
          const files = new DataTransfer();
          const canvas = new OffscreenCanvas(60, 40);
          canvas.getContext("2d").fillRect(0, 0, 30, 40);
          files.items.add(new File([await canvas.convertToBlob()], "dropped.png"));
          files.items.add(new File([new Uint8Array(51 * 2 ** 20)], "large.png"));
          document.querySelector(".uploads button").dispatchEvent(
            new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }"""
    )
    page.locator(".own-strip .name", has_text="dropped.png").wait_for()
    assert told.last.inner_text() == "large.png: larger than 50 MB"
    page.get_by_role("button", name="Clear all").click()
    told.first.wait_for(state="hidden")


def test_names_and_labels_are_text_and_nothing_else(visit: Open, pictures: list[Path]) -> None:
    page = visit()
    upload(page, pictures[2])
    assert page.locator(".own-strip .name").inner_text() == pictures[2].name
    page.locator(".class input").fill(NASTY)
    page.locator(".class input").press("Enter")
    page.locator(".view .label", has_text=NASTY).wait_for()
    assert NASTY in page.locator(".view .tag").inner_text()
    page.locator(".class input").fill("<b onclick=hacked>")
    page.locator(".class input").press("Enter")
    page.locator(".view .problem", has_text="<b onclick=hacked>").wait_for()
    page.locator(".class input").click()
    assert page.locator("[onerror], [onclick]").count() == 0
    assert page.evaluate("window.hacked") is None


def test_two_people_at_once_do_not_see_each_other(visit: Open, pictures: list[Path]) -> None:
    ada, bob = visit(), visit(person="bob")
    upload(ada, pictures[0])
    upload(bob, pictures[1], pictures[2])
    before = facts(ada), facts(bob)
    slide(ada, "τ", 0.9)
    slide(bob, "τ", 0.6)
    levels = [level(changed(person, text)) for person, text in zip((ada, bob), before, strict=True)]
    assert levels == [229, 153]
    assert ada.locator(".own-strip .name").all_inner_texts() == ["one.png"]
    assert bob.locator(".own-strip .name").all_inner_texts() == ["two.jpg", pictures[2].name]
    ada.get_by_role("button", name="Accept", exact=True).click()
    ada.locator(".own-strip .count", has_text="1 photograph, 1 looked through").wait_for()
    bob.get_by_role("button", name="Next photograph").click()
    bob.locator(".own-strip [aria-current=true]", has_text="three").wait_for()
    assert bob.locator(".own-strip .count span").inner_text() == "2 photographs, 0 looked through"


def test_keyboard_alone_is_enough(visit: Open) -> None:
    page = visit()

    def tab_to(selector: str, key: str = "Tab") -> None:
        for _ in range(60):
            if page.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
            page.keyboard.press(key)
        raise AssertionError(f"no way to {selector}")

    page.get_by_role("tab", name="Photographs").focus()
    tab_to(".uploads button")  # opens the file dialog
    _press_until_dialog(page)
    tab_to("button.start")
    page.keyboard.press("Enter")
    page.locator(".own-strip .photos button").nth(3).wait_for()
    tab_to(".own-strip .photos button:nth-child(2)")
    page.keyboard.press("Enter")
    page.locator(".own-strip [aria-current=true]", has_text="coffee.png").wait_for()
    tab_to(".view .stage .box")
    (start,) = boxes(page)
    for _ in range(3):
        page.keyboard.press("Shift+ArrowLeft")
    (moved,) = boxes(page)
    assert moved[0] == start[0]
    assert moved[2] == start[2] - 18  # three times a hundredth of 600 pixels
    tab_to(".view .edges input[name=y0]")
    page.keyboard.type("77")
    tab_to(".view .accept", "Shift+Tab")
    assert boxes(page)[0][1] in (76, 77, 78)
    page.keyboard.press("Enter")
    page.locator(".own-strip [aria-current=true]", has_text="camera.png").wait_for()
    before = facts(page)
    tab_to(".side input[type=range]")
    page.keyboard.press("ArrowRight")
    changed(page, before)
    page.get_by_role("tab", name="Photographs").focus()
    tab_to(".own-download button")
    with page.expect_download():
        page.keyboard.press("Enter")


def _press_until_dialog(page: "Page") -> None:
    """Press Enter until the file dialog opens: Gradio makes its field anew just after the page has loaded."""
    opened: list[object] = []

    def note(chooser: object) -> None:
        opened.append(chooser)

    page.once("filechooser", note)
    for attempt in range(60):
        if attempt % 10 == 0:
            page.keyboard.press("Enter")
        page.wait_for_timeout(100)
        if opened:
            return
    raise AssertionError("the file dialog does not open")


@pytest.mark.parametrize("width", [360, 400, 900])
def test_nothing_is_cut_off_in_a_narrow_window(visit: Open, tmp_path: Path, width: int) -> None:
    long = "averylongwordwithoutanyspace" * 6
    Image.new("RGB", (40, 500), "red").save(tmp_path / f"{long}.png")
    (tmp_path / f"{long}.jpg").write_bytes(b"nothing")
    page = visit((width, 800))
    upload(page, tmp_path / f"{long}.png", tmp_path / f"{long}.jpg")
    assert overflow(page) <= 0
    page.get_by_label("Another model or map beside it").check()
    page.locator(".other .label").wait_for()
    assert overflow(page) <= 0
    for item in page.locator("main button:visible, main input:visible, main img:visible").all():
        place = item.bounding_box()
        if place and place["width"] > 1 and not item.evaluate("(e) => !!e.closest('.photos')"):
            assert place["x"] >= 0
            assert place["x"] + place["width"] <= width + 1


def test_an_answer_that_a_later_one_has_overtaken_is_left_out(visit: Open, pictures: list[Path]) -> None:
    page = visit()
    upload(page, pictures[0])
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: "Route") -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route("**/gradio_api/run/**", hold)
    slide(page, "τ", 0.4)
    wait_until(page, lambda: bool(held))
    choose(page, "Similarity S")
    page.locator(".view figcaption", has_text="Similarity S").nth(1).wait_for()
    before = facts(page)
    page.evaluate(
        """() => {
          const facts = document.querySelector(".view .facts");
          window.seen = [];
          new MutationObserver(() => window.seen.push(facts.textContent)).observe(facts, { childList: true });
        }"""
    )
    ((route, response),) = held
    with page.expect_response("**/gradio_api/run/**"):
        route.fulfill(response=response)
    slide(page, "τ", 0.9)  # Gradio sends it after the late answer is through
    after = changed(page, before)
    assert level(after) == 229
    assert page.evaluate("window.seen") == [after]


def test_evaluations_are_compared_with_their_protocol(
    visit: Open, bench: Bench, write: Write, pictures: list[Path]
) -> None:
    results = [write("one", name="one", quality=0.5), write("two", name=NASTY, quality=0.9)]
    with serving(Handlers(bench, results)) as (_, url):
        page = visit(at=url)
        page.get_by_role("tab", name="Evaluations").click()
        table = page.locator(".comparison table").first
        table.wait_for()
        expected = compare(results)
        cells = table.locator("tbody td").all_inner_texts()
        assert cells == [str(value) for value in expected.table.to_numpy().ravel()]
        notes = page.locator(".comparison li").all_inner_texts()
        assert notes[0].startswith("All numbers in %; ")
        assert notes == [*expected.notes, *expected.test_notes]
        page.get_by_label("one", exact=True).uncheck()
        page.wait_for_function("document.querySelectorAll('.comparison tbody tr').length === 1")
        assert NASTY in table.inner_text()
        assert page.locator("[onerror]").count() == 0
        assert page.evaluate("window.hacked") is None
        page.get_by_label("95 % intervals").check()
        page.wait_for_function("document.querySelector('.comparison td').innerText.includes('(')")
        assert overflow(page) <= 0
        page.get_by_role("tab", name="Photographs").click()
        upload(page, pictures[0])
        page.get_by_role("tab", name="Evaluations").click()
        page.get_by_role("tab", name="Photographs").click()
        assert page.locator(".view .stage .box").is_visible()


def test_files_of_the_machine_are_not_served(visit: Open, address: str, pictures: list[Path]) -> None:
    visit()
    for path in (pictures[0], Path(__file__), Path("/etc/hostname")):
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(f"{address}gradio_api/file={path}")
        assert refused.value.code in (403, 404)
    config = json.load(urllib.request.urlopen(f"{address}config"))
    assert address.startswith("http://127.0.0.1:")
    assert not config["analytics_enabled"]
    uploads = next(
        item for item in config["components"] if "uploads" in (item["props"].get("elem_classes") or [])
    )
    call = next(each for each in config["dependencies"] if [uploads["id"], "upload"] in each["targets"])

    def uploaded(path: str) -> dict[str, Any]:
        """What the app makes of an upload that is said to lie there."""
        body = {
            "data": [[{"path": path, "meta": {"_type": "gradio.FileData"}}]],
            "fn_index": call["id"],
            "session_hash": f"thief of {path}",
        }
        queue = f"{address}gradio_api/queue"
        request = urllib.request.Request(
            f"{queue}/join", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request).close()
        with urllib.request.urlopen(f"{queue}/data?session_hash={quote(body['session_hash'])}") as events:
            answers = (json.loads(line[5:]) for line in events if line.startswith(b"data:"))
            return next(answer for answer in answers if answer["msg"] == "process_completed")

    files = {"files": ("one.png", pictures[0].read_bytes())}
    mine = httpx.post(f"{address}gradio_api/upload", files=files).json()[0]
    assert uploaded(mine)["success"]
    assert not uploaded(str(pictures[0]))["success"]


def test_what_is_before_a_person_is_what_they_judge(visit: Open, pictures: list[Path]) -> None:
    page = visit()
    upload(page, *pictures[:3])
    page.evaluate(
        """() => {
          document.querySelector(".view .after").click();
          document.querySelector(".view .accept").click();
          document.querySelector(".view .accept").click();
        }"""
    )
    page.locator(".own-strip .count", has_text="3 photographs, 1 looked through").wait_for()
    assert page.locator(".own-strip button .verdict").all_inner_texts() == ["accepted", "", ""]


def test_a_second_lot_while_the_first_is_read(
    visit: Open, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    read = session._read

    def slow(path: Path, name: str, bench: Bench) -> Photo:
        begun.set()
        assert name != "one.png" or go_on.wait(30)
        return read(path, name, bench)

    monkeypatch.setattr(session, "_read", slow)
    page = visit()
    field = page.locator(".uploads input[type=file]")
    field.set_input_files(pictures[0])
    wait_until(page, begun.is_set)
    field.set_input_files(pictures[1])
    page.locator(".own-strip .name", has_text="two.jpg").wait_for()
    go_on.set()
    page.locator(".own-strip .name", has_text="one.png").wait_for()
    assert page.locator(".own-strip .name").all_inner_texts() == ["two.jpg", "one.png"]


def test_a_broken_file_does_not_lose_a_correction(visit: Open, pictures: list[Path]) -> None:
    page = visit()
    upload(page, pictures[0])
    edge = page.locator(".view .edges").get_by_label("right")
    edge.fill("150")
    edge.press("Enter")
    corrected = boxes(page)
    page.locator(".uploads input[type=file]").set_input_files(pictures[4])
    page.locator(".own-strip .skipped li").wait_for()
    assert boxes(page) == corrected
    assert corrected[0][2] == 150


def test_numbers_that_are_none_are_told_on_the_page(visit: Open, pictures: list[Path]) -> None:
    page = visit()
    upload(page, pictures[0])
    field = page.locator(".side input[type=number]").first
    field.fill("5")
    page.locator(".view .problem", has_text="ratio must be in [0, 1], got 5").wait_for()
    field.fill("0.5")
    page.locator(".view .facts", has_text="level 127 of 255").wait_for()
    assert page.locator(".view .stage").is_visible()
    assert page.locator(".view .problem").inner_text() == ""


def test_what_was_put_away_is_told(visit: Open, bench: Bench, pictures: list[Path]) -> None:
    handlers = Handlers(bench)
    with serving(handlers) as (_, url):
        page = visit(at=url)
        upload(page, *pictures[:2])
        handlers.sessions.put_away(time.monotonic() + 3601)
        page.get_by_role("button", name="Download").click()
        page.get_by_text("The app has put your photographs away").wait_for()
        page.get_by_role("button", name="Clear all").click()
        page.locator(".own-strip .welcome").wait_for()
        upload(page, pictures[2])
        handlers.sessions.put_away(time.monotonic() + 3601)
        page.locator(".uploads input[type=file]").set_input_files(pictures[1])
        page.get_by_text("The app has put your photographs away").last.wait_for()
        page.locator(".own-strip .name", has_text="two.jpg").wait_for()
        page.get_by_role("button", name="Accept", exact=True).click()
        page.locator(".own-strip .count", has_text="1 photograph, 1 looked through").wait_for()


def test_uploads_are_removed_at_the_end(visit: Open, bench: Bench, pictures: list[Path]) -> None:
    before = os.environ.get("GRADIO_TEMP_DIR")
    with serving(Handlers(bench)) as (_, url):
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        upload(visit(at=url), pictures[0])
        assert [path.name for path in folder.rglob("*.png")] == ["one.png"]
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    assert os.environ.get("GRADIO_TEMP_DIR") == before
