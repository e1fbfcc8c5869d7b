"""A split measured: maps against truth, once; or what an earlier evaluation kept of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from wsol.cores import usable_cores
from wsol.data.dataset import DataSet, Example, Split
from wsol.data.masks import read_mask
from wsol.data.records import box_fault
from wsol.errors import DataError, ImageError
from wsol.evaluation.protocol import LabelSource, Protocol
from wsol.evaluation.records import AnyRecords, BoxRecords, MaskRecords, measure_boxes, measure_masks
from wsol.evaluation.result import load_result
from wsol.evaluation.sources import MapSource, Scored
from wsol.inference.reading import deaths_told, quiet_worker
from wsol.maps import ivr_normalize, normalize
from wsol.metrics import to_official_frame
from wsol.processes import join, share


@dataclass
class Measured:
    """A split, measured.

    Attributes:
        split: what was measured.
        records: of the images that could be.
        skipped: "where: reason" of each image that could not be used.
        notes: the same of other oddities in its tables.
        digests: sha256 of each map, one after another; empty if they are not from files.
    """

    split: Split
    records: AnyRecords
    skipped: list[str]
    notes: list[str]
    digests: bytes = b""

    def describe(self) -> dict[str, Any]:
        """For the result: what the numbers are of."""
        return {
            "split": self.split.name,
            "images": len(self.records),
            "skipped": len(self.skipped),
            "classes": len(np.unique(self.records.labels)),
            "fingerprint": self.split.fingerprint,
        }


class KeptMaps:
    """What an earlier evaluation kept, to be scored under another policy or standard without any map.

    Args:
        folder: the result.

    Raises:
        DataError: there is no result.
    """

    def __init__(self, folder: Path) -> None:
        self.result = load_result(folder)
        self.label_source: LabelSource = self.result.protocol.label_source

    def measure(self, split: Split, protocol: Protocol) -> Measured:
        """The records of a split.

        Raises:
            DataError: they were not kept, are of other data, or depend on what has changed.
        """
        before, data = self.result.protocol, self.result.data
        told = [about for about in (data, data["selection"]) if about and about["split"] == split.name]
        if not told:
            raise DataError(f"{self.result.folder} kept nothing of the split {split.name!r}")
        if told[0]["fingerprint"] != split.fingerprint:
            raise DataError(f"{self.result.folder}: the split {split.name!r} is another now; evaluate anew")
        ivr = (before.standard, before.percentile), (protocol.standard, protocol.percentile)
        if "ivr" in (before.standard, protocol.standard) and ivr[0] != ivr[1]:
            raise DataError("ivr changes the maps themselves: evaluate anew")
        if before.truth == "masks" and before.step != protocol.step:
            raise DataError(
                f"the histograms kept have steps of {before.step}, not {protocol.step}; evaluate anew"
            )
        mine = f"{split.name}: "
        return Measured(
            split,
            self.result.records_of(split.name),
            skipped=[line for line in self.result.skipped if line.startswith(mine)],
            notes=[line for line in self.result.notes if line.startswith(mine)],
        )

    def describe(self) -> dict[str, Any]:
        """What the maps were made by."""
        return self.result.model


@dataclass
class _Part:
    """A batch, measured: what is kept of its images, those that could not be used, and how many it had."""

    fields: dict[str, NDArray[Any]] | None
    skipped: list[str]
    digests: bytes
    count: int


@dataclass
class _Batches(Dataset[list[_Part]]):
    """The batches of a split, each measured where it is asked for, by the place at which it starts."""

    source: MapSource
    data: DataSet
    split: Split
    protocol: Protocol
    threads: int

    def __getitem__(self, start: int) -> list[_Part]:
        return list(self.measure(range(start, min(start + self.source.batch_size, len(self.split.examples)))))

    def measure(self, places: range) -> Iterator[_Part]:
        """The batches of these places, in order."""
        examples = self.split.examples
        with ThreadPoolExecutor(self.threads) as pool:
            for scored in self.source.stream(self.data, examples, places):
                errors = list(scored.errors)
                kept, truth = _read_truth(self.data, self.split, scored, errors, pool)
                skipped = [
                    f"{self.split.name}: {examples[index].id}: {reason} ({examples[index].where})"
                    for index, reason in sorted(errors)
                ]
                fields = self._measured(scored, kept, truth) if kept else None
                digests = b"".join(scored.digests)
                yield _Part(fields, skipped, digests, len(scored.indices) + len(scored.errors))

    def _measured(self, scored: Scored, kept: list[int], truth: list[Any]) -> dict[str, NDArray[Any]]:
        maps = scored.maps if len(kept) == len(scored.indices) else scored.maps[kept]
        ivr = self.protocol.standard == "ivr"
        maps = ivr_normalize(maps, self.protocol.percentile) if ivr else normalize(maps)
        if self.protocol.truth == "boxes":
            measured = measure_boxes(maps, truth, self.threads)
        else:
            masks, ignore = (np.stack([pair[i] for pair in truth]) for i in (0, 1))
            measured = measure_masks(maps, masks, ignore, self.protocol.step)
        mine = [self.split.examples[scored.indices[place]] for place in kept]
        ranks = torch.full((len(scored.indices),), -1) if scored.ranks is None else scored.ranks
        return measured | {
            "ids": np.array([example.id for example in mine]),
            "labels": np.array([example.label for example in mine], np.int64),
            "ranks": ranks[kept].numpy(),
            "chosen": scored.chosen[kept].numpy(),
        }


def measure(
    source: MapSource | KeptMaps, data: DataSet, split: Split, protocol: Protocol, progress: bool
) -> Measured | None:
    """Measure every image of a split; of several processes each takes a share.

    Returns:
        The whole, in the order of the split: in the first process; None in the others.

    Raises:
        DataError: none could be used.
    """
    if isinstance(source, KeptMaps):
        return join(None, lambda _: source.measure(split, protocol))
    mine = share(len(split.examples), source.batch_size)
    parts: list[_Part] = []
    with tqdm(total=len(mine), unit="img", desc=split.name, disable=None if progress else True) as bar:
        for part in _parts(source, data, split, protocol, mine):
            parts.append(part)
            bar.update(part.count)
    return join(parts, lambda shares: _joined(list(chain(*shares)), source, split, protocol))


def _parts(
    source: MapSource, data: DataSet, split: Split, protocol: Protocol, mine: range
) -> Iterator[_Part]:
    """The measured batches of a share, in order, made by as many processes as the source allows."""
    starts = mine[:: source.batch_size]
    workers = min(source.processes, len(starts))
    threads = max(1, usable_cores() // max(1, workers))
    batches = _Batches(source, data, split, protocol, threads)
    if not workers:
        yield from batches.measure(mine)
        return
    loader = DataLoader(
        batches, None, sampler=starts, num_workers=workers, collate_fn=_as_it_is, worker_init_fn=quiet_worker
    )
    with deaths_told():
        for parts in loader:
            yield from parts


def _as_it_is(parts: list[_Part]) -> list[_Part]:
    return parts


def _joined(parts: list[_Part], source: MapSource, split: Split, protocol: Protocol) -> Measured:
    """All parts of a split as one.

    Raises:
        DataError: nothing in it can be measured.
    """
    notes = [f"{split.name}: {problem}" for problem in split.problems if problem.id is None]
    wrong: dict[str, list[str]] = {}
    for problem in split.problems:
        if problem.id is not None:
            wrong.setdefault(problem.id, []).append(str(problem))
    skipped = [f"{split.name}: {'; '.join(problems)}" for problems in wrong.values()]
    skipped += [line for part in parts for line in part.skipped]
    measured = [part.fields for part in parts if part.fields is not None]
    if not measured:
        raise DataError(f"no image of the split {split.name!r} could be used; the first: {skipped[0]}")
    fields = {name: np.concatenate([each[name] for each in measured]) for name in measured[0]}
    if protocol.truth == "masks" and not fields["histograms"][:, 1].any():
        raise DataError(f"no pixel of an object in the masks of the split {split.name!r}: nothing to find")
    kind = BoxRecords if protocol.truth == "boxes" else MaskRecords
    digests = b"".join(part.digests for part in parts)
    return Measured(split, kind(**fields, depth=np.array(source.depth)), skipped, notes, digests)


def _read_truth(
    data: DataSet, split: Split, scored: Scored, errors: list[tuple[int, str]], pool: ThreadPoolExecutor
) -> tuple[list[int], list[Any]]:
    """Places within the batch of the images with usable truth, and that truth; the others join ``errors``."""

    def read(place: int) -> Any:  # noqa: ANN401 - boxes or masks
        example, size = split.examples[scored.indices[place]], scored.sizes[place]
        if example.size not in (None, size):
            (height, width), (there_height, there_width) = example.size, size
            return (
                f"the table says {width} × {height} pixels (width × height), the picture has "
                f"{there_width} × {there_height}: is it another picture, or turned?"
            )
        if not (example.boxes if split.truth == "boxes" else example.masks):
            return f"it has no {'box' if split.truth == 'boxes' else 'mask'}"
        if split.truth == "boxes":
            return _read_boxes(example, size)
        try:
            return read_mask(data, example)
        except ImageError as error:
            return f"{error.path}: {error.reason}"

    truth = list(pool.map(read, range(len(scored.indices))))
    kept = [place for place, got in enumerate(truth) if not isinstance(got, str)]
    errors += [(scored.indices[place], got) for place, got in enumerate(truth) if isinstance(got, str)]
    return kept, [truth[place] for place in kept]


def _read_boxes(example: Example, size: tuple[int, int]) -> NDArray[np.int64] | str:
    """True boxes in the official frame, or why they cannot be used: tables may not tell the size."""
    for box in example.boxes:
        fault = box_fault(box, size)
        if fault and fault[1]:  # one that only ends too late is taken as it is
            return fault[0]
    corners = torch.tensor(example.boxes, dtype=torch.float64).clamp(min=0)
    return np.asarray(to_official_frame(corners, size).numpy())
