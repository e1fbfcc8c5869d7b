"""The three data sets of the official WSOL evaluation, as they should be."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wsol.data.dataset import Split

NEAR = 0.05
"""Part of a known number of images by which a split may be off and still be taken for that set's."""


@dataclass(frozen=True)
class Known:
    """Counts of a data set (Choe et al., CVPR 2020).

    Attributes:
        name: for the command line.
        title: for people.
        classes: number of classes.
        images: by split.
        truth: what ``val`` and ``test`` have.
        objects: number of boxes or masks by split.
        ids: how its image ids look.
    """

    name: str
    title: str
    classes: int
    images: Mapping[str, int]
    truth: str
    objects: Mapping[str, int]
    ids: re.Pattern[str]


KNOWN = {
    known.name: known
    for known in (
        Known(
            "cub",
            "CUB-200-2011 with CUBV2",
            200,
            {"train": 5994, "val": 1000, "test": 5794},
            "boxes",
            {"val": 1000, "test": 5794},
            re.compile(r"(^|/)\d{3}\.[A-Z]\w+/"),
        ),
        Known(
            "imagenet",
            "ImageNet with ImageNetV2",
            1000,
            {"val": 10_000, "test": 50_000},
            "boxes",
            {"val": 18_532, "test": 80_477},
            re.compile(r"ILSVRC2012_val_\d{8}|(^|/)n\d{8}/"),
        ),
        Known(
            "openimages",
            "OpenImages30K",
            100,
            {"train": 29_819, "val": 2500, "test": 5000},
            "masks",
            {"val": 3854, "test": 7632},
            re.compile(r"(^|/)[0-9a-f]{16}\.jpg$"),
        ),
    )
}


def recognise(splits: Mapping[str, Split]) -> tuple[Known | None, str]:
    """Which known set this is, and why, for people.

    It is one whose number of images is near in two splits, or in one if the ids look like its ids too.
    """
    for known in KNOWN.values():
        near = [
            name
            for name, count in known.images.items()
            if name in splits and abs(_listed(splits[name]) - count) <= NEAR * count
        ]
        alike = _alike(known, splits)
        if len(near) >= 2 or (near and alike):
            reason = f"{' and '.join(near)} have about its number of images"
            return known, f"Taken for {known.title}: {reason}{', and ids like its' if alike else ''}."
        if alike:
            return None, (
                f"The ids look like those of {known.title}, the numbers of images do not: held against no "
                f"known numbers; --expect {known.name} does it."
            )
    return None, "Taken for none of the known data sets, so held against no known numbers."


def exactly(splits: Mapping[str, Split]) -> Known | None:
    """The known set that these splits are of, if its published numbers may stand beside a result on them.

    Every split has as many pictures listed as that set has there, ``val`` and ``test`` its kind of truth,
    and the ids of one look like its ids. Splits that are not given do not matter; one of which the number is
    not known, as ImageNet's ``train``, is of no known set.
    """
    for known in KNOWN.values():
        fit = all(
            known.images.get(name) == _listed(split)
            and (name not in known.objects or split.truth == known.truth)
            for name, split in splits.items()
        )
        if splits and fit and _alike(known, splits):
            return known
    return None


def _alike(known: Known, splits: Mapping[str, Split]) -> bool:
    """The ids of a split look like those of a known set."""
    return any(
        sum(bool(known.ids.search(example.id)) for example in split.examples[:100]) > 50
        for split in splits.values()
    )


def _listed(split: Split) -> int:
    """Pictures, with those that problems take out."""
    return len(split.examples) + len({problem.id for problem in split.problems} - {None})


def miscounts(known: Known, splits: Mapping[str, Split]) -> Iterator[str]:
    """What differs from the known numbers, in words."""
    for name, count in known.images.items():
        if name not in splits:
            yield f"{name}: the split is missing, {known.title} has {count:,} images in it"
            continue
        yield from _miscounts(known, splits[name], count)
    if known.name == "cub" and "val" in splits:
        sizes = Counter(Counter(example.label for example in splits["val"].examples).values())
        if sizes[3] != 1:
            yield f"val: {sizes[3]} classes have 3 images, in {known.title} one has"


def _miscounts(known: Known, split: Split, count: int) -> Iterator[str]:
    name, examples = split.name, split.examples
    if len(examples) != count:
        yield f"{name}: {len(examples):,} usable images, {known.title} has {count:,}"
    classes = len({example.label for example in examples})
    if classes != known.classes:
        yield f"{name}: {classes:,} classes, {known.title} has {known.classes:,}"
    if name not in known.objects:
        return
    if split.truth != known.truth:
        yield f"{name}: it has {split.truth}, {known.title} has {known.truth}"
        return
    found = sum(len(example.boxes) + len(example.masks) for example in examples)
    if found != known.objects[name]:
        yield f"{name}: {found:,} {known.truth}, {known.title} has {known.objects[name]:,}"
    if known.name == "cub":
        several = [example.id for example in examples if len(example.boxes) != 1]
        if several:
            yield (
                f"{name}: {len(several):,} images with several boxes, first {several[0]}; "
                f"{known.title} has one each"
            )
