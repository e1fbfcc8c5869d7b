"""A run measured on val and test, against boxes and masks: each pass of the network serves all its maps."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import wsol
from benchmarks.study.grid import Level
from wsol.data.dataset import DataSet, Example, open_data
from wsol.evaluation.labels import LabelMap, match_labels
from wsol.evaluation.measure import measure
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.protocol import FRAME, LabelSource, Protocol
from wsol.evaluation.sources import Scored
from wsol.inference.localizer import Localizer
from wsol.inference.reading import read_batches
from wsol.maps import upsample
from wsol.methods.saved import weights_file
from wsol.training.directory import LAST_WEIGHTS

BATCH = 16
SPLITS = ("val", "test")

PLAIN: dict[str, Any] = {"map": "cam", "preset": "fast"}

MAPS: dict[str, dict[str, Any]] = {
    "cam": PLAIN,
    "nwc": PLAIN | {"map": "nwc"},
    "norm": PLAIN | {"map": "norm"},
    "similarity": PLAIN | {"map": "similarity"},
    "balanced": PLAIN | {"preset": "balanced"},
    "best": PLAIN | {"preset": "best"},
}
"""Options of :func:`wsol.load` of the maps that a run is measured with."""

PARTS: dict[str, dict[str, Any]] = {
    "flip": PLAIN | {"flip": True},
    "scale-2": PLAIN | {"scales": (2.0,)},
    "scales-1-2": PLAIN | {"scales": (1.0, 2.0)},
    "scales-1-2-flip": PLAIN | {"scales": (1.0, 2.0), "flip": True},
    "norm-0.25": PLAIN | {"norm_share": 0.25},
    "norm-0.5": PLAIN | {"norm_share": 0.5},
    "grabcut": PLAIN | {"refine": "grabcut"},
    "best-nwc": {"map": "nwc", "preset": "best"},
    "stride-16": PLAIN | {"stride": 16},
    "stride-8": PLAIN | {"stride": 8},
}
"""What else may help without training, most of it each part alone: of one plain classifier a set."""

LEVELS: dict[Level, dict[str, dict[str, Any]]] = {
    "plain": {name: MAPS[name] for name in ("cam", "nwc")},
    "presets": MAPS,
    "parts": MAPS | PARTS,
}


@dataclass
class _Held:
    """Maps that are there already, as a source for the evaluation."""

    maps: dict[str, Tensor]
    ranks: dict[str, Tensor]
    sizes: dict[str, tuple[int, int]]
    label_source: LabelSource
    depth: int
    batch_size = BATCH
    processes = 0

    def stream(
        self, data: DataSet, examples: Sequence[Example], places: range | None = None
    ) -> Iterator[Scored]:
        places = range(len(examples)) if places is None else places
        for start in range(0, len(places), BATCH):
            part = places[start : start + BATCH]
            ids = [examples[place].id for place in part]
            yield Scored(
                list(part),
                torch.cat([upsample(self.maps[id], (FRAME, FRAME)) for id in ids]),
                [self.sizes[id] for id in ids],
                torch.stack([self.ranks[id] for id in ids]),
                torch.full((len(ids),), -1),
                [],
            )

    def describe(self) -> dict[str, Any]:
        return {}


def records_file(folder: Path, maps: str, split: str, truth: str) -> Path:
    """Where the records of one map are kept."""
    return folder / f"{maps}-{split}-{truth}.npz"


def measure_run(model: str, data_folder: Path, folder: Path, wanted: dict[str, dict[str, Any]]) -> None:
    """Measure a model with these maps, as far as it is not done.

    Args:
        model: a run directory, of which the last epoch is measured, as the protocol reports it; or a name.
        data_folder: of the data set, with metadata/ and metadata-masks/.
        folder: for the records.
        wanted: options of :func:`wsol.load` for each map.
    """
    last = Path(model) / LAST_WEIGHTS
    model = str(last) if last.is_file() else model  # adversarial erasing has no last epoch
    weights = weights_file(model)
    since = weights.stat().st_mtime if weights else 0
    todo = {
        name: options for name, options in wanted.items() if not is_measured(folder, (name,), since=since)
    }
    by_stride: dict[int | None, dict[str, Localizer]] = {}
    for name, options in todo.items():
        localizer = wsol.load(model, batch_size=BATCH, **options)
        by_stride.setdefault(options.get("stride"), {})[name] = localizer
    folder.mkdir(parents=True, exist_ok=True)
    truths = _open(data_folder)
    for localizers in by_stride.values():
        for split in SPLITS:
            for name, held in _look(truths["boxes"], split, localizers).items():
                _keep(held, truths, split, folder, name)


def measure_centre(data_folder: Path, folder: Path) -> None:
    """Measure maps that know nothing but the middle of the picture: squares, and discs, of every size."""
    if is_measured(folder, ("disc",)):
        return
    folder.mkdir(parents=True, exist_ok=True)
    truths = _open(data_folder)
    side = (torch.arange(FRAME, dtype=torch.float64) + 0.5) / FRAME - 0.5
    rows, columns = side[:, None].abs(), side[None, :].abs()
    maps = {
        "square": 1 - 2 * torch.maximum(rows, columns),
        "disc": torch.exp(-(rows**2 + columns**2) / (2 * 0.25**2)),  # a Gaussian of a quarter of the side
    }
    for name, map_ in maps.items():
        for split in SPLITS:
            examples = truths["boxes"].split(split).examples
            sizes = {example.id: example.size for example in examples if example.size}
            held = _Held(
                {example.id: map_[None] for example in examples},
                {example.id: torch.tensor(-1) for example in examples},
                sizes,
                "unstated",
                0,
            )
            _keep(held, truths, split, folder, name)


def _open(data_folder: Path) -> dict[str, DataSet]:
    masks = str(data_folder / "metadata-masks")
    return {"boxes": open_data(str(data_folder)), "masks": open_data(str(data_folder), metadata=masks)}


def _keep(held: "_Held", truths: dict[str, DataSet], split: str, folder: Path, name: str) -> None:
    """Measure maps against boxes and masks, and write the records."""
    for truth, data in truths.items():
        protocol = Protocol(
            split=split,
            truth=truth,  # type: ignore[arg-type]
            policy="oracle",
            selected_on=split,
            label_source=held.label_source,
        )
        measured = measure(held, data, data.split(split), protocol, progress=False)
        if measured is not None:  # of several processes one writes
            measured.records.save(records_file(folder, name, split, truth))


def is_measured(folder: Path, names: Iterable[str], *, since: float = 0) -> bool:
    """Whether the records of these maps are complete.

    Args:
        folder: of the records.
        names: of the maps.
        since: when the weights were written; older records are of others.
    """
    files = [records_file(folder, name, SPLITS[-1], "masks") for name in names]  # written last
    return all(file.is_file() and file.stat().st_mtime >= since for file in files)


@torch.inference_mode()
def _look(data: DataSet, split: str, localizers: dict[str, Localizer]) -> dict[str, _Held]:
    """The maps of all localizers, which differ in their options alone, from shared passes."""
    examples = data.split(split).examples
    first = next(iter(localizers.values()))
    classes = first.model.classes
    labels: LabelMap = match_labels(data.classes, len(data.classes), classes, EvaluationOptions())
    held = {name: _Held({}, {}, {}, labels.source, len(classes.names)) for name in localizers}
    for batch in read_batches(
        [data.images / example.id for example in examples],
        first.model.input_size,
        batch_size=BATCH,
        workers=0,
        draft=False,
        upright=data.upright,
    ):
        true = torch.tensor([examples[index].label for index in batch.indices])
        seen = {}
        for name, localizer in localizers.items():
            passes = (localizer.options.scales, localizer.options.flip)
            if passes not in seen:
                seen[passes] = localizer.see(batch.images)
            chosen, ranks = labels.choose(seen[passes].logits, true)
            ranks = None if ranks is None else ranks.cpu()
            maps = localizer.score_maps(seen[passes], chosen)
            maps = maps.cpu()
            for place, index in enumerate(batch.indices):
                id = examples[index].id
                held[name].maps[id] = maps[place : place + 1].clone()
                held[name].sizes[id] = batch.sizes[place]
                held[name].ranks[id] = torch.tensor(-1) if ranks is None else ranks[place]
        if batch.errors:
            raise RuntimeError(f"unreadable: {batch.errors[0][1]}")
    for one in held.values():
        one.depth = 0 if labels.table is None else one.depth
    return held


def main() -> None:
    """Measure runs: ``python -m benchmarks.study.measure DATA RUN [RUN …]``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("models", nargs="+", help="run directories, or names of models")
    parser.add_argument("--records", type=Path, default=Path("runs/study/records"))
    parser.add_argument("--maps", choices=LEVELS, default="presets", help="which maps")
    asked = parser.parse_args()
    measure_centre(asked.data, asked.records / asked.data.name / "centre")
    for model in asked.models:
        folder = asked.records / asked.data.name / Path(model).name
        measure_run(model, asked.data, folder, LEVELS[asked.maps])
        print(f"{asked.data.name}: {model} is measured", flush=True)


if __name__ == "__main__":
    main()
