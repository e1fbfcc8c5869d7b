"""Folders of images by class: labels, and nothing about where the object is.

``CLASS/x.jpg``, which is the split ``train``; or ``train/CLASS/x.jpg``, ``val/CLASS/x.jpg``,
``test/CLASS/x.jpg`` (``valid``, ``validation`` and the like are ``val``). Folders inside a class's folder
belong to it. Ids are relative to the data set's folder, sorted by class and name. Classes are the names in
``classes.txt`` there, or else the names of the folders, sorted. Names that begin with a dot are left out.
"""

from pathlib import Path

from wsol.data.dataset import DataSet, Example, Split
from wsol.data.images import SUFFIXES, find_images
from wsol.data.records import (
    SPLITS,
    Ledger,
    Place,
    class_names,
    clean_path,
    index_of_names,
    make_split,
    split_of,
)
from wsol.errors import DataError

NO_CLASSES = {"images", "masks", "JPEGImages", "SegmentationObject"}
"""Folders that other formats have: beside them no class's folder is expected."""


def find(place: Place) -> DataSet | None:
    """The data set in a folder, if it has folders with images by class.

    Raises:
        DataError: two folders for one split.
    """
    root = place.images or place.root
    tables: dict[str, Path] = {}
    for folder in _folders(root):
        split = split_of(folder.name)
        if split and folder.name.lower().startswith(split) and _classes(folder):
            if split in tables:
                raise DataError(f"{tables[split]} and {folder}: both are {split!r} by name; take one out")
            tables[split] = folder
    tables = {name: tables[name] for name in SPLITS if name in tables} or {"train": root}
    names = sorted({name for folder in tables.values() for name in _classes(folder)})
    if not names or not NO_CLASSES.isdisjoint(names):
        return None
    return DataSet(
        name=root.resolve().name,
        format="folder",
        images=root,
        masks=None,
        classes=class_names(place.root, root) or tuple(names),
        tables=tables,
        upright=True,
        root=place.root,
    )


def read_split(data: DataSet, name: str) -> Split:
    """List a split's images.

    Raises:
        DataError: nothing in it is usable.
    """
    folder, ledger = data.tables[name], Ledger()
    index = index_of_names(data.classes, str(data.root))
    examples = []
    for label in _folders(folder):
        files, _ = find_images([label])
        if label.name not in index and files:
            reason = f"the folder is no class of classes.txt; its {len(files)} images are left out"
            ledger.add(label.relative_to(data.images).as_posix(), reason)
            continue
        for file in files:
            where = file.relative_to(data.images).as_posix()
            try:
                examples.append(Example(clean_path(where), index[label.name], where=where))
            except ValueError as error:
                ledger.add(where, str(error), where)
    return make_split(name, folder, examples, ledger)


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(
            folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith(".")
        )
    except OSError as error:
        raise DataError(f"{root}: {error.strerror or error}") from None


def _classes(folder: Path) -> list[str]:
    """Names of the folders in it that hold an image at any depth."""
    return [inside.name for inside in _folders(folder) if any(_is_image(file) for file in inside.rglob("*"))]


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
