"""What must hold of the numbers whatever the maps are; and the same numbers by hand on three images."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.toys import Truth, make_records
from wsol.errors import DataError
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.records import AnyRecords, BoxRecords, MaskRecords
from wsol.evaluation.result import Quantity, Score
from wsol.evaluation.scoring import choose_ratios, error_shares, measure_of, scores_of

BOXES = Protocol(
    split="test", truth="boxes", policy="transferred", selected_on="val", label_source="true", step=0.01
)
MASKS = replace(BOXES, truth="masks", step=0.001)
ORACLE_NAMES = {"GT-known Loc": "MaxBoxAcc", "BoxAccV2": "MaxBoxAccV2"}

seeds = st.integers(0, 10**6)


def protocol_of(truth: Truth, standard: str = "max") -> Protocol:
    base = BOXES if truth == "boxes" else MASKS
    return replace(base, standard=standard, percentile=80.0) if standard != "max" else base  # type: ignore[arg-type]


def numbers(scores: tuple[Score, ...], policy: str | None) -> dict[str, float]:
    return {score.name: score.value for score in scores if score.policy == policy}


@pytest.mark.parametrize(("truth", "standard"), [("boxes", "max"), ("boxes", "percentile"), ("masks", "max")])
@settings(max_examples=12)
@given(seed=seeds, count=st.integers(1, 6))
def test_order_among_the_numbers(truth: Truth, standard: str, seed: int, count: int) -> None:
    ids = [f"{n}.jpg" for n in range(count)]
    val, test = make_records(truth, ids, seed), make_records(truth, ids, seed + 1)
    protocol = protocol_of(truth, standard)
    scores = scores_of(test, protocol, choose_ratios(val, protocol), resamples=3)
    found, best = numbers(scores, "transferred"), numbers(scores, "oracle")
    assert len(found) == len(best) == (9 if truth == "boxes" else 1)
    for name, value in found.items():
        if not name.startswith("Top-"):  # those are taken at the best τ of another number
            assert best[ORACLE_NAMES.get(name, name)] >= value - 1e-12, name
    same = scores_of(test, protocol, choose_ratios(test, protocol), resamples=3)
    for name, value in numbers(same, "transferred").items():
        assert best[ORACLE_NAMES.get(name, name)] == pytest.approx(value, abs=1e-12), name
    if truth == "boxes":
        for kind, known in ((found, "GT-known Loc"), (best, "MaxBoxAcc")):
            assert kind["Top-1 Loc"] <= kind["Top-5 Loc"] <= kind[known]
            for contours in ("largest", "all"):
                middle = kind[known] if contours == "largest" else kind["BoxAcc@0.5 all"]
                if kind is best:
                    assert kind[f"BoxAcc@0.3 {contours}"] >= middle >= kind[f"BoxAcc@0.7 {contours}"]
        classes = numbers(scores, None)
        assert found["Top-1 Loc"] <= classes["Top-1 Cls"] <= classes["Top-5 Cls"]
    for score in scores:
        assert 0 <= score.low <= score.high <= 1 and 0 <= score.value <= 1


@settings(max_examples=15)
@given(seed=seeds, ratio=st.sampled_from([0.0, 0.2, 0.5, 0.99, 1.0]))
def test_kinds_of_error(seed: int, ratio: float) -> None:
    records = make_records("boxes", ["a", "b", "c", "d"], seed)
    assert isinstance(records, BoxRecords)
    scores = {score.name: score.value for score in scores_of(records, BOXES, ratio, resamples=1)[:2]}
    shares = error_shares(records, ratio, BOXES)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["correct"] == scores["Top-1 Loc"]
    assert shares["wrong class"] == pytest.approx((records.ranks > 0).mean())
    unranked = replace(records, depth=np.array(0))
    assert error_shares(unranked, ratio, BOXES)["correct"] == scores["GT-known Loc"]


def by_hand(levels: list[list[int]], ranks: list[int]) -> BoxRecords:
    """Records with the maximum 100 whose largest contour has IoU 0.6 at some levels T and 0 elsewhere."""
    records = make_records("boxes", [str(n) for n in range(len(levels))], 0)
    assert isinstance(records, BoxRecords)
    largest = np.zeros((len(levels), 256))
    histograms = np.zeros((len(levels), 256), np.uint16)
    histograms[:, [0, 100]] = 25088
    for row, hits in zip(largest, levels, strict=True):
        row[hits] = 0.6
    return replace(
        records, largest=largest, all=largest, histograms=histograms, ranks=np.array(ranks), depth=np.array(9)
    )


def test_three_images_by_hand() -> None:
    val = by_hand([[20, 40], [40], [70]], [0, 0, 0])
    test = by_hand([[10, 40], [10], [70]], [0, 5, 4])
    ratios = choose_ratios(val, BOXES)
    assert ratios["largest", 0.3] == ratios["largest", 0.5] == ratios["all", 0.5] == pytest.approx(0.4)
    assert ratios["largest", 0.7] == 0  # nowhere better than elsewhere: the lowest
    found = {
        (score.name, str(score.policy or "")): score for score in scores_of(test, BOXES, ratios, resamples=5)
    }
    expected = {
        ("GT-known Loc", "transferred"): 1 / 3,
        ("Top-1 Loc", "transferred"): 1 / 3,
        ("Top-5 Loc", "transferred"): 1 / 3,
        ("BoxAccV2", "transferred"): (1 / 3 + 1 / 3 + 0) / 3,
        ("MaxBoxAcc", "oracle"): 2 / 3,  # at 0.1
        ("Top-1 Loc", "oracle"): 1 / 3,
        ("Top-5 Loc", "oracle"): 1 / 3,  # the second image, rank 5, is the sixth
        ("MaxBoxAccV2", "oracle"): (2 / 3 + 2 / 3 + 0) / 3,
        ("Top-1 Cls", ""): 1 / 3,
        ("Top-5 Cls", ""): 2 / 3,
    }
    for key, value in expected.items():
        assert found[key].value == pytest.approx(value), key
    assert found["MaxBoxAcc", "oracle"].ratios == pytest.approx((0.1,))
    assert found["BoxAccV2", "transferred"].ratios == pytest.approx((0.4, 0.4, 0))
    assert next(iter(found)) == ("GT-known Loc", "transferred")
    assert found["MaxBoxAcc", "oracle"].selected_on == "test"
    assert found["BoxAccV2", "transferred"].selected_on == "val"


def test_the_oracle_of_top_1_has_the_threshold_of_maxboxacc() -> None:
    """Its own best would be T = 70, where the one image of the right class is found."""
    test = by_hand([[10], [10], [70]], [3, 3, 0])
    found = numbers(scores_of(test, BOXES, 0.7, resamples=5), "oracle")
    assert found["Top-1 Loc"] == 0 and found["Top-5 Loc"] == pytest.approx(2 / 3)
    assert numbers(scores_of(test, BOXES, 0.7, resamples=5), "transferred")["Top-1 Loc"] == pytest.approx(
        1 / 3
    )


@pytest.mark.parametrize("depth", [0, 1, 4, 5])
def test_numbers_of_classes_only_as_far_as_ranks_are_known(depth: int) -> None:
    records = make_records("boxes", ["a", "b"], 0, depth)
    names = {score.name for score in scores_of(records, BOXES, 0.2, resamples=1)}
    assert ({"Top-1 Loc", "Top-1 Cls"} <= names) == (depth >= 1)
    assert ({"Top-5 Loc", "Top-5 Cls"} <= names) == (depth >= 5)
    for name, known in (("Top-1 Cls", depth >= 1), ("Top-5 Cls", depth >= 5)):
        if not known:
            with pytest.raises(DataError, match=f"{name} needs the class scores"):
                measure_of(Quantity(name=name), records, BOXES)


@pytest.mark.parametrize(
    ("source", "name"),
    [("true", "GT-known Loc"), ("predicted", "Loc"), ("asked", "Loc"), ("unstated", "Loc")],
)
def test_the_name_tells_the_label_source(source: Any, name: str) -> None:
    records = make_records("boxes", ["a", "b"], 0)
    names = [
        score.name for score in scores_of(records, replace(BOXES, label_source=source), 0.2, resamples=1)
    ]
    assert names[0] == name and len({"GT-known Loc", "Loc"} & set(names)) == 1
    assert ("Top-1 Loc" in names) == (source in ("true", "predicted"))
    assert ("Top-5 Loc" in names) == (source == "true")


def test_quantities_that_records_do_not_give() -> None:
    with pytest.raises(DataError, match="records of boxes do not give PxAP"):
        measure_of(Quantity(name="PxAP"), make_records("boxes", ["a"], 0), BOXES)


def test_intervals_of_the_oracle_choose_anew() -> None:
    """Of two images one is found below T = 50 and the other above: each alone is always found."""
    test = by_hand([list(range(50)), list(range(50, 99))], [0, 0])
    score = next(s for s in scores_of(test, BOXES, 0.2, resamples=200) if s.name == "MaxBoxAcc")
    assert (score.value, score.low, score.high) == (0.5, 0.5, 1.0)
    fixed = scores_of(test, BOXES, 0.2, resamples=200)[0]
    assert (fixed.value, fixed.low, fixed.high) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("truth", ["boxes", "masks"])
def test_the_order_of_images_changes_nothing(truth: Truth) -> None:
    records: AnyRecords = make_records(truth, [str(n) for n in range(7)], 5)
    order = np.random.default_rng(0).permutation(7)
    whole = {"truth", "depth"}
    turned: AnyRecords = replace(
        records, **{name: values[order] for name, values in vars(records).items() if name not in whole}
    )
    if isinstance(records, BoxRecords) and isinstance(turned, BoxRecords):
        turned = replace(turned, truth=records.truth[order])  # one box each
    protocol = protocol_of(truth)
    one, other = (
        scores_of(each, protocol, choose_ratios(each, protocol), resamples=1) for each in (records, turned)
    )
    assert [s.ratios for s in one] == [s.ratios for s in other]
    assert [s.value for s in one] == pytest.approx([s.value for s in other], abs=1e-12)
    assert isinstance(records, BoxRecords | MaskRecords)
