"""Which class of the model a picture's map is of, and where its true class stands among the scores."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor

from wsol.data.records import read_text
from wsol.errors import DataError, ModelError
from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.protocol import LabelSource
from wsol.metrics import ranks
from wsol.models.classes import Classes


@dataclass(frozen=True)
class LabelMap:
    """How classes of the data are found among those of the model.

    Attributes:
        source: whose map is looked at.
        table: (C, M), bool: whether class m of the model is (one of those for) class c of the data; None if
            the model has other classes.
        asked: the model's class that is asked for; None if none is.
        note: for people: why it is so.
    """

    source: LabelSource
    table: Tensor | None
    asked: int | None
    note: str

    def choose(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """The class of each map, and the rank of each true class.

        Of a class that several of the model's stand for, that of the highest score is taken.

        Args:
            logits: (B, M), class scores.
            labels: (B,), int64, classes of the data.

        Returns:
            (B,), int64, classes of the model; and (B,), int64, ranks (0 = top-1), None if the model has
            other classes.
        """
        rank, best = None, logits.argmax(dim=1)
        if self.table is not None:
            meant = self.table.to(logits.device)[labels.to(logits.device)]  # (B, M)
            true = torch.where(meant, logits, -torch.inf).argmax(dim=1)
            rank = ranks(logits, true)
            if self.source == "true":
                best = true
        if self.asked is not None:
            best = torch.full_like(best, self.asked)
        return best, rank


def match_labels(
    data_classes: Sequence[str], class_count: int, model: Classes, options: EvaluationOptions
) -> LabelMap:
    """Find the classes of the data among those of the model.

    Args:
        data_classes: their names; empty if nobody named them.
        class_count: how many classes the data has.
        model: the model's.
        options: ``label_source``, ``class_map`` and ``label``.

    Raises:
        DataError: the label source ``true`` is asked for, but the model does not have the classes; or the
            class map is wrong, with file and line.
        ModelError: the model has no class ``label``.
    """
    asked = None if options.label is None else model.index(options.label)
    if options.class_map is None:
        table, note = _match(data_classes, class_count, model, wanted=options.label_source == "true")
    else:
        table = read_class_map(Path(options.class_map), data_classes, class_count, model)
        note = f"class map {options.class_map}"
    if table is not None and (shared := _shared(table, data_classes, model)):
        if options.class_map is not None:
            raise DataError(f"{options.class_map}: {shared}")
        table, note = None, shared
    if options.label_source == "true" and table is None:
        raise DataError(f"maps of the true class cannot be made: {note}. Give a class map.")
    source = options.label_source or ("predicted" if table is None else "true")
    return LabelMap(source, table, asked, note)


def _match(names: Sequence[str], count: int, model: Classes, *, wanted: bool) -> tuple[Tensor | None, str]:
    if not names:
        if count == len(model.names) or (wanted and count < len(model.names)):
            return torch.eye(count, len(model.names), dtype=torch.bool), "same class indices"
        return None, f"the data has {count} unnamed classes, the model {len(model.names)}"
    if tuple(names) == model.names:
        return torch.eye(count, dtype=torch.bool), "same class names"
    table = torch.zeros(len(names), len(model.names), dtype=torch.bool)
    missing: dict[str, str] = {}
    for index, name in enumerate(names):
        try:
            if name.isdecimal() and name not in model.names:  # a name, though it looks like an index
                raise ModelError(f"the model knows no class {name!r}")
            table[index, model.index(name)] = True
        except ModelError as error:
            missing[name] = str(error)
    if missing:
        listed = ", ".join(list(missing)[:5]) + (", …" if len(missing) > 5 else "")
        found = f"{len(missing)} of the data's {len(names)} classes are not found in the model: {listed}"
        unclear = [why for why in missing.values() if not why.startswith("the model knows no class")]
        return None, "; ".join([found, *unclear[:1]])
    return table, "same class names"


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file that are not empty, each with the number of its last line.

    Raises:
        DataError: it cannot be read; the message names the line.
    """
    try:
        reader = csv.reader(StringIO(read_text(path), newline=""))
    except DataError as error:
        raise DataError(f"cannot read {error}") from error
    try:
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"cannot read {path}, line {reader.line_num}: {error}") from error


def _shared(table: Tensor, names: Sequence[str], model: Classes) -> str:
    """Which class of the model stands for two of the data; "" if none does."""
    twice = (table.sum(dim=0) > 1).nonzero()[:, 0].tolist()
    if not twice:
        return ""
    own = [names[index] if names else str(index) for index in table[:, twice[0]].nonzero()[:, 0].tolist()]
    return f"{' and '.join(own)} are one class of the model, {model.names[twice[0]]!r}"


def read_class_map(path: Path, names: Sequence[str], count: int, model: Classes) -> Tensor:
    """The table of a class map file; see :class:`EvaluationOptions`.

    Raises:
        DataError: the file cannot be read, a line is wrong, or a class of the data is missing.
    """
    own = Classes(tuple(names)) if names else Classes(tuple(map(str, range(count))))
    table = torch.zeros(count, len(model.names), dtype=torch.bool)
    for number, row in read_rows(path):
        if len(row) != 2:
            raise DataError(
                f"{path}, line {number}: expected data class,model class; got {','.join(row)!r:.120}"
            )
        try:
            table[own.index(row[0], owner="data"), model.index(row[1])] = True
        except ModelError as error:
            raise DataError(f"{path}, line {number}: {error}") from error
    absent = [own.names[index] for index in (~table.any(dim=1)).nonzero()[:, 0].tolist()]
    if absent:
        raise DataError(f"{path}: no class of the model for {', '.join(absent[:10])}")
    return table
