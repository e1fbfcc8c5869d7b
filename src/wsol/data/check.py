"""Whether a data set is whole: its tables, its files, and the numbers of the known sets."""

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from wsol.data.dataset import DataSet, Example, Split
from wsol.data.images import SUFFIXES, read_size
from wsol.data.known import Known, miscounts, recognise
from wsol.errors import DataError, ImageError

THREADS = 16
SLICE = 10_000
"""Files that wait for a thread at a time: each takes a future; for ImageNet's at once, that is gigabytes."""


@dataclass
class SplitReport:
    """What was found of one split.

    Attributes:
        name: the split.
        split: its content; None if it cannot be read.
        missing: files that are not there, images first, as the tables name them.
        problems: what is wrong, each with its place; missing files apart.
    """

    name: str
    split: Split | None = None
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What was found of a data set.

    Attributes:
        data: the data set.
        taken_for: which known set it was held against, and why.
        splits: the splits.
        problems: what is wrong between them, or against the known numbers.
        notes: what is worth knowing and no fault.
    """

    data: DataSet
    taken_for: str
    splits: Sequence[SplitReport]
    problems: list[str]
    notes: list[str]

    @property
    def well(self) -> bool:
        """Nothing is wrong."""
        return not self.problems and not any(part.missing or part.problems for part in self.splits)


def check(
    data: DataSet, expect: Known | None = None, *, guess: bool = True, progress: bool = False
) -> Report:
    """Read every split, and look at every file that it names.

    Args:
        data: the data set.
        expect: the known set that it should be.
        guess: if none is expected, find out by its numbers and ids whether it is one.
        progress: show a progress bar while files are looked at.
    """
    reports = [_read(data, name) for name in data.tables]
    splits = {report.name: report.split for report in reports if report.split is not None}
    for report in reports:
        if report.split is not None:
            lost = _check_images(data, report, report.split, progress)
            report.problems += _renamed(data, report.split, lost, splits.values())
            _check_masks(data, report, report.split, progress)
    known, taken_for = expect, f"Held against the numbers of {expect.title}, as asked." if expect else ""
    if expect is None:
        known, taken_for = recognise(splits) if guess else (None, "Held against no known numbers, as asked.")
    problems = [*_leaks(splits), *(miscounts(known, splits) if known else ())]
    return Report(data, taken_for, reports, problems, list(_notes(data, splits)))


def _read(data: DataSet, name: str) -> SplitReport:
    try:
        split = data.split(name)
    except DataError as error:
        return SplitReport(name, problems=[str(error)])
    return SplitReport(name, split, problems=[str(problem) for problem in split.problems])


def _check_images(data: DataSet, report: SplitReport, split: Split, progress: bool) -> list[Example]:
    """The examples whose images are not there."""
    if not data.images.is_dir():
        report.problems.append(f"{data.images}: no such folder; name the folder of the images with --images")
        return []
    looked = _look(data.images, [example.id for example in split.examples], data.upright, progress)
    lost: list[Example] = []
    for example, (size, fault) in zip(split.examples, looked, strict=True):
        if size is None:
            if fault:
                report.problems.append(f"{example.where}: {fault}")
            else:
                lost.append(example)
        elif example.size is not None and size != example.size:
            report.problems.append(
                f"{example.where}: {example.id} is {_by(size)}, the table says {_by(example.size)}"
            )
    report.missing += [example.id for example in lost]
    return lost


def _check_masks(data: DataSet, report: SplitReport, split: Split, progress: bool) -> None:
    masks = [
        (example, name)
        for example in split.examples
        for name in (*example.masks, *([example.ignore] if example.ignore else ()))
    ]
    if not masks:
        return
    if data.masks is None or not data.masks.is_dir():
        report.problems.append(f"{data.masks or 'masks'}: no such folder; name it with --masks")
        return
    looked = _look(data.masks, [name for _, name in masks], False, progress)
    for (example, name), (size, fault) in zip(masks, looked, strict=True):
        if size is None:
            if fault:
                report.problems.append(f"{example.where}: {fault}")
            else:
                report.missing.append(f"{name} (mask of {example.id})")
        elif example.size is not None and size != example.size:
            report.problems.append(
                f"{example.where}: the mask {name} is {_by(size)}, its picture {_by(example.size)}"
            )


def _look(
    folder: Path, names: Sequence[str], upright: bool, progress: bool
) -> Iterator[tuple[tuple[int, int] | None, str]]:
    """(height, width) of each file, upright if asked; or None and why, "" if it is not there."""

    def look(name: str) -> tuple[tuple[int, int] | None, str]:
        path = folder / name
        if not os.path.lexists(path):
            return None, ""
        try:
            size, orientation = read_size(path)
        except ImageError as error:
            return None, str(error)
        return (size[::-1] if upright and orientation >= 5 else size), ""

    bar = tqdm(total=len(names), disable=not progress, leave=False)
    with bar, warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        warnings.simplefilter("ignore")  # Pillow's, of oddities in metadata
        for start in range(0, len(names), SLICE):
            for found in pool.map(look, names[start : start + SLICE]):
                bar.update()
                yield found


def _renamed(data: DataSet, split: Split, lost: Sequence[Example], splits: Iterable[Split]) -> Iterator[str]:
    """Folders in which no file that the split lists is there, and as many are that no split lists."""
    missing = _by_folder(lost)
    listed = _by_folder(split.examples) if missing else {}
    everything = {example.id for any_split in splits for example in any_split.examples} if missing else set()
    renamed = []
    for folder, names in missing.items():
        if names == listed[folder]:
            files = _images_in(data.images / folder)
            others = {name for name in files if PurePosixPath(folder, name).as_posix() not in everything}
            if len(others) == len(names):
                renamed.append((folder, min(names), min(others)))
    if renamed:
        folder, ours, theirs = renamed[0]
        yield (
            f"{split.name}: in {len(renamed)} folders no listed image is there, but as many others are "
            f"({folder}: {ours} is listed, {theirs} is there). They were renamed between releases, as "
            "ImageNetV2's images were. The names do not tell which is which, and pairing them in their order "
            "would give pictures the boxes of others: take the release that the metadata was made for, or "
            "metadata made for this release."
        )


def _images_in(folder: Path) -> list[str]:
    try:
        return [file.name for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError:  # there is none, or it may not be looked into
        return []


def _by_folder(examples: Iterable[Example]) -> dict[str, set[str]]:
    names: defaultdict[str, set[str]] = defaultdict(set)
    for example in examples:
        path = PurePosixPath(example.id)
        names[str(path.parent)].add(path.name)
    return names


def _leaks(splits: Mapping[str, Split]) -> Iterator[str]:
    names = list(splits)
    ids = {name: _ids(split) for name, split in splits.items()}
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            if shared := ids[one] & ids[other]:
                yield (
                    f"{one} and {other} share {len(shared):,} images, first {min(shared)}: "
                    "a result on pictures that were trained or chosen on means nothing"
                )


def _ids(split: Split) -> set[str]:
    """Those too that problems take out."""
    taken_out = {problem.id for problem in split.problems if problem.id is not None}
    return taken_out.union(example.id for example in split.examples)


def _notes(data: DataSet, splits: Mapping[str, Split]) -> Iterator[str]:
    for name in ("train", "val", "test"):
        if name not in data.tables:
            yield f"There is no split {name}: what needs it is not checked."
    if not data.classes:
        yield "Nobody named the classes; classes.txt, with the name of label n − 1 in line n, would."
    if "train" in splits:
        trained = {example.label for example in splits["train"].examples}
        for name, split in splits.items():
            strange = {example.label for example in split.examples} - trained
            if strange:
                first = min(strange)
                yield f"{len(strange)} classes of {name} have no picture in train, first label {first}."


def _by(size: tuple[int, int]) -> str:
    return f"{size[1]} × {size[0]}"
