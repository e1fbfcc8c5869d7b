"""An evaluation from maps to a result: splits measured once, τ chosen as the policy says, numbers written."""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from wsol.data.dataset import DataSet, Example, Split
from wsol.data.known import recognise
from wsol.data.masks import read_mask
from wsol.errors import DataError, ImageError
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.records import BoxRecords, MaskRecords, measure_boxes, measure_masks
from wsol.evaluation.result import RESULT_FILE, Protocol, Result
from wsol.evaluation.scoring import AnyRecords, choose_ratios, error_shares, scores_of
from wsol.evaluation.sources import MapSource, Scored
from wsol.inference.run import versions
from wsol.maps import ivr_normalize, normalize
from wsol.metrics import to_official_frame


@dataclass
class Measured:
    """A split, measured.

    Attributes:
        split: what was measured.
        records: of the images that could be.
        skipped: "where: reason" of each problem of its tables and each image that could not be used.
    """

    split: Split
    records: AnyRecords
    skipped: list[str]

    def describe(self) -> dict[str, Any]:
        """For the result: what the numbers are of."""
        return {
            "split": self.split.name,
            "images": len(self.records),
            "skipped": len(self.skipped),
            "classes": len(np.unique(self.records.labels)),
            "fingerprint": self.split.fingerprint,
        }


def evaluate(
    source: MapSource,
    data: DataSet,
    options: EvaluationOptions,
    output: Path,
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> Result:
    """Evaluate maps and write the result with its page, plots and records into a folder.

    Args:
        source: of the maps.
        data: with boxes or masks in the evaluated split, and in the one that τ is chosen on.
        options: the protocol.
        output: the folder; it appears whole or not at all.
        overwrite: replace the result of an earlier evaluation there.
        progress: show a progress bar on a terminal.

    Raises:
        DataError: a split without truth or without usable images, or an output folder in the way.
    """
    check_output(output, overwrite)
    split = data.split(options.split)
    if split.truth == "none":
        raise DataError(
            f"the split {split.name!r} of {data.name} has neither boxes nor masks to measure against"
        )
    protocol = options.protocol(split.truth, source.label_source)
    selection = None
    if options.policy == "transferred":
        selection = _measure(source, data, _selection_split(data, options, split), protocol, progress)
    measured = _measure(source, data, split, protocol, progress)
    splits = {each.split.name: each.split for each in (measured, selection) if each is not None}
    known, _ = recognise(splits)
    described = {"name": data.name, "format": data.format, "known": known.name if known else None}
    result = score(source.describe(), described, options, protocol, measured=measured, selection=selection)
    _write(result, data, output, measured, selection)
    return result


def score(
    model: dict[str, Any],
    data: dict[str, Any],
    options: EvaluationOptions,
    protocol: Protocol,
    *,
    measured: Measured,
    selection: Measured | None,
) -> Result:
    """The result of measured splits; see :func:`evaluate`."""
    records = measured.records
    if options.ratio is not None:
        ratios: Any = float(options.ratio)
    else:
        ratios = choose_ratios(records if selection is None else selection.records, protocol)
    headline = ratios if isinstance(ratios, float) else ratios["largest", 0.5]
    return Result(
        name=options.name or str(model.get("backbone") or model.get("maps")),
        seed=options.seed,
        model=model,
        data=data | measured.describe() | {"selection": None if selection is None else selection.describe()},
        protocol=protocol,
        scores=scores_of(records, protocol, ratios, resamples=options.resamples),
        errors=error_shares(records, headline, protocol) if isinstance(records, BoxRecords) else {},
        skipped=tuple(measured.skipped) + (() if selection is None else tuple(selection.skipped)),
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check_output(output: Path, overwrite: bool) -> None:
    """Make sure, before any work, that a result may be written there.

    Raises:
        DataError: something is there that is not to be replaced.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / RESULT_FILE).is_file():
        raise DataError(f"{output} is there already, and not from wsol evaluate; choose another --output")
    if not overwrite:
        raise DataError(f"{output} holds a result already; choose another --output, or say --overwrite")


def _selection_split(data: DataSet, options: EvaluationOptions, evaluated: Split) -> Split:
    if options.select_on not in data.tables:
        raise DataError(
            f"{data.name} has no split {options.select_on!r} to choose the threshold on (it has "
            f"{', '.join(data.tables)}). Name another with --select-on, give a fixed one with --policy fixed "
            "--ratio 0.2, or take the best on the evaluated split itself with --policy oracle."
        )
    split = data.split(options.select_on)
    if split.truth != evaluated.truth:
        raise DataError(
            f"{data.name}: the split {split.name!r} has {split.truth}, {evaluated.name!r} has "
            f"{evaluated.truth}: a threshold chosen on one is not for the other"
        )
    shared = {example.id for example in split.examples} & {example.id for example in evaluated.examples}
    if shared:
        raise DataError(
            f"{len(shared)} images are both in {split.name!r} and in {evaluated.name!r}, as {min(shared)!r}: "
            "the threshold would be chosen on the images it is measured on"
        )
    return split


def _measure(source: MapSource, data: DataSet, split: Split, protocol: Protocol, progress: bool) -> Measured:
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    skipped = [f"{split.name}: {problem}" for problem in split.problems]
    parts: list[dict[str, NDArray[Any]]] = []
    bar = tqdm(total=len(split.examples), unit="img", desc=split.name, disable=None if progress else True)
    with bar, ThreadPoolExecutor(threads) as pool:
        for scored in source.stream(data, split.examples):
            bar.update(len(scored.indices) + len(scored.errors))
            errors = list(scored.errors)
            kept, truth = _read_truth(data, split, scored, errors, pool)
            if kept:
                parts.append(
                    _measure_batch(
                        scored, kept, truth, examples=split.examples, protocol=protocol, threads=threads
                    )
                )
            skipped += [
                f"{split.name}: {split.examples[index].id}: {reason} ({split.examples[index].where})"
                for index, reason in sorted(errors)
            ]
    if not parts:
        raise DataError(f"no image of the split {split.name!r} could be used; the first: {skipped[0]}")
    fields = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    kind = BoxRecords if protocol.truth == "boxes" else MaskRecords
    return Measured(split, kind(**fields, depth=np.array(source.depth)), skipped)


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
        if split.truth == "boxes":
            return to_official_frame(torch.tensor(example.boxes, dtype=torch.float64), size).numpy()
        try:
            return read_mask(data, example)
        except ImageError as error:
            return f"{error.path}: {error.reason}"

    truth = list(pool.map(read, range(len(scored.indices))))
    kept = [place for place, got in enumerate(truth) if not isinstance(got, str)]
    errors += [(scored.indices[place], got) for place, got in enumerate(truth) if isinstance(got, str)]
    return kept, [truth[place] for place in kept]


def _measure_batch(
    scored: Scored,
    kept: list[int],
    truth: list[Any],
    *,
    examples: Sequence[Example],
    protocol: Protocol,
    threads: int,
) -> dict[str, NDArray[Any]]:
    maps = scored.maps if len(kept) == len(scored.indices) else scored.maps[kept]
    ivr = protocol.standard == "ivr"
    maps = ivr_normalize(maps, protocol.percentile) if ivr else normalize(maps)
    if protocol.truth == "boxes":
        measured = measure_boxes(maps, truth, threads)
    else:
        masks, ignore = (np.stack([pair[i] for pair in truth]) for i in (0, 1))
        measured = measure_masks(maps, masks, ignore, protocol.step)
    mine = [examples[scored.indices[place]] for place in kept]
    ranks = torch.full((len(scored.indices),), -1) if scored.ranks is None else scored.ranks
    return measured | {
        "ids": np.array([example.id for example in mine]),
        "labels": np.array([example.label for example in mine], np.int64),
        "ranks": ranks[kept].numpy(),
        "chosen": scored.chosen[kept].numpy(),
    }


def _write(
    result: Result, data: DataSet, output: Path, measured: Measured, selection: Measured | None
) -> None:
    """Everything into a folder beside, which then takes the place of ``output``."""
    from wsol.evaluation.result import load_result
    from wsol.report.evaluation import write_evaluation_report  # drawing takes a second to import

    fresh = output.with_name(f".{output.name}.{uuid4().hex[:8]}.tmp")
    try:
        fresh.mkdir(parents=True)
        measured.records.save(fresh / f"{measured.split.name}.npz")
        if selection is not None:
            selection.records.save(fresh / f"{selection.split.name}.npz")
        result.save(fresh)
        write_evaluation_report(load_result(fresh), data, fresh)
        if output.exists():
            shutil.rmtree(output)
        fresh.rename(output)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
