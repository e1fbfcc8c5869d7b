"""Whether results over the same images differ: paired tests against the first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from wsol.errors import DataError
from wsol.evaluation import wording
from wsol.evaluation.result import Result, Score
from wsol.evaluation.scoring import measure_of
from wsol.metrics import paired_test

if TYPE_CHECKING:
    import pandas as pd


def shown(result: Result, numbers: Sequence[str]) -> list[Score]:
    """The numbers of these names; of no names all but the accuracies at single δ."""
    return [
        score
        for score in result.scores
        if (score.name in numbers if numbers else not wording.is_part(score.name))
    ]


def paired_tests(
    results: Sequence[Result], labels: Sequence[str], numbers: Sequence[str] = (), *, strict: bool = True
) -> tuple["pd.DataFrame | None", list[str]]:
    """Compare each result with the first, number by number, where protocol and images are the same.

    Args:
        results: two or more.
        labels: what to call each.
        numbers: names of the numbers; see :func:`shown`.
        strict: raise if records cannot be read, rather than note it.

    Returns:
        A row of text for each test, None if there is none; and notes.

    Raises:
        DataError: fewer than two results; or records that cannot be read.
    """
    import pandas as pd

    if len(results) < 2:
        raise DataError(f"a paired test needs two results or more, got {len(results)}")
    rows, notes = [], []
    first, baseline = results[0], labels[0]
    for result, label in zip(results[1:], labels[1:], strict=True):
        try:
            reason = _not_paired(first, result, numbers)
        except DataError as error:
            if strict:
                raise
            reason = f"{error}"
        if reason:
            notes.append(f"{label} is not tested against {baseline}: {reason}")
            continue
        rows += [_row(first, result, pair, label) for pair in _shared(first, result, numbers)]
    if not rows:
        return None, notes
    notes = [
        f"Differences from {baseline} in percentage points, over the same {len(first.records):,} images: "
        "bootstrap interval, and p of the permutation test that swaps the two on each image.",
        "The p-values are not corrected for the number of tests.",
        *notes,
    ]
    return pd.DataFrame(rows, dtype=str).set_index("result").rename_axis(None), notes


def _not_paired(first: Result, other: Result, numbers: Sequence[str]) -> str:
    """Why two results cannot be compared image by image; "" if they can."""
    one, two = first.records, other.records
    if not _shared(first, other, numbers):
        return "they share no number of the same protocol"
    if np.array_equal(one.ids, two.ids):
        return ""
    mine, theirs = set(one.ids.tolist()), set(two.ids.tolist())
    if mine == theirs:
        return "they have the same images in another order"
    return (
        f"they are of different images: {len(mine & theirs):,} shared, {len(mine - theirs):,} only in "
        f"the first, {len(theirs - mine):,} only in the other"
    )


def _shared(first: Result, other: Result, numbers: Sequence[str]) -> list[tuple[Score, Score]]:
    """Numbers of the same name and protocol."""
    theirs = {(score.name, *wording.aspects(other, score).items()): score for score in shown(other, numbers)}
    keys = [((score.name, *wording.aspects(first, score).items()), score) for score in shown(first, numbers)]
    return [(score, theirs[key]) for key, score in keys if key in theirs]


def _row(first: Result, other: Result, pair: tuple[Score, Score], label: str) -> dict[str, str]:
    before, after = (
        measure_of(score, result.records, result.protocol)
        for score, result in zip(pair, (first, other), strict=True)
    )
    test = paired_test(after, before)
    policy = f" ({wording.brief_policy(pair[0])})" if pair[0].policy else ""
    return {
        "result": label,
        "data": wording.data_name(first),
        "number": f"{pair[0].name}{policy}",
        "baseline": wording.percent(pair[0].value),
        "this": wording.percent(pair[1].value),
        "difference": f"{100 * test.difference:+.1f}",
        "95 % interval": f"{100 * test.low:+.1f} to {100 * test.high:+.1f}",
        "p": f"{test.p:.4f}",
    }
