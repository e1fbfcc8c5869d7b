"""Which results are one row of a table, the same method with several seeds, and what the row is called."""

import json
from collections.abc import Sequence
from pathlib import Path

from wsol.errors import DataError
from wsol.evaluation import wording
from wsol.evaluation.result import RESULT_FILE, Result, load_result

PROVENANCE = frozenset((
    "seed", "run", "weights", "checkpoint", "maps", "maps_digest", "predictions", "label_match", "classes",
))  # fmt: skip
"""What of a model differs between seeds, or data sets, of the same method."""


def load_results(paths: Sequence[str | Path]) -> tuple[list[Result], list[str]]:
    """Read results, each once.

    Returns:
        The results in order, and a note for each that is named twice.

    Raises:
        DataError: a path is no result; the message names it.
    """
    results: dict[Path, Result] = {}
    notes = []
    for path in (result for given in paths for result in _expand(Path(given))):
        result = load_result(path)
        place = (result.folder or Path(path)).resolve()
        if place in results:
            notes.append(f"{path} is named twice; it counts once")
        results.setdefault(place, result)
    return list(results.values()), notes


def _expand(path: Path) -> list[Path]:
    """A result, or the results that a folder holds."""
    inside = sorted(file.parent for file in path.glob(f"*/{RESULT_FILE}"))
    return [path] if (path / RESULT_FILE).is_file() or not inside else inside


def without_duplicates(results: Sequence[Result]) -> tuple[list[Result], list[str]]:
    """Results that say the same in other folders count once."""
    kept: list[Result] = []
    notes = []
    for result in results:
        first = next((each for each in kept if _same(each, result)), None)
        if first is None:
            kept.append(result)
        else:
            notes.append(f"{result.folder} says the same as {first.folder}; it counts once")
    return kept, notes


def _same(one: Result, other: Result) -> bool:
    keys = ("name", "seed", "model", "data", "protocol", "scores")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def row_labels(results: Sequence[Result]) -> tuple[list[str], list[str]]:
    """The row of each result: name, backbone, PaS or IVR, and what else differs between rows called the same.

    Results with the same settings and seed are different runs: they get rows of their own, and a note.
    """
    plain = [_plain_label(result) for result in results]
    settings = [_settings(result) for result in results]
    labels: list[str] = []
    notes = []
    for place, (result, name, mine) in enumerate(zip(results, plain, settings, strict=True)):
        alike = [other for label, other in zip(plain, settings, strict=True) if label == name]
        extra = [f"{key}={value}" for key, value in mine.items() if any(o.get(key) != value for o in alike)]
        base = label = " · ".join([name, *extra])
        run = 1
        while any(_disagree(result, other) for other in _under(label, labels, results[:place])):
            run += 1
            label = f"{base} · run {run}"
        if run > 1:
            notes.append(
                f"{label} ({result.folder}) has the name, settings and seed of another: not averaged."
            )
        labels.append(label)
    return labels, notes


def _under(label: str, labels: Sequence[str], results: Sequence[Result]) -> list[Result]:
    return [result for result, each in zip(results, labels, strict=True) if each == label]


def _disagree(one: Result, other: Result) -> bool:
    """Whether two results of one seed have different values of the same number: they are different runs."""
    first, second = _values(one), _values(other)
    return one.seed == other.seed and any(first[key] != second[key] for key in first.keys() & second.keys())


def _values(result: Result) -> dict[tuple[object, ...], float]:
    """The numbers by all that tells them apart."""
    name = wording.data_name(result)
    return {(name, s.name, *wording.aspects(result, s).items()): s.value for s in result.scores}


def _plain_label(result: Result) -> str:
    backbone = result.model.get("backbone")
    name = result.name if backbone in (None, result.name) else f"{result.name} · {backbone}"
    return (
        name if result.protocol.standard == "max" else f"{name} · {wording.short_standard(result.protocol)}"
    )


def full_label(result: Result, label: str) -> str:
    """One result of a row."""
    return label if result.seed is None else f"{label} · seed {result.seed}"


def _settings(result: Result) -> dict[str, str]:
    """Of the model, without what differs between seeds."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in result.model.items()
        if key not in PROVENANCE
    }


def headline_aspects(result: Result) -> dict[str, str]:
    """Aspects of the headline number.

    Raises:
        DataError: no number has a τ.
    """
    score = next((score for score in result.scores if score.ratios), None)
    if score is None:
        raise DataError(f"{result.folder or result.name} has no number with a τ: its protocol is unknown")
    return wording.aspects(result, score)


def skip_notes(results: Sequence[Result], labels: Sequence[str]) -> list[str]:
    """Results that leave images out, so that numbers or τ are of fewer images than others'."""
    notes = []
    for result, label in zip(results, labels, strict=True):
        row, selection = full_label(result, label), result.data.get("selection") or {}
        if result.data.get("skipped"):
            notes.append(f"{row} leaves {result.data['skipped']} images of {result.protocol.split} out.")
        if selection.get("skipped"):
            split = result.protocol.selected_on
            notes.append(f"{row} leaves {selection['skipped']} images of {split} out, where τ was chosen.")
    return notes
