"""An evaluation from maps to a result: splits measured once, τ chosen as the policy says, numbers written."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from wsol.data.dataset import DataSet, Split
from wsol.data.known import exactly
from wsol.errors import DataError, WsolError
from wsol.evaluation.measure import KeptMaps, Measured, measure
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.records import BoxRecords
from wsol.evaluation.result import RESULT_FILE, Result, load_result
from wsol.evaluation.scoring import choose_ratios, error_shares, scores_of
from wsol.evaluation.sources import MapSource
from wsol.export.files import open_folder
from wsol.inference.run import versions
from wsol.processes import on_first


def evaluate(
    source: MapSource | KeptMaps,
    data: DataSet,
    options: EvaluationOptions,
    output: Path,
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> Result:
    """Evaluate maps and write the result with its page, plots and records into a folder.

    Of several processes (:func:`wsol.processes.together`) each measures a share, and the first one writes.

    Args:
        source: of the maps; or what an earlier evaluation kept.
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
    if isinstance(source, KeptMaps):
        named = options.name or source.result.name
        options = replace(
            options, name=named, seed=source.result.seed if options.seed is None else options.seed
        )
    selection = None
    if options.policy == "transferred":
        selection = measure(source, data, _selection_split(data, options, split), protocol, progress)

    def finish(measured: Measured) -> Result:
        known = exactly({split.name: split})
        described = {"name": data.name, "format": data.format, "known": known.name if known else None}
        model = source.describe()
        if digests := (selection.digests if selection else b"") + measured.digests:
            model["maps_digest"] = f"sha256:{sha256(digests).hexdigest()}"  # of all measured, in order
        result = score(model, described, options, protocol, measured=measured, selection=selection)
        if isinstance(source, KeptMaps):
            told = source.result.versions | {"scored again by": versions()["wsol"]}
            result = replace(result, versions=told)
        _write(result, data, output, measured, selection, overwrite=overwrite)
        return result

    return on_first(measure(source, data, split, protocol, progress), finish)


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
    both = [measured] if selection is None else [measured, selection]
    if options.ratio is not None:
        ratios: Any = float(options.ratio)
    else:
        ratios = choose_ratios(records if selection is None else selection.records, protocol)
    headline = ratios if isinstance(ratios, float) else ratios["largest", 0.5]
    return Result(
        name=options.name or _name(model),
        seed=model.get("run", {}).get("seed") if options.seed is None else options.seed,
        model=model,
        data=data | measured.describe() | {"selection": None if selection is None else selection.describe()},
        protocol=protocol,
        scores=scores_of(records, protocol, ratios, resamples=options.resamples),
        errors=error_shares(records, headline, protocol) if isinstance(records, BoxRecords) else {},
        skipped=tuple(line for each in both for line in each.skipped),
        notes=tuple(line for each in both for line in each.notes),
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _name(model: dict[str, Any]) -> str:
    """A trained model goes by its method, others by their backbone, maps by their folder."""
    name = str(model.get("backbone") or model.get("maps"))
    if "run" in model:
        name = model["run"]["title"] + (" + NWC" if model["map"] == "nwc" else "")
    return f"{name} + {model['test_time']}" if "test_time" in model else name


def check_output(output: Path, overwrite: bool) -> None:
    """Make sure, before any work, that a result may be written there.

    Raises:
        DataError: something is there that is not to be replaced.
        WsolError: nothing can be written there.
    """
    open_folder(output.resolve().parent)
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


def _write(
    result: Result,
    data: DataSet,
    output: Path,
    measured: Measured,
    selection: Measured | None,
    *,
    overwrite: bool,
) -> None:
    """Everything into a folder beside, which then takes the place of ``output``."""
    from wsol.report.evaluation import write_evaluation_report  # drawing takes a second to import

    output = output.resolve()  # "." has no name to put another beside
    fresh = output.with_name(f".{output.name}.{uuid4().hex[:8]}.tmp")
    old = fresh.with_suffix(".old")
    undrawn: Exception | None = None
    try:
        fresh.mkdir(parents=True)
        measured.records.save(fresh / f"{measured.split.name}.npz")
        if selection is not None:
            selection.records.save(fresh / f"{selection.split.name}.npz")
        result.save(fresh)
        try:
            write_evaluation_report(load_result(fresh), data, fresh)
        except Exception as error:  # noqa: BLE001 - hours of measuring are worth more than the page
            undrawn = error
        check_output(output, overwrite)  # again: another run may have been faster
        if output.exists():
            output.rename(old)
        fresh.rename(output)
    finally:
        if old.exists() and not output.exists():
            old.rename(output)
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
    if undrawn is not None:
        raise WsolError(
            f"the numbers are in {output}, but its page could not be drawn "
            f"({type(undrawn).__name__}: {undrawn}); --records {output} tries again"
        ) from undrawn
