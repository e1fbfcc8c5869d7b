"""A run as one HTML file that needs nothing else: what was found where, and why."""

import base64
import hashlib
import io
import json
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from PIL import Image

from wsol.errors import ImageError
from wsol.export.files import atomic_write
from wsol.report.overlay import MAP_NAMES, PALETTE

if TYPE_CHECKING:
    from wsol.inference.localization import Localization

THUMBNAIL = 320
"""Longest side of the photographs in the report, in pixels."""

SHOWN = ("label", "probability", "boxes", "scores", "frame", "maps", "map_kind", "test_time", "level")
"""What the page uses of :meth:`wsol.Localization.to_dict`."""

THREADS = 3
"""Photographs read at the same time."""

LARGE = 2**25
"""Pixels above which only one is: each of them may take hundreds of megabytes."""

_ALONE = threading.Lock()


def write_report(
    results: Collection["Localization"],
    path: Path,
    *,
    root: Path | None = None,
    skipped: Sequence[tuple[str, str]] = (),
    summary: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Write a report of a run. The file appears whole or not at all.

    Photographs are embedded as small JPEGs and maps at their low resolution; the page upsamples and
    colours them itself (``maps.js``, the same arithmetic as :func:`wsol.maps.upsample`). Results are
    read once and written as they come, so thousands of them, on disk, need little memory.

    Args:
        results: what was found; alternatives appear beside it. A photograph whose file has gone shows as
            a grey field.
        path: the HTML file.
        root: file names are shown relative to this folder.
        skipped: files that could not be used, each with the reason.
        summary: facts for the top of the page, by name: model, time, …
        settings: options and versions, by name.

    Raises:
        OSError: the file cannot be written.
    """
    tally = _Tally()
    page = _environment().get_template("template.html")
    script, style = _assets("maps.js", "report.js"), _assets("report.css")
    stream = page.generate(
        entries=_entries(results, root, tally),
        tally=tally,  # filled while the entries are written; the template asks for it afterwards
        skipped=skipped,
        summary=summary or {},
        settings=settings or {},
        script=script,
        style=style,
        policy="default-src 'none'; img-src data:; "
        f"script-src {policy_hash(script)}; style-src {policy_hash(style)}",
        constants=_embed({"palette": PALETTE, "mapNames": MAP_NAMES, "colours": _colours()}),
    )
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        file.writelines(stream)


@dataclass
class _Tally:
    """What the page must know of all results at once: little for each.

    Attributes:
        rows: name, label, score, probability, number of boxes, uncertainty of each.
    """

    rows: list[tuple[str, str, float, float, int, float]] = field(default_factory=list)

    @property
    def found(self) -> int:
        return sum(boxes > 0 for *_, boxes, _ in self.rows)

    @property
    def labels(self) -> list[tuple[str, int]]:
        """Classes and how many photographs each has, in alphabetical order."""
        return sorted(Counter(label for _, label, *_ in self.rows).items())

    def index(self) -> Markup:
        return _embed(self.rows)


def _entries(results: Iterable["Localization"], root: Path | None, tally: _Tally) -> Iterator[Markup]:
    """The embedded data of each result in order, photographs read a few ahead by threads."""
    waiting: deque[tuple[Localization, Future[Markup]]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for result in results:
            waiting.append((result, pool.submit(_entry, result)))
            if len(waiting) > 4 * THREADS:
                yield _finish(*waiting.popleft(), root, tally)
        while waiting:
            yield _finish(*waiting.popleft(), root, tally)


def _finish(result: "Localization", entry: Future[Markup], root: Path | None, tally: _Tally) -> Markup:
    row = (_name(result, root, len(tally.rows)), result.label, result.score, result.probability)
    tally.rows.append((*row, len(result.boxes), result.uncertainty))
    return entry.result()


def _name(result: "Localization", root: Path | None, number: int) -> str:
    if result.path is None:
        return f"image {number + 1}"
    inside = root is not None and result.path.is_relative_to(root)
    return (result.path.relative_to(root) if root is not None and inside else result.path).as_posix()


def _entry(result: "Localization") -> Markup:
    thumbnail, reason = None, "it was never a file"
    if result.source is not None:
        try:
            with _ALONE if result.size[0] * result.size[1] > LARGE else nullcontext():
                thumbnail = _jpeg(result.image(longest_side=THUMBNAIL))
        except ImageError as error:
            reason = error.reason
    values = result.to_dict()
    classes = [{key: item[key] for key in SHOWN} for item in (values, *values["alternatives"])]
    return _embed({"size": result.size, "thumbnail": thumbnail, "reason": reason, "classes": classes})


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _colours() -> str:
    """Viridis in 256 steps of red, green, blue, as base64."""
    table = mpl.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]
    return base64.b64encode(np.ascontiguousarray(table).tobytes()).decode("ascii")


def _embed(values: Any) -> Markup:  # noqa: ANN401 - any JSON type
    """JSON that is safe inside a script element: no ``<`` can end it, whatever a file is called."""
    return Markup(json.dumps(values, separators=(",", ":")).replace("<", "\\u003c"))


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("wsol", "report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def _assets(*names: str) -> Markup:
    folder = resources.files("wsol.report")
    return Markup("\n" + "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names))


def policy_hash(text: str) -> str:
    """The content-security policy's name of an inline script or style: no other one has an effect."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
