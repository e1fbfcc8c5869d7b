"""The app with a small network, served to Debian's chromium."""

import gc
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.inference.conftest import checkpoint, model
from wsol import Localizer, LocalizerOptions, RuntimeOptions
from wsol.app.bench import Bench
from wsol.app.page import Page as Handlers
from wsol.models import Model
from wsol.models.classes import Classes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["checkpoint", "model"]  # fixtures

NASTY = '<img src=x onerror="window.hacked=1">'

NAMES = ("ant", "bee", "cat", "dog", NASTY)

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def bench(model: Model) -> Bench:
    """Two models: one of five classes, one of them called badly, and one with other names."""
    runtime = RuntimeOptions(device="cpu")
    options = LocalizerOptions(preset="fast")
    main = replace(model, classes=Classes(NAMES))
    other = replace(model, classes=Classes(("fly", "bee", "cat", "dog", "emu")))
    return Bench({"first": Localizer(main, options, runtime), "second": Localizer(other, options, runtime)})


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four pictures of several sizes, one with a name that is HTML, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    paths = [
        folder / "one.png",
        folder / "two.jpg",
        folder / "<b onclick=hacked>three.png",
        folder / "four.webp",
    ]
    for path, (width, height) in zip(paths, [(240, 160), (120, 200), (300, 300), (90, 60)], strict=True):
        small = generator.integers(0, 256, (4, 5, 3), np.uint8)
        Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no photograph")
    return [*paths, folder / "broken.jpg"]


@contextmanager
def serving(page: Handlers) -> Iterator[tuple[Any, str]]:
    """The app, and an address of its own."""
    serve = pytest.importorskip("wsol.app.serve", reason="needs wsol[app]")
    with ExitStack() as stack:
        with gradio_quiet():
            blocks, url = stack.enter_context(serve.serving(page, "127.0.0.1", None))
        yield blocks, url
        with gradio_quiet():
            stack.close()


@contextmanager
def gradio_quiet() -> Iterator[None]:
    """Gradio calls what is deprecated, and leaves sockets open that it looked for a free port with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(scope="session")
def address(bench: Bench) -> Iterator[str]:
    """Where the app listens."""
    with serving(Handlers(bench)) as (_, url):
        yield url


@pytest.fixture(scope="session")
def connect(browser: "Browser") -> Iterator[Callable[[str, dict[str, Any]], "Page"]]:
    """New pages in a browser that has loaded Gradio's scripts before."""
    contexts: dict[str, Any] = {}

    def _connect(person: str, options: dict[str, Any]) -> "Page":
        key = f"{person}{options}"
        if key not in contexts:
            contexts[key] = browser.new_context(**options)
        page: Page = contexts[key].new_page()
        return page

    yield _connect
    for context in contexts.values():
        context.close()


@pytest.fixture
def visit(connect: Callable[..., "Page"], address: str) -> "Iterator[Open]":
    """Opens the app; its complaints, and requests to anywhere else, fail the test."""
    complaints: list[str] = []
    pages = []

    def expect(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            complaints.append(f"request to {url}")

    def complain(kind: str, text: str) -> None:
        if kind in ("error", "warning") and text != "Method not implemented.":  # Gradio's, after an upload
            complaints.append(text)

    def _visit(
        size: tuple[int, int] = (1280, 900), person: str = "", at: str = address, **options: Any
    ) -> "Page":
        page = connect(person, options)
        pages.append(page)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complain(message.type, message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: expect(request.url))
        page.goto(at)
        page.get_by_role("button", name="Take the samples").wait_for()
        return page

    yield _visit
    for page in pages:
        page.close()
    assert complaints == []


def upload(page: "Page", *paths: Path) -> None:
    """Upload photographs and wait until the first is shown."""
    before = page.locator(".own-strip .photos button").count()
    page.locator(".uploads input[type=file]").set_input_files(list(paths))
    page.locator(".own-strip .photos button").nth(before).wait_for()
    page.locator(".view .label").wait_for()


def boxes(page: "Page", side: str = "view") -> list[list[float]]:
    """The boxes on the photograph, in its pixels."""
    found: list[list[float]] = page.evaluate(
        """(side) => {
          const photo = document.querySelector(`.${side} .stage .picture`).getBoundingClientRect();
          const max = document.querySelectorAll(`.${side} .edges input`);
          return [...document.querySelectorAll(`.${side} .stage .box`)].map((box) => {
            const b = box.getBoundingClientRect();
            const x = max[0].max / photo.width, y = max[1].max / photo.height;
            return [(b.left - photo.left) * x, (b.top - photo.top) * y,
                    (b.right - photo.left) * x, (b.bottom - photo.top) * y].map(Math.round);
          });
        }""",
        side,
    )
    return found


def facts(page: "Page", side: str = "view") -> str:
    return page.locator(f".{side} .facts").inner_text()


def changed(page: "Page", before: str, side: str = "view") -> str:
    """Wait until the facts of a view are others."""
    page.wait_for_function(
        "([side, before]) => document.querySelector(`.${side} .facts`).innerText !== before",
        arg=[side, before],
    )
    return facts(page, side)


def level(text: str) -> int:
    return int(re.findall(r"level (\d+)", text)[0])


def overflow(page: "Page") -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
