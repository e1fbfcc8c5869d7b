"""A run over folders: every image once, results on disk, formats written from them; it can be resumed."""

import hashlib
import json
import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from wsol.data.images import find_images
from wsol.errors import WsolError
from wsol.export import FORMATS
from wsol.export.files import atomic_write, open_folder, remove_left
from wsol.export.names import common_root
from wsol.inference.journal import Journal, read_state
from wsol.inference.localizer import Label, LabelOf, Localizer
from wsol.models import ModelOptions

TARGETS = {
    **{name: target for name, (_, target) in FORMATS.items()},
    "overlays": "overlays",
    "report": "report.html",
}
"""Each format with the file or folder that it makes in the output folder."""


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        journal: every result of the output folder.
        skipped: path and reason of every image asked for that could not be used.
        done: images localised now.
        resumed: images that an earlier run had done.
        ignored: files in the folders that are not images by their names.
        seconds: of localising, without the writing of formats.
        interrupted: stopped by the user before the end.
        written: the file or folder of each format.
    """

    journal: Journal
    skipped: list[tuple[str, str]]
    done: int
    resumed: int
    ignored: int
    seconds: float
    interrupted: bool
    written: dict[str, Path]


def localize_files(
    localizer: Localizer,
    model_options: ModelOptions,
    paths: Sequence[str | Path],
    output: Path,
    *,
    label: Label | LabelOf | None = None,
    formats: Collection[str] = ("coco",),
    overwrite: bool = False,
    progress: bool = True,
) -> RunSummary:
    """Localise files, folders and globs into an output folder.

    Args:
        localizer: the model with its options.
        model_options: what it was built from, kept with the results.
        paths: see :func:`wsol.data.images.find_images`.
        output: the folder; results that an earlier run left there are kept and not made again.
        label: see :meth:`Localizer.stream`.
        formats: any of ``TARGETS``; those of earlier runs into this folder are brought up to date too.
        overwrite: forget what an earlier run left.
        progress: show a progress bar on a terminal.

    Raises:
        WsolError: no image, an unknown format, or an output folder that holds results of other settings or
            cannot be written into.
    """
    localizer.check_label(label)
    if unknown := set(formats) - set(TARGETS):
        raise WsolError(f"no format {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    images, ignored = find_images(paths)
    own = {_absolute(output / target) for target in TARGETS.values()}
    images = list(dict.fromkeys(map(_absolute, images)))  # under one name each
    images = [image for image in images if own.isdisjoint(image.parents)]  # not what a run wrote
    if not images:
        raise WsolError(f"no images in {', '.join(map(str, paths))}")
    settings = settings_of(localizer, model_options, label)
    open_folder(output)
    formats = _claim(output, settings, formats, overwrite)
    remove_left(output)
    journal = Journal(output / "results.jsonl")
    asked = set(images)
    todo = [image for image in images if not journal.is_done(image)]
    seconds, interrupted = _localize(localizer, todo, label, journal, progress)
    summary = RunSummary(
        journal=journal,
        skipped=[entry for entry in journal.skipped if Path(entry[0]) in asked],
        done=sum(journal.is_done(image) for image in todo),
        resumed=len(images) - len(todo),
        ignored=ignored,
        seconds=seconds,
        interrupted=interrupted,
        written={name: output / TARGETS[name] for name in formats},
    )
    _write_formats(localizer, summary, settings, progress=progress)
    _write_state(output, settings, formats, summary)
    return summary


def _localize(
    localizer: Localizer,
    todo: Sequence[Path],
    label: Label | LabelOf | None,
    journal: Journal,
    progress: bool,
) -> tuple[float, bool]:
    start = time.perf_counter()
    bar = tqdm(
        total=len(todo), unit="img", desc="localize", disable=None if progress else True, smoothing=0.1
    )
    with bar, _stop_asked() as stop:
        for index, result in localizer.stream(todo, label):
            journal.add(todo[index], result)
            bar.update()
            if stop.is_set():
                break
    return time.perf_counter() - start, stop.is_set()


@contextmanager
def _stop_asked() -> Iterator[threading.Event]:
    """Set by Ctrl-C and by SIGTERM, so that the image at hand is finished; a second one stops at once."""
    stop = threading.Event()

    def ask(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield stop
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def settings_of(
    localizer: Localizer, model_options: ModelOptions, label: Label | LabelOf | None
) -> dict[str, Any]:
    """Everything that changes a result."""
    names = localizer.model.classes.names
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return {
        **asdict(model_options),
        "checkpoint": None,  # told by the weights, wherever the file lies
        "weights": localizer.model.weights,
        "classes": f"{len(names)} names, sha256:{digest[:16]}",
        "input_size": localizer.model.input_size[0],
        "mean": list(localizer.model.mean),
        "std": list(localizer.model.std),
        **asdict(localizer.options),
        **asdict(localizer.options.build_threshold()),  # with its defaults filled in
        "precision": localizer.runtime.precision,
        "label": _label_setting(localizer, label),
    }


def _label_setting(localizer: Localizer, label: Label | LabelOf | None) -> int | str | None:
    if callable(label):
        return str(getattr(label, "__qualname__", label))
    return None if label is None else localizer.model.classes.index(label)


def _claim(output: Path, settings: dict[str, Any], formats: Collection[str], overwrite: bool) -> list[str]:
    """Make sure that the folder is ours and of these settings; returns the formats it is to hold.

    They are noted before they are written: should the run be killed, what it wrote is known to be ours.
    """
    state_path, journal_path = output / "run.json", output / "results.jsonl"
    if overwrite and state_path.exists():  # the folder is ours
        read_state(state_path)
        for path in (journal_path, *(output / target for target in TARGETS.values()), state_path):
            _remove(path)
    asked = [name for name in TARGETS if name in formats]
    if not state_path.exists():
        _check_free(journal_path, *(output / TARGETS[name] for name in asked))
        _write_state(output, settings, asked, None)
        return asked
    state = read_state(state_path)
    check_same(output, state.settings, settings)
    new = [name for name in asked if name not in state.formats]
    _check_free(*(output / TARGETS[name] for name in new))
    formats = [name for name in TARGETS if name in formats or name in state.formats]
    if new:
        _write_state(output, settings, formats, None)
    return formats


def check_same(output: Path | str, before: dict[str, Any], settings: dict[str, Any]) -> None:
    """Results of other settings do not go into one folder."""
    now = json.loads(json.dumps(settings))
    changed = [f"{key}: {before.get(key)!r} -> {now[key]!r}" for key in now if before.get(key) != now[key]]
    if changed:
        raise WsolError(
            f"{output} holds results made with other settings ({'; '.join(changed)}). "
            "Choose another --output, or start anew with --overwrite."
        )


def _check_free(*paths: Path) -> None:
    """What no run has written is not ours to replace."""
    for path in paths:
        if path.exists():
            raise WsolError(f"{path} is there already, and not from a run of wsol; choose another --output")


def _write_formats(
    localizer: Localizer, summary: RunSummary, settings: dict[str, Any], *, progress: bool
) -> None:
    journal = summary.journal
    root = common_root(journal.paths)
    targets = tqdm(summary.written.items(), desc="write", disable=None if progress else True, leave=False)
    for name, target in targets:
        if name in FORMATS:
            with _replaced(target) as fresh:
                FORMATS[name][0](journal, fresh, classes=localizer.model.classes.names, root=root)
        elif name == "overlays":
            from wsol.report.folder import write_overlays  # drawing libraries take a second to import

            with _replaced(target) as fresh:
                write_overlays(journal, fresh, root=root)
        else:
            from wsol.report.html import write_report

            write_report(
                journal,
                target,
                root=root,
                skipped=summary.skipped,
                summary=describe(localizer, summary, settings["backbone"]),
                settings={key: str(value) for key, value in settings.items() if value is not None},
            )


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """Where to write a format. A folder is written beside the old one, which stays whole until then."""
    if target.suffix:  # a single file, which its writer replaces
        yield target
        return
    fresh, old = (target.with_name(f".{target.name}.{kind}") for kind in ("tmp", "old"))
    for left in (fresh, old):  # by a run that was killed
        _remove(left)
    fresh.mkdir()
    try:
        yield fresh
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    finally:
        for left in (fresh, old):
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


def describe(localizer: Localizer, summary: RunSummary, given: str) -> dict[str, str]:
    """The run in a few words each, for the report; ``given`` is what the model was called by."""
    name = localizer.model.name
    rate = f" ({summary.done / summary.seconds:.1f} a second)" if summary.done else ""
    return {
        "Model": name if given == name else f"{given} · {name}",
        "Weights": localizer.model.weights,
        "Time": f"{summary.seconds:.1f} s for {summary.done} new images{rate}",
        "Device": f"{localizer.device} · {localizer.runtime.precision}",
        "Finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Versions": ", ".join(f"{name} {value}" for name, value in versions().items()),
    }


def versions() -> dict[str, str]:
    """Versions of what the results depend on."""
    packages = {name: version(name) for name in ("wsol", "torch", "timm", "numpy", "pillow")}
    return {**packages, "python": platform.python_version()}


def _write_state(
    output: Path, settings: dict[str, Any], formats: Collection[str], summary: RunSummary | None
) -> None:
    state: dict[str, Any] = {
        "engine": "local",
        "settings": settings,
        "formats": list(formats),
        "versions": versions(),
    }
    if summary is not None:
        state |= {
            "images": len(summary.journal),
            "skipped": [{"path": path, "reason": reason} for path, reason in summary.skipped],
            "interrupted": summary.interrupted,
            "seconds": round(summary.seconds, 3),
        }
    with atomic_write(output / "run.json") as file:
        file.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
