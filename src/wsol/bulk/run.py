"""A run of bulk work: planned once, written shard by shard; what is written is not done again."""

import csv
import io
import json
import posixpath
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset
from tqdm import tqdm

from wsol.bulk import storage
from wsol.bulk.options import RayOptions
from wsol.bulk.pipeline import Job, localize_shards
from wsol.bulk.plan import Plan, write_plan
from wsol.bulk.shards import COCO, SCHEMA, TABLES, write_shard, written
from wsol.errors import WsolError
from wsol.inference.localizer import Label, LabelOf, Localizer
from wsol.inference.options import LocalizerOptions, RuntimeOptions
from wsol.inference.run import check_same, settings_of, versions
from wsol.models import Model, ModelOptions
from wsol.typed import typed

STATE, PLAN, SKIPPED = "run.json", "plan.parquet", "skipped.csv"
SHOWN = 20
"""Images that could not be used that a summary names; the file has all."""


@dataclass(frozen=True)
class BulkSummary:
    """What a run did, and what its folder holds.

    Attributes:
        output: the folder.
        images: images that the tables tell of, from this run and earlier ones; if interrupted, of this run.
        skipped: how many of them could not be used.
        examples: path and reason of the first of these.
        shards: of the plan.
        resumed: shards that an earlier run had written.
        done: images of this run.
        ignored: files in the folders that are not images by their names.
        seconds: of localising, with the start of the workers.
        interrupted: stopped by the user before the end.
    """

    output: str
    images: int
    skipped: int
    examples: list[tuple[str, str]]
    shards: int
    resumed: int
    done: int
    ignored: int
    seconds: float
    interrupted: bool


def localize_bulk(
    model: Model,
    model_options: ModelOptions,
    paths: Sequence[str],
    output: str,
    *,
    options: LocalizerOptions | None = None,
    runtime: RuntimeOptions | None = None,
    bulk: RayOptions | None = None,
    label: Label | LabelOf | None = None,
    coco: bool = True,
    overwrite: bool = False,
    progress: bool = True,
) -> BulkSummary:
    """Localise any number of images on the cluster that Ray is connected to, or on this machine.

    Of each shard a table ``boxes/NUMBER.parquet`` (:data:`wsol.bulk.shards.SCHEMA`) and a COCO data set
    ``coco/NUMBER.json`` are written, whole or not at all. A run that was stopped goes on with its plan: the
    shards that are not written yet.

    Args:
        model: the network; the cluster's machines need not have its file.
        model_options: what it was built from, kept with the results.
        paths: see :class:`wsol.bulk.search.Search`; the cluster's machines must be able to read them.
        output: a folder, of this machine or of what fsspec reaches; this process alone writes to it.
        options: map, threshold, boxes.
        runtime: device, precision and batch size of the actors; reading is by one task a core.
        bulk: shards, actors.
        label: see :meth:`wsol.Localizer.stream`.
        coco: write COCO data sets too.
        overwrite: forget what an earlier run left.
        progress: show a progress bar on a terminal.

    Raises:
        WsolError: no image, an output folder that holds something else, or a cluster that failed for good.
    """
    runtime, bulk = runtime or RuntimeOptions(), bulk or RayOptions()
    checked = Localizer(model, options, replace(runtime, device="cpu", precision="float32"))
    checked.check_label(label)
    job = Job(model, checked.options, runtime, label, bulk.column, bulk.actors)
    paths, output = [_absolute(path) for path in paths], _absolute(output)
    settings = settings_of(checked, model_options, label) | {
        "precision": runtime.precision,
        "batch_size": runtime.batch_size,
        "paths": paths,
        "shard_size": bulk.shard_size,
        "column": bulk.column,
        "coco": coco,
    }
    plan = storage.join(output, PLAN)
    _claim(output, settings, overwrite)
    for folder in ("", TABLES, COCO):
        storage.remove_left(storage.join(output, folder))
    if not storage.exists(plan):
        write_plan(plan, paths, shard_size=bulk.shard_size, column=bulk.column)
    totals = Plan(plan).totals
    before = written(output).intersection(range(totals.shards))
    todo = sorted(set(range(totals.shards)) - before)
    start, interrupted = time.perf_counter(), False
    done, skipped, examples = 0, 0, list[tuple[str, str]]()
    bar = tqdm(
        total=totals.images or None,
        initial=sum(totals.counts[shard] for shard in before),
        unit="img",
        desc="localize",
        disable=None if progress else True,
        smoothing=0.1,
    )
    with bar:
        try:
            for shard, records in localize_shards(job, plan, todo) if todo else ():
                write_shard(output, shard, records, classes=model.classes.names, root=totals.root, coco=coco)
                bad = [(record["image"], record["error"]) for record in records if "error" in record]
                done, skipped = done + len(records), skipped + len(bad)
                examples += bad[: SHOWN - len(examples)]
                bar.update(len(records))
        except KeyboardInterrupt:
            interrupted = True
    seconds = time.perf_counter() - start
    images = done
    if not interrupted:  # to read all tables may take longer than whoever stopped it will wait
        images, skipped, examples = _tally(output)
    summary = BulkSummary(
        output=output,
        images=images,
        skipped=skipped,
        examples=examples,
        shards=totals.shards,
        resumed=len(before),
        done=done,
        ignored=totals.ignored,
        seconds=seconds,
        interrupted=interrupted,
    )
    told = {key: value for key, value in asdict(summary).items() if key not in ("output", "examples")}
    _write_state(output, settings, told | {"root": totals.root})
    return summary


def _absolute(path: str) -> str:
    system, place = storage.locate(path) if path else (None, "")
    return path if system is None else storage.address_of(system, place)


def _claim(output: str, settings: dict[str, Any], overwrite: bool) -> None:
    """Make sure that the folder is ours and of these settings; nothing was done before there was a plan."""
    address, plan = (storage.join(output, name) for name in (STATE, PLAN))
    data = storage.read(address)
    if data is None:
        if taken := {TABLES, COCO, SKIPPED, PLAN}.intersection(storage.names(output)):
            raise WsolError(
                f"{storage.join(output, min(taken))} is there already, and not from a run of wsol; choose "
                "another --output"
            )
    else:
        try:
            state = typed(dict[str, Any], json.loads(data), "the file")
            before = typed(dict[str, Any], state.get("settings"), "settings")
            engine = typed(str, state.get("engine", "local"), "engine")
        except (RecursionError, ValueError) as error:
            raise WsolError(
                f"{address} is not the state of a run ({error}); choose another --output"
            ) from error
        if engine != "ray":
            raise WsolError(f"{address} is of --engine local, which goes on with it; choose another --output")
        if overwrite:
            for name in (TABLES, COCO, SKIPPED, PLAN):
                storage.remove(storage.join(output, name))
        elif storage.exists(plan):
            check_same(output, before, settings)
            return
    _write_state(output, settings, {})


def _write_state(output: str, settings: dict[str, Any], summary: dict[str, Any]) -> None:
    state = {
        "engine": "ray",
        "settings": settings,
        "versions": versions() | {"ray": version("ray")},
        **summary,
    }
    storage.write(storage.join(output, STATE), (json.dumps(state, indent=2) + "\n").encode())


def _tally(output: str) -> tuple[int, int, list[tuple[str, str]]]:
    """Images that the tables tell of, how many could not be used, and the first; a file lists these."""
    folder = storage.join(output, TABLES)
    system, path = storage.locate(folder)
    tables = [posixpath.join(path, f"{shard:06d}.parquet") for shard in sorted(written(output))]
    rows = pyarrow.dataset.dataset(tables, SCHEMA, format="parquet", filesystem=system)
    images, skipped, examples = 0, 0, list[tuple[str, str]]()
    with (
        storage.writing(storage.join(output, SKIPPED)) as file,
        io.TextIOWrapper(file, "utf-8", newline="") as text,
    ):
        listed = csv.writer(text, lineterminator="\n")
        listed.writerow(("image", "reason"))
        for batch in rows.to_batches(columns=["image", "error", "rank"]):
            images += pc.sum(pc.equal(pc.fill_null(batch["rank"], 1), 1)).as_py() or 0
            bad = batch.filter(pc.is_valid(batch["error"]))
            pairs = list(zip(bad["image"].to_pylist(), bad["error"].to_pylist(), strict=True))
            listed.writerows(pairs)
            skipped += len(pairs)
            examples += pairs[: SHOWN - len(examples)]
    return images, skipped, examples
