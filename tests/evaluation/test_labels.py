"""Whose map is looked at, and where the true class stands."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsol.errors import DataError, ModelError
from wsol.evaluation.labels import LabelMap, match_labels, read_class_map
from wsol.evaluation.options import EvaluationOptions
from wsol.models.classes import Classes

MODEL = Classes(
    ("tabby", "tiger cat", "airliner", "crane", "crane"),
    (("n01", "house cat"), ("n02",), ("n03", "plane"), ("n04", "bird"), ("n05", "lifter")),
)
NUMBERED = Classes(("class_0", "class_1", "class_2"))


def table(labels: LabelMap) -> list[list[int]] | None:
    """Model classes of each data class."""
    return None if labels.table is None else [row.nonzero()[:, 0].tolist() for row in labels.table]


def match(names: tuple[str, ...], count: int, model: Classes, **options: Any) -> LabelMap:
    return match_labels(names, count, model, EvaluationOptions(**options))


@pytest.mark.parametrize(
    ("names", "count", "model", "expected"),
    [
        (("Plane", "bird", "TABBY"), 3, MODEL, [[2], [3], [0]]),  # names, synonyms, any case and order
        (("n05", "house cat"), 2, MODEL, [[4], [0]]),
        (("class_2", "class_0", "class_1"), 3, NUMBERED, [[2], [0], [1]]),
        (("crane", "tabby"), 2, MODEL, None),  # which of the two?
        (("tabby", "dog"), 2, MODEL, None),
        (("1", "0"), 2, MODEL, None),  # names that look like indices mean nothing
        ((), 3, NUMBERED, [[0], [1], [2]]),
        ((), 2, NUMBERED, None),  # perhaps two others
        ((), 4, NUMBERED, None),
    ],
)
def test_classes_are_matched_or_the_prediction_is_looked_at(
    names: tuple[str, ...], count: int, model: Classes, expected: list[list[int]] | None
) -> None:
    found = match(names, count, model)
    assert table(found) == expected and found.asked is None and found.note
    assert found.source == ("predicted" if expected is None else "true")
    assert match(names, count, model, label_source="predicted").source == "predicted"


def test_decimal_names_that_the_model_has() -> None:
    model = Classes(("10", "20", "0"))
    assert table(match(("0", "10"), 2, model)) == [[2], [0]]
    assert table(match(("10", "20", "0"), 3, model)) == [[0], [1], [2]]


def test_the_true_class_asked_for() -> None:
    assert table(match((), 2, NUMBERED, label_source="true")) == [[0], [1]]
    with pytest.raises(
        DataError, match=r"1 of the data's 2 classes are not found in the model: dog\. Give a class"
    ):
        match(("tabby", "dog"), 2, MODEL, label_source="true")
    with pytest.raises(DataError, match="the data has 4 unnamed classes, the model 3"):
        match((), 4, NUMBERED, label_source="true")
    with pytest.raises(DataError, match="a, b, c, d, e, …"):
        match(tuple("abcdefg"), 7, NUMBERED, label_source="true")


def test_a_class_asked_for() -> None:
    found = match(("dog",), 1, MODEL, label_source="asked", label="plane")
    assert (found.source, found.asked, found.table) == ("asked", 2, None)
    chosen, ranks = found.choose(torch.randn(3, 5), torch.tensor([0, 0, 0]))
    assert chosen.tolist() == [2, 2, 2] and ranks is None
    found = match(("tabby", "plane"), 2, MODEL, label_source="asked", label="3")
    chosen, ranks = found.choose(torch.tensor([[9.0, 1, 2, 3, 4]]), torch.tensor([1]))
    assert chosen.tolist() == [3] and ranks is not None and ranks.tolist() == [3]
    with pytest.raises(ModelError, match="knows no class 'cow'"):
        match(("dog",), 1, MODEL, label_source="asked", label="cow")


def test_ranks_and_ties_by_hand() -> None:
    """Cats are classes 0 and 1, planes are class 2, nobody asks for 3 and 4."""
    cats = torch.zeros(2, 5, dtype=torch.bool)
    cats[0, [0, 1]] = cats[1, 2] = True
    logits = torch.tensor(
        [
            [1.0, 5, 4, 3, 2],  # the second cat is highest of all
            [4.0, 1, 5, 3, 2],  # the first cat is second
            [1.0, 5, 4, 3, 2],  # a plane is second
            [7.0, 7, 7, 7, 7],  # everything ties: it counts for the label
            [3.0, 3, 9, 9, 1],  # two are higher than both cats
        ]
    )
    labels = torch.tensor([0, 0, 1, 1, 0])
    chosen, ranks = LabelMap("true", cats, None, "").choose(logits, labels)
    assert ranks is not None
    assert chosen.tolist() == [1, 0, 2, 2, 0] and ranks.tolist() == [0, 1, 1, 0, 2]
    chosen, again = LabelMap("predicted", cats, None, "").choose(logits, labels)
    assert again is not None
    assert chosen.tolist() == [1, 2, 1, 0, 2] and again.tolist() == ranks.tolist()
    chosen, none = LabelMap("predicted", None, None, "").choose(logits, labels)
    assert chosen.tolist() == [1, 2, 1, 0, 2] and none is None


@given(st.data())
def test_the_rank_is_the_place_of_the_best_of_the_classes_meant(data: st.DataObject) -> None:
    classes = data.draw(st.integers(1, 4))
    groups = [data.draw(st.sets(st.integers(0, 6), min_size=1)) for _ in range(classes)]
    scores = data.draw(st.lists(st.integers(-3, 3), min_size=7, max_size=7))
    label = data.draw(st.integers(0, classes - 1))
    meant = torch.zeros(classes, 7, dtype=torch.bool)
    for row, group in enumerate(groups):
        meant[row, list(group)] = True
    labels = LabelMap("true", meant, None, "")
    chosen, ranks = labels.choose(torch.tensor([scores]).float(), torch.tensor([label]))
    best = max(scores[member] for member in groups[label])
    assert ranks is not None and ranks.item() == sorted(scores, reverse=True).index(best)
    assert int(chosen) in groups[label] and scores[int(chosen)] == best


def test_a_class_map(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_bytes(b'\xef\xbb\xbfcat,tabby\r\ncat,"tiger cat"\r\n\r\nplane, n03 \r\n2,4\r\n')
    found = match(("cat", "plane", "lifter"), 3, MODEL, class_map=str(path))
    assert table(found) == [[0, 1], [2], [4]] and found.source == "true" and str(path) in found.note
    assert (
        match(("cat", "plane", "lifter"), 3, MODEL, class_map=str(path), label_source="predicted").table
        is not None
    )
    path.write_text("0,class_2\n1,0\n")
    assert read_class_map(path, (), 2, NUMBERED).tolist() == [[False, False, True], [True, False, False]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cat,tabby\ncat\n", "line 2: expected data class,model class; got 'cat'"),
        ("cat,tabby\n\nplane,airliner,more\n", "line 3: expected"),
        ("data,model\n", "line 1: .*'data'"),
        ("cat,tabby\nplane,crane\n", "line 2: 'crane' names several classes"),
        ("cat,tabby\nplane,jet\n", "line 2: .*'jet'"),
        ("cat,tabby\n9,airliner\n", "line 2: class 9 does not exist"),
        ("cat,tabby\nplane,-1\n", "line 2: "),
        ("cat,tabby\n", "no class of the model for plane"),
        ("", "no class of the model for cat, plane"),
        (b"\xff,tabby\n", "cannot read"),
    ],
)
def test_class_maps_that_cannot_be_right(tmp_path: Path, text: str | bytes, reason: str) -> None:
    path = tmp_path / "map.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=reason) as stop:
        read_class_map(path, ("cat", "plane"), 2, MODEL)
    assert str(path) in str(stop.value)


def test_a_class_map_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_class_map(tmp_path / "gone.csv", ("cat",), 1, MODEL)
