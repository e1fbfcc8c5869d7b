"""What both papers argue with, measured: ``python -m benchmarks.study.diagnose DATA [DATA …]``.

One plain pass over the test images of each run gives, against the true masks: how much of the object lies
above the threshold, the cosine similarity on and off the object, how large the active part of each channel is
and what weight it has, and where channels of negative weight fire. Numbers are kept for the figures, and
nothing is chosen here.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import wsol
from benchmarks.study.grid import LEAD, SEEDS
from benchmarks.study.measure import BATCH, records_file
from benchmarks.study.tables import ratio_of
from wsol.data.dataset import DataSet, Example, open_data
from wsol.data.masks import read_mask
from wsol.evaluation.protocol import FRAME
from wsol.evaluation.records import BoxRecords, load_records
from wsol.export.files import atomic_write
from wsol.inference.localizer import Localizer
from wsol.inference.mapmaker import Seen
from wsol.inference.reading import read_batches
from wsol.maps import normalize, upsample
from wsol.thresholds import foreground

TITLES = {
    "cam": "CAM",
    "tap": "TAP",
    "bridging": "Bridging the Gap",
    LEAD.name: "its similarity loss alone",
    "bridging-tap": "Bridging + TAP",
}
ACTIVE = 0.1
"""Share of a channel's maximum above which it is active: the θ of TAP."""


@dataclass(frozen=True)
class Diagnosis:
    """Of one run; arrays of N test images, K channels, C classes. All but the weights in [0, 1] or [−1, 1].

    Attributes:
        object: (2, N) share of the object's pixels above τ, of CAM and with NWC; τ is chosen on val.
        background: (2, N) share of the other pixels above it.
        similarity: (2, N) mean cosine similarity S on the object and off it.
        area: (C, K) share of the map on which a channel is active, mean over the images of a class.
        weight: (C, K) of the linear layer.
        overlap: (N,) IoU of where the positive and the negative part of the class score are above half of
            their maxima.
        negative: (N,) share of the negative part that lies on the object.
        covered: (N,) share of the picture that is object.
    """

    object: NDArray[np.float64]
    background: NDArray[np.float64]
    similarity: NDArray[np.float64]
    area: NDArray[np.float64]
    weight: NDArray[np.float64]
    overlap: NDArray[np.float64]
    negative: NDArray[np.float64]
    covered: NDArray[np.float64]


def _batches(data: DataSet, localizer: Localizer) -> Iterator[tuple[list[Example], Seen, Tensor]]:
    """Examples of test, what the network sees of them, and their masks (B, 224, 224), bool."""
    examples = data.split("test").examples
    paths = [data.images / example.id for example in examples]
    size = localizer.model.input_size
    for batch in read_batches(paths, size, batch_size=BATCH, workers=0, draft=False, upright=data.upright):
        if batch.errors:
            raise RuntimeError(f"unreadable: {batch.errors[0][1]}")
        mine = [examples[index] for index in batch.indices]
        masks = np.stack([read_mask(data, example)[0] for example in mine]).astype(bool)
        yield mine, localizer.see(batch.images), torch.from_numpy(masks)


@torch.inference_mode()
def diagnose(run: Path, data: DataSet, ratios: tuple[float, float]) -> Diagnosis:
    """Look at a run.

    Args:
        run: its folder.
        data: with masks.
        ratios: τ of CAM and of its map with NWC.
    """
    localizer = wsol.load(str(run), preset="fast", map="cam", batch_size=BATCH, device="cpu")
    classifier = localizer.model.classifier
    weight = classifier.linear.weight.detach().float()
    found: dict[str, list[Tensor]] = {name: [] for name in Diagnosis.__annotations__ if name != "weight"}
    labels: list[int] = []
    for examples, seen, masks in _batches(data, localizer):
        mine = torch.tensor([example.label for example in examples])
        labels += mine.tolist()
        on, off = masks.double(), (~masks).double()
        above = torch.stack(
            [
                _above(classifier.score_maps(seen.features, mine, kind), tau)  # type: ignore[arg-type]
                for kind, tau in zip(("cam", "nwc"), ratios, strict=True)
            ]
        )
        similarity = upsample(classifier.decompose(seen.features, mine)[1], (FRAME, FRAME)).double()
        features = seen.features.float()
        parts = torch.einsum(
            "bkhw,sbk->sbhw", features, torch.stack([weight[mine], -weight[mine]]).clamp(min=0)
        )
        fires = parts > 0.5 * parts.amax(dim=(-2, -1), keepdim=True)
        negative = upsample(parts[1], (FRAME, FRAME)).double().clamp(min=0)
        peak = features.amax(dim=(-2, -1), keepdim=True)
        active = (features > ACTIVE * peak).float().mean(dim=(-2, -1))
        found["area"].append(torch.where(peak[..., 0, 0] > 0, active, torch.nan))
        found["object"].append(_share(above, on))
        found["background"].append(_share(above, off))
        found["similarity"].append(torch.stack([_share(similarity, where) for where in (on, off)]))
        found["overlap"].append(fires.all(dim=0).sum(dim=(-2, -1)) / fires.any(dim=0).sum(dim=(-2, -1)))
        found["negative"].append(_share(on, negative))
        found["covered"].append(on.mean(dim=(-2, -1)))
    whole = {
        name: torch.cat(parts, dim=0 if name == "area" else -1).double() for name, parts in found.items()
    }
    classes = torch.tensor(labels)
    areas = [whole["area"][classes == label].nanmean(dim=0) for label in range(len(weight))]
    return Diagnosis(
        **{name: values.numpy() for name, values in (whole | {"area": torch.stack(areas)}).items()},
        weight=weight.numpy(),
    )


def _above(maps: Tensor, tau: float) -> Tensor:
    whole = normalize(upsample(maps, (FRAME, FRAME)))
    return foreground(whole, torch.full((len(whole),), int(tau * 255)))


def _share(values: Tensor, where: Tensor) -> Tensor:
    """Mean of (…, B, H, W) with the weights (B, H, W): (…, B)."""
    return (values.double() * where).sum(dim=(-2, -1)) / where.sum(dim=(-2, -1)).clamp(min=1e-12)


def best_shares(
    records: BoxRecords, percentile: float = 90
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best τ of each image as a share of the maximum and of a percentile: one τ for all costs its spread.

    The best level is the middle of those next to it whose IoU is within 0.01. Images of which no level meets
    the object are left out.

    Returns:
        two arrays, of the images.
    """
    met = records.largest.max(axis=1) > 0
    overlaps, histograms = records.largest[met], records.histograms[met]
    best = overlaps.argmax(axis=1)
    worse = overlaps < overlaps.max(axis=1, keepdims=True) - 0.01
    levels = np.arange(256)
    low = np.where(worse & (levels < best[:, None]), levels, -1).max(axis=1) + 1
    high = np.where(worse & (levels > best[:, None]), levels, 256).min(axis=1) - 1
    level = (low + high) / 2
    count = histograms.cumsum(axis=1, dtype=np.int64) / histograms.sum(axis=1, keepdims=True, dtype=np.int64)
    reference = np.argmax(count >= percentile / 100, axis=1)
    return level / 255, level / np.maximum(reference, 1)


def file_of(work: Path, data: str, run: str) -> Path:
    """Where a diagnosis is kept."""
    return work / "diagnostics" / data / f"{run}.npz"


def load(path: Path) -> Diagnosis:
    """What :func:`main` wrote."""
    with np.load(path) as kept:
        return Diagnosis(**kept)


def summary(work: Path, data: str) -> str:
    """A Markdown table: mean over test images and seeds."""
    rows = [
        f"| {data}, test | seeds | object above τ | background above τ | S on the object | S off it "
        "| area and weight | ± overlap | negative part on the object | object's share |",
        "|---" * 10 + "|",
    ]
    for name, title in TITLES.items():
        paths = [file_of(work, data, f"{name}-seed{seed}") for seed in SEEDS]
        found = [load(path) for path in paths if path.is_file()]
        if not found:
            continue
        means = np.mean([_numbers(each) for each in found], axis=0)
        shown = [f"{100 * mean:.1f}" for mean in means[:2]] + [f"{mean:.2f}" for mean in means[2:]]
        rows.append(f"| {title} | {len(found)} | " + " | ".join(shown) + " |")
    kept = [
        records_file(work / "records" / data / f"cam-seed{seed}", "cam", "test", "boxes") for seed in SEEDS
    ]
    pairs = [best_shares(load_records(path, "boxes")) for path in kept if path.is_file()]  # type: ignore[arg-type]
    if pairs:
        spreads = [[share.std() / share.mean() for share in pair] for pair in pairs]
        of_max, of_percentile = np.mean(spreads, axis=0)
        told = f"{of_max:.2f} of the maximum, {of_percentile:.2f} of the 90th percentile"
        rows += ["", f"Best τ of each image of CAM, standard deviation over mean: {told}."]
    return "\n".join(rows)


def _numbers(found: Diagnosis) -> list[float]:
    ranks = [
        np.corrcoef(_ranks(area[kept]), _ranks(weight[kept]))[0, 1]
        for area, weight in zip(found.area, found.weight, strict=True)
        if (kept := np.isfinite(area)).any()
    ]
    return [
        float(found.object[0].mean()),
        float(found.background[0].mean()),
        *map(float, found.similarity.mean(axis=1)),
        float(np.mean(ranks)),
        float(found.overlap.mean()),
        float(found.negative.mean()),
        float(found.covered.mean()),
    ]


def _ranks(values: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def main() -> None:
    """Diagnose what is trained and measured, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.diagnose", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders of the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="folder of the runs")
    asked = parser.parse_args()
    for folder in asked.data:
        data = open_data(str(folder), metadata=str(folder / "metadata-masks"))
        for name in TITLES:
            for seed in SEEDS:
                run = f"{name}-seed{seed}"
                records, path = (
                    asked.work / "records" / folder.name / run,
                    file_of(asked.work, folder.name, run),
                )
                if path.is_file() or not records_file(records, "nwc", "test", "masks").is_file():
                    continue
                ratios = (ratio_of(records, "cam"), ratio_of(records, "nwc"))
                found = diagnose(asked.work / folder.name / run, data, ratios)
                with atomic_write(path) as temporary, temporary.open("wb") as file:
                    np.savez(file, **vars(found))
        print(summary(asked.work, folder.name), "\n")


if __name__ == "__main__":
    main()
