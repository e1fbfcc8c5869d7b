"""The pipeline: Ray tasks read and decode, actors with a model each localise, the driver gathers shards."""

import json
import logging
import os
import signal
import socket
import threading
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, DataContext
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from wsol.bulk.apart import read_apart
from wsol.bulk.items import chunks
from wsol.bulk.plan import Plan
from wsol.bulk.shards import record_of
from wsol.errors import ImageError, WsolError
from wsol.inference.localizer import Label, LabelOf, Localizer
from wsol.inference.options import LocalizerOptions, RuntimeOptions
from wsol.inference.reading import Batch, read_batch
from wsol.models import Model

BLOCK = 32 * 2**20
"""Bytes of decoded images after which a reading task hands them on; as much waits in memory in each task."""

SLICE = 4096
"""Shards that Ray Data is given at once: it keeps a record of each, and is slow to begin with very many."""

CPUS = 0.5
"""Of a reading task and of a model without a GPU: one of each still fits, should one core be left."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What the actors do.

    Attributes:
        model: the network, on the CPU.
        options: map, threshold, boxes.
        runtime: precision and batch size; ``device`` auto takes GPUs if the cluster has any.
        label: the class to look for, or a function that gives it for an image; None: the most probable.
        column: of tables; see :class:`wsol.bulk.search.Search`.
        actors: how many models work at once; None: one a GPU, without GPUs one a core but one.
    """

    model: Model
    options: LocalizerOptions
    runtime: RuntimeOptions
    label: Label | LabelOf | None
    column: str | None
    actors: int | None


def localize_shards(job: Job, plan: str, shards: Sequence[int]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Localise shards on the cluster that Ray is connected to, or on this machine.

    Reading and the network go on at the same time; how much waits between them is bounded by Ray Data. What a
    worker or a node that dies has not handed on is done again. The results do not depend on the cluster: an
    image is always in the same batch.

    Args:
        job: what to do.
        plan: address of the plan, which only this process and an actor on its machine read.
        shards: which of its shards.

    Yields:
        A shard and its records (:func:`wsol.bulk.shards.record_of`), as soon as it is done, in any order.

    Raises:
        WsolError: something in the cluster failed for good.
    """
    with _cluster():
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        stays = {"num_cpus": 0, "scheduling_strategy": here, "max_restarts": -1, "max_task_retries": -1}
        planned = ray.remote(_Planned).options(**stays).remote(plan)
        runtime, resources = _actors(job)
        model = ray.put(job.model)
        for start in range(0, len(shards), SLICE):
            mine = shards[start : start + SLICE]
            read = _Read(planned, mine, job.column, job.runtime.batch_size, job.model.input_size)
            rows = ray.data.range(len(mine), override_num_blocks=len(mine)).flat_map(read, num_cpus=CPUS)
            rows = (
                rows.map_batches(  # of one row; Ray Data would put map() and the reading into the same actors
                    _Localize,
                    batch_size=1,
                    fn_constructor_args=(model, job.options, runtime, job.label),
                    **resources,
                )
            )
            try:
                yield from _gathered(rows.iter_rows())
            except ray.exceptions.RayError as error:
                raise WsolError(f"the cluster failed ({_reason(error)}); what was written is kept") from error


def _reason(error: BaseException) -> str:
    """What went wrong at the bottom, in a line: the deepest error not of Ray, else Ray's last line."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    cause: BaseException | None = error
    while cause is not None:
        if not type(cause).__module__.startswith("ray") and str(cause):
            reason = f"{type(cause).__name__}: {str(cause).splitlines()[0]}"
        cause = getattr(cause, "cause", None) or cause.__cause__
    return reason


def _gathered(rows: Iterable[Row]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Shards of which all chunks are there."""
    chunks_of: defaultdict[int, dict[int, str]] = defaultdict(dict)
    counts: dict[int, int] = {}
    for row in rows:
        shard, chunk = int(row["shard"]), int(row["chunk"])
        chunks_of[shard][chunk] = row["records"]
        if row["last"]:
            counts[shard] = chunk + 1
        if len(chunks_of[shard]) == counts.get(shard):
            found = chunks_of.pop(shard)
            yield shard, [record for number in sorted(found) for record in json.loads(found[number])]


class _Planned(Plan):
    """The plan, and how far the reading of each shard has come."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._reached: dict[int, int] = {}
        self._ended: set[tuple[int, int]] = set()

    def begins(self, shard: int, chunk: int) -> bool:
        """Whether an earlier reading of the shard ended in this chunk, with its process."""
        if chunk == 0 and shard in self._reached:
            self._ended.add((shard, self._reached[shard]))
        self._reached[shard] = chunk
        return (shard, chunk) in self._ended


@dataclass(frozen=True)
class _Read:
    """A shard's batches, one after the other."""

    planned: Any  # the actor that has the plan
    shards: Sequence[int]
    column: str | None
    batch_size: int
    input_size: tuple[int, int]

    def __call__(self, row: Row) -> Iterator[Row]:
        shard = self.shards[row["id"]]
        entries = ray.get(self.planned.entries.remote(shard))
        for number, (items, last) in enumerate(chunks(entries, self.column, self.batch_size)):
            died = ray.get(self.planned.begins.remote(shard, number))
            batch = (read_apart if died else read_batch)(items, self.input_size)
            about = {
                "names": [str(item) for item in items],
                "indices": batch.indices,
                "sizes": batch.sizes,
                "errors": [(index, error.path, error.reason) for index, error in batch.errors],
            }
            yield {
                "shard": shard,
                "chunk": number,
                "last": last,
                "images": batch.images.permute(0, 2, 3, 1).numpy().tobytes(),  # (B, h, w, 3)
                "about": json.dumps(about),
            }


class _Localize:
    """An actor: it holds one model."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - a reference
        options: LocalizerOptions,
        runtime: RuntimeOptions,
        label: Label | LabelOf | None,
    ) -> None:
        self.localizer = Localizer(ray.get(model), options, runtime)
        self.label = label

    def __call__(self, rows: dict[str, NDArray[Any]]) -> dict[str, list[Any]]:
        about = json.loads(rows["about"][0])
        height, width = self.localizer.model.input_size
        images = np.frombuffer(rows["images"][0], np.uint8).reshape(-1, height, width, 3).copy()
        errors = [(index, ImageError(path, reason)) for index, path, reason in about["errors"]]
        sizes = [(height, width) for height, width in about["sizes"]]
        batch = Batch(torch.from_numpy(images).permute(0, 3, 1, 2), about["indices"], sizes, errors)
        names = about["names"]
        found = dict(self.localizer.of_batch(batch, names, self.label))
        records = [record_of(name, found[index]) for index, name in enumerate(names)]
        return {
            **{name: [rows[name][0]] for name in ("shard", "chunk", "last")},
            "records": [json.dumps(records)],
        }


def _actors(job: Job) -> tuple[RuntimeOptions, dict[str, Any]]:
    """Where the actors' networks are, and what Ray Data is to know of the actors."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cores, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    device = job.runtime.device
    if device != "cpu":
        device = "cuda" if gpus or device != "auto" else "cpu"  # an actor sees no other GPU than its own
    if device == "cpu":
        count, needs = job.actors or max(1, cores - 1), {"num_cpus": CPUS}
    elif not (gpus or job.actors):
        raise WsolError(
            "the cluster has no GPU; --actors tells how many it will have, --device cpu does without"
        )
    else:
        count, needs = job.actors or gpus, {"num_gpus": 1}
        if count > gpus:
            warnings.warn(
                f"the cluster has {gpus} GPUs now: {count} models wait for it to grow", stacklevel=2
            )
    return replace(job.runtime, device=device), {
        **needs,
        "compute": ActorPoolStrategy(min_size=1, max_size=count),
    }


@contextmanager
def _cluster() -> Iterator[None]:
    """Ray, connected and quiet; settings of Ray Data are put back."""
    own = not ray.is_initialized()
    if own:
        _check_reachable(os.environ.get("RAY_ADDRESS", ""))
        before_ray = signal.getsignal(signal.SIGTERM)
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # this process's; errors come as exceptions
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ray.exceptions.RayError) as error:
            raise WsolError(
                f"{error}; is RAY_ADDRESS right, and has this machine the cluster's token (docs/scale.md)?"
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before_ray)  # Ray's handler would leave without a word
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # errors come as exceptions
    context = DataContext.get_current()
    mine = {"target_max_block_size": BLOCK, "enable_progress_bars": False}
    before = {name: getattr(context, name) for name in mine}
    try:
        for name, value in mine.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        logger.setLevel(level)
        if own:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try a dead address for minutes, without a word."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):  # auto, local, none
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise WsolError(
            f"no cluster at RAY_ADDRESS={address}: {getattr(error, 'strerror', None) or error}"
        ) from error
