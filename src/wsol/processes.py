"""Several processes that do one work together: shares of whole batches, and errors that all of them raise."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import distributed

from wsol.errors import SharedError, WsolError

Part = TypeVar("Part")
Whole = TypeVar("Whole")

TOLD = (WsolError, ValueError, OSError)
"""Errors that the command line tells without a traceback."""

PATIENCE = timedelta(days=7)
"""How long one waits for another that works; of one that dies the others hear at once."""


def is_first() -> bool:
    """Whether this process is the one that writes; torchrun, Lightning and SLURM tell."""
    environment = os.environ
    if "RANK" in environment:
        return environment["RANK"] == "0"
    if "LOCAL_RANK" in environment:  # Lightning's own children inherit SLURM's variables
        return environment["LOCAL_RANK"] == "0" and environment.get("NODE_RANK", "0") == "0"
    return environment.get("SLURM_PROCID", "0") == "0"


def process() -> tuple[int, int]:
    """The number of this process, and how many have met."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@contextmanager
def together() -> Iterator[None]:
    """The processes that torchrun has started meet for the block; alone, nothing happens.

    Raises:
        SharedError: in all of them, what one of them raised for a person to read.
    """
    asked = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    if not asked or os.environ["WORLD_SIZE"] == "1" or process()[1] > 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield
        gather(None)  # nobody leaves while another may still fail
    except SharedError:
        raise
    except TOLD as error:
        gather(SharedError(str(error)))  # in place of what the others wait for
    finally:
        distributed.destroy_process_group()


def share(count: int, batch_size: int) -> range:
    """The places, of so many, that are this process's: whole batches, the same ones as of one process."""
    rank, world = process()
    batches = -(-count // batch_size)
    start, stop = (batches * edge // world * batch_size for edge in (rank, rank + 1))
    return range(start, min(stop, count))


def gather(mine: Part | SharedError) -> list[Part]:
    """What each process has, in all of them.

    Raises:
        SharedError: one of them gave it, or ended.
    """
    parts: list[Any] = [mine] * process()[1]
    if len(parts) > 1:
        with ends_told():
            distributed.all_gather_object(parts, mine)
    for part in parts:
        if isinstance(part, SharedError):
            raise part
    return parts


def join(mine: Part, work: Callable[[list[Part]], Whole]) -> Whole | None:
    """What ``work`` makes, in the first process, of what each has, in order; None in the others.

    Raises:
        SharedError: in all processes, what ``work`` raised in the first; alone it is raised as it is.
    """
    rank, world = process()
    if world == 1:
        return work([mine])
    gather(None)  # hears of errors
    parts: list[Any] | None = None if rank else [None] * world
    with ends_told():
        distributed.gather_object(mine, parts)
    return _first_told(lambda: work(parts or []))


def on_first(given: Part | None, work: Callable[[Part], Whole]) -> Whole:
    """What ``work`` makes of what the first process was given, in all of them; errors as of :func:`join`."""
    if process()[1] == 1:
        return work(cast("Part", given))
    return cast("Whole", gather(_first_told(lambda: work(cast("Part", given))))[0])


def _first_told(work: Callable[[], Whole]) -> Whole | None:
    """Do it in the first process alone; what goes wrong goes wrong in all."""
    made, error = None, None
    if process()[0] == 0:
        try:
            made = work()
        except TOLD as raised:
            error = SharedError(str(raised))
    gather(error)
    return made


@contextmanager
def ends_told() -> Iterator[None]:
    """Another process that ends, while this one waits for it within the block, is told as an error.

    Raises:
        SharedError: it ended.
    """
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
            raise
        raise SharedError("another process has ended; if it said nothing, was memory short?") from error
