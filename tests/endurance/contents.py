"""What output files hold, read to their ends: a file that is cut off anywhere cannot be read."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

Contents = dict[str, dict[str, Any]]

OF_THE_CALL = ("calls", "created", "ended", "interrupted", "output", "seconds")
"""Keys and columns that tell of when, where and how often a command was called."""


def contents(folder: Path) -> Contents:
    """Each file or folder with what its files hold, by their paths; what is being written is left out.

    Raises:
        Exception: a file is not complete.
    """
    if not folder.exists():
        return {}
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return {
        path.name: {str(file.relative_to(folder)): read(file) for file in files(path)} for path in visible
    }


def files(path: Path) -> list[Path]:
    """A file itself, or all of a folder, but for those that are being written."""
    found = (each for each in (path, *path.rglob("*")) if each.is_file())
    return sorted(each for each in found if not each.name.startswith("."))


def leftovers(folder: Path) -> list[Path]:
    """What was being written when a process ended."""
    return sorted(path for path in folder.rglob("*") if path.name.startswith("."))


def read(path: Path) -> Any:
    """What a file holds, but for what tells of the call.

    Raises:
        Exception: it is not complete, or of a kind that is not known here.
    """
    return READERS[path.suffix](path)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"), object_hook=_lasting)


def _lasting(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in OF_THE_CALL}


def _journal(path: Path) -> dict[str, Any]:
    """By image; the last line of a journal may be cut off, which whoever opens it knows."""
    lines = path.read_bytes().splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {entry["path"]: entry for entry in entries}


def _table(path: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(_lines(path), strict=True))
    assert rows and all(None not in row and None not in row.values() for row in rows)
    return [_lasting(row) for row in rows]


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    assert not text or text.endswith("\n"), f"{path} ends in the middle of a line"
    return text.splitlines()


def _page(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>"), f"{path} is cut off"
    return re.sub(r"<dd.*?</dd>", "", text)  # facts, among them times


def _picture(path: Path) -> bytes:
    with Image.open(path) as image:
        image.load()
        return image.tobytes()


def _xml(path: Path) -> bytes:
    return ElementTree.tostring(ElementTree.fromstring(path.read_bytes()))


def _yaml(path: Path) -> Any:
    return _lasting(yaml.safe_load("\n".join(_lines(path))))


def _weights(path: Path) -> bytes:
    assert load_file(path)
    return path.read_bytes()  # the header, too


def _records(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: values.tolist() for name, values in arrays.items()}


def _array(path: Path) -> Any:
    return np.load(path, allow_pickle=False).tolist()


def _checkpoint(path: Path) -> list[str]:
    """It has times, too: what it is worth shows in the weights at the end."""
    return sorted(torch.load(path, weights_only=True))


READERS: dict[str, Callable[[Path], Any]] = {
    ".ckpt": _checkpoint,
    ".csv": _table,
    ".html": _page,
    ".jpg": _picture,
    ".json": _json,
    ".jsonl": _journal,
    ".npy": _array,
    ".npz": _records,
    ".png": _picture,
    ".safetensors": _weights,
    ".svg": _xml,
    ".txt": _lines,
    ".xml": _xml,
    ".yaml": _yaml,
}
