"""Processes that are killed, or run out of disk, at a chosen moment.

A moment is a change of a folder: a file is opened for writing, renamed or removed, a folder made or removed.
They are counted, so that a fault strikes at the same place of the program however fast the machine is.
"""

import ctypes
import errno
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from ctypes import c_uint32
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import RLock
from typing import Any, Literal

import torch
from tqdm import tqdm

CONTEXT = multiprocessing.get_context("forkserver")  # libraries are imported once, by the server
CONTEXT.set_forkserver_preload(
    [
        "wsol.cli",
        "wsol.evaluation.run",
        "wsol.inference.run",
        "wsol.report.evaluation",
        "wsol.report.folder",
        "wsol.report.html",
        "wsol.training.run",
    ]
)

CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
"""Audit events of what changes a folder; of "open" only those for writing."""

LONG = 900
"""Seconds after which a process hangs."""

Kind = Literal["kill", "cut", "full", "limit"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a process.

    Attributes:
        kind: ``kill``: SIGKILL right before the moment. ``cut``: from the moment on a write that makes
            a file grow by more than ``room`` ends the process after so many bytes, as SIGKILL would there.
            ``full``: from the moment on no file can be opened for writing, and no folder made (ENOSPC).
            ``limit``: as ``cut``, but the writes fail (EFBIG), and the process may tell of it.
        moment: counted from 1.
        room: bytes.
    """

    kind: Kind
    moment: int
    room: int = 0


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit code; negative: the signal that ended it.
        told: what it wrote to standard output and standard error.
        moments: how many there were.
    """

    code: int
    told: str
    moments: int


def run_command(
    arguments: Sequence[str], folder: Path, fault: Fault | None = None, *, powerless: bool = False
) -> Ended:
    """Run a command of wsol.

    Args:
        arguments: of the command line.
        folder: changes below it are counted.
        fault: what goes wrong.
        powerless: without the rights of root, who may write where nobody may.
    """
    return run(_command, list(arguments), str(folder), fault, powerless)


def run(function: Callable[..., None], *arguments: Any) -> Ended:
    """Call a function, which is given a shared counter first, in a process of its own."""
    reading, writing = CONTEXT.Pipe(duplex=False)
    moments = CONTEXT.RawValue("l", 0)
    process = CONTEXT.Process(target=_told, args=(writing, function, moments, *arguments))
    process.start()
    writing.close()
    told = b""
    with reading:
        while reading.poll(LONG) and (read := os.read(reading.fileno(), 1 << 16)):
            told += read
    process.join(LONG)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"still running after {LONG} s: {told.decode()}")
    ended = Ended(process.exitcode, told.decode(), moments.value)
    process.close()
    return ended


def _told(writing: Connection, function: Callable[..., None], *arguments: Any) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(writing.fileno(), number)
        setattr(sys, name, open(number, "w", buffering=1, closefd=False))  # noqa: SIM115
    writing.close()
    tqdm.set_lock(RLock())  # not one between processes, which a kill would leave behind
    torch.set_num_threads(1)  # the same sums in every run; more threads than cores make it crawl
    function(*arguments)


def _command(
    moments: "ctypes.c_long", arguments: list[str], folder: str, fault: Fault | None, powerless: bool
) -> None:
    from wsol.cli import main

    if powerless and os.geteuid() == 0:
        _lay_down_power()

    def changed(event: str, given: tuple[Any, ...]) -> None:
        if event in CHANGES and _changes(event, given, folder):
            moments.value += 1
            if fault is not None and moments.value >= fault.moment:
                _strike(fault, event, given)

    sys.addaudithook(changed)
    raise SystemExit(main(arguments))


def _changes(event: str, given: tuple[Any, ...], folder: str) -> bool:
    if event == "open" and not given[2] & (os.O_WRONLY | os.O_RDWR):
        return False
    if isinstance(given[0], int):  # opened before
        return False
    path = os.fsdecode(given[0])
    return not path.startswith("/") or path.startswith(folder)  # rmtree goes by names within a folder


def _strike(fault: Fault, event: str, given: tuple[Any, ...]) -> None:
    if fault.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault.kind == "full":
        if event in ("open", "os.mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), given[0])
    elif event == "open":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if fault.kind == "cut" else signal.SIG_IGN)
        size = Path(given[0]).stat().st_size if given[2] & os.O_APPEND else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + fault.room, resource.RLIM_INFINITY))


def _lay_down_power() -> None:
    """Root without its capabilities is bound by permissions like anybody; see capset(2)."""
    version_3, itself = 0x20080522, 0
    header, none = (c_uint32 * 2)(version_3, itself), (c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")
