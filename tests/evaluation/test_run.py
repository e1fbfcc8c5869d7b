"""Whole evaluations against the same numbers from NumPy and OpenCV; what the protocol does not let pass."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.evaluation import reference
from tests.evaluation.toys import CLASSES, SPLITS, Toys, make_toys, save_mask
from wsol.errors import DataError
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.protocol import LabelSource
from wsol.evaluation.records import BoxRecords
from wsol.evaluation.result import Result, load_result
from wsol.evaluation.run import evaluate
from wsol.evaluation.sources import SavedMaps

pytest_plugins = ["tests.evaluation.fixtures"]
pytestmark = pytest.mark.usefixtures("no_page")


def run(
    toys: Toys, *, source: LabelSource = "true", batch_size: int = 5, ranked: bool = True, **options: Any
) -> Result:
    maps = SavedMaps(
        toys.maps, label_source=source, predictions=toys.predictions if ranked else None, classes=CLASSES,
        batch_size=batch_size,
    )  # fmt: skip
    chosen = EvaluationOptions(resamples=20, **options)
    out = toys.folder / "out"
    evaluate(maps, toys.data, chosen, out, progress=False, overwrite=True)
    return load_result(out)


def box_split(toys: Toys, split: str, kind: str = "max", percentile: float = 90) -> reference.BoxSplit:
    prepare = partial(reference.ivr, percentile=percentile) if kind == "ivr" else reference.normalized
    maps = {id: prepare(reference.saved(toys.map_of(id))) for id in toys.ids[split]}
    rankings = {line[0]: line[1:] for line in (text.split(",") for text in _lines(toys.predictions))}
    ranks = {id: rankings[id].index(CLASSES[toys.labels[id]]) for id in toys.ids[split]}
    folder = toys.folder / "metadata" / split
    return reference.BoxSplit(folder, maps, ranks, percentile if kind == "percentile" else 100)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def check_boxes(result: Result, val: reference.BoxSplit | float, test: reference.BoxSplit) -> None:
    """Every score of a result, by name and policy."""
    policy = "fixed" if isinstance(val, float) else "transferred"
    told = {(score.name, score.policy): score.value for score in result.scores}
    expected: dict[tuple[str, str | None], float] = {}
    for kind, scores in ((policy, test.scores(val)), ("oracle", test.scores(test))):
        names = {"Loc": "GT-known Loc", "V2": "BoxAccV2"}
        if kind == "oracle":
            names = {"Loc": "MaxBoxAcc", "V2": "MaxBoxAccV2"}
        for name, value in scores.items():
            expected[names.get(name, name), None if name.endswith("Cls") else kind] = value
    assert told == pytest.approx(expected, abs=1e-12)
    for score in result.scores:
        if score.policy is not None:
            chosen_by = test if score.policy == "oracle" else val
            if isinstance(chosen_by, float):
                assert set(score.ratios) == {chosen_by}
            else:
                best = [chosen_by.best(str(score.contours), delta) for delta in score.iou_thresholds]
                assert score.ratios == pytest.approx(reference.TAUS[best], abs=1e-12), score.name


@pytest.mark.parametrize(
    "kind", [{}, {"threshold": "percentile"}, {"threshold": "ivr", "percentile": 80.0}], ids=str
)
def test_every_number_of_boxes(boxed: Toys, kind: dict[str, Any]) -> None:
    val, test = (
        box_split(boxed, split, kind.get("threshold", "max"), kind.get("percentile", 90)) for split in SPLITS
    )
    if kind.get("threshold") == "ivr":
        for split in (val, test):
            assert split.ious["largest"].shape == (12, 1000)
    scores = test.scores(val)
    assert scores["Loc"] < test.scores(test)["Loc"]  # a set on which the policies differ,
    assert scores["Top-1 Loc"] < scores["Top-5 Loc"] <= scores["Loc"]  # the ranks,
    assert not np.array_equal(test.ious["all"], test.ious["largest"])  # and the contours
    check_boxes(run(boxed, **kind), val, test)


def test_a_fixed_threshold(boxed: Toys) -> None:
    result = run(boxed, policy="fixed", ratio=float(reference.TAUS[350]), threshold="percentile")
    check_boxes(result, float(reference.TAUS[350]), box_split(boxed, "test", "percentile"))
    assert result.protocol.selected_on is None and result.data["selection"] is None
    assert not (boxed.folder / "out" / "val.npz").exists()


def test_every_number_of_masks(masked: Toys) -> None:
    fine = run(masked)
    result = run(masked, step=0.01)
    splits = {}
    for split in SPLITS:
        maps = {id: reference.normalized(reference.saved(masked.map_of(id))) for id in masked.ids[split]}
        folder = masked.folder / "metadata" / split
        splits[split] = reference.MaskSplit(folder, masked.folder / "masks", maps)
    val, test = splits["val"], splits["test"]
    assert fine.score("PxAP").value == pytest.approx(test.pxap(), abs=1e-9)
    chosen, best = val.ious.mean(axis=0).argmax(), test.ious.mean(axis=0).argmax()
    assert chosen != best
    for policy, place in (("transferred", chosen), ("oracle", best)):
        score = result.score("Mask IoU", policy)  # type: ignore[arg-type]
        assert score.ratios == pytest.approx((place / 100,))
        assert score.value == pytest.approx(test.ious[:, place].mean(), abs=1e-9)
    assert result.overlaps() == pytest.approx(test.ious[:, chosen], abs=1e-9)
    fixed = run(masked, policy="fixed", ratio=0.3)
    assert fixed.score("Mask IoU", "fixed").value == pytest.approx(test.ious[:, 30].mean(), abs=1e-9)
    assert fixed.errors == {} and {s.name for s in fixed.scores} == {
        *("PxAP", "Mask IoU", "Top-1 Cls", "Top-5 Cls"),
    }


def test_a_mask_threshold_that_the_histograms_do_not_hold(masked: Toys) -> None:
    with pytest.raises(ValueError, match=r"ratio.*0\.2345"):
        run(masked, policy="fixed", ratio=0.2345)
    with pytest.raises(ValueError, match="percentile"):
        run(masked, threshold="percentile")
    at_one = run(masked, policy="fixed", ratio=1.0)  # the pixels of the maximum alone
    assert 0 < at_one.score("Mask IoU").value < 0.1


def test_what_a_result_carries(boxed: Toys) -> None:
    run(boxed, name="mine", seed=7)
    values = json.loads((boxed.folder / "out" / "result.json").read_text(encoding="utf-8"))
    assert values["protocol"] == {
        "split": "test", "truth": "boxes", "policy": "transferred", "selected_on": "val",
        "label_source": "true", "standard": "max", "percentile": 100.0, "step": 0.001,
    }  # fmt: skip
    assert (values["name"], values["seed"], values["skipped"]) == ("mine", 7, [])
    digest = values["model"].pop("maps_digest")
    assert len(digest) == len("sha256:") + 64
    assert values["model"].pop("predictions").startswith("predictions.csv sha256:")
    assert values["model"] == {"maps": str(boxed.maps), "asked": None}
    data = values["data"]
    fingerprints = {name: boxed.data.split(name).fingerprint for name in SPLITS}
    assert (data["name"], data["split"], data["images"], data["skipped"]) == ("toys", "test", 12, 0)
    assert data["fingerprint"] == fingerprints["test"]
    assert data["selection"]["fingerprint"] == fingerprints["val"] != data["fingerprint"]
    assert {"wsol", "torch", "numpy", "python"} <= values["versions"].keys()
    loc, v2 = values["scores"][0], next(s for s in values["scores"] if s["name"] == "MaxBoxAccV2")
    assert (loc["contours"], loc["iou_thresholds"], loc["policy"]) == ("largest", [0.5], "transferred")
    assert (v2["contours"], v2["iou_thresholds"], len(v2["ratios"])) == ("all", [0.3, 0.5, 0.7], 3)
    assert (v2["policy"], v2["selected_on"]) == ("oracle", "test")
    for score in values["scores"]:
        assert 0 <= score["low"] <= score["high"] <= 1
    assert sum(values["errors"].values()) == pytest.approx(1)
    top1 = next(s for s in values["scores"] if s["name"] == "Top-1 Loc")
    assert values["errors"]["correct"] == pytest.approx(top1["value"])


def test_the_oracle_alone(boxed: Toys) -> None:
    result = run(boxed, policy="oracle")
    assert {score.policy for score in result.scores} == {"oracle", None}
    assert result.protocol.selected_on == "test" and result.scores[0].name == "MaxBoxAcc"
    assert not (boxed.folder / "out" / "val.npz").exists()
    again = run(boxed)
    assert result.score("MaxBoxAcc") == again.score("MaxBoxAcc")


@pytest.mark.parametrize(
    ("source", "first", "topk"),
    [
        ("true", "GT-known Loc", {"Top-1 Loc", "Top-5 Loc"}),
        ("predicted", "Loc", {"Top-1 Loc"}),  # where the class is right it is the true class's map
        ("unstated", "Loc", set()),
    ],
)
def test_only_maps_of_the_true_class_are_gt_known(
    boxed: Toys, source: LabelSource, first: str, topk: set[str]
) -> None:
    result = run(boxed, source=source, policy="fixed", ratio=0.2)
    names = [score.name for score in result.scores]
    assert names[0] == first and ("GT-known Loc" in names) == (source == "true")
    assert {name for name in names if name.startswith("Top") and name.endswith("Loc")} == topk
    assert result.protocol.label_source == source


def test_without_predictions_nothing_is_said_of_classes(boxed: Toys) -> None:
    names = {score.name for score in run(boxed, ranked=False, policy="fixed", ratio=0.2).scores}
    assert not any(name.startswith("Top") for name in names) and "GT-known Loc" in names


def test_the_threshold_is_not_chosen_on_the_evaluated_images(boxed: Toys) -> None:
    with pytest.raises(ValueError, match="policy 'oracle'"):
        run(boxed, split="val")
    id = boxed.ids["test"][3]
    for name in ("image_ids", "class_labels", "image_sizes", "localization"):
        for line in _lines(boxed.table(name)):
            if line.split(",")[0] == id:
                boxed.add_line(name, line, "val")
    with pytest.raises(DataError, match=f"1 images are both in 'val' and in 'test', as '{id}'"):
        run(boxed)
    assert run(boxed, policy="oracle").data["images"] == 12


def test_a_split_to_choose_on_is_needed(boxed: Toys) -> None:
    with pytest.raises(DataError, match=r"no split 'train'.*val, test.*--select-on"):
        run(boxed, select_on="train")
    boxed.table("localization", "val").write_text("")
    with pytest.raises(DataError, match="'val' has none, 'test' has boxes"):
        run(boxed)
    with pytest.raises(DataError, match="neither boxes nor masks"):
        run(boxed, split="val", select_on="test")
    boxed.table("image_ids", "val").write_text("")
    with pytest.raises(DataError, match=r"val.image_ids\.txt: it lists no image"):
        run(boxed)
    assert not (boxed.folder / "out").exists()


def test_images_that_cannot_be_used_are_told_with_file_and_line(boxed: Toys) -> None:
    ids = boxed.ids["test"]
    boxed.map_of(ids[0]).unlink()
    np.save(boxed.map_of(ids[1]), np.full((4, 4), np.nan))
    size = boxed.table("localization")
    size.write_text(size.read_text().replace(f"{ids[3]},", f"{ids[3]},9999,9999,", 1))
    boxed.add_line("class_labels", f"{ids[4]},99")
    boxed.add_line("image_ids", ids[5])
    boxed.map_of(boxed.ids["val"][6]).unlink()
    result = run(boxed)
    said = {
        f"test: {ids[0]}: {boxed.maps}": "metadata/test/image_ids.txt, line 1)",
        f"test: {ids[1]}: {boxed.maps}": "16 values are NaN",
        "test: metadata/test/localization.txt, line": "",
        "test: metadata/test/class_labels.txt, line 13: ": "the label 99 is out of range",
        f"val: {boxed.ids['val'][6]}": "metadata/val/image_ids.txt, line 7)",
    }
    for start, reason in said.items():
        assert [line for line in result.skipped if line.startswith(start) and reason in line], start
    assert len(result.skipped) == 5 and result.data["skipped"] == 4  # one line an image; val has one more
    (note,) = result.notes  # it takes no image out
    assert note.startswith("test: metadata/test/image_ids.txt, line 13: ") and "in line 6 already" in note
    assert len(result.records) == result.data["images"] <= 8
    assert len(result.records_of("val")) == result.data["selection"]["images"] == 11
    assert result.score("GT-known Loc").value * result.data["images"] == pytest.approx(
        round(result.score("GT-known Loc").value * result.data["images"])
    )


@pytest.mark.parametrize("sizes", [True, False])
@pytest.mark.parametrize(
    ("box", "frame"),
    [
        ("-3,2,20,20", None),
        ("500,500,600,600", None),
        ("-0.001,2,20,20.004", [0, 14, 112, 149]),  # decimals were rounded
        ("2,2,50,20", [11, 14, 280, 149]),  # the official code takes it so, too
    ],
)
def test_boxes_that_reach_out_of_the_picture(
    boxed: Toys, box: str, frame: list[int] | None, sizes: bool
) -> None:
    lines = [line for line in _lines(boxed.table("localization")) if not line.startswith("test/00")]
    boxed.table("localization").write_text("\n".join([f"test/00.png,{box}", *lines, ""]))
    if not sizes:
        boxed.table("image_sizes").write_text("")
    result = run(boxed, policy="oracle")
    records = result.records
    assert isinstance(records, BoxRecords)
    if frame is None:
        assert "test/00.png" not in records.ids and result.data["images"] == 11
    else:
        assert records.ids[0] == "test/00.png" and records.true_boxes()[0].tolist() == [frame]
    for said, told in ((result.skipped, frame is None), (result.notes, sizes and box == "2,2,50,20")):
        mine = [line for line in said if "test/00.png: " in line]
        assert len(mine) == told and all("metadata/test/" in line and "line 1" in line for line in mine)


def test_damaged_masks_are_skipped(masked: Toys) -> None:
    ids = masked.ids["test"]
    folder = masked.folder / "masks"
    whole = run(masked).records
    (folder / f"{ids[0]}_0.png").unlink()
    (folder / f"{ids[1]}_0.png").write_bytes(b"no picture")
    save_mask(folder / f"{ids[2]}_0.png", (0, 0, 3, 3), (5, 5))
    Image.new("RGB", masked.sizes[ids[4]]).save(folder / f"{ids[4]}_0.png")
    result = run(masked)
    for id, reason in zip(
        (ids[0], ids[1], ids[2], ids[4]),
        ("No such file", "not an image", "the mask is 5 × 5", "one channel"),
        strict=True,
    ):
        (line,) = [line for line in result.skipped if f"{id}: " in line]
        assert reason in line and f"{id}_0.png" in line and "image_ids.txt, line" in line
    kept = [3, *range(5, 12)]
    assert result.records.ids.tolist() == [ids[place] for place in kept]
    for name in ("histograms", "ranks", "labels"):  # each with its own map, truth and class
        assert np.array_equal(getattr(result.records, name), getattr(whole, name)[kept]), name


def test_nothing_usable_and_nothing_to_find(masked: Toys) -> None:
    for id in masked.ids["test"]:
        for path in (masked.folder / "masks").glob(f"{id}_[01].png"):
            save_mask(path, (0, 0, 0, 0), masked.sizes[id])
    with pytest.raises(DataError, match="no pixel of an object"):
        run(masked)
    for id in masked.ids["test"]:
        masked.map_of(id).unlink()
    with pytest.raises(DataError, match=r"no image of the split 'test' could be used; the first: .*00\.png"):
        run(masked)


def test_the_batch_size_changes_nothing(tmp_path: Path) -> None:
    toys = make_toys(tmp_path, count=5)
    toys.map_of(toys.ids["test"][1]).unlink()
    first, second = (run(toys, batch_size=size) for size in (1, 64))
    assert first.scores == second.scores and first.skipped == second.skipped
    one, other = first.records, second.records
    assert isinstance(one, BoxRecords) and isinstance(other, BoxRecords)
    assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))
