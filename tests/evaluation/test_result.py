"""The result file: the same after a round trip, and damage is told as such."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation.toys import Truth, make_records
from wsol.errors import DataError
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.records import MaskRecords
from wsol.evaluation.result import Result, load_result
from wsol.evaluation.scoring import choose_ratios, scores_of

IDS = ["a.jpg", "b.jpg", "c.jpg"]


def make_result(truth: Truth = "boxes", **changes: Any) -> Result:
    protocol = Protocol(
        split="test", truth=truth, policy="transferred", selected_on="val", label_source="predicted",
        **changes.pop("protocol", {}),
    )  # fmt: skip
    records, others = make_records(truth, IDS, 2), make_records(truth, IDS, 1)
    whole = Result(
        name="CAM – ä", seed=3, model={"backbone": "resnet50", "mean": [0.5, 0.25]},
        data={"name": "toys", "split": "test", "images": 3, "fingerprint": "sha256:0", "selection": None},
        protocol=protocol,
        scores=scores_of(records, protocol, choose_ratios(others, protocol), resamples=9),
        errors={"correct": 0.25}, skipped=("test: b.jpg: \udc80 no file (x.txt, line 3)",),
        notes=("test: x.txt, line 4: odd",),
        versions={"wsol": "1"}, created="2026-01-02T03:04:05+00:00",
    )  # fmt: skip
    return replace(whole, **changes)


@pytest.mark.parametrize("truth", ["boxes", "masks"])
def test_a_round_trip(tmp_path: Path, truth: Truth) -> None:
    result = make_result(truth)
    result.save(tmp_path / "deep" / "r")
    for path in (
        tmp_path / "deep" / "r",
        str(tmp_path / "deep" / "r"),
        tmp_path / "deep" / "r" / "result.json",
    ):
        found = load_result(path)
        assert found == result and found.folder == tmp_path / "deep" / "r"
        assert isinstance(found.scores, tuple) and isinstance(found.scores[-3].ratios, tuple)
    assert [path.name for path in (tmp_path / "deep" / "r").iterdir()] == ["result.json"]
    text = (tmp_path / "deep" / "r" / "result.json").read_text(encoding="utf-8")
    assert "CAM – ä" in text and str(tmp_path) not in text
    found.save(tmp_path / "again")
    assert load_result(tmp_path / "again") == result


def test_numbers_by_name_and_policy() -> None:
    result = make_result()
    assert result.score("Top-1 Loc").policy == "transferred"
    assert result.score("Top-1 Loc", "oracle").policy == "oracle"
    assert result.score("MaxBoxAcc") is result.score("MaxBoxAcc", "oracle")
    with pytest.raises(KeyError, match="no 'MaxBoxAcc' of policy transferred; it has Loc, Top-1 Loc"):
        result.score("MaxBoxAcc", "transferred")
    with pytest.raises(KeyError, match="no 'PxAP' of policy any"):
        result.score("PxAP")
    assert result.headline_ratio == result.scores[0].ratios[0]
    masks = make_result("masks")
    assert masks.scores[0].name == "PxAP" and masks.headline_ratio == masks.score("Mask IoU").ratios[0]


@pytest.mark.parametrize("truth", ["boxes", "masks"])
def test_overlaps_give_the_headline(tmp_path: Path, truth: Truth) -> None:
    result = make_result(truth)
    result.save(tmp_path)
    make_records(truth, IDS, 2).save(tmp_path / "test.npz")
    make_records(truth, IDS, 1).save(tmp_path / "val.npz")
    found = load_result(tmp_path)
    overlaps = found.overlaps()
    assert found.records.ids.tolist() == IDS and overlaps.shape == (3,)
    if truth == "boxes":
        assert (overlaps >= 0.5).mean() == found.scores[0].value
    else:
        assert overlaps.mean() == pytest.approx(found.score("Mask IoU").value, abs=1e-12)
    assert not np.array_equal(found.records_of("val").ranks, found.records.ranks)
    with pytest.raises(DataError, match=r"train\.npz"):
        found.records_of("train")


def test_masks_have_a_column_for_each_ratio() -> None:
    """Also where the ratio over the step is a little less than a whole number, as 0.29 / 0.001."""
    result, records = make_result("masks"), make_records("masks", IDS, 2)
    for column in (29, 57, 58, 290, 570, 999):
        result = replace(result, scores=tuple(replace(s, ratios=(column / 1000,)) for s in result.scores))
        vars(result)["records"] = records
        assert isinstance(records, MaskRecords)
        assert np.array_equal(result.overlaps(), records.overlaps()[:, column])


def test_records_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not read from a folder"):
        _ = make_result().records
    make_result().save(tmp_path)
    with pytest.raises(DataError, match=r"test\.npz: not the records"):
        _ = load_result(tmp_path).records


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("scores"),
        lambda values: values.pop("protocol"),
        lambda values: values.pop("name"),
        lambda values: values.update(more=1),
        lambda values: values.update(scores=3),
        lambda values: values.update(scores=["PxAP"]),
        lambda values: values.update(skipped=None),
        lambda values: [score.pop("ratios") for score in values["scores"]],
        lambda values: values["scores"][0].update(ratios=2),
        lambda values: values["protocol"].update(policy="best"),
        lambda values: values["protocol"].update(truth="points"),
        lambda values: values["protocol"].pop("split"),
        lambda values: values.update(protocol=[]),
        lambda values: values["protocol"].update(step=0),
        lambda values: values["protocol"].update(percentile=1e9),
        lambda values: values["protocol"].update(label_source="mine"),
        lambda values: values["scores"][0].update(value="0.5"),
        lambda values: values["scores"][0].update(ratios=[float("nan")]),
        lambda values: values.update(data=3),
        lambda values: values["data"].update(images="many"),
        lambda values: values["data"].update(selection={"split": "val"}),
        lambda values: values.update(name=[]),
        lambda values: values.update(seed=True),
    ],
)
def test_json_that_is_no_result(tmp_path: Path, change: Any) -> None:
    make_result().save(tmp_path)
    values = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    change(values)
    (tmp_path / "result.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"result\.json: "):
        load_result(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"\xff", b'"a"', b"{", b"[" * 100_000])
def test_text_that_is_no_result(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(DataError, match=r"result\.json: not the result of wsol evaluate"):
        load_result(tmp_path)


def test_no_result_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "result.json"):
        with pytest.raises(DataError, match="not the result of wsol evaluate"):
            load_result(path)
