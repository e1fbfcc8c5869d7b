"""How long the app takes from a move of the slider until box and mask are drawn, in a browser.

    python benchmarks/app.py [--model RUN] [--moves 30] [--picture FILE.webp]

Serves the app for scikit-image's sample photographs to Debian's chromium on this machine, moves τ of the
photograph that is looked at, and waits until the page shows the new numbers and has decoded the new mask. The
network has seen the photograph before, as it has for a person who moves a slider.
"""

import argparse
import io
import statistics
import warnings
from collections.abc import Sequence

from PIL import Image
from playwright.sync_api import Page as Browser
from playwright.sync_api import sync_playwright
from tabulate import tabulate

from wsol import Localizer, LocalizerOptions, RuntimeOptions
from wsol.app.bench import Bench
from wsol.app.page import Page
from wsol.app.serve import serving
from wsol.inference.options import PRESETS
from wsol.methods.saved import load_model
from wsol.models import LITE0, ModelOptions

CHROMIUM = "/usr/bin/chromium"

MOVES = """async (count) => {
  const slider = document.querySelector(".side input[type=range]");
  const facts = document.querySelector(".view .facts"), mask = document.querySelector(".view .mask");
  const times = [];
  for (let move = 0; move < count; move++) {
    const before = facts.textContent, start = performance.now();
    slider.value = 0.22 + 0.6 * ((move * 7) % count) / count;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (facts.textContent === before && performance.now() - start < 5000)
      await new Promise((done) => setTimeout(done, 1));
    await mask.decode();
    times.push(performance.now() - start);
  }
  return times;
}"""


def measure(page: Browser, preset: str, moves: int) -> list[list[object]]:
    """A row for each photograph: milliseconds of the moves."""
    rows: list[list[object]] = []
    page.locator(".side").get_by_role("radio", name=preset, exact=True).check()
    photographs = page.locator(".own-strip .photos button")
    for index in range(photographs.count()):
        photographs.nth(index).click()
        page.locator(f".own-strip .photos button:nth-child({index + 1})[aria-current=true]").wait_for()
        page.wait_for_timeout(2000)  # until nothing else is under way
        times = sorted(page.evaluate(MOVES, moves))
        name = photographs.nth(index).get_attribute("title")
        rows.append([preset, name, statistics.median(times), times[int(0.95 * len(times))], times[-1]])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=LITE0)
    parser.add_argument("--moves", type=int, default=30)
    parser.add_argument("--picture", help="write what the page looks like to this file")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", DeprecationWarning)  # Gradio's own
    model = load_model(ModelOptions(backbone=options.model))
    localizer = Localizer(model, LocalizerOptions(), RuntimeOptions(device="cpu"))
    rows = []
    with (
        serving(Page(Bench({options.model: localizer})), "127.0.0.1", None) as (_, url),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.get_by_role("button", name="Take the samples").click()
        page.locator(".view .label").wait_for()
        for preset in PRESETS:
            rows += measure(page, preset, options.moves)
        if options.picture:
            page.locator(".side").get_by_role("radio", name="balanced", exact=True).check()
            page.get_by_role("button", name="coffee.png").click()
            page.locator(".view .label", has_text="espresso").wait_for()
            page.wait_for_timeout(1000)
            picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
            picture.convert("RGB").save(options.picture, quality=88)
        browser.close()
    print(tabulate(rows, headers=["preset", "photograph", "median ms", "95 % ms", "most ms"], floatfmt=".0f"))


if __name__ == "__main__":
    main()
