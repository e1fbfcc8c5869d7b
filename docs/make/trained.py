"""Figures that look into trainings on the drawn data: what CAM sees, and what methods make of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import wsol
from docs.make.methods import normalised, pixels
from docs.make.runs import COUNTS, drawn, run_of
from docs.make.seen import Sight, localizer, look
from docs.make.style import BLUE, PAPER, RED, Picture, box, grid, heat, plot_style, regions, save, show
from wsol.data.scenes import CLASSES
from wsol.data.writers import extent
from wsol.erasing import IGNORED, seed_targets
from wsol.maps import class_activation_map, normalize
from wsol.methods import build
from wsol.methods.acol import ACoLClassifier
from wsol.methods.ae import AEClassifier
from wsol.methods.saved import describe, weights_file
from wsol.methods.spg import SPG
from wsol.models.layers import watch
from wsol.thresholds import MaximumThreshold, foreground
from wsol.training.data import Erased, TrainingImages
from wsol.training.erasing import mean_colour, most_discriminative, read_erased
from wsol.data.dataset import open_data

SHOWN = (8, 9, 16, 20)
"""Of the drawn test pictures."""

ONE, ERASED = 8, 3
"""The test picture of ACoL and SPG, and the training picture of AE."""


def picture_of(index: int, split: str = "test") -> tuple[Path, str]:
    """A drawn picture and its class."""
    return drawn() / "images" / split / f"{index:04d}.png", CLASSES[index % len(CLASSES)]


def truth(index: int) -> tuple[float, float, float, float]:
    """The true box of a test picture."""
    mask = np.asarray(Image.open(drawn() / "masks" / "test" / f"{index:04d}.png")) > 0
    return extent(mask)


def badges() -> None:
    """CAM and Bridging the Gap of the same pictures, with boxes at τ from val."""
    figure, axes = grid(3, len(SHOWN), height=6.6)
    for row, method, title in ((1, "cam", "CAM"), (2, "bridging", "Bridging the Gap")):
        run = run_of(method)  # type: ignore[arg-type]
        ratio = float(weights_use(run)["ratio"])
        for column, index in enumerate(SHOWN):
            path, label = picture_of(index)
            sight = look(path, label=label, model=str(run))
            show(axes[0, column], sight.picture, f"class “{label}”")
            framed = sight.frame(sight.cam())
            heat(axes[row, column], framed[0], sight.picture, title)
            box(axes[row, column], sight.box(foreground(framed, MaximumThreshold(ratio)(framed))))
            box(axes[row, column], truth(index), PAPER, dashed=True)
    save(figure, "badges")


def weights_use(run: Path) -> dict[str, float]:
    """What a run is used with."""
    file = weights_file(run)
    if file is None:
        raise FileNotFoundError(run)
    return dict(describe(file).use)


def acol() -> None:
    """ACoL's two heads."""
    path, label = picture_of(ONE)
    here = localizer(str(run_of("acol")))
    classifier = here.model.classifier
    assert isinstance(classifier, ACoLClassifier)
    index = torch.tensor([here.model.classes.index(label)])
    with torch.inference_mode():
        features = classifier.features(normalised([path]))
        attended = features[:, -classifier.linear.in_features :]
        a = normalize(class_activation_map(attended, classifier.linear.weight, index))[0]
        left = classifier.left_over(features, index)
        b = normalize(class_activation_map(left, classifier.head_b.linear.weight, index))[0]
        both = classifier.score_maps(features, index)[0]
    picture = np.asarray(Image.open(path).convert("RGB"))
    figure, axes = grid(1, 5, height=2.3)
    show(axes[0, 0], picture, f"class “{label}”")
    heat(axes[0, 1], a, picture, "head A's map", coarse=True)
    erased = a >= classifier.threshold
    regions(
        axes[0, 2],
        erased,
        torch.zeros_like(erased),
        picture,
        f"≥ {classifier.threshold}: erased\nfor head B (red)",
    )
    heat(axes[0, 3], b, picture, "head B's map,\nof what is left", coarse=True)
    heat(axes[0, 4], both, picture, "ACoL's map:\nthe maximum of both", coarse=True)
    save(figure, "acol")


def spg() -> None:
    """SPG's maps and the targets made of them."""
    path, label = picture_of(ONE)
    run = run_of("spg")
    here = localizer(str(run))
    model = here.model
    file = weights_file(run)
    assert file is not None
    method = build(describe(file).method, model.classifier, epochs=1)
    assert isinstance(method, SPG)
    state = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    method.load_state_dict({name.removeprefix("method."): value for name, value in state.items()})
    method.eval()
    options = method.options
    index = torch.tensor([model.classes.index(label)])
    inner: dict[str, Tensor] = {}
    with (
        torch.inference_mode(),
        watch(model.classifier.network, {name: _keep(inner, name) for name in method.layers}),
    ):
        features, _ = model.classifier(normalised([path]))
        maps = [
            normalize(_up(class_activation_map(features, model.classifier.linear.weight, index)[:, None])),
            _up(method.shared_b(method.own_b2(inner[method.layers[1]]))).sigmoid(),
            _up(method.shared_b(method.own_b1(inner[method.layers[0]]))).sigmoid(),
        ]
    maps[2] = (maps[1] + maps[2]) / 2
    targets = [
        seed_targets(each, high=high, low=low)[0]
        for each, high, low in zip(
            maps,
            (options.attention_high, options.b1_high, options.c_high),
            (options.attention_low, options.b1_low, options.c_low),
            strict=True,
        )
    ]
    picture = np.asarray(Image.open(path).convert("RGB"))
    figure, axes = grid(2, 3, height=4.6, width=7.6)
    titles = ("CAM of the class", "what B2 says, σ(B2)", "mean of σ(B1) and σ(B2)")
    for column, (each, target, title, learner) in enumerate(
        zip(maps, targets, titles, ("B2", "B1", "C"), strict=True)
    ):
        heat(axes[0, column], each[0], picture, title, limits=(0, 1))
        regions(
            axes[1, column],
            target == 1,
            target == 0,
            picture,
            f"its sure pixels teach {learner}:\nred foreground, blue background",
        )
    assert IGNORED not in (0, 1)
    save(figure, "spg")


def _up(maps: Tensor) -> Tensor:
    return torch.nn.functional.interpolate(maps, (224, 224), mode="bilinear", align_corners=False)[:, 0]


def _keep(inner: dict[str, Tensor], name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return lambda output: inner.__setitem__(name, output)


def main() -> None:
    """Write them all."""
    with plot_style():
        badges()
        acol()
        spg()


if __name__ == "__main__":
    main()
