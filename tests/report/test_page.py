"""What a person sees of a report: the page in a real browser."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.report.conftest import Make, Open, localization, photo
from wsol.inference.localization import Localization
from wsol.inference.record import encode_map
from wsol.maps import normalize, upsample
from wsol.report.html import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Show = Callable[..., "Page"]

NASTY = '</script><img src=x onerror="window.hacked=1">\'"&amp;<!--'


@pytest.fixture
def show(open_page: Open, tmp_path: Path) -> Show:
    """Writes a report and opens it."""

    def _show(results: list[Localization], *, size: tuple[int, int] = (1200, 900), **options: Any) -> "Page":
        path = tmp_path / "report.html"
        write_report(results, path, **options)
        return open_page(path, size)

    return _show


def canvas_map(page: "Page", kind: str) -> NDArray[np.int64]:
    """The rank of each pixel's colour in the table of colours: the map's 8-bit values, up to 1.

    A few neighbours in the table are the same colour; the later counts.
    """
    ranks = page.evaluate(
        """(kind) => {
          const canvas = document.querySelector(`canvas[data-kind=${kind}]`);
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const table = wsol.bytes(JSON.parse(document.getElementById("constants").textContent).colours);
          const ranks = new Map();
          for (let i = 0; i < 256; i++) ranks.set(table.slice(3 * i, 3 * i + 3).join(), i);
          return [canvas.height, canvas.width, ...Array.from({ length: data.length / 4 },
            (_, i) => ranks.get(data.slice(4 * i, 4 * i + 3).join()) ?? -1000)];
        }""",
        kind,
    )
    return np.array(ranks[2:]).reshape(ranks[:2])


def overflow(page: "Page", selector: str = "html") -> int:
    return int(
        page.evaluate(
            "(s) => { const e = document.querySelector(s); return e.scrollWidth - e.clientWidth }", selector
        )
    )


def names(page: "Page") -> list[str]:
    return page.locator(".card .name").all_text_contents()


def test_every_photograph_shows_file_label_score_and_box(make: Make, show: Show) -> None:
    results = [
        make("one.png", label="Egyptian cat"),
        make("deep/two.png", label="tabby", blob=(0.3, 0.4), size=(200, 100)),
        make("three.png", label="lynx", empty=True),
    ]
    page = show(results, root=results[0].path.parent if results[0].path else None)
    cards = page.locator(".card")
    assert cards.count() == 3
    for number, (result, name) in enumerate(
        zip(results, ("one.png", "deep/two.png", "three.png"), strict=True)
    ):
        text = cards.nth(number).inner_text()
        assert result.label in text
        assert name in text
        assert (f"{result.score:.2f}" if len(result.boxes) else "nothing found") in text
        assert f"probability {result.probability:.2f}" in text
    for number, result in enumerate(results[:2]):
        photograph = cards.nth(number).locator("img").bounding_box()
        drawn = cards.nth(number).locator("rect.outline").bounding_box()
        assert photograph
        assert drawn
        scale = photograph["width"] / result.size[1]
        corner = np.array([photograph["x"], photograph["y"]])
        half = 1.5  # of the line
        low, high = corner + scale * result.boxes[0, :2] - half, corner + scale * result.boxes[0, 2:] + half
        seen = np.array([drawn["x"], drawn["y"]])
        np.testing.assert_allclose(seen, low, atol=0.6)
        np.testing.assert_allclose(seen + np.array([drawn["width"], drawn["height"]]), high, atol=0.6)


def test_summary_settings_and_skipped_files(make: Make, show: Show) -> None:
    page = show(
        [make("a.png"), make("b.png", empty=True)],
        skipped=[("bad.jpg", "the file is empty")],
        summary={"Model": "efficientnet_lite0"},
        settings={"ratio": "0.2"},
    )
    facts = " ".join(page.locator(".facts").inner_text().split())
    for fact in (
        "Photographs 2",
        "With boxes 1",
        "Nothing found 1",
        "Skipped files 1",
        "Model efficientnet_lite0",
    ):
        assert fact in facts
    page.locator("#skipped summary").click()
    assert page.locator("#skipped li").inner_text() == "bad.jpg the file is empty"
    page.locator("#settings summary").click()
    assert page.get_by_text("ratio").is_visible()


def test_details_show_the_maps_that_python_computes(make: Make, show: Show) -> None:
    result = make(blob=(0.3, 0.7), frame=(56, 64))
    page = show([result])
    page.locator(".card").click()
    assert page.locator("#panels canvas").count() == 3
    for kind in ("map", "norm", "similarity"):
        expected = result.map_at((56, 64), kind)
        seen = canvas_map(page, kind)
        assert np.abs(seen - 255 * expected).max() <= 1.5 + 1e-6
        assert np.ptp(seen) == 255
        assert expected.flat[seen.argmax()] > 1 - 2 / 255
        assert seen.flat[expected.argmax()] == 255
    assert page.locator("#panels rect.outline").count() == 4
    text = page.locator("#panels").inner_text()
    for part in (
        "CAM = norm × similarity × a constant",
        "above level 77/255",
        "Feature norm F",
        "Similarity S",
    ):
        assert part in text


def test_details_of_a_refined_map(make: Make, show: Show) -> None:
    """It is large, and kept as levels."""
    plain = make(blob=(0.3, 0.7), frame=(56, 64))
    levels = np.rint(255 * plain.map_at((56, 64))) / 255
    result = replace(plain, raw_maps=plain.raw_maps | {"map": levels.astype(np.float32)}, test_time="best")
    page = show([result])
    page.locator(".card").click()
    page.locator("#panels canvas").nth(2).wait_for()
    assert np.abs(canvas_map(page, "map") - 255 * result.map).max() <= 1.5 + 1e-6
    text = page.locator("#panels").inner_text()
    assert "CAM + best, the map behind the box" in text
    assert "Here it comes from more than one plain pass (best)." in text


def test_outline_of_the_level_is_the_mask(make: Make, show: Show) -> None:
    result = make(blob=(0.4, 0.6), width=0.15, frame=(56, 56))
    page = show([result])
    page.locator(".card").click()
    path = page.locator("path.level").get_attribute("d") or ""
    rows = [int(part.split()[1].split("H")[0]) for part in path.split("M")[1:] if "H" in part]
    columns = [int(part.split()[0]) for part in path.split("M")[1:] if "V" in part]
    mask = np.floor(255 * result.map) > result.level
    seen_rows, seen_columns = np.nonzero(mask)
    assert (min(rows), max(rows)) == (seen_rows.min(), seen_rows.max() + 1)
    assert (min(columns), max(columns)) == (seen_columns.min(), seen_columns.max() + 1)


@pytest.mark.parametrize("size", [(56, 56), (13, 40), (5, 3), (1, 1)])
@pytest.mark.parametrize("shape", [(7, 7), (1, 1), (1, 5), (14, 9)])
def test_bicubic_in_the_browser_equals_python(
    maps_page: "Page", shape: tuple[int, int], size: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    call = "([v, shape, size]) => Array.from(wsol.upsample(Float32Array.from(v), shape, size))"
    seen = np.array(maps_page.evaluate(call, [values.ravel().tolist(), shape, size])).reshape(size)
    expected = upsample(torch.from_numpy(values)[None], size)[0].numpy()
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    call = "(v) => Array.from(wsol.normalize(Float64Array.from(v)))"
    seen = np.array(maps_page.evaluate(call, expected.ravel().tolist())).reshape(size)
    np.testing.assert_allclose(seen, normalize(torch.from_numpy(expected)[None])[0].numpy(), atol=1e-9)


@pytest.mark.parametrize("size", [(7, 7), (40, 50)])
def test_maps_arrive_in_the_browser_as_they_are(maps_page: "Page", size: tuple[int, int]) -> None:
    values = (np.random.default_rng(0).integers(0, 256, size) / 255).astype(np.float32)
    encoded = encode_map(values)
    assert ("uint8_zlib" in encoded) == (size == (40, 50))
    seen = maps_page.evaluate("async (map) => Array.from((await wsol.decode(map)).values)", encoded)
    np.testing.assert_array_equal(np.array(seen, np.float32).reshape(size), values)


@pytest.mark.parametrize("value", [0.1, float("nan"), float("inf")])
def test_map_with_nothing_in_it_is_blank_as_in_python(maps_page: "Page", value: float) -> None:
    raw = torch.full((1, 7, 7), 0.1)
    raw[0, 3, 3] = value
    call = "(v) => Array.from(wsol.normalize(wsol.upsample(Float32Array.from(v), [7, 7], [20, 20])))"
    assert maps_page.evaluate(call, raw.flatten().tolist()) == [0] * 400
    assert not normalize(upsample(raw, (20, 20))).any()


@pytest.fixture(scope="module")
def maps_page(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Page]":
    path = tmp_path_factory.mktemp("maps") / "report.html"
    write_report([], path)
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.get_by_text("No photographs.").is_visible()
    yield page
    page.close()


def test_alternatives_can_be_switched_to(make: Make, show: Show) -> None:
    other = make(label="tabby", probability=0.07, blob=(0.2, 0.2))
    page = show([make(blob=(0.6, 0.6), alternatives=(other,))])
    page.locator(".card").click()
    assert page.locator("#classes button").all_inner_texts() == ["Egyptian cat 0.90", "tabby 0.07"]
    page.get_by_role("button", name="tabby").click()
    assert page.locator("#detail-title").inner_text() == "tabby"
    assert np.abs(canvas_map(page, "map") - 255 * other.map).max() <= 1.5 + 1e-6
    assert page.locator("#boxes td").all_inner_texts()[1:5] == [str(edge) for edge in other.boxes[0]]
    assert page.locator("#classes button[aria-pressed=true]").inner_text() == "tabby 0.07"


def test_names_and_labels_are_text_and_nothing_else(make: Make, show: Show) -> None:
    result = make(label=NASTY, alternatives=(make(label=NASTY),))
    result = replace(result, source=Path(NASTY))
    page = show([result], skipped=[(NASTY, NASTY)], summary={NASTY: NASTY}, settings={NASTY: NASTY})
    page.locator(".card").click()
    page.get_by_role("button", name="onerror").last.click()
    assert page.locator(".card .label span").first.text_content() == NASTY
    assert page.locator(".card .name").text_content() == NASTY
    assert page.locator("#detail-title").text_content() == NASTY
    assert NASTY in (page.locator("#detail-name").text_content() or "")
    assert page.evaluate("window.hacked") is None
    assert page.locator("[onerror]").count() == 0
    page.keyboard.press("Escape")
    page.locator("#class").select_option(NASTY)
    assert page.locator(".card").count() == 1


def test_injected_code_would_not_run(maps_page: "Page") -> None:
    maps_page.evaluate(
        """() => {
          addEventListener("securitypolicyviolation", () => { window.refused = true; });
          const script = Object.assign(document.createElement("script"), { text: "window.hacked = 1" });
          document.body.append(script);
        }"""
    )
    maps_page.wait_for_function("window.refused")
    assert maps_page.evaluate("window.hacked") is None


def test_photograph_that_has_gone_is_a_grey_field_with_maps(make: Make, show: Show) -> None:
    result = make("gone.png")
    assert result.path
    result.path.unlink()
    page = show([result, make("here.png")])
    first = page.locator(".card").first
    assert "not available" in first.inner_text()
    first.click()
    assert page.locator("#panels canvas").count() == 3
    assert np.ptp(canvas_map(page, "similarity")) == 255


def test_thousands_are_paged_searched_filtered_and_sorted(show: Show, tmp_path: Path) -> None:
    picture = photo((12, 16))
    base = localization(picture, (12, 16), frame=(8, 8))
    empty = localization(picture, (12, 16), frame=(8, 8), empty=True)
    results = [
        replace(empty if n % 10 == 0 else base, label=f"class {n % 7}", source=tmp_path / f"photo-{n:04}.png",
                scores=(empty if n % 10 == 0 else base).scores * (n % 1000) / 1000)
        for n in range(3000)
    ]  # fmt: skip
    page = show(results, root=tmp_path)
    assert page.locator(".card").count() == 48
    assert names(page)[0] == "photo-0000.png"
    assert page.locator("#count").inner_text() == "1–48 of 3000 photographs"
    page.get_by_role("button", name="Next", exact=True).first.click()
    assert names(page)[0] == "photo-0048.png"
    assert page.locator(".card").count() == 48

    page.locator("#search").fill("PHOTO-29")
    assert names(page)[0] == "photo-2900.png"
    assert page.locator("#count").inner_text() == "1–48 of 100 photographs (3000 in all)"
    page.locator("#found").select_option("nothing")
    assert names(page) == [f"photo-29{n}0.png" for n in range(10)]
    page.locator("#class").select_option("class 3")
    assert names(page) == [f"photo-{n}.png" for n in range(2900, 3000, 10) if n % 7 == 3]

    page.locator("#search").fill("no such name")
    assert page.locator(".card").count() == 0
    assert page.get_by_text("No photograph fits these filters.").is_visible()
    page.locator("#search").fill("")
    page.locator("#class").select_option(index=0)
    page.locator("#found").select_option("all")
    page.locator("#order").select_option("high")
    assert names(page)[:3] == ["photo-0999.png", "photo-1999.png", "photo-2999.png"]
    page.locator("#order").select_option("uncertain")
    assert names(page)[:3] == ["photo-0000.png", "photo-0010.png", "photo-0020.png"]  # nothing was found
    page.locator("#order").select_option("name")
    assert names(page)[:2] == ["photo-0000.png", "photo-0001.png"]


@pytest.mark.parametrize("width", [360, 380, 800, 1500])
def test_nothing_is_cut_off_at_the_side(make: Make, show: Show, width: int) -> None:
    long = "averylongwordwithoutanyspace" * 8
    results = [
        make("a.png", label="Egyptian cat, " * 12, alternatives=(make(label=long),)),
        make(f"{long}.png", label=long, size=(300, 100)),
        make("wide.png", size=(10, 2000)),
        make("tall.png", size=(2000, 10), blob=(0.2, 0.9)),
    ]
    page = show(
        results,
        size=(width, 800),
        skipped=[(long, long)],
        summary={"Model": long, long: "x"},
        settings={long: long},
    )
    page.locator("#skipped summary").click()
    page.locator("#settings summary").click()
    assert overflow(page) <= 0
    fields = page.locator(".stage")
    for number in range(len(results)):
        field = fields.nth(number).bounding_box()
        tag = fields.nth(number).locator(".tag").bounding_box()
        assert field
        assert tag
        assert tag["x"] >= field["x"] - 1
        assert tag["x"] + tag["width"] <= field["x"] + field["width"] + 1
        assert tag["y"] >= field["y"] - 1
        assert tag["y"] + tag["height"] <= field["y"] + field["height"] + 1
    for number in range(len(results)):
        page.locator(".card").nth(number).click()
        assert overflow(page, "#detail") <= 0
        assert page.locator("#close").is_visible()
        page.keyboard.press("Escape")


def test_keyboard_alone_is_enough(make: Make, show: Show) -> None:
    page = show([make("a.png", label="cat"), make("b.png", label="dog")])
    focus = "document.activeElement"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate(f"{focus}.className") == "card":
            break
    assert page.evaluate(f"getComputedStyle({focus}).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.locator("#detail").is_visible()
    assert page.locator("#detail-title").inner_text() == "cat"
    page.keyboard.press("ArrowRight")
    assert page.locator("#detail-title").inner_text() == "dog"
    page.keyboard.press("Escape")
    assert page.locator("#detail").is_hidden()
    page.wait_for_function(f"{focus}.innerText.includes('dog')")  # back where the person was looking
