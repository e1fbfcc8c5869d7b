"""A comparison as text: each format shows untrusted names as they are; and the command that writes it."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.evaluation.conftest import FINGERPRINT, Write
from wsol.commands.compare import compare as run
from wsol.commands.compare import compare_parser
from wsol.errors import DataError
from wsol.evaluation.compare import Comparison, compare
from wsol.evaluation.rows import load_results
from wsol.evaluation.tables import render

NASTY = "<b>x</b> & 50% $1_a |^~#{}\\ *b* `c` [d](e)\n\x1b[31m"


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def nasty(write: Write) -> Comparison:
    named = {"name": NASTY, "fingerprint": FINGERPRINT}
    return compare([write("one", name=NASTY, data=named), write("two", data=named)])


def test_html_shows_names_as_text(nasty: Comparison) -> None:
    page = _Text()
    page.feed(render(nasty, "html"))
    assert "b" not in page.tags
    shown = NASTY.replace("\n", "\ufffd").replace("\x1b", "\ufffd")
    assert f"{shown} · resnet50" in page.text
    assert shown in page.text


def test_markdown_keeps_its_cells(nasty: Comparison) -> None:
    lines = [line for line in render(nasty, "markdown").splitlines() if line.startswith("|")]
    bars = {len([c for i, c in enumerate(line) if c == "|" and line[i - 1] != "\\"]) for line in lines[:4]}
    assert bars == {len(nasty.table.columns) + 2}
    assert "<b>" not in "".join(lines)
    assert r"\*b\* \`c\` \[d\](e)" in lines[2]


def test_latex_escapes_what_has_a_meaning(nasty: Comparison) -> None:
    text = render(nasty, "latex")
    assert r"\textless{}b\textgreater{}x\textless{}/b\textgreater{} \& 50\% \$1\_a" in text
    assert r"\textbar{}\textasciicircum{}\textasciitilde{}\#\{\}\textbackslash{}" in text
    assert r"$\tau$ from val" in text
    assert text.isascii() or set(text) - set(map(chr, range(128))) == {"\ufffd"}
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:-1]
    columns = len(nasty.table.columns)
    assert all(line.replace(r"\&", "").count("&") == columns for line in body)


def test_terminal_gets_no_control_characters(nasty: Comparison) -> None:
    text = render(nasty, "terminal")
    assert "\x1b" not in text
    assert text.endswith("\n")
    assert len(text.split("\n\n")[0].splitlines()) == len(nasty.table) + 3


def test_table_is_folded_to_the_terminal_and_every_part_names_the_data(write: Write) -> None:
    shown = compare([write("one"), write("two", name="HaS")], test=False)
    table = render(shown, "terminal", width=100).split("All numbers")[0].rstrip("\n")
    parts = table.split("\n\n")
    assert len(parts) > 1
    assert max(map(len, table.splitlines())) <= 100
    for part in parts:
        assert "toys" in part.splitlines()[0]
        assert "HaS · resnet50" in part


def test_unknown_format_is_refused(nasty: Comparison) -> None:
    with pytest.raises(ValueError, match="terminal, markdown, html, latex"):
        render(nasty, "excel")  # type: ignore[arg-type]


def call(*arguments: object) -> int:
    return run(compare_parser().parse_args([str(argument) for argument in arguments]))


def test_command_prints_and_writes(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("one")
    write("two", name="HaS", quality=0.9)
    assert call(tmp_path / "one", tmp_path / "two" / "result.json", "--numbers", "MaxBoxAcc") == 0
    text = capsys.readouterr().out
    assert "HaS · resnet50" in text
    assert "+" in text
    target = tmp_path / "deep" / "table.md"
    assert call(tmp_path / "one", "--format", "markdown", "--output", target, "--published", "cub") == 0
    assert "† published" in target.read_text("utf-8")
    assert capsys.readouterr().out == f"{target}\n"
    assert list(target.parent.iterdir()) == [target]
    assert call(tmp_path / "one", tmp_path / "one", "--intervals") == 0
    assert "named twice" in capsys.readouterr().err


def test_a_folder_stands_for_the_results_in_it(write: Write, tmp_path: Path) -> None:
    write("one")
    write("two", name="HaS")
    results, notes = load_results([tmp_path])
    assert [result.folder for result in results] == [tmp_path / "one", tmp_path / "two"] and not notes


def test_command_refuses(write: Write, tmp_path: Path) -> None:
    write("one")
    write("two", name="HaS", policy="fixed")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"a": 1}))
    (tmp_path / "empty").mkdir()
    for wrong in (other, tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(DataError, match=str(wrong)):
            call(tmp_path / "one", wrong)
    with pytest.raises(DataError, match=r"τ chosen on val \(transferred\) / τ = 0.2 given"):
        call(tmp_path / "one", tmp_path / "two", "--strict")
    with pytest.raises(SystemExit):
        call(tmp_path / "one", "--published", "coco")
