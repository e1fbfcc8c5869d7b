"""The demonstration: two methods trained on the built-in data set, evaluated and compared, in minutes."""

from collections.abc import Sequence
from pathlib import Path

from wsol.data.dataset import open_data
from wsol.evaluation.compare import compare
from wsol.evaluation.labels import match_labels
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.result import Result, load_result
from wsol.evaluation.run import evaluate
from wsol.evaluation.sources import ModelMaps
from wsol.inference.localizer import Localizer
from wsol.inference.options import LocalizerOptions
from wsol.methods import METHODS
from wsol.methods.saved import load_model
from wsol.models import ModelOptions
from wsol.report.comparison import side_by_side, write_comparison
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions, ValidationOptions
from wsol.training.run import train

EPOCHS = 4
SHOWN = 6
"""Pictures of test that the page shows: the first ones."""

NUMBERS = ("GT-known Loc", "BoxAccV2", "MaxBoxAccV2", "Top-1 Loc", "Top-1 Cls")

WORDS = (
    "Drawn creatures, of which a small badge alone tells the class: to classify, a network need look at "
    "nothing else, but the whole creature is to be found. Both networks start from the same ImageNet weights "
    f"and are trained for {EPOCHS} epochs with the same seed; no box is ever trained on. Bridging the Gap "
    "has its defaults: the similarity loss alone, after an epoch of warm-up.",
    f"Below the table: the first {SHOWN} pictures of test with the map of the true class. White dashes: the "
    "true box. Red: the box found, at the threshold that was chosen on val.",
)


def configs(folder: Path) -> Sequence[TrainConfig]:
    """What is trained: CAM and Bridging the Gap, alike in all else."""
    training = TrainingOptions(epochs=EPOCHS, batch_size=32, learning_rate=0.01)
    one = TrainerOptions(devices=1)  # more would start the whole demonstration anew
    shared = {
        "trainer": one,
        "training": training,
        "validation": ValidationOptions(every=EPOCHS),
        "overwrite": True,
    }
    return [
        TrainConfig(method="cam", output=str(folder / "cam"), **shared),  # type: ignore[arg-type]
        TrainConfig(method="bridging", output=str(folder / "bridging"), **shared),  # type: ignore[arg-type]
    ]


def demonstrate(folder: Path, *, progress: bool = True) -> tuple[list[Result], Path]:
    """Train, evaluate on test with thresholds from val, compare, and write a page.

    Args:
        folder: for the runs, their evaluations, and the page.
        progress: show progress.

    Returns:
        the results, and the path of the page that compares them.
    """
    data = open_data("synthetic")
    options = EvaluationOptions()
    plain = LocalizerOptions(preset="fast")  # as the papers compare methods
    results, localizers = [], {}
    for config in configs(folder):
        run = train(config, progress=progress)
        localizer = Localizer(load_model(ModelOptions(backbone=str(run.folder))), plain)
        classes = localizer.model.classes
        source = ModelMaps(localizer, match_labels(data.classes, len(data.classes), classes, options))
        output = folder / f"{config.method}-evaluation"
        evaluate(source, data, options, output, overwrite=True, progress=progress)
        results.append(load_result(output))
        localizers[METHODS[config.method].title] = localizer
    examples = data.split("test").examples[:SHOWN]
    page = folder / "comparison.html"
    write_comparison(compare(results, numbers=NUMBERS), side_by_side(localizers, data, examples), WORDS, page)
    return results, page
