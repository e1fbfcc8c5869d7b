"""``wsol train``: what a user sees, and a run from start to use."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from tests.training.conftest import COLOURS, COUNTS, draw
from wsol.cli import main
from wsol.evaluation.result import load_result
from wsol.methods.has import HaSOptions
from wsol.models import ModelOptions, build
from wsol.training.config import TrainConfig, TrainingOptions
from wsol.training.recipes import compose, read_config, write_config

pytest_plugins = ["tests.evaluation.fixtures"]


def written(path: Path, values: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return str(path)


def test_configs_compose_and_options_win(given: list[TrainConfig], tmp_path: Path) -> None:
    first = {"method": "has", "training": {"epochs": 9, "batch_size": 5, "head_layers": ["a.", "b."]}}
    one = written(tmp_path / "one.yaml", first)
    two = written(tmp_path / "two.yaml", {"training": {"epochs": 4, "head_layers": ["c."]}})
    configs = ["--config", one, "--config", two]
    training = TrainingOptions(epochs=4, batch_size=5, head_layers=("c.",))
    for words, changes in (
        ([], {}),
        (["--training.batch_size", "7"], {"batch_size": 7}),
        (["--training.batch-size", "7"], {"batch_size": 7}),
        (["--training.batch_size=7"], {"batch_size": 7}),
        (["--training.learning-rate", "1e-4"], {"learning_rate": 1e-4}),
        (["--training.balanced"], {"balanced": True}),
        (["--training.balanced", "false"], {}),
        (["--training.epochs", "null"], {"epochs": None}),
    ):
        assert main(["train", "--quiet", *configs, *words]) == 0
        assert given[-1] == TrainConfig(method="has", training=replace(training, **changes))
    assert given[0] == compose([one, two])
    assert main(["train", "--quiet", "--training.epochs", "3", "--config", one]) == 0
    assert given[-1].training.epochs == 9  # what comes later wins


def test_yes_and_no(given: list[TrainConfig]) -> None:
    for words, overwrite in ((["--overwrite"], True), (["--overwrite", "--quiet"], True)):
        assert main(["train", "--quiet", *words]) == 0
        assert given[-1].overwrite == overwrite
    assert main(["train", "--quiet", "--overwrite", "false", "--trainer.channels_last", "false"]) == 0
    assert (given[-1].overwrite, given[-1].trainer.channels_last) == (False, False)


def test_a_printed_or_kept_configuration_is_the_same(
    given: list[TrainConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--method", "has", "--has.sizes", "[32]", "--training.epochs", "4", "--mean", "[0.1,0.2,0.3]"]
    with pytest.raises(SystemExit) as stop:
        main(["train", *words, "--print_config"])
    assert stop.value.code == 0 and not given
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    kept = tmp_path / "config.yaml"
    has = HaSOptions(sizes=(32,))
    wanted = TrainConfig(method="has", has=has, training=TrainingOptions(epochs=4), mean=(0.1, 0.2, 0.3))
    write_config(wanted, kept)
    for each in (words, ["--config", str(file)], ["--config", str(kept)]):
        assert main(["train", "--quiet", *each]) == 0
        assert given[-1] == wanted
    assert read_config(file) == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--training.epochs", "ten"], "training.epochs"),
        (["--training.schedule", "linear"], "training.schedule"),
        (["--trainer.devices", "many"], "trainer.devices"),
        (["--method", "magic"], "method"),
        (["--mean", "[0.1,0.2]"], "mean"),
        (["--epochs", "3"], "--epochs"),
        (["--classes", "names.txt"], "--classes"),
        (["--training.no-such", "3"], "--training.no-such"),
        (["photographs"], "photographs"),
        (["--config", "gone.yaml"], "gone.yaml"),
    ],
)
def test_what_the_command_line_does_not_know(
    words: list[str], message: str, given: list[TrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", *words])
    told = capsys.readouterr().err
    assert stop.value.code == 2 and not given
    assert message in told[told.index("error: ") :]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 3}, "'epochs'"),
        ({"training": {"epoch": 3}}, "'training.epoch'"),
        ({"training": {"epochs": "ten"}}, '"training.epochs"'),
    ],
)
def test_files_that_the_command_line_refuses(
    values: dict[str, Any],
    message: str,
    given: list[TrainConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "--config", written(tmp_path / "mine.yaml", values)])
    told = capsys.readouterr().err
    assert stop.value.code == 2 and not given
    assert message in told[told.index("error: ") :]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--training.epochs", "0"], "training.epochs must be at least 1, got 0"),
        (["--training.momentum", "1"], "training.momentum must be in [0, 1), got 1.0"),
        (["--has.probability", "2", "--method", "has"], "has.probability must be in [0, 1], got 2.0"),
        (["--has.probability", "0.2"], "settings of has were given, but method is 'cam'"),
        (["--val-split", "test"], "nothing is trained or chosen on test"),
        (["--method", "acol", "--validation.map", "norm"], "map 'norm' does not go with ACoL"),
    ],
)
def test_values_that_cannot_be(
    words: list[str], message: str, given: list[TrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    assert capsys.readouterr().err.startswith(f"wsol train: {message}") and not given


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, 21 / 9 / 9 images."""
    folder = tmp_path_factory.mktemp("toys") / "squares"
    for split, count in COUNTS.items():
        draw(folder, split, count)
    (folder / "classes.txt").write_text("\n".join(COLOURS) + "\n")
    return folder


@pytest.mark.usefixtures("no_page")
def test_from_training_to_a_table(squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(5)
    start = tmp_path / "start.safetensors"
    network = build(ModelOptions(backbone="test_resnet", input_size=64), pretrained=False).classifier.network
    save_file(network.state_dict(), start)
    data, here = ["--data", str(squares)], ["--workers", "0", "--device", "cpu"]
    results = []
    for seed in ("1", "2"):
        run = tmp_path / f"seed{seed}"
        train = [
            *("train", *data, "--backbone", "test_resnet", "--checkpoint", str(start), "--input-size", "64"),
            *("--method", "has", "--has.sizes", "[8]", "--trainer.accelerator", "cpu"),
            *("--trainer.workers", "0"),
            *("--training.epochs", "2", "--training.batch-size", "8", "--training.seed", seed),
            *("--output", str(run)),
        ]
        assert main(train) == 0
        printed = capsys.readouterr()
        assert "epoch 1/2" in printed.out + printed.err and "epoch 2/2" in printed.out + printed.err
        assert "on val" in printed.out and f"wsol localize PHOTOS --model {run}" in printed.out
        before = (run / "best.safetensors").read_bytes()
        assert main(train) == 0
        assert "This training was finished before; --overwrite begins anew." in capsys.readouterr().out
        assert (run / "best.safetensors").read_bytes() == before

        result = tmp_path / f"result{seed}"
        assert main(["evaluate", str(run), *data, "--output", str(result), "--resamples", "2", *here]) == 0
        assert "Maps are of the true class" in capsys.readouterr().err
        found = load_result(result)
        assert (found.name, found.seed, found.protocol.label_source) == ("HaS", int(seed), "true")
        results.append(found)

    photos = [str(squares / "images" / "test"), "--model", str(run), *here]
    assert main(["localize", *photos, "--output", str(tmp_path / "found")]) == 0
    coco = json.loads((tmp_path / "found" / "coco.json").read_text())
    assert len(coco["images"]) == 9 and {each["name"] for each in coco["categories"]} == set(COLOURS)

    capsys.readouterr()
    both = [str(tmp_path / "result1"), str(tmp_path / "result2")]
    assert main(["compare", *both, "--format", "markdown", "--test", "false"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| HaS")]
    one, two = (100 * each.score("MaxBoxAcc").value for each in results)
    spread = abs(one - two) / 2**0.5  # of two, around their mean
    assert f" {(one + two) / 2:.1f} ± {spread:.1f} (n = 2) " in row
