"""The names of a classifier's classes."""

import difflib
import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from timm.data.imagenet_info import ImageNetInfo

from wsol.errors import ModelError


@dataclass(frozen=True)
class Classes:
    """Names of the classes, in the order of the scores.

    Attributes:
        names: one a class, for people.
        aliases: for each class the other words it is known by: synonyms and the WordNet synset.
    """

    names: tuple[str, ...]
    aliases: tuple[tuple[str, ...], ...] = ()

    def index(self, label: int | str, *, owner: str = "model") -> int:
        """The class that an index, a name, a synonym or a synset means; upper and lower case are one.

        Args:
            label: that word or number.
            owner: who has the classes, for the message.

        Raises:
            ModelError: no class is called so, or several are; the message says which come near.
        """
        label = label.strip() if isinstance(label, str) else label
        if not isinstance(label, str):
            label = operator.index(label)  # NumPy's integers too
        if isinstance(label, int) or (label.isdecimal() and label not in self.names):
            place = int(label) if isinstance(label, int) or len(label) < 19 else -1  # not 5,000 digits
            if 0 <= place < len(self.names):
                return place
            raise ModelError(
                f"class {label!s:.80} does not exist: the {owner} has classes 0 to {len(self.names) - 1}"
            )
        wanted = label.casefold()
        for words in (self._by_name, self._by_any_word):
            found = words.get(wanted, [])
            if len(found) == 1:
                return found[0]
            if found:
                choices = ", ".join(f"{index} ({', '.join(self._called(index))})" for index in found)
                raise ModelError(f"{label!r:.80} names several classes; ask by index or synset: {choices}")
        near = difflib.get_close_matches(wanted, self._by_any_word, n=5, cutoff=0.5)
        hint = f"; near it are {', '.join(near)}" if near else ""
        raise ModelError(f"the {owner} knows no class {label!r:.80}{hint}")

    def _called(self, index: int) -> tuple[str, ...]:
        return (self.names[index], *(self.aliases[index] if self.aliases else ()))

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        return self._words(aliases=False)

    @cached_property
    def _by_any_word(self) -> dict[str, list[int]]:
        return self._words(aliases=True)

    def _words(self, *, aliases: bool) -> dict[str, list[int]]:
        words: dict[str, list[int]] = {}
        for index in range(len(self.names)):
            called = self._called(index) if aliases else (self.names[index],)
            for word in {word.casefold() for word in called}:
                words.setdefault(word, []).append(index)
        return words


def imagenet_classes(subset: str = "imagenet-1k") -> Classes:
    """ImageNet's classes as timm lists them: first lemma (made :func:`distinct`), other lemmas and synset."""
    info = ImageNetInfo(subset)
    synsets = [str(synset) for synset in info.label_names()]  # type: ignore[no-untyped-call]
    lemmas = [info.index_to_description(index).split(", ") for index in range(len(synsets))]
    first = [words[0] for words in lemmas]
    names = distinct(first)
    return Classes(
        names=tuple(names),
        aliases=tuple(
            (*(words if name != words[0] else words[1:]), synset)
            for name, words, synset in zip(names, lemmas, synsets, strict=True)
        ),
    )


def numbered_classes(count: int) -> Classes:
    """Names for classes that nobody named: class_0, class_1, …"""
    return Classes(tuple(f"class_{index}" for index in range(count)))


def read_classes(path: str | Path) -> Classes:
    """Class names from a text file: line n, counted from 0, names class n.

    Raises:
        ModelError: the file cannot be read, has an empty line, or names a class twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read the class names {path}: {error}") from error
    names = [line.strip() for line in lines]
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            raise ModelError(f"{path}, line {number}: empty; line n names class n")
        if first.setdefault(name, number) != number:
            raise ModelError(f"{path}, line {number}: {name!r:.80} stands on line {first[name]} already")
    if not names:
        raise ModelError(f"{path}: no class names in it")
    return Classes(tuple(names))


def distinct(classes: Sequence[str]) -> list[str]:
    """Names of classes, of which those that several bear get their index: ``crane (134)``, ``crane (517)``.

    ImageNet has such; programs that read a data set take a name for one class.
    """
    counts = Counter(classes)
    names = [f"{name} ({index})" if counts[name] > 1 else name for index, name in enumerate(classes)]
    return names if len({*names}) == len(names) else [f"{index} {name}" for index, name in enumerate(classes)]
