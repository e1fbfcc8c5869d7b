"""The journal of a run: a JSON line an image, appended as it is done; nothing is done twice or lost."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol.errors import ImageError, WsolError
from wsol.export.files import named
from wsol.inference.localization import Localization
from wsol.typed import relied_on, typed


class Journal(Collection[Localization]):
    """Results on disk: iterates in the order of their paths, one in memory at a time.

    A line that was cut off by a kill is dropped when the journal is opened again. An image's last line
    counts. An image that was skipped, or whose file has changed since, is not done.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal, or start one.

        Raises:
            WsolError: a line is no result, which is told now and not when all others are done.
            OSError: the file cannot be read or written.
        """
        self._path = path
        self._offsets: dict[str, int] = {}
        self._stamps: dict[str, list[int]] = {}
        self._skipped: dict[str, str] = {}
        path.touch()
        with path.open("r+b") as file:
            end = 0
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    self._remember(_checked(json.loads(line)), end)
                except (RecursionError, ValueError) as error:
                    raise WsolError(f"{path}, line {number} is no result of a run: {error}") from error
                end += len(line)
            file.truncate(end)

    def _remember(self, entry: dict[str, Any], offset: int) -> None:
        path = entry["path"]
        if "skipped" in entry:
            self._skipped[path] = entry["skipped"]
            self._offsets.pop(path, None)
        else:
            self._skipped.pop(path, None)
            self._offsets[path] = offset
            self._stamps[path] = entry["stamp"]

    def add(self, path: Path, result: Localization | ImageError) -> None:
        """Append a result, or the reason why there is none.

        Raises:
            OSError: it cannot be written.
        """
        entry: dict[str, Any] = {"path": str(path)}
        if isinstance(result, ImageError):
            entry["skipped"] = result.reason
        else:
            entry |= {"stamp": _stamp(path), "result": result.to_dict()}
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with named(self._path), self._path.open("ab") as file:
            offset = file.tell()
            file.write(line)
        self._remember(entry, offset)

    def is_done(self, path: Path) -> bool:
        """Whether there is a result for this file as it is now."""
        return str(path) in self._offsets and self._stamps[str(path)] == _stamp(path)

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Path and reason of every image that could not be used, in the order of the paths."""
        return sorted(self._skipped.items())

    @property
    def paths(self) -> list[Path]:
        """The images that have a result, sorted."""
        return [Path(path) for path in sorted(self._offsets)]

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[Localization]:
        with self._path.open("rb") as file:
            for path in sorted(self._offsets):
                file.seek(self._offsets[path])
                yield Localization.from_dict(json.loads(file.readline())["result"])

    def __contains__(self, item: object) -> bool:
        return isinstance(item, Localization) and str(item.path) in self._offsets


@dataclass(frozen=True)
class _Entry:
    """A line: of an image that was skipped, or with its result."""

    path: str
    skipped: str | None = None
    stamp: tuple[int, int] | None = None
    result: dict[str, Any] | None = None


def _checked(line: Any) -> dict[str, Any]:  # noqa: ANN401
    """A line of the journal.

    Raises:
        ValueError: it is none.
    """
    entry: _Entry = typed(_Entry, line, "the line")
    if (entry.skipped is None) == (entry.stamp is None or entry.result is None):
        raise ValueError("either a result with the stamp of its file is needed, or why it was skipped")
    if entry.result is not None and str(Localization.from_dict(entry.result).path) != entry.path:
        raise ValueError("its result is of another file")
    values: dict[str, Any] = line
    return values


def _stamp(path: Path) -> list[int]:
    """Size and time of change, which tell a file from its later versions."""
    try:
        status = path.stat()
    except OSError:  # gone since it was read
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]


@dataclass(frozen=True)
class State:
    """What is relied on of the state of a run.

    Attributes:
        settings: all that changes a result.
        formats: that the folder holds.
    """

    settings: dict[str, Any]
    formats: tuple[str, ...]


def read_state(path: Path) -> State:
    """Read the ``run.json`` of a folder.

    Raises:
        WsolError: it is not one.
    """
    try:
        values = typed(dict[str, Any], json.loads(path.read_text(encoding="utf-8")), "the file")
        if values.get("engine", "local") == "local":
            return relied_on(State, values, "the file")
    except (OSError, RecursionError, ValueError) as error:
        raise WsolError(f"{path} is not the state of a run ({error}); choose another --output") from error
    raise WsolError(f"{path} is of --engine ray, which goes on with it; choose another --output")
