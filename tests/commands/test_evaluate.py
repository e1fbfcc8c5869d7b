"""``wsol evaluate``: what a user sees."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.toys import CLASSES, Toys, make_toys
from wsol.cli import main
from wsol.evaluation.result import load_result
from wsol.inference.localizer import Localizer
from wsol.models import ModelOptions

pytest_plugins = ["tests.evaluation.fixtures"]

Command = Callable[..., list[str]]


@pytest.fixture
def with_maps(boxed: Toys, tmp_path: Path) -> Command:
    def arguments(*more: str) -> list[str]:
        return [
            *("evaluate", "--data", str(boxed.folder), "--maps", str(boxed.maps)),
            *("--output", str(tmp_path / "out"), "--resamples", "5", *more),
        ]

    return arguments


@pytest.fixture
def with_model(boxed: Toys, tmp_path: Path, own_model: ModelOptions) -> Command:
    assert own_model.checkpoint is not None and own_model.classes is not None

    def arguments(*more: str) -> list[str]:
        return [
            *("evaluate", "resnet18", "--checkpoint", str(own_model.checkpoint)),
            *("--classes", str(own_model.classes), "--input-size", "96", "--device", "cpu", "--workers", "0"),
            *("--data", str(boxed.folder), "--output", str(tmp_path / "out"), "--resamples", "5", *more),
        ]

    return arguments


def test_a_model(with_model: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(with_model()) == 0
    printed = capsys.readouterr()
    result = load_result(tmp_path / "out")
    assert "Maps are of the true class (same class names)" in printed.err
    for words in ("GT-known Loc", "MaxBoxAccV2", "τ chosen on val", "test itself", "Top-5 Cls", "95 %"):
        assert words in printed.out
    assert printed.out.rstrip().endswith(str(tmp_path / "out" / "report.html"))
    (line,) = [line for line in printed.out.splitlines() if line.startswith("GT-known Loc")]
    assert f"{100 * result.score('GT-known Loc').value:.1f}" in line
    assert f"{result.headline_ratio:.3f}" in line
    assert (tmp_path / "out" / "report.html").is_file() and result.name == "resnet18"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "toys"}


@pytest.mark.usefixtures("no_page")
def test_what_is_there_already_is_refused_before_any_work(
    with_model: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(with_model("--quiet")) == 0
    assert capsys.readouterr() == ("", "")
    before = (tmp_path / "out" / "result.json").read_bytes()

    def work(*_: object) -> None:
        raise AssertionError("work was done")

    with monkeypatch.context() as patch:
        patch.setattr(Localizer, "forward", work)
        patch.setattr("wsol.models.build", work)
        assert main(with_model()) == 1
        assert (
            "holds a result already; choose another --output, or say --overwrite" in capsys.readouterr().err
        )
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").write_text("mine")
        assert main(with_model("--output", str(tmp_path / "mine"), "--overwrite")) == 1
        assert "not from wsol evaluate" in capsys.readouterr().err
    assert (tmp_path / "out" / "result.json").read_bytes() == before
    assert main(with_model("--quiet", "--overwrite", "--name", "again", "--seed", "4")) == 0
    again = load_result(tmp_path / "out")
    assert (again.name, again.seed) == ("again", 4)


def test_skipped_images_are_told(
    with_maps: Command, boxed: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxed.map_of("test/02.png").write_bytes(b"")
    boxed.add_line("class_labels", "val/01.png,77", "val")
    assert main(with_maps()) == 3
    printed = capsys.readouterr()
    told = [line for line in printed.err.splitlines() if line.startswith("skipped: ")]
    assert told == [f"skipped: {line}" for line in load_result(tmp_path / "out").skipped] and len(told) == 2
    assert "test: test/02.png: " in told[0] and "metadata/test/image_ids.txt, line 3" in told[0]
    assert "val: metadata/val/class_labels.txt, line 13: val/01.png: the label 77" in told[1]
    assert "2 images" in printed.out
    assert "test/02.png" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert main(with_maps("--quiet", "--overwrite")) == 3
    assert capsys.readouterr().err.count("skipped: ") == 2


@pytest.mark.usefixtures("no_page")
def test_maps_are_what_their_maker_says(with_maps: Command, boxed: Toys, tmp_path: Path) -> None:
    for options, source, first in (
        ([], "unstated", "Loc"),
        (["--label-source", "true"], "true", "GT-known Loc"),
        (["--label-source", "predicted"], "predicted", "Loc"),
    ):
        assert main(with_maps("--quiet", "--overwrite", *options)) == 0
        result = load_result(tmp_path / "out")
        assert (result.protocol.label_source, result.scores[0].name) == (source, first)
        assert not any(score.name.startswith("Top") for score in result.scores)
    assert main(with_maps("--quiet", "--overwrite", "--predictions", str(boxed.predictions))) == 0
    assert load_result(tmp_path / "out").score("Top-1 Cls").policy is None


@pytest.mark.usefixtures("no_page")
def test_policies_and_standards(with_maps: Command, tmp_path: Path) -> None:
    more = ["--policy", "fixed", "--ratio", "0.35", "--threshold", "percentile", "--percentile", "85"]
    assert main(with_maps("--quiet", *more)) == 0
    protocol = json.loads((tmp_path / "out" / "result.json").read_text())["protocol"]
    assert (protocol["policy"], protocol["standard"], protocol["percentile"]) == ("fixed", "percentile", 85)
    assert main(with_maps("--quiet", "--overwrite", "--split", "val", "--select-on", "test")) == 0
    result = load_result(tmp_path / "out")
    assert (result.protocol.split, result.protocol.selected_on) == ("val", "test")
    assert result.records.ids[0] == "val/00.png" and result.records_of("test").ids[0] == "test/00.png"


@pytest.mark.usefixtures("no_page")
def test_an_earlier_result_scored_anew(with_maps: Command, boxed: Toys, tmp_path: Path) -> None:
    """As if the maps were looked at again."""
    assert main(with_maps("--quiet", "--label-source", "true", "--predictions", str(boxed.predictions))) == 0
    for number, more in enumerate(
        (["--policy", "fixed", "--ratio", "0.3"], ["--threshold", "percentile"], ["--policy", "oracle"])
    ):
        kept, anew = str(tmp_path / f"kept{number}"), str(tmp_path / f"anew{number}")
        data = ["evaluate", "--data", str(boxed.folder), "--quiet", "--resamples", "5", *more]
        maps = ["--maps", str(boxed.maps), "--label-source", "true", "--predictions", str(boxed.predictions)]
        assert main([*data, "--records", str(tmp_path / "out"), "--output", kept]) == 0
        assert main([*data, *maps, "--output", anew]) == 0
        one, other = load_result(kept), load_result(anew)
        assert (one.scores, one.protocol, one.errors) == (other.scores, other.protocol, other.errors)


def test_kept_records_of_other_data(
    with_maps: Command, boxed: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(with_maps("--quiet", "--policy", "oracle")) == 0
    data = ["evaluate", "--data", str(boxed.folder), "--records", str(tmp_path / "out"), "--output", "x"]
    assert main(data) == 1
    assert "kept nothing of the split 'val'" in capsys.readouterr().err
    assert main([*data, "--policy", "oracle", "--threshold", "ivr"]) == 1
    assert "ivr changes the maps themselves" in capsys.readouterr().err
    boxed.table("class_labels").write_text("".join(f"{id},0\n" for id in boxed.ids["test"]))
    assert main([*data, "--policy", "oracle"]) == 1
    assert "the split 'test' is another now" in capsys.readouterr().err
    assert not Path("x").exists()


@pytest.mark.usefixtures("no_page")
def test_a_class_map_and_a_class_asked_for(
    with_model: Command, boxed: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (boxed.folder / "classes.txt").write_text("a\nb\nc\nd\ne\nf\n")
    assert main(with_model()) == 0
    said = "Maps are of the predicted class (6 of the data's 6 classes are not found in the model: a, b"
    assert said in capsys.readouterr().err
    result = load_result(tmp_path / "out")
    assert result.protocol.label_source == "predicted" and "Loc" in {score.name for score in result.scores}
    assert not any(score.name.startswith("Top") for score in result.scores)
    lines = [f"{letter},{name}\n" for letter, name in zip("abcdef", CLASSES, strict=True)]
    (tmp_path / "map.csv").write_text("".join([*lines, "a,bee\n"]))
    assert main(with_model("--overwrite", "--class-map", str(tmp_path / "map.csv"))) == 1
    assert "map.csv: a and b are one class of the model, 'bee'" in capsys.readouterr().err
    (tmp_path / "map.csv").write_text("".join(lines))
    assert main(with_model("--overwrite", "--class-map", str(tmp_path / "map.csv"))) == 0
    assert "Maps are of the true class (class map" in capsys.readouterr().err
    result = load_result(tmp_path / "out")
    assert np.array_equal(result.records.chosen, 5 - result.records.labels)
    assert result.score("Top-1 Loc").value <= result.score("GT-known Loc").value
    asked = ["--overwrite", "--quiet", "--label-source", "asked", "--label"]
    assert main(with_model(*asked, "emu")) == 0
    result = load_result(tmp_path / "out")
    assert result.protocol.label_source == "asked" and set(result.records.chosen.tolist()) == {1}
    assert main(with_model(*asked, "1")) == 0
    assert load_result(tmp_path / "out").records.chosen.tolist() == result.records.chosen.tolist()


@pytest.mark.usefixtures("no_page")
def test_unnamed_classes_that_only_val_has(
    with_model: Command, boxed: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All six are in val and three in test: the data has six, as many as the model."""
    (boxed.folder / "classes.txt").unlink()
    for split, classes in (("val", 6), ("test", 3)):
        rows = [f"{id},{number % classes}\n" for number, id in enumerate(boxed.ids[split])]
        boxed.table("class_labels", split).write_text("".join(rows))
    assert main(with_model()) == 0
    assert "Maps are of the true class (same class indices)" in capsys.readouterr().err
    assert load_result(tmp_path / "out").records_of("val").chosen.tolist() == 2 * [0, 1, 2, 3, 4, 5]


def test_damaged_photographs(
    with_model: Command, boxed: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (boxed.folder / "images" / "test" / "04.png").write_bytes(b"")
    Image.new("RGB", (30, 40)).save(boxed.folder / "images" / "test" / "00.png")
    assert main(with_model("--quiet")) == 3
    told = capsys.readouterr().err
    assert "skipped: test: test/04.png: the file is empty (metadata/test/image_ids.txt, line 5)" in told
    assert "test/00.png: the table says 40 × 30 pixels" in told
    assert load_result(tmp_path / "out").data["images"] == 10


@pytest.mark.parametrize(
    ("code", "more", "reason"),
    [
        (2, ["--split", "val"], "split and select_on are both 'val'"),
        (2, ["--select-on", "test"], "split and select_on are both 'test'"),
        (1, ["--select-on", "dev"], "no split 'dev' to choose the threshold on"),
        (1, ["--split", "dev"], "no split 'dev'; it has val, test"),
        (2, ["--ratio", "0.2"], "ratio is for the policy 'fixed'"),
        (2, ["--class-map", "map.csv"], "--class-map is of a model's classes"),
        (2, ["--map", "nwc"], "--map: for a model"),
        (2, ["--backbone", "resnet18", "--stride", "16"], "--backbone, --stride: for a model"),
        (2, ["resnet18"], "give one of a model, --maps and --records"),
        (2, ["--records", "there"], "give one of a model, --maps and --records"),
        (1, ["--predictions", "gone.csv"], "cannot read gone.csv"),
        (1, ["--maps", "gone"], "gone: no such folder of maps"),
        (1, ["--data", "gone"], "gone: no such file or folder"),
    ],
)
def test_what_cannot_be_started_says_why(
    with_maps: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
    more: list[str],
    reason: str,
) -> None:
    assert main(with_maps(*more)) == code
    told = capsys.readouterr().err
    assert told.startswith("wsol evaluate: ") and reason in told and "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["toys"]


def test_predictions_and_records_belong_to_something(
    with_model: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(with_model("--predictions", "p.csv")) == 2
    assert "--predictions go with --maps" in capsys.readouterr().err
    for wrong in (["--policy", "best"], ["--threshold", "mean"], ["--label-source", "x"], ["--no-such"]):
        with pytest.raises(SystemExit) as stop:
            main(with_model(*wrong))
        assert stop.value.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["toys"]


@pytest.mark.usefixtures("no_page")
def test_the_output_has_a_name_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toys = make_toys(tmp_path / "birds", "masks", count=3)
    monkeypatch.chdir(tmp_path)
    fixed = ["--policy", "fixed", "--ratio", "0.2", "--resamples", "2"]
    assert main(["evaluate", "--data", "birds", "--maps", str(toys.maps), *fixed]) == 0
    assert main(["evaluate", "--data", "birds", "--maps", str(toys.maps), *fixed, "--name", "a/b"]) == 0
    assert sorted(path.name for path in (tmp_path / "evaluations").iterdir()) == [
        *("a_b-birds-test-fixed-0.2", "maps-birds-test-fixed-0.2"),
    ]
    assert "PxAP" in capsys.readouterr().out
