"""Results side by side, as pages in a real browser: whatever runs, data and models are called, it is text."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from matplotlib.figure import Figure

from tests.evaluation.conftest import FINGERPRINT, Write, write
from tests.report.conftest import Open, localization, photo
from wsol.commands.compare import compare as run
from wsol.commands.compare import compare_parser
from wsol.data.dataset import DataSet, Example
from wsol.evaluation.compare import Comparison, compare
from wsol.report.comparison import side_by_side, write_comparison

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from wsol.inference.localizer import Localizer

__all__ = ["write"]  # a fixture

NASTY = [
    '<img src=x onerror="window.hacked=1">\'"&amp;<!--',
    "</table></script><script>window.hacked=1</script>",
    '"><svg onload=window.hacked=1>',
]


@pytest.fixture
def nasty(write: Write) -> Comparison:
    """Runs, data, backbones and settings of such names, and skipped files."""
    data = {"name": NASTY[1], "fingerprint": FINGERPRINT, "skipped": 2}
    model = {"backbone": NASTY[2], "map": NASTY[0]}
    first = write("one", name=NASTY[0], data=data, model=model, skipped=(NASTY[0],))
    return compare([first, write("two", name=NASTY[1], data=data, model=model | {"map": NASTY[1]})])


def _is_harmless(page: "Page", images: int) -> None:
    text = " ".join(page.locator("table").all_inner_texts() + page.locator("li").all_inner_texts())
    for name in NASTY:
        assert name in text
    assert page.locator("img").count() == images
    assert page.locator("script, svg, [onerror], [onload]").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
def test_names_in_a_table_of_results(nasty: Comparison, open_page: Open, tmp_path: Path) -> None:
    assert nasty.tests is not None
    path = tmp_path / "table.html"
    words = [str(tmp_path / "one"), str(tmp_path / "two"), "--output", str(path)]
    assert run(compare_parser().parse_args(words)) == 0
    _is_harmless(open_page(path), images=0)


@pytest.mark.browser
def test_names_beside_the_maps(nasty: Comparison, open_page: Open, tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    write_comparison(nasty, Figure(), [*NASTY, "\udce9"], path)
    opened = open_page(path)
    _is_harmless(opened, images=1)
    assert opened.locator("p").all_inner_texts() == [*NASTY, "\\udce9"]


def test_names_over_the_maps_are_no_formulas(tmp_path: Path) -> None:
    """Matplotlib sets $…$ as mathematics, and fails where it is none."""
    names = [*NASTY, r"$\nonsense{$", "$5"]
    picture = photo((30, 40))
    picture.save(tmp_path / "a.png")
    shown = {name: lambda *_: localization(picture, (30, 40)) for name in names}
    data = DataSet("toys", "csv", tmp_path, None, (names[3],), {}, upright=True)
    localizers = cast("Mapping[str, Localizer]", shown)
    figure = side_by_side(localizers, data, [Example("a.png", 0, boxes=((1, 2, 30, 20),))])
    figure.savefig(tmp_path / "drawn.png", dpi=20)
    titles: list[Any] = [axis.get_title() for axis in figure.axes]
    assert titles == [names[3], *names]
