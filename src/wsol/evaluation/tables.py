"""A comparison as text for a terminal, Markdown, HTML or LaTeX; names are untrusted and escaped for each."""

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from wsol.evaluation.compare import Comparison

if TYPE_CHECKING:
    import pandas as pd

TableFormat = Literal["terminal", "markdown", "html", "latex"]

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", "τ": r"$\tau$", "δ": r"$\delta$",
    "≥": r"$\geq$", "·": r"$\cdot$", "†": r"\dag{}", "–": "--", "×": r"$\times$", "′": "'", "…": r"\dots{}",
}  # fmt: skip

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="wsol">
<title>Comparison</title>
<style>
body { margin: 24px clamp(12px, 3vw, 40px); font: 15px/1.45 system-ui, sans-serif; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; border: 0; border-bottom: 1px solid #8884; text-align: right; }
th { font-weight: 600; }
tbody th, thead th:first-child { text-align: left; }
li { max-width: 90ch; margin: 3px 0; opacity: .8; font-size: 14px; overflow-wrap: anywhere; }
</style>
<h1>Comparison</h1>
"""


def render(comparison: Comparison, format: TableFormat, width: int | None = None) -> str:
    """A comparison as text that ends with a newline.

    Args:
        comparison: tables and notes.
        format: ``latex`` needs the packages booktabs and multirow.
        width: of the terminal, in characters; None lets lines be as long as they are.

    Raises:
        ValueError: another format.
    """
    start = _PAGE if format == "html" else ""
    return start + _body(comparison, format, width)


def html_tables(comparison: Comparison) -> str:
    """The tables and notes of a comparison as HTML for a page of one's own; names are escaped."""
    return _body(comparison, "html", None)


def _body(comparison: Comparison, format: TableFormat, width: int | None) -> str:
    writers = {"terminal": _terminal, "markdown": _markdown, "html": _html, "latex": _latex}
    if format not in writers:
        raise ValueError(f"format must be one of {', '.join(writers)}, got {format!r}")
    parts = [(comparison.table, comparison.notes)]
    if comparison.tests is not None or comparison.test_notes:
        parts.append((comparison.tests, comparison.test_notes))
    texts = [writers[format](*part, width) for part in parts]
    return "\n".join(text.rstrip("\n") + "\n" for text in texts)


def _terminal(frame: "pd.DataFrame | None", notes: tuple[str, ...], width: int | None) -> str:
    text = ""
    if frame is not None:
        whole = width is None  # in parts, each repeats the data set above its columns
        text = _mapped(frame, _plain).to_string(line_width=width, sparsify=whole, max_colwidth=None) + "\n\n"
    return text + "".join(f"{_plain(note)}\n" for note in notes)


def _markdown(frame: "pd.DataFrame | None", notes: tuple[str, ...], _: int | None) -> str:
    text = ""
    if frame is not None:
        flat = _mapped(frame, escape_markdown)
        flat.columns = ["<br>".join(each) if isinstance(each, tuple) else each for each in flat.columns]
        align = ["left", *(["right"] * len(flat.columns))]
        text = flat.to_markdown(disable_numparse=True, colalign=align) + "\n\n"
    return text + "".join(f"- {escape_markdown(note)}\n" for note in notes)


def _html(frame: "pd.DataFrame | None", notes: tuple[str, ...], _: int | None) -> str:
    table = "" if frame is None else _mapped(frame, _plain).to_html(escape=True, border=0)
    items = "".join(f"<li>{html.escape(_plain(note))}</li>\n" for note in notes)
    return f"<div>{table}</div>\n<ul>\n{items}</ul>\n"


def _latex(frame: "pd.DataFrame | None", notes: tuple[str, ...], _: int | None) -> str:
    text = ""
    if frame is not None:
        columns = "l" + "r" * len(frame.columns)
        text = _mapped(frame, escape_latex).to_latex(
            escape=False, column_format=columns, multicolumn_format="c"
        )
    return text + "".join(f"\n\\noindent {escape_latex(note)}\\par" for note in notes) + "\n"


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a cell of a table too."""
    return re.sub(r"([\\`*_{}\[\]|~#!$])", r"\\\1", html.escape(_plain(text), quote=False))


def escape_latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(_LATEX.get(character, character) for character in _plain(text))


def _plain(text: str) -> str:
    """Without what would move a terminal's cursor or end a line."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _mapped(frame: "pd.DataFrame", function: Callable[[str], str]) -> "pd.DataFrame":
    """Every cell and every label of a table through a function."""
    import pandas as pd

    mapped = frame.map(function)
    mapped.index = frame.index.map(function)
    if isinstance(frame.columns, pd.MultiIndex):
        mapped.columns = pd.MultiIndex.from_tuples([tuple(map(function, each)) for each in frame.columns])
    else:
        mapped.columns = frame.columns.map(function)
    return mapped
