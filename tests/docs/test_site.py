"""The site builds without a warning, and its pages load nothing from elsewhere."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import ROOT, pages

pytest.importorskip("mkdocs")

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    """Each page of docs/, and each file beside it that a page links to."""
    for page in pages():
        if page != "README.md":
            assert (site / page.removeprefix("docs/")).with_suffix(".html").is_file(), page
    assert (site / "files" / "recipes" / "cub" / "vgg16.yaml.html").is_file()
    assert not list(site.rglob("*.py"))


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """No script, style or picture of another host; links may lead there."""
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"([^\"]+)\"", page.read_text())
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page


def test_a_call_in_code_is_no_link() -> None:
    """``x["y"](z)`` looks like one."""
    links = pytest.importorskip("docs.make.links")
    text = '```python\nFORMATS["coco"](results)\n```\n\n[the protocol](evaluation.md)'
    assert [link["path"] for link in links.LINK.finditer(text)] == [None, "evaluation.md"]


def test_code_is_shown_as_it_is(site: Path) -> None:
    """Programs and recipes, character by character."""
    for source in (*(ROOT / "examples").rglob("*.py"), *(ROOT / "recipes").rglob("*.yaml")):
        page = site / "files" / f"{source.relative_to(ROOT).as_posix()}.html"
        shown = html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))
        assert source.read_text().rstrip() in shown, source


@pytest.mark.browser
def test_the_search_finds(site: Path, browser: "Browser") -> None:
    """In pages that are opened as files, too, where browsers refuse the worker that searches."""
    page = browser.new_page()
    try:
        page.goto(f"{site.as_uri()}/index.html")
        page.locator(".md-search__input").click()
        page.keyboard.type("wrong suffixes")
        found = page.locator(".md-search-result__link").first
        assert "reliability.html" in (found.get_attribute("href", timeout=10_000) or "")
    finally:
        page.close()


def test_links_of_the_readme() -> None:
    """To files that are there, and headings that they have; of the pages MkDocs checks this."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", text)
    assert links
    for path, anchor in links:
        target = ROOT / (path or "README.md")
        assert target.exists(), path
        if anchor:
            assert anchor in _anchors(target.read_text()), f"{path}#{anchor}"


def _anchors(text: str) -> set[str]:
    """What GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_figures_are_small() -> None:
    """Below 200 kB each."""
    figures = [path for path in (ROOT / "docs" / "images").rglob("*.*") if path.is_file()]
    assert figures
    for figure in figures:
        assert figure.stat().st_size < 200_000, figure.name
