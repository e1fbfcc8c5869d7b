"""Results side by side: one table in which numbers share a column only if they are comparable."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsol.data.known import KNOWN
from wsol.errors import DataError
from wsol.evaluation import paired, wording
from wsol.evaluation.published import MARK, NOTE, Published, published
from wsol.evaluation.result import Result, Score
from wsol.evaluation.rows import full_label, headline_aspects, row_labels, skip_notes, without_duplicates

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "–"


@dataclass(frozen=True)
class Comparison:
    """What to print.

    Attributes:
        table: text; rows are methods, columns (data set, number, protocol); numbers in %.
        notes: what the table's marks stand for, and what its reader must know.
        tests: paired tests, text; None if there are none.
        test_notes: the same of the tests.
    """

    table: "pd.DataFrame"
    notes: tuple[str, ...]
    tests: "pd.DataFrame | None"
    test_notes: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """What numbers in one column have in common.

    Attributes:
        data: name of the data set.
        metric: name of the number.
        aspects: see :func:`wsol.evaluation.wording.aspects`; empty for published numbers.
        policy: where τ is from, briefly.
    """

    data: str
    metric: str
    aspects: tuple[tuple[str, str], ...] = ()
    policy: str = ""

    @property
    def oracle(self) -> bool:
        """Whether τ is chosen on the evaluated images."""
        return self.policy == "oracle"


@dataclass
class _Table:
    """Cells by row and column, rows and columns in the order in which they come."""

    rows: list[str] = field(default_factory=list)
    cells: dict[tuple[str, Column], list[tuple[Result, Score]]] = field(default_factory=dict)
    published: dict[tuple[str, Column], str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)  # name of the data set here, by its known name

    @property
    def columns(self) -> list[Column]:
        """By data set; in each the numbers in order, the oracle's last, then what is only published."""
        found = list(dict.fromkeys(column for _, column in (*self.cells, *self.published)))
        data = [column.data for column in found]
        metrics = [column.metric for column in found]
        return sorted(
            found, key=lambda c: (data.index(c.data), c.oracle, not c.aspects, metrics.index(c.metric))
        )


def compare(
    results: Sequence[Result],
    *,
    numbers: Sequence[str] = (),
    intervals: bool = False,
    literature: Sequence[str] = (),
    test: bool | None = None,
) -> Comparison:
    """Lay results side by side.

    Results that differ only in their seed are averaged: mean ± standard deviation.

    Args:
        results: at least one.
        numbers: names of the numbers to show; empty for all but the accuracies at single δ.
        intervals: add the 95 % interval to numbers of one result.
        literature: data sets whose published numbers are shown; those of the results are added.
        test: paired tests against the first result; None for exactly two results.

    Raises:
        DataError: no result, a number that none has, or, for ``test``, records that cannot be read.
    """
    if not results:
        raise DataError("nothing to compare: no result was given")
    table = _Table()
    kept, duplicates = without_duplicates(results)
    labels, runs = row_labels(kept)
    for result, label in zip(kept, labels, strict=True):
        _add(table, result, label, numbers)
    if not table.cells:
        known = ", ".join(dict.fromkeys(score.name for result in kept for score in result.scores))
        raise DataError(f"no result has {', '.join(numbers)}; they have {known}")
    _add_published(table, literature, numbers)
    frame, legend = _frame(table, intervals)
    notes = [*legend, *_seed_notes(table), *skip_notes(kept, labels), *runs, *duplicates]
    tests: pd.DataFrame | None = None
    test_notes: list[str] = []
    if test or (test is None and len(kept) == 2):
        tests, test_notes = paired.paired_tests(
            kept, [full_label(*pair) for pair in zip(kept, labels, strict=True)], numbers, strict=bool(test)
        )
    return Comparison(frame, tuple(notes), tests, tuple(test_notes))


def check_same_protocol(results: Sequence[Result]) -> None:
    """Refuse results on the same data set that are not comparable.

    Raises:
        DataError: it says which, and how they differ.
    """
    firsts: dict[str, Result] = {}
    for result in results:
        first = firsts.setdefault(wording.data_name(result), result)
        one, other = (headline_aspects(each) for each in (first, result))
        wrong = [f"{one.get(key, 'none')} / {other.get(key, 'none')}" for key in {**one, **other}
                 if one.get(key) != other.get(key)]  # fmt: skip
        if wrong:
            raise DataError(
                f"{first.folder} and {result.folder} are of different protocols: {'; '.join(wrong)}. Without "
                "--strict they are shown in columns of their own."
            )


def _add(table: _Table, result: Result, label: str, numbers: Sequence[str]) -> None:
    name = wording.data_name(result)
    if result.data.get("known"):
        table.known.setdefault(result.data["known"], name)
    if label not in table.rows:
        table.rows.append(label)
    for score in paired.shown(result, numbers):
        aspects = tuple(wording.aspects(result, score).items())
        column = Column(name, score.name, aspects, wording.brief_policy(score))
        cell = table.cells.setdefault((label, column), [])
        if result.seed not in [other.seed for other, _ in cell]:  # the same number under several policies
            cell.append((result, score))


def _add_published(table: _Table, literature: Sequence[str], numbers: Sequence[str]) -> None:
    """Rows of their own; in a column with ours only where the protocol is the official one, and marked."""
    for number in published(list(dict.fromkeys([*literature, *table.known]))):
        if numbers and number.metric not in numbers:
            continue
        source = "" if number.source == number.method else f": {number.source}"
        named = " · ".join(filter(None, [number.method, number.backbone]))
        label = f"{named} (published{source}) {MARK}"
        if label not in table.rows:
            table.rows.append(label)
        data = table.known.get(number.data, KNOWN[number.data].title)
        shared = (column for column in table.columns if column.data == data and _official(column, number))
        column = next(shared, Column(data, number.metric))
        table.published[label, column] = f"{number.value}{MARK}"


def _official(column: Column, number: Published) -> bool:
    """Whether numbers here are measured as the official protocol measures that one."""
    aspects = dict(column.aspects)
    return (
        number.protocol == "official"
        and column.metric == number.metric
        and aspects.get("split") == "test"
        and aspects.get("label source") == wording.LABELS["true"]
        and aspects.get("step") == "steps of 0.001"
    )


def _frame(table: _Table, intervals: bool) -> tuple["pd.DataFrame", list[str]]:
    """The table as text, and what its marks stand for."""
    import pandas as pd

    columns = table.columns
    keys = list(dict.fromkeys(column.aspects for column in columns if column.aspects))
    headers = [(column.data, column.metric, _header(column, columns, keys)) for column in columns]
    cells = [[_cell(table, row, column, intervals) for column in columns] for row in table.rows]
    frame = pd.DataFrame(
        cells, index=pd.Index(table.rows), columns=pd.MultiIndex.from_tuples(headers), dtype=str
    )
    shared = [aspect for aspect in keys[0] if all(aspect in key for key in keys)]
    legend = [f"All numbers in %; {'; '.join(words for _, words in shared)}."]
    legend += [
        f"({place}) {'; '.join(aspect[1] for aspect in key if aspect not in shared)}."
        for place, key in enumerate(keys, start=1)
        if len(keys) > 1
    ]
    legend.append("τ is a share of the map's maximum (MaS) where the row does not say otherwise.")
    if table.published:
        legend.append(f"{MARK} {NOTE}")
    return frame, legend


def _header(column: Column, columns: Sequence[Column], keys: Sequence[object]) -> str:
    """Where τ is from, how the column differs from others of its name, and the number of its note."""
    if not column.aspects:
        return f"published {MARK}"
    alike = (column.data, column.metric, column.policy)
    others = [dict(other.aspects) for other in columns if (other.data, other.metric, other.policy) == alike]
    words = [
        value for key, value in column.aspects if any(other.get(key, value) != value for other in others)
    ]
    start = "; ".join(filter(None, [column.policy, *words]))
    return f"{start} ({keys.index(column.aspects) + 1})".strip()


def _cell(table: _Table, row: str, column: Column, intervals: bool) -> str:
    if (row, column) in table.published:
        return table.published[row, column]
    found = [score for _, score in table.cells.get((row, column), [])]
    if not found:
        return NOTHING
    if len(found) == 1:
        value = wording.percent(found[0].value)
        return f"{value} ({wording.interval(found[0])})" if intervals else value
    values = [100 * score.value for score in found]
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f} (n = {len(values)})"


def _seed_notes(table: _Table) -> list[str]:
    """Which seeds are behind each mean."""
    seeds: dict[str, set[str]] = {}
    for (row, _), found in table.cells.items():
        if len(found) > 1:
            seeds.setdefault(row, set()).update(str(result.seed) for result, _ in found)
    return [
        f"{row}: mean ± standard deviation over the seeds {', '.join(sorted(each))}."
        for row, each in seeds.items()
    ]
