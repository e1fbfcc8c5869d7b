"""What a person sees of an evaluation: the page in a real browser."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.evaluation.conftest import Truth, Write, make_data, write
from tests.report.conftest import Open
from wsol.evaluation.records import BoxRecords
from wsol.evaluation.result import Result
from wsol.report.evaluation import write_evaluation_report

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["write"]  # a fixture

pytestmark = pytest.mark.browser

NASTY = '<img src=x onerror="window.hacked=1">\'"&amp;<!--'
IDS = [f"photo-{number:02}.jpg" for number in range(27)]

Show = Callable[..., "Page"]


@pytest.fixture
def show(open_page: Open, tmp_path: Path, write: Write) -> Show:
    """Writes the page of an evaluation and opens it."""

    def _show(
        truth: Truth = "boxes", *, ids: list[str] = IDS, width: int = 1200, scheme: str = "light",
        change: Callable[[Result], Result] = lambda result: result,
        classes: tuple[str, ...] = ("small copper", "peacock", "brimstone"),
    ) -> "Page":  # fmt: skip
        data = replace(make_data(tmp_path / "data", ids, 0, truth), classes=classes)
        result = change(write(ids=ids, truth=truth))
        assert result.folder
        write_evaluation_report(result, data, result.folder)
        return open_page(result.folder / "report.html", (width, 900), color_scheme=scheme)

    return _show


def test_boxes_lie_where_the_records_say(show: Show) -> None:
    results: list[Result] = []
    opened = show(change=lambda result: results.append(result) or result)  # type: ignore[func-returns-value]
    (result,) = results
    records = result.records
    assert isinstance(records, BoxRecords)
    found = records.boxes_at(result.headline_ratio, 100.0)
    truth = records.true_boxes()
    assert opened.locator(".cards li").count() == 24
    for number in (0, 9, 23):
        card = opened.locator(".cards li").nth(number)
        place = IDS.index(card.locator(".name").inner_text())
        photo = card.locator("image").bounding_box()
        assert photo
        scale = np.array([photo["width"], photo["height"]] * 2) / 224
        origin = np.array([photo["x"], photo["y"]] * 2)
        true = truth[place][0] + [0, 0, 1, 1]
        for kind, box in (("true", true), ("found", found[place])):
            drawn = card.locator(f"rect.{kind}").bounding_box()
            assert drawn
            corners = [drawn["x"], drawn["y"], drawn["x"] + drawn["width"], drawn["y"] + drawn["height"]]
            half = np.array([-1.25, -1.25, 1.25, 1.25])  # of the line, which Chromium may leave out
            error = np.abs(np.array(corners) - (origin + box * scale))
            assert (error <= np.abs(half) + 0.6).all()
        assert f"IoU {result.overlaps()[place]:.2f}" in " ".join(card.inner_text().split())


def test_photographs_are_drawn_and_numbers_readable(show: Show) -> None:
    opened = show()
    assert opened.locator("h1").inner_text() == "CAM"
    assert "τ chosen on val (transferred)" in opened.locator(".protocol").inner_text()
    assert opened.locator("svg.plot").count() == 4
    for number in range(4):
        shape = opened.locator("svg.plot").nth(number).bounding_box()
        assert shape
        assert shape["height"] > 150
    opened.locator("summary").first.click()
    assert opened.get_by_text("BoxAcc@0.7 all").first.is_visible()
    assert opened.locator("script").count() == 0


@pytest.mark.parametrize(
    ("truth", "width"), [("boxes", 360), ("masks", 360), ("boxes", 770), ("boxes", 1500)]
)
def test_nothing_sticks_out(show: Show, truth: Truth, width: int) -> None:
    long = "averylongwordwithoutanyspace" * 6

    def change(result: Result) -> Result:
        return replace(
            result,
            name=long,
            skipped=(long,) * 12,
            notes=(long,) * 2,
            model={long: long, "nested": {"deep": long}},
        )

    opened = show(
        truth, ids=[f"{long[:150]}.jpg", *IDS[1:7]], width=width, change=change, classes=(long,) * 3
    )
    opened.locator("#skipped summary").click()
    opened.locator("#notes summary").click()
    wide = "(e) => e.scrollWidth - e.clientWidth"
    assert opened.evaluate(wide, opened.locator("html").element_handle()) <= 0
    for place in ("table.scores", "figure", ".cards li", ".facts div"):
        for element in opened.locator(place).element_handles():
            if element.is_visible():
                box = element.bounding_box()
                assert box
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width


def test_names_are_text_and_nothing_else(show: Show) -> None:
    def change(result: Result) -> Result:
        return replace(
            result, name=NASTY, skipped=(NASTY,), notes=(NASTY,), model={NASTY: NASTY},
            versions={NASTY: NASTY}, data=result.data | {"name": NASTY},
        )  # fmt: skip

    name = f"{NASTY}.jpg"
    opened = show(ids=[name, *IDS[1:3]], change=change, classes=(NASTY,) * 3)
    assert opened.locator("h1").inner_text() == NASTY
    assert NASTY in opened.title()
    assert opened.locator(".cards .label").first.inner_text() == NASTY
    assert name in opened.locator(".cards .name").all_inner_texts()
    assert opened.locator("#skipped li").inner_text() == NASTY
    opened.locator("#notes summary").click()
    assert opened.locator("#notes li").inner_text() == NASTY
    assert opened.locator("img, [onerror]").count() == 0
    assert opened.evaluate("window.hacked") is None


def test_colours_follow_the_theme(show: Show) -> None:
    opened = show(scheme="dark")
    text = "getComputedStyle(document.querySelector('svg.plot [fill=\"#1a1d23\"]')).fill"
    assert opened.evaluate(text) == "rgb(232, 234, 238)"
    opened.emulate_media(media="print")
    assert opened.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
