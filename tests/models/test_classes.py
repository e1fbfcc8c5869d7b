"""Names of classes: what people type finds the class they mean."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.errors import ModelError
from wsol.models.classes import Classes, distinct, imagenet_classes, numbered_classes, read_classes

OWN = Classes(
    names=("ant", "Bee", "crane", "crane", "7", "sea lion"),
    aliases=(("emmet", "n1"), ("n2",), ("bird", "n3"), ("hoist", "n4"), ("seven", "n5"), ("bee", "n6")),
)


@pytest.fixture(scope="module")
def imagenet() -> Classes:
    return imagenet_classes()


def _refused(classes: Classes, label: int | str) -> str:
    with pytest.raises(ModelError) as caught:
        classes.index(label)
    return str(caught.value)


@pytest.mark.parametrize(
    ("label", "index"),
    [
        (0, 0),
        (5, 5),
        ("0", 0),
        (" 5 ", 5),
        ("ant", 0),
        ("ANT", 0),
        (" Sea Lion\n", 5),
        ("emmet", 0),
        ("n4", 3),
        ("N4", 3),
        ("Hoist", 3),
        ("7", 4),  # a class that is called so goes before the index, which does not exist here
        ("bee", 1),  # a name goes before a synonym of another class
    ],
)
def test_index(label: int | str, index: int) -> None:
    assert OWN.index(label) == index


def test_a_name_of_digits_goes_before_the_index() -> None:
    years = Classes(("2", "1", "0"))
    assert [years.index(label) for label in ("0", "1", "2")] == [2, 1, 0]
    assert [years.index(label) for label in (0, 1, 2)] == [0, 1, 2]


def test_one_name_for_several_classes_lists_them() -> None:
    message = "names several classes; ask by index or synset: 2 (crane, bird, n3), 3 (crane, hoist, n4)"
    assert _refused(OWN, "Crane") == f"'Crane' {message}"
    both = Classes(("a", "b"), (("same",), ("same",)))
    assert "0 (a, same), 1 (b, same)" in _refused(both, "same")


def test_a_class_with_its_name_as_a_synonym_is_one() -> None:
    assert Classes(("a", "b"), (("A", "a"), ())).index("a") == 0


@pytest.mark.parametrize("label", [6, -1, "6", "1000"])
def test_an_index_that_does_not_exist(label: int | str) -> None:
    assert _refused(OWN, label) == f"class {label} does not exist: the model has classes 0 to 5"


def test_an_unknown_name_suggests_near_ones() -> None:
    assert _refused(OWN, "sea lyon") == "the model knows no class 'sea lyon'; near it are sea lion"
    assert _refused(OWN, "qqqq") == "the model knows no class 'qqqq'"
    assert _refused(OWN, "").startswith("the model knows no class ''")


def test_imagenet(imagenet: Classes) -> None:
    assert len(imagenet.names) == len(imagenet.aliases) == 1000
    # the 1000 classes as Russakovsky et al. number them
    assert imagenet.names[0] == "tench"
    assert imagenet.names[999] == "toilet tissue"
    for label in (281, "281", "tabby", "tabby cat", "Tabby", "n02123045"):
        assert imagenet.index(label) == 281
    assert imagenet.index("Carduelis carduelis") == 11
    crane = _refused(imagenet, "crane")
    assert "134 (crane (134), crane, n02012849), 517 (crane (517), crane, n03126707)" in crane
    assert (imagenet.index("n02012849"), imagenet.index("n03126707")) == (134, 517)
    assert "near it are tabby cat, tabby" in _refused(imagenet, "tabbycat")
    assert _refused(imagenet, 1000) == "class 1000 does not exist: the model has classes 0 to 999"


def test_every_imagenet_class_is_found_by_its_index_and_synset(imagenet: Classes) -> None:
    synsets = [aliases[-1] for aliases in imagenet.aliases]
    assert len(set(synsets)) == 1000
    for index in range(0, 1000, 97):
        assert imagenet.index(index) == imagenet.index(str(index)) == imagenet.index(synsets[index]) == index


def test_numbered_classes() -> None:
    classes = numbered_classes(3)
    assert classes.names == ("class_0", "class_1", "class_2")
    assert classes.index("class_2") == classes.index("2") == 2


@pytest.mark.parametrize(
    "content",
    [
        b"ant\nb\xc3\xa9e\nsea lion\n",
        b"ant\nb\xc3\xa9e\nsea lion",  # no end of the last line
        b"\xef\xbb\xbfant\r\nb\xc3\xa9e\r\nsea lion\r\n",  # as Windows writes it
        b"ant\rb\xc3\xa9e\rsea lion\r",
        b"  ant\t\n b\xc3\xa9e\nsea lion  \n",
    ],
)
def test_read_classes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    assert read_classes(path) == read_classes(str(path)) == Classes(("ant", "bée", "sea lion"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ant\n\nbee\n", "{path}, line 2: empty; line n names class n"),
        (b"ant\n  \n", "{path}, line 2: empty; line n names class n"),
        (b"ant\nbee\n\n", "{path}, line 3: empty; line n names class n"),
        (b"\xef\xbb\xbf\nant", "{path}, line 1: empty; line n names class n"),
        (b"ant\nbee\nant\n", "{path}, line 3: 'ant' stands on line 1 already"),
        (b"ant\r\nbee\r\nbee \r\n", "{path}, line 3: 'bee' stands on line 2 already"),
        (b"", "{path}: no class names in it"),
    ],
)
def test_read_classes_names_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_classes(path)
    assert str(caught.value) == message.format(path=path)


def test_read_classes_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("bée".encode("latin-1"))
    for path in (tmp_path / "missing.txt", tmp_path, tmp_path / "latin.txt"):
        with pytest.raises(ModelError) as caught:
            read_classes(path)
        assert str(caught.value).startswith(f"cannot read the class names {path}: ")


def test_names_of_classes_are_made_distinct() -> None:
    assert distinct(["dog", "crane", "cat", "crane"]) == ["dog", "crane (1)", "cat", "crane (3)"]
    assert distinct(["crane", "crane", "crane (0)"]) == ["0 crane", "1 crane", "2 crane (0)"]


@given(st.lists(st.sampled_from(["a", "a (0)", "a (1)", "0 a", "b", ""])))
def test_they_always_are(names: list[str]) -> None:
    assert len({*distinct(names)}) == len(names)


def test_imagenets_names_are_distinct_and_the_shared_word_still_asks(imagenet: Classes) -> None:
    assert len({*imagenet.names}) == 1000
    assert (imagenet.names[134], imagenet.names[517]) == ("crane (134)", "crane (517)")
    assert imagenet.index("crane (517)") == 517
    assert "names several classes" in _refused(imagenet, "crane")
