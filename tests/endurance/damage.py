"""Files damaged in the ways in which files are: by programs, by people, by disks, and by intent."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

DEEP = [20, 400, 900, 990, 3000]
LEAVES: list[Any] = [
    *(None, True, False, 0, -1, 3, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.0, 1e-320, 1e308),
    *(float("nan"), float("inf"), -float("inf")),
    *("", " ", "0", "-1", "a.jpg", "../../a", "/etc/passwd", "a\0b", "a\x1bb", "\ud800", "é", "x" * 5000),
    *("NaN", "1e999", "9" * 400, "<b>&", "${HOME}", "{{1}}", "=1+1", "\u2028"),
    *([], {}, [[]], [None], {"": None}, [1, 2, 3, 4], ["a"], {"a": 1}),
    *(f"@deep{depth}@" for depth in DEEP),
    "@digits@",
]
"""What may stand in place of a value; what JSON's writer cannot write is put in by :func:`_raw`."""

WORDS = [str(leaf) for leaf in LEAVES if not isinstance(leaf, list | dict) and not str(leaf).startswith("@")]
WORDS += ["9" * 5000, ",", '"', "\n", "\r", ";", "<", "&x;", "]]>", "<!--", "\u2028", "1_0", "٣", "²"]


@st.composite
def document(draw: st.DrawFn, whole: Any) -> Any:
    """A document of JSON types with up to four changes: values swapped, removed, doubled, wrapped."""
    changed = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(changed))
        if not places:
            break
        owner, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["swap", "swap", "remove", "rename", "wrap", "double"])):
            case "swap":
                owner[key] = copy.deepcopy(draw(st.sampled_from(LEAVES)))
            case "remove":
                del owner[key]
            case "rename" if isinstance(owner, dict):
                owner[draw(st.sampled_from(["", "x", "path", "class_path", "__class__", "\ud800"]))] = (
                    owner.pop(key)
                )
            case "double" if isinstance(owner, list):
                owner.append(copy.deepcopy(owner[key]))
            case _:
                owner[key] = draw(st.sampled_from([[owner[key]], {"a": owner[key]}, str(owner[key])]))
    return changed


def _places(value: Any) -> Any:
    """Every place of a document: what holds it, and its key or index."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


def dumps(value: Any) -> bytes:
    """JSON, with what :data:`LEAVES` stands for."""
    return _raw(json.dumps(value, ensure_ascii=False).encode("utf-8", errors="surrogatepass"))


def _raw(content: bytes) -> bytes:
    for depth in DEEP:
        content = content.replace(b'"@deep%d@"' % depth, b"[" * depth + b"]" * depth)
    return content.replace(b'"@digits@"', b"9" * 5000)


@st.composite
def text(draw: st.DrawFn, whole: bytes) -> bytes:
    """A text with some of its words, or lines, swapped, doubled or taken out."""
    unit = draw(
        st.sampled_from([r"[^\s,;<>/\":{}\[\]]+", r"[^\n]*\n", r"[,;<>/\":{}\[\]]", r'"\w+": [^,{}\[\]]+, '])
    )
    found = whole.decode(errors="surrogateescape")
    for _ in range(draw(st.integers(1, 4))):
        spans = [match.span() for match in re.finditer(unit, found)]
        if not spans:
            break
        start, end = draw(st.sampled_from(spans))
        new = draw(st.sampled_from([*WORDS, "", 2 * found[start:end]]))
        found = found[:start] + new + found[end:]
    if "\ud800" in found:  # no byte that was no text, but half of a character
        return found.encode(errors="surrogatepass")
    return found.encode(errors="surrogateescape")


@st.composite
def raw(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with some of them changed, cut off, in another encoding; or quite others."""
    match draw(st.sampled_from(["keep", "flip", "cut", "encode", "insert", "other"])):
        case "flip":
            changed = bytearray(whole or b"x")
            places = st.tuples(st.integers(0, len(changed) - 1), st.integers(0, 255))
            for place, value in draw(st.lists(places, min_size=1, max_size=4)):
                changed[place] = value
            return bytes(changed)
        case "cut":
            return whole[: draw(st.integers(0, len(whole)))]
        case "encode":
            name = draw(st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"]))
            return whole.decode(errors="replace").encode(name, errors="replace")
        case "insert":
            place = draw(st.integers(0, len(whole)))
            return whole[:place] + draw(st.sampled_from(INSERTED)) + whole[place:]
        case "other":
            return draw(st.binary(max_size=100))
    return whole


INSERTED = [b"\0", b"\xff\xfe", b"\x80", b"\r", b"\x1b[2J", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"[" * 2000]
INSERTED += [b'{"a":' * 2000, b"&a;" * 20, b"<a>" * 5000, b"\n" * 5000, b"," * 5000, b"x" * 200_000]


EXTREMES = [b"", b"\n", b"\0", b"\xff\n", b"{}\n", b"[]\n", b"null\n", b'"a"\n', b"NaN\n"]
EXTREMES += [b"[" * 100_000 + b"]" * 100_000 + b"\n", b'{"a":' * 100_000 + b"\n", b"<a>" * 100_000]
EXTREMES += [b"9" * 5000 + b"\n", b"," * 100_000, b"x" * 200_000 + b"\n", b'"' * 9999, b"\xff\xfea\0"]


def damaged(whole: bytes, parse: Callable[[bytes], Any] | None = None) -> st.SearchStrategy[bytes]:
    """A file's content, damaged; ``parse`` makes a document of a structured one."""
    changed = [text(whole)]
    if parse is not None:
        changed.append(document(parse(whole)).map(dumps))
        changed.append(st.sampled_from(LEAVES).map(dumps))
    return st.one_of(changed).flatmap(raw) | raw(whole)
