"""The page of an evaluation as a file, its plots and its choice of images."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.evaluation.conftest import Truth, Write, make_data, write
from wsol.data.dataset import DataSet
from wsol.errors import DataError
from wsol.evaluation.records import BoxRecords, MaskRecords
from wsol.evaluation.result import Result
from wsol.evaluation.scoring import accuracy_curves
from wsol.report import curves, evaluation
from wsol.report.evaluation import write_evaluation_report
from wsol.report.examples import cards, pick
from wsol.report.svg import inline_svg, outline

__all__ = ["write"]  # a fixture

IDS = [f"b/photo-{number:02}.jpg" for number in range(30)]


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return make_data(tmp_path / "data", IDS, 0, "boxes")


def page(result: Result, data: DataSet) -> str:
    assert result.folder
    write_evaluation_report(result, data, result.folder)
    return (result.folder / "report.html").read_text("utf-8")


def test_protocol_stands_at_the_top_and_with_every_number(write: Write, data: DataSet) -> None:
    text = page(write(ids=IDS, label_source="predicted"), data)
    title = text[text.index("<title>") : text.index("</title>")]
    for words in ("toys · test, 30 images", "τ chosen on val (transferred)", "map of the predicted class",
                  "MaS", "boxes"):  # fmt: skip
        assert words in title
    rows = re.findall(r"<tr>.*?</tr>", text, re.DOTALL)
    for row in rows:
        assert "</th>" in row
        if "MaxBoxAcc" in row or "oracle" in row:
            assert "τ chosen on test itself (oracle)" in row
            assert 'class="mark">oracle' in row
    assert "τ chosen on the test images themselves" in text


@pytest.mark.parametrize(
    ("policy", "words"),
    [("fixed", "τ = 0.2 given (fixed)"), ("oracle", "τ chosen on test itself (oracle)")],
)
def test_other_policies_are_named(write: Write, data: DataSet, policy: str, words: str) -> None:
    text = page(write(ids=IDS, policy=policy), data)
    assert words in text[text.index("<title>") : text.index("</title>")]


def test_every_score_is_in_the_table(write: Write, data: DataSet) -> None:
    result = write(ids=IDS)
    text = page(result, data)
    for score in result.scores:
        assert f'<td class="value">{100 * score.value:.1f}</td>' in text
        assert f">{100 * score.low:.1f}–{100 * score.high:.1f}</td>" in text


@pytest.mark.parametrize(
    ("truth", "names"),
    [
        ("boxes", ["accuracy_all", "accuracy_largest", "errors", "overlaps"]),
        ("masks", ["mask_iou", "overlaps", "precision_recall"]),
    ],
)
def test_plots_are_written_and_are_the_same_each_time(
    write: Write, tmp_path: Path, truth: Truth, names: list[str]
) -> None:
    data = make_data(tmp_path / "data", IDS[:9], 0, truth)
    result = write(ids=IDS[:9], truth=truth)
    assert result.folder
    digests = []
    for _ in range(2):
        page(result, data)
        plots = sorted((result.folder / "plots").iterdir())
        assert [path.name for path in plots] == sorted(f"{n}.{s}" for n in names for s in ("png", "svg"))
        files = [*plots, result.folder / "report.html"]
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
        for path in plots:
            if path.suffix == ".png":
                with Image.open(path) as image:
                    assert min(image.size) > 500
    assert digests[0] == digests[1]
    assert "dc:date" not in (result.folder / "plots" / f"{names[0]}.svg").read_text("utf-8")


def test_curve_is_the_share_of_images_hit(write: Write) -> None:
    result = write()
    records = result.records
    assert isinstance(records, BoxRecords)
    coarse = replace(result.protocol, step=0.125)
    seen = accuracy_curves(records, "largest", coarse)
    for place, ratio in enumerate(np.arange(0, 1, 0.125)):
        overlaps = records.overlaps_at(ratio, 100.0)
        np.testing.assert_allclose(seen[:, place], [(overlaps >= delta).mean() for delta in (0.3, 0.5, 0.7)])
    whole = accuracy_curves(records, "all", result.protocol)
    assert whole.shape == (3, 1000)
    assert whole[1].max() == pytest.approx(result.score("BoxAcc@0.5 all", "oracle").value)


def test_dots_are_at_the_numbers_though_tau_is_between_the_steps(write: Write) -> None:
    result = write(policy="fixed", protocol={"step": 0.3})
    records = result.records
    assert isinstance(records, BoxRecords)
    chosen = {("largest", 0.5): (0.2, 0.875), ("all", 0.5): (0.2, 0.25)}
    (axes,) = curves.accuracy_figure({"test": records}, "largest", chosen, result.protocol).axes  # type: ignore[arg-type]
    dots = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]  # type: ignore[union-attr]
    assert dots == [[[0.2, 0.875]], []]  # the second is the legend's
    assert evaluation._chosen(result)["largest", 0.5] == (0.2, result.score("GT-known Loc").value)
    assert len(evaluation._chosen(result)) == 6


def test_area_under_the_steps_is_pxap(write: Write) -> None:
    result = write(truth="masks")
    records, area = result.records, result.score("PxAP").value
    assert isinstance(records, MaskRecords)
    (axes,) = curves.precision_recall_figure(records, area, result.protocol.step).axes
    line = axes.lines[0]
    recall, precision = (np.asarray(each, float) for each in (line.get_xdata(), line.get_ydata()))
    assert line.get_drawstyle() == "steps-pre" and (recall[0], recall[-1]) == (0, 1)
    assert (precision[1:] * np.diff(recall)).sum() == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 23, 24, 25, 100])
def test_no_image_is_in_two_groups(count: int) -> None:
    overlaps = np.random.default_rng(0).uniform(size=count).round(1)
    groups = pick(overlaps)
    places = [place for group in groups.values() for place in group]
    assert len(places) == len(set(places)) == min(count, 24)
    assert all(len(group) <= 8 for group in groups.values())
    if groups["worst"] and groups["median"]:
        best, median, worst = (overlaps[groups[name]] for name in ("best", "median", "worst"))
        assert best.min() >= median.max()
        assert median.min() >= worst.max()
        assert (np.diff(worst) >= 0).all()
        if count >= 24:
            assert abs(np.median(overlaps) - np.median(median)) < 0.05


def test_outline_encloses_the_mask_and_its_holes() -> None:
    mask = np.zeros((6, 8), np.bool_)
    mask[1:5, 2:7] = True
    mask[2, 3] = False
    pieces = set(re.findall(r"M\d+ \d+[HV]\d+", outline(mask)))
    assert pieces == {
        "M2 1H7", "M2 5H7", "M2 1V5", "M7 1V5",
        "M3 2H4", "M3 3H4", "M3 2V3", "M4 2V3",
    }  # fmt: skip
    assert outline(np.zeros((3, 3), np.bool_)) == ""
    assert outline(np.ones((2, 3), np.bool_)).count("M") == 4


def test_svg_has_no_inline_style_and_ids_of_its_own() -> None:
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="3pt">'
        '<defs><style type="text/css">*{stroke: red}</style><path id="p"/></defs><metadata/>'
        '<g style="fill: #fff; clip-path: url(#p)" clip-path="url(#q)"><use xlink:href="#p"/></g></svg>'
    )
    shown = str(inline_svg(text, "one", 'a "name" <b>'))
    assert "style" not in shown
    assert "metadata" not in shown
    assert 'id="one-p"' in shown
    assert 'href="#one-p"' in shown
    assert 'fill="#fff"' in shown
    assert 'clip-path="url(#one-p)"' in shown
    assert "<b>" not in shown
    assert "width" not in shown


def test_cards_say_what_is_known(write: Write, data: DataSet) -> None:
    result = write(ids=IDS)
    (data.images / IDS[4]).write_bytes(b"")
    first, broken = cards(result, data, {"best": [3, 4]})["best"]
    assert first.label == "small copper"
    assert first.overlap == pytest.approx(result.overlaps()[3])
    assert first.size == (320, 240)
    assert first.drawing.count("<rect") == 4
    assert "class" in first.rank
    assert broken.photo == ""
    assert "empty" in broken.reason
    assert broken.drawing
    unranked = write("other", ids=IDS, ranked=False)
    (card,) = cards(unranked, replace(data, classes=()), {"best": [1]})["best"]
    assert card.rank == ""
    assert card.label == "class 1"


def test_mask_that_cannot_be_read_is_said(write: Write, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", IDS[:6], 0, "masks")
    result = write(ids=[*IDS[:6], "unknown.jpg"], truth="masks")
    (tmp_path / "data" / "masks" / "1.png").unlink()
    (tmp_path / "data" / "unknown.jpg").write_bytes((tmp_path / "data" / IDS[0]).read_bytes())
    good, gone, unknown = cards(result, data, {"best": [0, 1, 6]})["best"]
    assert good.drawing.count("<path") == 4  # true and found, with a halo each
    assert good.reason == ""
    assert gone.photo
    assert gone.reason.startswith("mask: ")
    assert "no such image" in unknown.reason


def test_missing_records_are_an_error(write: Write, data: DataSet) -> None:
    result = write(ids=IDS)
    assert result.folder
    (result.folder / "test.npz").unlink()
    with pytest.raises(DataError, match=r"test\.npz"):
        write_evaluation_report(result, data, result.folder)
    assert not (result.folder / "report.html").exists()


def test_without_the_records_of_val_its_curve_is_left_out(write: Write, data: DataSet) -> None:
    result = write(ids=IDS)
    assert result.folder
    assert "Thin dashed: on val" in page(result, data)
    (result.folder / "val.npz").unlink()
    assert "Thin dashed" not in page(result, data)


def test_one_image_and_strange_names_of_splits(write: Write, data: DataSet) -> None:
    result = write(ids=IDS[:1], protocol={"step": 0.01})
    assert result.folder
    (result.folder / "val.npz").rename(result.folder / "$σ_{.npz")
    strange = replace(result, protocol=replace(result.protocol, selected_on="$σ_{"))
    text = page(strange, data)
    assert "τ chosen on $σ_{ (transferred)" in text
    assert text.count('<ul class="cards">') == 1


def test_no_class_is_called_wrong_where_none_is_known(
    write: Write, data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[str]] = []
    draw = curves.error_figure

    def watch(errors: Mapping[str, float]) -> Figure:
        drawn.append(list(errors))
        return draw(errors)

    monkeypatch.setattr(curves, "error_figure", watch)
    page(write("ranked", ids=IDS), data)
    page(write("unranked", ids=IDS, ranked=False), data)
    assert "wrong class" in drawn[0]
    assert drawn[1] == [name for name in drawn[0] if name != "wrong class"]
