"""What will not work in a training, told before it starts."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsol.data.dataset import Split
from wsol.data.duplicates import LIMIT, near_duplicates
from wsol.errors import DataError

if TYPE_CHECKING:
    from wsol.training.directory import Parts

FEW = 10
"""Fewer images of a class than this seldom teach what its objects have in common."""

SMALL = 100
"""Fewer images than this altogether: another seed gives quite another result."""

IMBALANCE = 10
"""Largest over smallest class, above which the small ones are hardly learned."""

NAMED = 5
"""Classes that a message names."""


def advise(
    train: Split,
    val: Split | None,
    classes: Sequence[str],
    duplicates: Sequence[tuple[str, str]] | None = (),
) -> list[str]:
    """Warnings for people: what is wrong, where, and what to do.

    Args:
        train: what is trained on.
        val: what epochs are measured on; None if nothing is.
        classes: names by class index; empty if nobody named them.
        duplicates: of :func:`find_duplicates`.

    Raises:
        DataError: training cannot work: there are no images, or of one class alone.
    """
    counts = Counter(example.label for example in train.examples)
    _refuse(train, counts, classes)
    every = range(max(len(classes), 1 + max(counts)))
    warnings = [
        *_absent(train, [label for label in every if not counts[label]], classes),
        *_few(train, counts, classes),
        *_imbalance(train, counts, classes),
    ]
    if len(train.examples) < SMALL:
        warnings.append(
            f"{train.name} has {len(train.examples)} images in all, which is very little: another "
            "seed will give quite another result. Train with several seeds before you compare; add images."
        )
    if val is not None:
        warnings += _val(train, val, counts, classes, duplicates)
    return warnings


def find_duplicates(parts: "Parts") -> list[tuple[str, str]] | None:
    """Pictures that the validation images share with the training images, the same file or nearly so.

    Reads every image once.

    Returns:
        pairs of ids, of ``train`` and of ``val``; None if there are too many images to look.
    """
    if parts.val is None:
        return []
    if len(parts.train.examples) + len(parts.val.examples) > LIMIT:
        return None
    root = parts.data.images
    files = [[root / example.id for example in split.examples] for split in (parts.train, parts.val)]
    pairs = near_duplicates(*files)
    return [(one.relative_to(root).as_posix(), other.relative_to(root).as_posix()) for one, other in pairs]


def _refuse(train: Split, counts: Counter[int], classes: Sequence[str]) -> None:
    if not counts:
        raise DataError(f"{train.name} has no images: there is nothing to train on")
    if len(counts) == 1:
        (only,) = counts
        raise DataError(
            f"{train.name} has images of one class alone, {_name(only, classes)}. A map shows what "
            "tells classes apart, so there must be two: add a class, 'other' say, with photographs of the "
            "usual backgrounds without the object"
        )


def _absent(train: Split, labels: Sequence[int], classes: Sequence[str]) -> list[str]:
    if not labels:
        return []
    return [
        f"{_number(len(labels), 'class')} without an image in {train.name}: {_names(labels, classes)}. "
        "None of their objects can be found: add images, or take them out of the list of classes."
    ]


def _few(train: Split, counts: Counter[int], classes: Sequence[str]) -> list[str]:
    few = sorted((count, label) for label, count in counts.items() if count < FEW)
    if not few:
        return []
    named = [f"{_name(label, classes)} ({count})" for count, label in few]
    return [
        f"{_number(len(few), 'class')} with fewer than {FEW} images in {train.name}: {_listed(named)}. From "
        "so few, the background is learned as readily as the object: add images of it in other places."
    ]


def _imbalance(train: Split, counts: Counter[int], classes: Sequence[str]) -> list[str]:
    # among equal ones the first class, so that the message does not depend on the order of the images
    large = min(counts, key=lambda label: (-counts[label], label))
    small = min(counts, key=lambda label: (counts[label], label))
    if counts[large] <= IMBALANCE * counts[small]:
        return []
    return [
        f"{train.name} has {counts[large]:,} images of {_name(large, classes)} and {counts[small]:,} of "
        f"{_name(small, classes)}: rare classes are hardly learned. --training.balanced true draws all "
        "classes equally often."
    ]


def _val(
    train: Split,
    val: Split,
    counts: Counter[int],
    classes: Sequence[str],
    duplicates: Sequence[tuple[str, str]] | None,
) -> list[str]:
    warnings = []
    if strange := sorted({example.label for example in val.examples} - set(counts)):
        warnings.append(
            f"{_number(len(strange), 'class')} of {val.name} without an image in {train.name}: "
            f"{_names(strange, classes)}. Those images are always wrong, and say nothing about the training: "
            f"add images to {train.name}, or take them out of {val.name}."
        )
    if duplicates is None:
        warnings.append(
            f"{train.name} and {val.name} have more than {LIMIT:,} images together: whether they "
            "share some under different names was not looked at."
        )
    elif duplicates:
        one, other = duplicates[0]
        warnings.append(
            f"{_number(len(duplicates), 'image')} of {val.name} also in {train.name}, or nearly so, first "
            f"{other}, which is {one}: the numbers on {val.name} look better than they are, and mislead "
            f"whatever is chosen by them. Take them out of {train.name}."
        )
    return warnings


def _name(label: int, classes: Sequence[str]) -> str:
    return repr(classes[label]) if label < len(classes) else f"class {label}"


def _names(labels: Sequence[int], classes: Sequence[str]) -> str:
    return _listed([_name(label, classes) for label in labels])


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - NAMED:,} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more


def _number(count: int, thing: str) -> str:
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"1 {thing}" if count == 1 else f"{count:,} {plural}"
