"""Figures that look into trainings: what CAM sees, and what methods make of it (:mod:`docs.make.runs`)."""

from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.ops import box_iou

from docs.make.methods import normalised
from docs.make.runs import COUNTS, config_of, drawn, run_of
from docs.make.seen import FRAME, localizer, look
from docs.make.style import PAPER, box, grid, heat, plot_style, regions, save, show
from wsol.data.samples import sample_photographs
from wsol.data.scenes import CLASSES
from wsol.data.writers import extent
from wsol.erasing import seed_targets
from wsol.maps import class_activation_map, normalize, upsample
from wsol.methods import MethodKind, build
from wsol.methods.acol import ACoLClassifier
from wsol.methods.ae import AEClassifier
from wsol.methods.saved import WEIGHTS, describe
from wsol.methods.spg import SPG
from wsol.models import Classifier
from wsol.models.layers import watch
from wsol.thresholds import MaximumThreshold, foreground
from wsol.training.data import Erased, TrainingImages
from wsol.training.erasing import mean_colour, read_erased
from wsol.training.run import open_parts

SHOWN = (9, 25, 13, 20)
"""Of the drawn test pictures."""

ERASED = 60
"""The training picture of AE, a crop of the motorcycle."""

PHOTOGRAPH = 3
"""The sample photograph of ACoL and SPG."""


def badges() -> None:
    """CAM and Bridging the Gap of the same pictures, with boxes at τ from val; how many of all are right."""
    figure, axes = grid(3, len(SHOWN), height=6.4)
    rows: tuple[tuple[MethodKind, str], ...] = (("cam", "CAM"), ("bridging", "Bridging the Gap"))
    for row, (method, title) in zip(axes[1:], rows, strict=True):
        run, right = run_of(method), 0
        threshold = MaximumThreshold(float(describe(run / WEIGHTS).use["ratio"]))
        for index in range(COUNTS["test"]):
            path, label = drawn() / "images" / "test" / f"{index:04d}.png", CLASSES[index % len(CLASSES)]
            sight = look(path, label=label, model=str(run))
            framed = sight.frame(sight.cam())
            found = sight.box(foreground(framed, threshold(framed)))
            true = extent(np.asarray(Image.open(drawn() / "masks" / "test" / path.name)) > 0)
            right += float(box_iou(torch.tensor([found]), torch.tensor([true]))) >= 0.5
            if index in SHOWN:
                column = SHOWN.index(index)
                show(axes[0, column], sight.picture, f"class “{label}”")
                heat(row[column], framed[0], sight.picture, title)
                box(row[column], found)
                box(row[column], true, PAPER, dashed=True)
        row[0].set_title(f"{title}: {right} of {COUNTS['test']} right", fontsize=9.5, loc="left")
    save(figure, "concepts/badges")


def acol(path: Path) -> None:
    """ACoL's two heads."""
    here = localizer(str(run_of("acol")))
    classifier = cast("ACoLClassifier", here.model.classifier)
    label = torch.tensor([here.model.classes.index(path.stem)])
    with torch.inference_mode():
        features = classifier.features(normalised([path]))
        attended = features[:, -classifier.linear.in_features :]
        a = normalize(class_activation_map(attended, classifier.linear.weight, label))[0]
        left = classifier.left_over(features, label)
        b = normalize(class_activation_map(left, classifier.head_b.linear.weight, label))[0]
        both = classifier.score_maps(features, label)[0]
    picture = _shown(path)
    figure, axes = grid(1, 4, height=2.3)
    heat(axes[0, 0], a, picture, "head A's map", coarse=True)
    erased = a >= classifier.threshold
    title = f"where it is ≥ {classifier.threshold}, features are\nerased for head B (red)"
    regions(axes[0, 1], erased, torch.zeros_like(erased), picture, title)
    heat(axes[0, 2], b, picture, "head B's map,\nof what is left", coarse=True)
    heat(axes[0, 3], both, picture, "ACoL's map:\nthe maximum of both", coarse=True)
    save(figure, "concepts/acol")


def spg(path: Path) -> None:
    """SPG's maps and the sure pixels of each."""
    run = run_of("spg")
    model = localizer(str(run)).model
    method = cast("SPG", build(describe(run / WEIGHTS).method, model.classifier, epochs=1))
    state = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    method.load_state_dict({name.removeprefix("method."): value for name, value in state.items()})
    method.eval()
    label = torch.tensor([model.classes.index(path.stem)])
    inner: dict[str, Tensor] = {}
    keep = {name: partial(inner.__setitem__, name) for name in method.layers}
    with torch.inference_mode(), watch(model.classifier.network, keep):
        features, _ = model.classifier(normalised([path]))
        cam = class_activation_map(features, model.classifier.linear.weight, label)
        b1, b2 = (
            _up(method.shared_b(own(inner[name]))).sigmoid()
            for own, name in zip((method.own_b1, method.own_b2), method.layers, strict=True)
        )
    options, picture = method.options, _shown(path)
    stages = (
        (
            "CAM of the class",
            normalize(_up(cam[:, None])),
            options.attention_high,
            options.attention_low,
            "B2",
        ),
        ("what B2 says, σ(B2)", b2, options.b1_high, options.b1_low, "B1"),
        ("mean of σ(B1) and σ(B2)", (b1 + b2) / 2, options.c_high, options.c_low, "C"),
    )
    figure, axes = grid(2, 3, height=4.7, width=8.5)
    for column, (title, each, high, low, learner) in zip(axes.T, stages, strict=True):
        heat(column[0], each[0], picture, title, limits=(0, 1))
        target = seed_targets(each, high=high, low=low)[0]
        words = f"teaches {learner}: foreground > {high} (red),\nbackground < {low} (blue)"
        regions(column[1], target == 1, target == 0, picture, words)
    save(figure, "concepts/spg")


@torch.inference_mode()
def ae() -> None:
    """What AE's steps see in one training picture, and erase."""
    run = run_of("ae")
    here = localizer(str(run))
    classifier = cast("AEClassifier", here.model.classifier)
    parts = open_parts(config_of("ae"))
    data, examples = parts.data, parts.train.examples
    label = torch.tensor([examples[ERASED].label])
    images = TrainingImages(data, examples, FRAME, augmentation="protocol", seed=0)
    shape = (len(images), -(-images.frame[0] * images.frame[1] // 8))
    fill = mean_colour(images)
    figure, axes = grid(2, 4, height=5.0)
    maps = []
    for step, column in enumerate(axes.T[:3], start=1):
        if step > 1:
            pixels = read_erased(run / f"erased{step - 1}.npy", shape)
            images = TrainingImages(
                data, examples, FRAME, augmentation="protocol", seed=0, erased=Erased(pixels, fill)
            )
        picture = np.asarray(images.frame_of(ERASED).permute(1, 2, 0).numpy())
        show(column[0], picture, "training image" if step == 1 else f"what is left for step {step}")
        part = here.see(torch.from_numpy(_framed(picture)).permute(2, 0, 1)[None]).features
        part = part.chunk(len(classifier.steps), dim=1)[step - 1]
        step_map = cast("Classifier", classifier.steps[step - 1]).score_maps(part, label)
        maps.append(normalize(upsample(step_map, FRAME)))
        heat(column[1], maps[-1][0], picture, f"CAM of step {step}")
    whole = TrainingImages(data, examples, FRAME, augmentation="protocol", seed=0).frame_of(ERASED)
    picture = np.asarray(whole.permute(1, 2, 0).numpy())
    seen = here.see(torch.from_numpy(_framed(picture)).permute(2, 0, 1)[None])
    heat(
        axes[1, 3],
        classifier.score_maps(seen.features, label)[0],
        picture,
        "AE's map: the maximum of all\nsteps' maps of the whole image",
    )
    show(axes[0, 3], picture, "in use, nothing is erased")
    save(figure, "concepts/ae")


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(Image.fromarray(picture).resize(FRAME, Image.Resampling.BILINEAR))


def _shown(path: Path) -> NDArray[np.uint8]:
    """The picture at the size of the figures."""
    photo = Image.open(path).convert("RGB")
    photo.thumbnail((400, 400), Image.Resampling.LANCZOS)
    return np.asarray(photo)


def _up(maps: Tensor) -> Tensor:
    """(B, 1, h, w) -> (B, 224, 224)."""
    return F.interpolate(maps, FRAME, mode="bilinear", align_corners=False)[:, 0]


def main() -> None:
    """Write them all."""
    photograph = sample_photographs()[PHOTOGRAPH]
    with plot_style():
        badges()
        acol(photograph)
        spg(photograph)
        ae()


if __name__ == "__main__":
    main()
