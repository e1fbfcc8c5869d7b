"""Figures of what a CAM is, why it is small, and what its two factors are; on sample photographs."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from PIL import Image

import wsol
from docs.make.seen import Sight, look
from docs.make.style import (
    BLUE,
    INK,
    PAPER,
    RED,
    box,
    canvas,
    columns,
    enlarge,
    grid,
    heat,
    plot_style,
    save,
    show,
)
from wsol.data.samples import sample_photographs
from wsol.thresholds import MaximumThreshold, PercentileThreshold, Threshold, foreground

ACTIVE = 0.1
"""A channel is active where it is above this share of its maximum, as TAP's θ."""


def sights() -> dict[str, Sight]:
    """The sample photographs, by the names of their files."""
    return {path.stem: look(path) for path in sample_photographs()}


def front(path: Path) -> None:
    """What ``wsol.load(...)(path)`` finds, and why: the first figure of README."""
    (result,) = wsol.load("efficientnet_lite0", device="cpu")([path])
    sight = look(path)
    picture = np.asarray(Image.open(path).convert("RGB"))
    figure, axes = grid(1, 4, height=2.15)
    inside = result.mask[..., None]
    tinted = np.where(inside, 0.6 * picture + 0.4 * 255 * np.asarray(to_rgb(RED)), picture)
    show(axes[0, 0], tinted.astype(np.uint8), f"{result.label}, {result.probability:.2f}")
    size = picture.shape[:2]
    heat(axes[0, 1], result.map_at(size), picture, "the map behind it", limits=(0, 1))
    axes[0, 1].contour(result.mask, levels=[0.5], colors=PAPER, linewidths=1.5)
    norm, similarity = wsol.maps.decompose(sight.features, sight.weight, sight.index)
    heat(axes[0, 2], norm[0], picture, "F: how strong")
    heat(axes[0, 3], similarity[0], picture, "S: how alike")
    for axis in axes[0]:
        box(axis, result.boxes[0])
    enlarge(figure, 14)
    save(figure, "chelsea")


def steps(sight: Sight) -> None:
    """From features to a box."""
    features, weight = sight.features[0], sight.weight[sight.index][0]  # (K, h, w), (K,)
    share = weight * wsol.pooling.global_average_pool(sight.features)[0]  # of the class score
    strongest = share.argsort(descending=True)[:3].tolist()
    figure = canvas(10, 2.3)
    left, photo, whole, fine, found = columns(figure, (1.5, 0.72, 1.5, 1.5, 1.5))
    show(left.subplots(), sight.picture, "photograph, and 3 channels\nof its features × weights")
    for axis, channel in zip(photo.subplots(3, 1), strongest, strict=True):
        heat(axis, features[channel].clamp(min=0), sight.picture, coarse=True)
        text = axis.text(0.04, 0.93, f"{weight[channel]:.2f} ×", va="top", transform=axis.transAxes)
        text.set(color="white", fontsize=8.5)
    title = "CAM: the sum of all 1,280\nchannels × class weights"
    heat(whole.subplots(), sight.cam()[0], sight.picture, title, coarse=True)
    framed = sight.frame(sight.cam())
    heat(fine.subplots(), framed[0], sight.picture, "resized, stretched to\n0 … 1")
    levels = MaximumThreshold(0.2)(framed)
    mask = foreground(framed, levels)
    axis = found.subplots()
    _masked(axis, sight, mask, f"above τ · maximum, level {int(levels)}\nof 255: mask and box")
    box(axis, sight.box(mask))
    save(figure, "concepts/steps")


def reach(sights: dict[str, Sight], name: str) -> None:
    """GAP divides by the whole area: a channel's average tells its area; TAP's does not."""
    sight = sights[name]
    figure = canvas(10, 2.9)
    few, many, right = columns(figure, (1, 1, 1.15))
    features = sight.features.clamp(min=0)
    area = (features > ACTIVE * features.amax(dim=(2, 3), keepdim=True)).float().mean(dim=(2, 3))[0]
    peak = features.amax(dim=(2, 3))[0]
    gap = wsol.pooling.global_average_pool(features)[0]
    tap = wsol.pooling.thresholded_average_pool(features, ACTIVE)[0]
    strong = peak > peak.quantile(0.9)
    cam = wsol.maps.normalize(sight.cam())[0].flatten()
    on_it = cam[features[0].flatten(1).argmax(dim=1)] > 0.6  # the channel's peak lies on the object
    narrow = _nearest(area, 0.08, strong & on_it)
    wide = _nearest(area, 0.6, strong)
    for part, channel in ((few, narrow), (many, wide)):
        title = (
            f"channel {channel}, active on {100 * area[channel]:.0f} %:\n"
            f"maximum {peak[channel]:.1f}, GAP {gap[channel]:.2f}, TAP {tap[channel]:.2f}"
        )
        heat(part.subplots(), features[0, channel], sight.picture, title, coarse=True)
    axis = right.subplots()
    shares, means, kept = [], [], []
    for each in sights.values():
        f = each.features.clamp(min=0)
        top = f.amax(dim=(2, 3))[0]
        alive = top > 0
        shares.append((f > ACTIVE * f.amax(dim=(2, 3), keepdim=True)).float().mean(dim=(2, 3))[0][alive])
        means.append((wsol.pooling.global_average_pool(f)[0] / top)[alive])
        kept.append((wsol.pooling.thresholded_average_pool(f, ACTIVE)[0] / top)[alive])
    x = torch.cat(shares).numpy()
    for values, colour, text in ((kept, RED, "TAP, θ = 0.1"), (means, BLUE, "GAP")):
        axis.scatter(x, torch.cat(values).numpy(), s=5, color=colour, alpha=0.25, linewidths=0, label=text)
    axis.set_xlabel("active share of the picture")
    axis.set_ylabel("pooled value / maximum")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    legend = axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, markerscale=3)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    save(figure, "concepts/reach")


def negative(sight: Sight) -> None:
    """Channels of negative weight fire on the object too, and are subtracted there."""
    threshold = MaximumThreshold(0.2)
    positive = sight.cam(clamp_negative=True)
    negative = positive - sight.cam()
    top = 0.5 * float(positive.max())  # the peak itself matters less
    figure, axes = grid(1, 4, height=1.95)
    show(axes[0, 0], sight.picture, "photograph")
    heat(axes[0, 1], positive[0], sight.picture, "positive weights add", limits=(0, top), coarse=True)
    heat(axes[0, 2], negative[0], sight.picture, "negative weights take away", limits=(0, top), coarse=True)
    axis = axes[0, 3]
    show(axis, sight.picture, "boxes at τ = 0.2")
    for raw, colour in ((sight.cam(), BLUE), (positive, RED)):
        framed = sight.frame(raw)
        box(axis, sight.box(foreground(framed, threshold(framed))), colour)
    _legend(axis, {"CAM": BLUE, "NWC": RED})
    save(figure, "concepts/negative")


def standard(first: Sight, second: Sight) -> None:
    """One peak decides what a share of the maximum is; a percentile follows the rest of the map."""
    ratio = 0.35
    kinds: dict[str, tuple[Threshold, str]] = {
        f"MaS: {ratio} × maximum": (MaximumThreshold(ratio), BLUE),
        f"PaS: {ratio} × 90th percentile": (PercentileThreshold(ratio, 90), RED),
    }
    figure = canvas(10, 4.1)
    panels = figure.subplots(2, 3, width_ratios=(1.15, 1.15, 1))
    for axes, sight in zip(panels, (first, second), strict=True):
        framed = sight.frame(sight.cam())
        heat(axes[0], framed[0], sight.picture, "CAM")
        show(axes[1], sight.picture, f"boxes, τ = {ratio}")
        values = np.sort(framed[0].numpy().ravel())[::-1]
        axis = axes[2]
        axis.plot(np.linspace(0, 1, values.size), values, color=INK, linewidth=1.6)
        axis.plot([0.1], [values[values.size // 10]], "o", color=RED, markersize=5)
        for text, (threshold, colour) in kinds.items():
            level = threshold(framed)
            axis.axhline(float(level) / 255, color=colour, linewidth=2, label=text)
            box(axes[1], sight.box(foreground(framed, level)), colour)
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1.02)
        axis.set_yticks([0, 0.5, 1])
        axis.set_ylabel("map")
        axis.set_xlabel("pixels, the strongest first" if sight is second else "")
        if sight is first:
            axis.legend(loc="upper right", fontsize=8.5)
    save(figure, "concepts/standard")


def factors(chosen: list[Sight]) -> None:
    """A CAM is feature norm times similarity."""
    figure, axes = grid(len(chosen), 4, height=1.72 * len(chosen) + 0.35)
    titles = ("", "F: how strong the features are", "S: how much like the class", "CAM ∝ ‖f‖ · S")
    for place, (row, sight) in enumerate(zip(axes, chosen, strict=True)):
        norm, similarity = wsol.maps.decompose(sight.features, sight.weight, sight.index)
        first = place == 0
        show(row[0], sight.picture, sight.label)
        heat(row[1], norm[0], sight.picture, titles[1] if first else "", limits=(0, 1), coarse=True)
        span = f"{float(similarity.min()):.2f} … {float(similarity.max()):.2f}".replace("-", "−")
        heat(row[2], similarity[0], sight.picture, f"{titles[2]}\n{span}" if first else span, coarse=True)
        heat(row[3], sight.cam()[0], sight.picture, titles[3] if first else "", coarse=True)
    save(figure, "concepts/factors")


def _masked(axis: Axes, sight: Sight, mask: torch.Tensor, title: str) -> None:
    """The picture, dark where the mask (1, 224, 224) is not."""
    height, width = sight.picture.shape[:2]
    inside = wsol.boxes.rescale_mask(mask[0].numpy(), (height, width))
    show(axis, np.where(inside[..., None], sight.picture, sight.picture // 4), title)


def _nearest(area: torch.Tensor, share: float, allowed: torch.Tensor) -> int:
    """The allowed channel whose active area comes nearest to a share."""
    return int(torch.where(allowed, (area - share).abs(), 9).argmin())


def _legend(axis: Axes, colours: dict[str, str]) -> None:
    handles = [Patch(facecolor=colour, label=text) for text, colour in colours.items()]
    axis.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.48, 0.98),
        ncols=2,
        fontsize=8,
        handlelength=1,
        borderpad=0,
        columnspacing=1,
    )


def main() -> None:
    """Write them all."""
    everything = sights()
    with plot_style():
        front(sample_photographs()[0])
        steps(everything["chelsea"])
        reach(everything, "chelsea")
        negative(everything["motorcycle_left"])
        standard(everything["chelsea"], everything["motorcycle_left"])
        factors([everything["chelsea"], everything["motorcycle_left"], everything["coffee"]])


if __name__ == "__main__":
    main()
