"""A validation part, where a data set has none: some of the training images of every class."""

import hashlib
from collections import defaultdict

from wsol.data.dataset import Example, Split, fingerprint


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Split a part off for validation, class by class.

    Of the n images of a class, ``share`` · n are held out, rounded (halves up), of three and more at least
    one; at least one stays for training, so a class of one image gives none. Which ones, a hash of the seed
    and each image's id tells: neither the order of the images nor other classes matter, and an image more
    or less changes the choice by one image at most, besides itself.

    Args:
        split: the training split.
        share: of the images of each class that is held out, in (0, 1).
        seed: of the choice.

    Returns:
        ``train`` and ``val``, each in the order of the split. ``val`` has labels alone, and no example if
        every class has too few images to give one.

    Raises:
        ValueError: the share is not in (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), got {share}")
    classes: defaultdict[int, list[str]] = defaultdict(list)
    for example in split.examples:
        classes[example.label].append(example.id)
    held = {
        id
        for ids in classes.values()
        for id in sorted(ids, key=lambda id: _draw(seed, id))[: _count(len(ids), share)]
    }
    train = tuple(example for example in split.examples if example.id not in held)
    # Boxes and masks of training images must not choose an epoch or a threshold: that would be supervision
    # that the method is said to do without. A validation part with them would be used so without asking.
    val = tuple(
        Example(example.id, example.label, example.size, where=example.where)
        for example in split.examples
        if example.id in held
    )
    return (
        Split("train", split.truth, train, split.problems, fingerprint(train)),
        Split("val", "none", val, (), fingerprint(val)),
    )


def _count(images: int, share: float) -> int:
    """How many of a class's images are held out."""
    rounded = int(share * images + 0.5)
    return min(max(rounded, 1 if images >= 3 else 0), images - 1)


def _draw(seed: int, id: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{id}".encode()).digest()
