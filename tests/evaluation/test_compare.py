"""Results side by side: what shares a row, what shares a column, what is tested."""

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.conftest import MODEL, Write
from wsol.errors import DataError
from wsol.evaluation import wording
from wsol.evaluation.compare import Comparison, check_same_protocol, compare
from wsol.evaluation.result import Result
from wsol.evaluation.rows import load_results
from wsol.evaluation.tables import render
from wsol.metrics import mean_measure, paired_test

CUB = {"name": "birds", "known": "cub"}


def column(comparison: Comparison, metric: str, start: str = "") -> pd.Series:
    """The only column of that name whose protocol begins so."""
    (found,) = [key for key in comparison.table.columns if key[1] == metric and key[2].startswith(start)]
    return comparison.table[found]


def value(result: Result, metric: str, policy: str | None = None) -> float:
    return next(100 * s.value for s in result.scores if s.name == metric and policy in (None, s.policy))


def test_rows_are_methods_and_columns_numbers_with_their_protocol(write: Write) -> None:
    one, two = write("one", quality=0.7), write("two", name="HaS", quality=0.9)
    shown = compare([one, two])
    assert list(shown.table.index) == ["CAM · resnet50", "HaS · resnet50"]
    assert {key[0] for key in shown.table.columns} == {"toys"}
    cells = column(shown, "GT-known Loc", "τ from val (1)")
    assert list(cells) == [f"{value(each, 'GT-known Loc'):.1f}" for each in (one, two)]
    cells = column(shown, "Top-1 Loc", "oracle")
    assert list(cells) == [f"{value(each, 'Top-1 Loc', 'oracle'):.1f}" for each in (one, two)]
    assert not any(key[1].startswith("BoxAcc@") for key in shown.table.columns)
    oracle = [key[2].startswith("oracle") for key in shown.table.columns]
    assert oracle == sorted(oracle)  # the oracle's last
    (note,) = [note for note in shown.notes if note.startswith("(1)")]
    for words in ("τ chosen on val (transferred)", "largest contour", "IoU ≥ 0.5", "steps of 0.001"):
        assert words in note
    for words in ("test", "data 0123abcd0123"):  # of all, so said once
        assert words in shown.notes[0]
    assert "map of the true class" in note and "true boxes" in note  # Top-1 Cls has neither


def test_what_tau_is_a_share_of_belongs_to_the_method(write: Write) -> None:
    percentile = write("two", quality=0.9, protocol={"standard": "percentile", "percentile": 90.0})
    shown = compare([write("one", quality=0.7), percentile])
    assert list(shown.table.index) == ["CAM · resnet50", "CAM · resnet50 · PaS 90"]
    assert not column(shown, "GT-known Loc", "τ from val (1)").str.contains("–").any()
    assert any("MaS" in note for note in shown.notes)
    assert shown.tests is not None and set(shown.tests.index) == {"CAM · resnet50 · PaS 90"}


def test_seeds_are_averaged_and_named(write: Write) -> None:
    results = [
        write(f"s{seed}", seed=seed, quality=0.6 + 0.1 * seed, model=MODEL | {"weights": f"{seed}.ckpt"})
        for seed in range(3)
    ]
    shown = compare([*results, write("has", name="HaS")])
    values = [value(each, "BoxAccV2") for each in results]
    expected = f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f} (n = 3)"
    assert column(shown, "BoxAccV2")["CAM · resnet50"] == expected
    assert any("CAM · resnet50" in note and "seeds 0, 1, 2" in note for note in shown.notes)


def test_other_settings_and_second_runs_are_rows_of_their_own(write: Write) -> None:
    results = [
        write("a", seed=0),
        write("b", seed=1, model=MODEL | {"pooling": "tap"}),
        write("c", seed=0, quality=0.8),
    ]
    shown = compare(results)
    assert list(shown.table.index) == [
        "CAM · resnet50 · pooling=gap",
        "CAM · resnet50 · pooling=tap",
        "CAM · resnet50 · pooling=gap · run 2",
    ]
    assert any("run 2" in note and "not averaged" in note for note in shown.notes)


def test_one_model_under_two_policies_is_one_row_and_no_mean(write: Write) -> None:
    one, two = write("one"), write("two", policy="fixed")
    shown = compare([one, two])
    assert list(shown.table.index) == ["CAM · resnet50"]
    assert column(shown, "Top-1 Cls").iloc[0] == f"{value(one, 'Top-1 Cls'):.1f}"
    assert column(shown, "MaxBoxAcc").iloc[0] == f"{value(one, 'MaxBoxAcc'):.1f}"
    assert column(shown, "GT-known Loc", "τ = 0.2").iloc[0] == f"{value(two, 'GT-known Loc'):.1f}"
    assert not any("mean" in note for note in shown.notes)


def test_duplicates_count_once_and_are_told(write: Write, tmp_path: Path) -> None:
    one = write("one", seed=0)
    write("copy", seed=0)
    results, notes = load_results([tmp_path / "one", tmp_path / "one" / "result.json", tmp_path / "copy"])
    assert len(results) == 2
    assert notes == [f"{tmp_path / 'one' / 'result.json'} is named twice; it counts once"]
    shown = compare(results)
    assert list(shown.table.index) == ["CAM · resnet50"]
    assert column(shown, "GT-known Loc").iloc[0] == f"{value(one, 'GT-known Loc'):.1f}"
    assert any("says the same as" in note for note in shown.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": {"step": 0.01}}, "steps of 0.01"),
        ({"data": {"fingerprint": "sha256:ffffffffffffffff"}}, "data ffffffffffff"),
        ({"data": {"selection": {"split": "val", "fingerprint": "sha256:eeeeeeeeeeee"}}}, "val data eeeee"),
        ({"policy": "fixed"}, "τ = 0.2"),
    ],
)
def test_another_protocol_is_another_column_that_says_so(
    write: Write, change: dict[str, object], words: str
) -> None:
    one, two = write("one"), write("two", name="HaS", **change)
    shown = compare([one, two], test=False)
    found = [key for key in shown.table.columns if key[1] == "GT-known Loc"]
    assert len(found) == 2
    (other,) = [key for key in found if words in key[2]]
    assert shown.table[other]["CAM · resnet50"] == "–"
    assert shown.table[other]["HaS · resnet50"] == f"{value(two, 'GT-known Loc'):.1f}"
    assert sum(words.removeprefix("τ = 0.2") in note for note in shown.notes) >= 1
    with pytest.raises(DataError, match="different protocols"):
        check_same_protocol([one, two])


def test_label_source_and_truth_are_never_mixed(write: Write) -> None:
    results = [
        write("one", label_source="true"),
        write("two", name="HaS", label_source="predicted"),
        write("three", name="SPG", truth="masks"),
        write("four", name="ADL", truth="masks", label_source="predicted"),
    ]
    shown = compare(results)
    for metric in ("MaxBoxAccV2", "PxAP"):
        keys = [key for key in shown.table.columns if key[1] == metric]
        assert len(keys) == 2
        assert sum("map of the predicted class" in key[2] for key in keys) == 1
        assert all((shown.table[key] != "–").sum() == 1 for key in keys)
    assert (column(shown, "Top-1 Cls") != "–").all()  # has nothing to do with maps: one column


def test_strict_takes_the_same_protocol_and_other_data_sets(write: Write) -> None:
    results = [write("one"), write("two", name="HaS"), write("three", data={"name": "b", "fingerprint": "x"})]
    check_same_protocol(results)


def test_intervals_and_chosen_numbers(write: Write) -> None:
    result = write("one")
    shown = compare([result], numbers=["BoxAcc@0.3 all"], intervals=True)
    score = result.score("BoxAcc@0.3 all", "transferred")
    expected = f"{100 * score.value:.1f} ({100 * score.low:.1f}–{100 * score.high:.1f})"
    assert column(shown, "BoxAcc@0.3 all", "τ from val").iloc[0] == expected
    assert {key[1] for key in shown.table.columns} == {"BoxAcc@0.3 all"}
    with pytest.raises(DataError, match="PxAP; they have GT-known Loc"):
        compare([result], numbers=["PxAP"])
    with pytest.raises(DataError, match="no result"):
        compare([])


def test_published_numbers_are_marked_and_share_only_the_official_column(write: Write) -> None:
    shown = compare([write("one", data=CUB)])
    row = "ACoL · ResNet50 (published: Choe et al. 2020) †"
    cells = column(shown, "MaxBoxAccV2", "oracle")
    assert cells[row] == "66.4†"
    assert cells["CAM · resnet50"] != "–"
    cells = column(shown, "Top-1 Loc", "published †")
    assert cells["Bridging the Gap · VGG16 (published: Kim et al. 2022) †"] == "70.83†"
    assert cells["CAM · resnet50"] == "–"
    assert column(shown, "GT-known Loc", "published †")["GenPromp (published) †"] == "98.3†"
    assert any(note.startswith("† published, not measured here") for note in shown.notes)
    assert {key[0] for key in shown.table.columns} == {"birds"}


@pytest.mark.parametrize(
    ("truth", "known", "metric"), [("boxes", "cub", "MaxBoxAccV2"), ("masks", "openimages", "PxAP")]
)
def test_published_numbers_keep_away_from_other_label_sources(
    write: Write, truth: str, known: str, metric: str
) -> None:
    shown = compare([write("one", data={"known": known}, truth=truth, label_source="predicted")])
    ours = [key for key in shown.table.columns if key[1] == metric and "published" not in key[2]]
    assert len(ours) == 1
    assert not shown.table[ours[0]].str.contains("†").any()
    assert column(shown, metric, "published †").str.contains("†").sum() >= 18


@pytest.mark.parametrize(("truth", "known"), [("boxes", "cub"), ("masks", "openimages")])
def test_published_numbers_keep_away_from_other_steps(write: Write, truth: str, known: str) -> None:
    shown = compare([write("one", data={"known": known}, truth=truth, protocol={"step": 0.01})])
    ours = [key for key in shown.table.columns if "published" not in key[2]]
    assert ours and not any(shown.table[key].str.contains("†").any() for key in ours)


def test_published_numbers_on_demand_and_only_of_chosen_metrics(write: Write) -> None:
    assert "†" not in render(compare([write("one")]), "terminal")
    shown = compare([write("one")], literature=["openimages"], numbers=["PxAP", "Top-1 Cls"])
    assert column(shown, "PxAP").name[0] == "OpenImages30K"
    shown = compare([write("one")], literature=["cub"], numbers=["MaxBoxAccV2"])
    assert {key[1] for key in shown.table.columns} == {"MaxBoxAccV2"}


def test_paired_tests_of_two_results_are_those_of_the_metrics(write: Write) -> None:
    one, two = write("one", quality=0.7), write("two", name="HaS", quality=0.9)
    shown = compare([one, two])
    assert shown.tests is not None
    (row,) = shown.tests[shown.tests["number"] == "GT-known Loc (τ from val)"].to_dict("records")
    hits = []
    for result in (one, two):
        ratio = result.score("GT-known Loc").ratios[0]
        hits.append(mean_measure(result.records.overlaps_at(ratio, 100.0) >= 0.5))  # type: ignore[union-attr]
    test = paired_test(hits[1], hits[0])
    assert test.difference > 0
    assert row["difference"] == f"{100 * test.difference:+.1f}"
    assert row["95 % interval"] == f"{100 * test.low:+.1f} to {100 * test.high:+.1f}"
    assert row["p"] == f"{test.p:.4f}"
    assert list(shown.tests.index.unique()) == ["HaS · resnet50"]
    assert any("not corrected" in note for note in shown.test_notes)
    assert any("Differences from CAM" in note for note in shown.test_notes)


def test_paired_tests_are_on_for_two_and_by_request(write: Write) -> None:
    results = [write("one"), write("two", name="HaS", quality=0.8), write("three", name="ADL", quality=0.9)]
    assert compare(results[:2], test=False).tests is None
    assert compare(results).tests is None
    tests = compare(results, test=True, numbers=["Top-1 Cls", "MaxBoxAcc"]).tests
    assert tests is not None
    assert list(tests.index.unique()) == ["HaS · resnet50", "ADL · resnet50"]
    assert len(tests) == 4
    with pytest.raises(DataError, match="two results"):
        compare(results[:1], test=True)


def test_no_paired_test_without_the_same_images_protocol_or_records(write: Write) -> None:
    names = [f"photo-{number:02}.jpg" for number in range(30)]
    one = write("one")

    def notes_of(other: Result) -> str:
        shown = compare([one, other])
        assert shown.tests is None
        return " ".join(shown.test_notes)

    assert "29 shared, 1 only in the first, 1 only in the other" in notes_of(
        write("two", name="HaS", ids=[*names[:29], "z.jpg"])
    )
    assert "in another order" in notes_of(write("three", name="HaS", ids=names[::-1]))
    fixed = write("four", name="HaS", policy="fixed", label_source="predicted", ranked=False)
    assert "no number of the same protocol" in notes_of(fixed)
    gone = write("five", name="HaS")
    assert gone.folder
    (gone.folder / "test.npz").unlink()
    assert "not the records" in notes_of(gone)
    with pytest.raises(DataError, match="not the records"):
        compare([one, gone], test=True)


def test_left_out_images_are_told(write: Write) -> None:
    shown = compare([write("one", skipped=("a: b", "c: d")), write("two", name="HaS")])
    assert "CAM · resnet50 leaves 2 images of test out." in shown.notes


def test_images_left_out_where_tau_was_chosen_are_told(write: Write) -> None:
    selection = {"split": "val", "images": 20, "skipped": 3, "fingerprint": "sha256:ab"}
    one = write("one", data={"selection": selection})
    shown = compare([one, write("two", name="HaS", policy="fixed", data={"selection": None})])
    assert [note for note in shown.notes if "leaves" in note] == [
        "CAM · resnet50 leaves 3 images of val out, where τ was chosen."
    ]


def test_results_without_a_threshold_have_no_protocol(write: Write) -> None:
    result = write("one")
    with pytest.raises(DataError, match="no number with a τ"):
        check_same_protocol([result, replace(result, scores=())])


def test_every_number_is_explained(write: Write) -> None:
    for result in (write("a"), write("b", truth="masks"), write("c", label_source="predicted")):
        for score in result.scores:
            assert wording.explain(score.name)
    assert "0.7" in wording.explain("BoxAcc@0.7 largest")
    with pytest.raises(KeyError):
        wording.explain("mAP")
    assert np.isfinite([score.value for score in write("d").scores]).all()
