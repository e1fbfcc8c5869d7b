"""The study: its grid can be trained, its numbers are those of the evaluation, its tables show them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.study import diagnose, figures, gallery, grid, report, tables, train
from benchmarks.study.grid import Training, planned
from benchmarks.study.measure import LEVELS, is_measured, measure_centre, measure_run
from benchmarks.study.tables import Row, cells, measures, over_seeds
from PIL import Image

from tests.training.conftest import fill_boxes, squares, start
from wsol.cli import main
from wsol.commands.train import train_parser
from wsol.evaluation.result import load_result
from wsol.methods.bridging import BridgingOptions
from wsol.training.config import TrainConfig
from wsol.training.recipes import write_config

__all__ = ["squares", "start"]

PLAIN = Row("CAM", "cam")


@pytest.fixture(scope="module")
def data(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The squares with masks too: the true boxes, filled."""
    folder = Path(shutil.copytree(squares, tmp_path_factory.mktemp("study") / "squares"))
    shutil.copytree(folder / "metadata", folder / "metadata-masks")
    for table in (folder / "metadata-masks").rglob("localization.txt"):
        fill_boxes(folder, table)
    return folder


@pytest.fixture(scope="module")
def work(data: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of one training, trained and measured by the command's own function."""
    work = tmp_path_factory.mktemp("runs")
    options = ("--backbone=test_resnet", f"--checkpoint={start}", "--input-size=64", "--trainer.workers=0")
    training = Training("cam", (*options, "--training.batch-size=7"), (0, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "EPOCHS", {"squares": 1})
        patch.setattr(train, "planned", lambda: [(training, seed) for seed in training.seeds])
        assert train.train_all([data], work, hours=0, jobs=1) == [
            f"{work / 'squares' / f'cam-seed{seed}'}: the time was over" for seed in (0, 1)
        ]
        assert train.train_all([data], work, hours=1, jobs=1) == []
        assert train.train_all([data], work, hours=0, jobs=1) == []  # nothing is left
    return work


def test_every_training_has_a_name_of_its_own_and_comes_after_what_it_begins_with() -> None:
    seen: set[str] = set()
    for training, seed in planned():
        name = f"{training.name}-seed{seed}"
        assert name not in seen
        for option in training.options:
            if "{runs}" in option:
                assert option.split("/")[1] in seen
        seen.add(name)


@pytest.mark.parametrize("training", {training.name: training for training, _ in planned()}.values())
def test_every_training_is_an_accepted_command(training: Training, tmp_path: Path) -> None:
    for data in grid.EPOCHS:
        _, _, *asked = train.command(tmp_path / "run", Path(data), training, 0)
        epochs = train_parser().parse_args(asked).training.epochs
        assert epochs == (None if training.usual else grid.EPOCHS[data])


def test_numbers_are_those_of_the_evaluation(data: Path, work: Path, tmp_path: Path) -> None:
    records = work / "records" / "squares" / "cam-seed0"
    assert is_measured(records, LEVELS["plain"])
    run = str(work / "squares" / "cam-seed0")
    asked = ["evaluate", run, "--data", str(data), "--device", "cpu", "--quiet"]
    assert main([*asked, "--output", str(tmp_path / "boxes")]) == 0
    masks = ["--metadata", str(data / "metadata-masks"), "--output", str(tmp_path / "masks")]
    assert main([*asked, *masks]) == 0
    boxes, pixels = load_result(tmp_path / "boxes"), load_result(tmp_path / "masks")
    found = measures(records, PLAIN, split="test")
    for name, theirs in {
        "GT-known@0.5": boxes.score("GT-known Loc"),
        "BoxAccV2": boxes.score("BoxAccV2"),
        "Top-1 Loc": boxes.score("Top-1 Loc"),
        "Top-1 Cls": boxes.score("Top-1 Cls"),
        "PxAP": pixels.score("PxAP"),
    }.items():
        assert found[name].estimate == pytest.approx(theirs.value, abs=1e-12), name
    fixed = ["--policy", "fixed", "--ratio", "0.3", "--output", str(tmp_path / "fixed")]
    assert main([*asked, *fixed]) == 0
    score = load_result(tmp_path / "fixed").score("BoxAccV2")
    found = measures(records, replace(PLAIN, ratio=0.3), split="test")
    assert found["BoxAccV2"].estimate == pytest.approx(score.value, abs=1e-12)


def test_over_seeds_is_the_mean_of_the_seeds(work: Path) -> None:
    runs = tables.runs_of(work / "records" / "squares", PLAIN, (0, 1, 2))
    assert [run.name for run in runs] == ["cam-seed0", "cam-seed1"]
    parts = [measures(run, PLAIN, split="test")["PxAP"] for run in runs]
    assert over_seeds(parts).estimate == pytest.approx(np.mean([part.estimate for part in parts]))
    same = cells(runs, PLAIN, PLAIN, runs, split="test")["PxAP"]
    assert same.difference == pytest.approx((0, 0, 0))
    other = cells(runs[:1], PLAIN, PLAIN, runs[1:], split="test")["PxAP"]
    between, *_ = other.difference or (np.nan,)
    assert between == pytest.approx(100 * (parts[0].estimate - parts[1].estimate))


def test_presets_share_passes_and_give_what_each_gives_alone(data: Path, work: Path, tmp_path: Path) -> None:
    run = str(work / "squares" / "cam-seed0")
    names = ("cam", "balanced", "best")
    together, alone = tmp_path / "together", tmp_path / "alone"
    measure_run(run, data, together, {name: LEVELS["presets"][name] for name in names})
    for name in names:
        measure_run(run, data, alone, {name: LEVELS["presets"][name]})
        row = Row("", "cam", name)
        for number, value in measures(alone, row, split="test").items():
            assert measures(together, row, split="test")[number].estimate == value.estimate


def test_the_centre_is_measured_without_a_model(data: Path, tmp_path: Path) -> None:
    measure_centre(data, tmp_path)
    square, disc = (measures(tmp_path, Row("", "centre", kind), split="test") for kind in ("square", "disc"))
    assert 0 < square["GT-known@0.5"].estimate <= 1
    assert "Top-1 Cls" not in square
    assert square["PxAP"].estimate != disc["PxAP"].estimate


def test_diagnosis_of_a_run(data: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["diagnose", str(data), "--work", str(work)])
    diagnose.main()
    found = diagnose.load(diagnose.file_of(work, "squares", "cam-seed0"))
    assert found.object.shape == found.background.shape == found.similarity.shape == (2, 9)
    assert found.area.shape == found.weight.shape and len(found.area) == 3
    for shares in (found.object, found.background, found.overlap, found.negative):
        assert 0 <= shares.min() <= shares.max() <= 1
    assert found.covered == pytest.approx(_areas(data), abs=0.02)


def _areas(data: Path) -> list[float]:
    lines = (data / "metadata" / "test" / "localization.txt").read_text().splitlines()
    corners = [[int(value) for value in line.split(",")[1:]] for line in lines]
    return [(x1 - x0) * (y1 - y0) / (48 * 56) for x0, y0, x1, y1 in corners]


def test_best_shares_by_hand() -> None:
    from wsol.evaluation.records import BoxRecords

    largest = np.zeros((1, 256))
    largest[0, 50:53] = 0.8  # the best levels: 51 in the middle
    histograms = np.zeros((1, 256), np.uint16)
    histograms[0, [10, 102, 255]] = (80, 15, 5)  # 90 of 100 pixels at or below 102
    records = BoxRecords(
        ids=np.array(["a"]), labels=np.zeros(1, np.int64), chosen=np.zeros(1, np.int64),
        ranks=np.zeros(1, np.int64), depth=np.array(1), histograms=histograms, largest=largest, all=largest,
        boxes=np.zeros((1, 256, 4), np.int16), truth=np.zeros((1, 4), np.int64), counts=np.ones(1, np.int64),
    )  # fmt: skip
    of_max, of_percentile = diagnose.best_shares(records)
    assert (of_max[0], of_percentile[0]) == (51 / 255, 0.5)


def test_length_shows_what_each_epoch_measured(tmp_path: Path) -> None:
    run = train.folder(tmp_path, "squares", grid.DEFAULT.name, 0)
    run.mkdir(parents=True)
    (run / "metrics.csv").write_text("epoch,similarity,val MaxBoxAccV2\n1,,0.5\n2,-2.0,0.75\n")
    weighted = TrainConfig(method="bridging", bridging=BridgingOptions(similarity=4.0))
    write_config(weighted, run / "config.yaml")
    boxes, loss = figures.length(tmp_path, ["squares"]).axes
    assert [np.asarray(line.get_xydata()).tolist() for line in boxes.lines] == [[[1, 50], [2, 75]]]
    assert [np.asarray(line.get_xydata()).tolist() for line in loss.lines] == [[[2, -0.5]]]


def test_page_figures_and_gallery(
    data: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "results.md"
    page.write_text(f"# Results\n\nWords.\n\n{report.HEADING}\n\nOUTDATED\n")
    monkeypatch.setattr("sys.argv", ["report", str(data), "--work", str(work), "--page", str(page)])
    report.main()
    text = page.read_text()
    assert (
        text.startswith(f"# Results\n\nWords.\n\n{report.HEADING}\n\n### squares") and "OUTDATED" not in text
    )
    estimates = [
        measures(run, PLAIN, split="test")["PxAP"].estimate
        for run in tables.runs_of(work / "records" / "squares", PLAIN, (0, 1))
    ]
    told = f"{100 * np.mean(estimates):.1f} ± {100 * np.std(estimates, ddof=1):.1f}"
    assert any(line.startswith("| CAM (baseline) | 2 |") and told in line for line in text.splitlines())

    monkeypatch.setattr("sys.argv", ["diagnose", str(data), "--work", str(work)])
    diagnose.main()
    monkeypatch.setattr("sys.argv", ["figures", str(data), "--work", str(work), "--output", str(tmp_path)])
    figures.main()
    monkeypatch.setattr("sys.argv", ["gallery", str(data), "--work", str(work)])
    measure_run(
        str(work / "squares" / "cam-seed0"), data, work / "records" / "squares" / "cam-seed0",
        {"best": LEVELS["presets"]["best"]},
    )  # fmt: skip
    gallery.main()
    drawn = [*tmp_path.glob("*.png"), *work.glob("gallery-*.png")]
    assert {path.name for path in drawn} == {
        *(
            "weights.png",
            "length.png",
            "differences-squares.png",
            "diagnostics-squares.png",
            "gallery-squares.png",
        )
    }
    for path in drawn:
        with Image.open(path) as picture:
            assert min(picture.size) > 100
