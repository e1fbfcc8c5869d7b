"""A validation part of the training images."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.dataset import Example, Problem, Split, Truth, fingerprint
from wsol.data.holdout import hold_out


def split(labels: list[int], truth: Truth = "none") -> Split:
    boxes = ((1.0, 2.0, 3.0, 4.0),) if truth == "boxes" else ()
    masks = ("m.png",) if truth == "masks" else ()
    examples = tuple(
        Example(
            f"{label}/{place}.jpg", label, (30, 40), boxes, masks, "i.png" if masks else None, f"line {place}"
        )
        for place, label in enumerate(labels)
    )
    return Split("train", truth, examples, (Problem("line 9", "odd", "x.jpg"),), fingerprint(examples))


def counts(part: Split) -> Counter[int]:
    return Counter(example.label for example in part.examples)


@pytest.mark.parametrize(
    ("images", "share", "held"),
    [
        (1, 0.2, 0),
        (1, 0.9, 0),  # one stays
        (2, 0.2, 0),
        (2, 0.5, 1),
        (2, 0.9, 1),
        (3, 0.01, 1),  # of three and more at least one
        (5, 0.5, 3),  # halves up
        (10, 0.2, 2),
        (12, 0.2, 2),
        (13, 0.2, 3),
        (10, 0.99, 9),
    ],
)
def test_how_many_of_a_class(images: int, share: float, held: int) -> None:
    train, val = hold_out(split([7] * images), share, 0)
    assert (len(train.examples), len(val.examples)) == (images - held, held)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.floats(0.01, 0.99), st.integers(0, 9))
def test_parts(labels: list[int], share: float, seed: int) -> None:
    whole = split(labels)
    train, val = hold_out(whole, share, seed)
    order = {example.id: place for place, example in enumerate(whole.examples)}
    for part in (train, val):
        places = [order[example.id] for example in part.examples]
        assert places == sorted(places)
        assert part.fingerprint == fingerprint(part.examples)
    assert {e.id for e in train.examples} | {e.id for e in val.examples} == set(order)
    assert len(train.examples) + len(val.examples) == len(order)
    assert set(counts(train)) == set(labels)
    assert (train.name, val.name) == ("train", "val")


def test_the_choice_depends_on_seed_and_ids_alone() -> None:
    whole = split([label for label in range(4) for _ in range(25)])
    held = {example.id for example in hold_out(whole, 0.2, 0)[1].examples}
    backwards = Split("train", "none", whole.examples[::-1], (), "")
    assert {example.id for example in hold_out(backwards, 0.2, 0)[1].examples} == held
    without = tuple(example for example in whole.examples if example.label != 3)
    assert {e.id for e in hold_out(Split("train", "none", without, (), ""), 0.2, 0)[1].examples} == {
        id for id in held if not id.startswith("3/")
    }
    assert {example.id for example in hold_out(whole, 0.2, 1)[1].examples} != held


def test_an_image_more_changes_the_choice_by_one() -> None:
    for images in range(3, 40):
        fewer, more = split([0] * images), split([0] * (images + 1))
        before = {example.id for example in hold_out(fewer, 0.2, 5)[1].examples}
        after = {example.id for example in hold_out(more, 0.2, 5)[1].examples}
        assert len(before - after) <= 1


def test_boxes_and_masks_are_not_validated_on() -> None:
    truths: tuple[Truth, ...] = ("boxes", "masks")
    for truth in truths:
        train, val = hold_out(split([0] * 10, truth), 0.3, 0)
        assert val.truth == "none"
        assert not any(example.boxes or example.masks or example.ignore for example in val.examples)
        assert all(example.size == (30, 40) and example.where for example in val.examples)
        assert (train.truth, len(train.problems), val.problems) == (truth, 1, ())


def test_too_few_give_none() -> None:
    train, val = hold_out(split([0, 1, 1]), 0.2, 0)
    assert (len(train.examples), val.examples) == (3, ())


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_shares(share: float) -> None:
    with pytest.raises(ValueError, match="share must be in"):
        hold_out(split([0] * 10), share, 0)
