"""A figure for each idea that needs no training of its own, by the methods' own functions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Generator, Tensor

import wsol
from docs.make.runs import drawn, run_of
from docs.make.seen import FRAME, localizer, look
from docs.make.style import grid, heat, plot_style, regions, save, show
from wsol.data.samples import sample_photographs
from wsol.data.scenes import CLASSES
from wsol.erasing import attentive_dropout, drop_mask, importance_map
from wsol.methods import Batch
from wsol.methods.adl import default_layers
from wsol.methods.bridging import BridgingOptions, default_drop_layer
from wsol.methods.cutmix import CutMix, CutMixOptions
from wsol.methods.has import HaS, HaSOptions
from wsol.models import Classifier
from wsol.models.layers import watch

PICTURE = 10
"""Of the drawn test pictures: which is shown."""

NAMES = ("Egyptian cat", "espresso", "tripod", "moped")


def normalised(paths: Sequence[Path]) -> Tensor:
    """Pictures as networks of these weights get them: (B, 3, 224, 224)."""
    model = localizer().model
    frames = [Image.open(path).convert("RGB").resize(FRAME, Image.Resampling.BILINEAR) for path in paths]
    values = torch.from_numpy(np.stack([np.asarray(frame) for frame in frames])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(each)[:, None, None] for each in (model.mean, model.std))
    return (values - mean) / std


def pixels(image: Tensor) -> NDArray[np.uint8]:
    """A normalised image (3, H, W) as it looks."""
    model = localizer().model
    mean, std = (torch.tensor(each)[:, None, None] for each in (model.mean, model.std))
    shown = (255 * (image * std + mean)).round().clamp(0, 255)
    return np.asarray(shown.permute(1, 2, 0).numpy(), np.uint8)


def has(batch: Batch) -> None:
    """Hide-and-Seek at three sizes of patch."""
    one = Batch(images=batch.images[:1], labels=batch.labels[:1])
    figure, axes = grid(1, 4, height=2.95)
    show(axes[0, 0], pixels(one.images[0]), "training image")
    for axis, size in zip(axes[0, 1:], (16, 32, 56), strict=True):
        method = HaS(localizer().model.classifier, HaSOptions(sizes=(size,)))
        hidden = method.transform_batch(one, Generator().manual_seed(2)).images[0]
        show(axis, pixels(hidden), f"patches of {size} pixels: each\nhidden with probability 0.5")
    save(figure, "concepts/has")


def cutmix(batch: Batch) -> None:
    """CutMix of two images: the first draw that keeps between 0.55 and 0.8 of each."""
    two = Batch(images=batch.images[:2], labels=batch.labels[:2])
    method = CutMix(localizer().model.classifier, CutMixOptions())
    draws = (method.transform_batch(two, Generator().manual_seed(seed)) for seed in range(100))
    mixed = next(
        each for each in draws if each.partners is not None and each.partners[0] and 0.55 < each.share < 0.8
    )
    figure, axes = grid(1, 4, height=2.95)
    for index in (0, 1):
        show(axes[0, index], pixels(two.images[index]), NAMES[index])
        labels = f"{mixed.share:.2f} {NAMES[index]}\n+ {1 - mixed.share:.2f} {NAMES[1 - index]}"
        show(axes[0, 2 + index], pixels(mixed.images[index]), labels)
    save(figure, "concepts/cutmix")


def adl(path: Path) -> None:
    """ADL behind one layer: what it drops, or weighs by."""
    sight, classifier = look(path), localizer().model.classifier
    layer = default_layers(classifier)[0]
    features = _inner(classifier, normalised([path]), layer)
    figure, axes = grid(1, 4, height=2.3)
    show(axes[0, 0], sight.picture, "training image")
    attention = features.mean(dim=1)[0]
    title = f"attention a: mean over the\nchannels of {layer}"
    heat(axes[0, 1], attention, sight.picture, title, coarse=True)
    dropped = drop_mask(features, threshold=0.9)[0, 0] == 0
    title = "3 of 4 steps: features are\nzero where a ≥ 0.9 · max (red)"
    regions(axes[0, 2], dropped, torch.zeros_like(dropped), sight.picture, title)
    weights = importance_map(features)[0, 0]
    title = f"1 of 4 steps: features times\nσ(a), {float(weights.min()):.2f} … {float(weights.max()):.2f}"
    heat(axes[0, 3], weights, sight.picture, title, coarse=True)
    save(figure, "concepts/adl")


def bridging(path: Path, label: str, run: Path) -> None:
    """The regions that the three losses act on, in a network that was trained as CAM."""
    options, classifier = BridgingOptions(), localizer(str(run)).model.classifier
    sight = look(path, label=label, model=str(run))
    norm, similarity = (each[0] for each in wsol.maps.decompose(sight.features, sight.weight, sight.index))
    figure, axes = grid(2, 4, height=4.7)
    picture = sight.picture
    show(axes[0, 0], picture, f"a drawn picture,\nclass “{label}”")
    heat(axes[0, 1], norm, picture, "F: how strong the features are", limits=(0, 1), coarse=True)
    span = f"{similarity.min():.2f} … {similarity.max():.2f}".replace("-", "−")
    heat(axes[0, 2], similarity, picture, f"S: how much like the class,\n{span}", coarse=True)
    above, below = norm > options.foreground, norm < options.background
    title = f"L_sim raises S where F > {options.foreground} (red),\n"
    title += f"lowers it where F < {options.background} (blue)"
    regions(axes[0, 3], above, below, picture, title)
    title = "L_norm raises F where S > 0 (red),\nlowers it where S < 0 (blue)"
    regions(axes[1, 0], similarity > 0, similarity < 0, picture, title)
    layer = default_drop_layer(classifier)
    features = _inner(classifier, normalised([path]), layer)
    attention = features.mean(dim=1)[0]
    heat(axes[1, 1], attention, picture, f"an inner map a: mean over\nthe channels of {layer}", coarse=True)
    region = attention > options.drop_threshold * attention.max()
    draws = (
        attentive_dropout(
            features,
            threshold=options.drop_threshold,
            probability=options.drop_probability,
            generator=Generator().manual_seed(seed),
        )
        for seed in range(100)
    )
    erased = next(draw for draw in draws if not torch.equal(draw, features))
    gone = (erased == 0).all(dim=1)[0] & region
    title = f"where a > {options.drop_threshold} · max, pixels are\nerased (red) or kept (blue) …"
    regions(axes[1, 2], gone, region & ~gone, picture, title)
    with torch.inference_mode():
        changed = -classifier.features(normalised([path]))
        with watch(classifier.network, {layer: lambda _: erased}):
            changed += classifier.features(normalised([path]))
    title = "… and L_drop lowers the change\nof the features, |f − f_erased|"
    heat(axes[1, 3], changed.abs().mean(dim=1)[0], picture, title, coarse=True)
    save(figure, "concepts/bridging")


def _inner(classifier: Classifier, image: Tensor, layer: str) -> Tensor:
    """The output of a layer for an image (1, 3, H, W): (1, K, h, w)."""
    kept: list[Tensor] = []
    with watch(classifier.network, {layer: kept.append}), torch.inference_mode():
        classifier(image)
    return kept[0].clone()


def main() -> None:
    """Write them all."""
    photographs = sample_photographs()
    batch = Batch(images=normalised(photographs), labels=torch.arange(len(photographs)))
    chosen = drawn() / "images" / "test" / f"{PICTURE:04d}.png"
    with plot_style():
        has(batch)
        cutmix(batch)
        adl(photographs[0])
        bridging(chosen, CLASSES[PICTURE % len(CLASSES)], run_of("cam"))


if __name__ == "__main__":
    main()
