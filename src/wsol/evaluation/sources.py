"""Where score maps come from: a model, or files that other people's code made."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsol.data.dataset import DataSet, Example
from wsol.data.images import SUFFIXES, read_size
from wsol.errors import DataError, ImageError, ModelError
from wsol.evaluation.labels import LabelMap, read_rows
from wsol.evaluation.protocol import FRAME, LabelSource
from wsol.evaluation.records import UNKNOWN
from wsol.inference.mapmaker import MapMaker
from wsol.inference.reading import read_batches
from wsol.maps import upsample
from wsol.models.classes import Classes
from wsol.models.weights import file_source


@dataclass
class Scored:
    """A batch of maps.

    Attributes:
        indices: places of the examples.
        maps: (B, 224, 224), float64, upsampled, not normalised; on any device.
        sizes: (height, width) of each picture.
        ranks: (B,), int64, on the CPU; None if unknown.
        chosen: (B,), int64, on the CPU: the model's class of each map; -1 unknown.
        errors: place and reason of each example that has no map.
        digests: sha256 of each map, of files.
    """

    indices: list[int]
    maps: Tensor
    sizes: list[tuple[int, int]]
    ranks: Tensor | None
    chosen: Tensor
    errors: list[tuple[int, str]]
    digests: tuple[bytes, ...] = ()


class MapSource(Protocol):
    """Anything that makes a map for each example.

    Attributes:
        label_source: whose maps they are.
        depth: how many places of the ranking are known; 0 for none.
        batch_size: maps in memory at a time.
        processes: how many may make them beside this one; 0 for none.
    """

    label_source: LabelSource
    depth: int
    batch_size: int
    processes: int

    def stream(
        self, data: DataSet, examples: Sequence[Example], places: range | None = None
    ) -> Iterator[Scored]:
        """Maps of the examples at these places, None for all, in order, a batch at a time."""
        ...

    def describe(self) -> dict[str, Any]:
        """What they are made by, for the result."""
        ...


class ModelMaps:
    """Maps of a model, of pictures decoded in full and never cropped."""

    def __init__(self, localizer: MapMaker, labels: LabelMap) -> None:
        self.localizer = localizer
        self.labels = labels
        self.label_source = labels.source
        self.depth = 0 if labels.table is None else len(localizer.model.classes.names)
        self.batch_size = localizer.runtime.batch_size
        self.processes = 0  # the network is in this one

    def stream(
        self, data: DataSet, examples: Sequence[Example], places: range | None = None
    ) -> Iterator[Scored]:
        """See :class:`MapSource`."""
        runtime = self.localizer.runtime
        places = range(len(examples)) if places is None else places
        batches = read_batches(
            [data.images / examples[place].id for place in places],
            self.localizer.model.input_size,
            batch_size=runtime.batch_size,
            workers=runtime.workers,
            pin=self.localizer.device.type == "cuda",
            draft=False,
            upright=data.upright,
        )
        for batch in batches:
            indices = [places[index] for index in batch.indices]
            labels = torch.tensor([examples[index].label for index in indices], dtype=torch.long)
            errors = [(places[index], error.reason) for index, error in batch.errors]
            if not indices:
                nothing = torch.zeros(0, FRAME, FRAME, dtype=torch.float64)
                yield Scored([], nothing, [], labels if self.depth else None, labels, errors)
                continue
            seen = self.localizer.see(batch.images)
            chosen, ranks = self.labels.choose(seen.logits, labels)
            maps = upsample(self.localizer.score_maps(seen, chosen), (FRAME, FRAME))
            ranks = None if ranks is None else ranks.cpu()
            yield Scored(indices, maps, batch.sizes, ranks, chosen.cpu(), errors)

    def describe(self) -> dict[str, Any]:
        """See :class:`MapSource`."""
        model, options = self.localizer.model, self.localizer.options
        return {
            "backbone": model.name,
            "weights": model.weights,
            "method": model.method,
            "pooling": model.classifier.pooling,
            "map": self.localizer.map,
            **({} if options.is_plain else {"test_time": options.told()}),
            "input_size": model.input_size[0],
            "mean": list(model.mean),
            "std": list(model.std),
            "precision": self.localizer.runtime.precision,
            "classes": len(model.classes.names),
            "label_match": self.labels.note,
            "asked": None if self.labels.asked is None else model.classes.names[self.labels.asked],
        } | ({"run": dict(model.run)} if model.run else {})


class SavedMaps:
    """Maps in ``.npy`` files, ``<image id>.npy`` with the image's own suffix in the name or without it.

    Any size is accepted and upsampled to the evaluation frame (bicubic); a map is (h, w), or (1, h, w), of
    real numbers. Nothing in a file is executed.

    Args:
        folder: that holds them.
        label_source: what their maker says they are of.
        asked: of which class, if one is asked for.
        predictions: a CSV file: image id, then the classes of the data (names or indices) from the most
            probable down, as many in each line, for Top-1 and Top-5 Loc and Cls.
        classes: names of the data's classes.
        class_count: how many they are, if nobody named them.
        batch_size: maps in memory at a time.
        processes: how many read and measure them; 0: the calling one.

    Raises:
        DataError: no such folder, or predictions that cannot be read, with file and line.
    """

    def __init__(
        self,
        folder: Path,
        *,
        label_source: LabelSource = "unstated",
        asked: str | None = None,
        predictions: Path | None = None,
        classes: Sequence[str] = (),
        class_count: int | None = None,
        batch_size: int = 64,
        processes: int = 0,
    ) -> None:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder of maps")
        self.folder = folder
        self.label_source = label_source
        self.batch_size = batch_size
        self.processes = processes
        self.asked = asked
        self.predicted = predictions
        self.predictions = {} if predictions is None else read_predictions(predictions, classes, class_count)
        self.depth = len(next(iter(self.predictions.values()), ()))
        self.shared: set[str] = set()  # image ids without suffix that several images have
        self._examples: Sequence[Example] = ()

    def stream(
        self, data: DataSet, examples: Sequence[Example], places: range | None = None
    ) -> Iterator[Scored]:
        """See :class:`MapSource`."""
        if examples is not self._examples:
            stems = Counter(_stem(example.id) for example in examples)
            self.shared = {stem for stem, count in stems.items() if count > 1}
            self._examples = examples
        places = range(len(examples)) if places is None else places
        with ThreadPoolExecutor(4) as pool:
            for start in range(0, len(places), self.batch_size):
                part = places[start : start + self.batch_size]
                read = list(pool.map(lambda index: self._read(data, examples[index]), part))
                good = [
                    (index, *got) for index, got in zip(part, read, strict=True) if not isinstance(got, str)
                ]
                ranks = torch.tensor([self._rank(examples[index]) for index, *_ in good], dtype=torch.long)
                nothing = torch.zeros(0, FRAME, FRAME, dtype=torch.float64)
                yield Scored(
                    indices=[index for index, *_ in good],
                    maps=torch.cat([*(map_ for _, map_, *_ in good), nothing]),
                    sizes=[size for _, _, size, _ in good],
                    ranks=ranks if self.depth else None,
                    chosen=torch.full((len(good),), UNKNOWN),
                    errors=[
                        (index, got) for index, got in zip(part, read, strict=True) if isinstance(got, str)
                    ],
                    digests=tuple(digest for *_, digest in good),
                )

    def describe(self) -> dict[str, Any]:
        """See :class:`MapSource`."""
        return {
            "maps": str(self.folder),
            "predictions": None if self.predicted is None else file_source(str(self.predicted)),
            "asked": self.asked,
        }

    def _read(self, data: DataSet, example: Example) -> tuple[Tensor, tuple[int, int], bytes] | str:
        """The map, upsampled, (1, 224, 224), the picture's size, the digest; or why there is no map."""
        try:
            size = example.size or _stored_size(data, example)
            if self.depth and example.id not in self.predictions:
                return "no line in the predictions names it"
            map_ = upsample(torch.from_numpy(read_map(self._path(example.id)))[None], (FRAME, FRAME))
            return map_, size, hashlib.sha256(map_.numpy().data).digest()
        except ImageError as error:
            return f"{error.path}: {error.reason}"
        except OSError as error:  # a name that is too long, a folder that must not be read
            return str(error)

    def _path(self, id: str) -> Path:
        whole = self.folder / f"{id}.npy"
        bare = self.folder / f"{_stem(id)}.npy"
        if whole.exists():
            return whole
        if not bare.exists():
            raise ImageError(whole, f"no such map, nor {bare.name}")
        if _stem(id) in self.shared:
            raise ImageError(bare, f"of several images by its name; call this one's {whole.name}")
        return bare

    def _rank(self, example: Example) -> int:
        ranking = self.predictions.get(example.id, ())
        return ranking.index(example.label) if example.label in ranking else len(ranking)


def read_map(path: Path) -> NDArray[np.float64]:
    """A score map from a ``.npy`` file: (h, w), float64.

    Raises:
        ImageError: not readable, not one map, or with values that are not finite.
    """
    try:
        with path.open("rb") as file:  # np.load leaves it open if an archive is damaged
            values = np.load(file, allow_pickle=False)
    except MemoryError as error:
        raise ImageError(path, "its header tells of more numbers than fit into memory") from error
    except Exception as error:  # headers are Python text, archives are zip: damaged ones raise anything
        raise ImageError(path, "not a .npy file of numbers") from error
    if not isinstance(values, np.ndarray):
        raise ImageError(path, "an archive of arrays; a map is one .npy file")
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiub":
        raise ImageError(path, f"a map is (h, w) of real numbers; this is {values.dtype} {values.shape}")
    with np.errstate(over="ignore"):  # of a wider type
        numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ImageError(path, f"{int((~np.isfinite(numbers)).sum())} values are NaN or infinite")
    return numbers


def read_predictions(
    path: Path, classes: Sequence[str], class_count: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Classes of the data from the most probable down, by image id; see :class:`SavedMaps`.

    Raises:
        DataError: with file and line.
    """
    rows = read_rows(path)
    if not rows:
        raise DataError(f"{path}: no predictions in it")
    names = Classes(tuple(classes)) if classes else None
    depth = len(rows[0][1]) - 1
    found: dict[str, tuple[int, ...]] = {}
    for number, (id, *labels) in rows:
        try:
            ranking = tuple(names.index(label, owner="data") if names else int(label) for label in labels)
        except (ModelError, ValueError) as error:
            raise DataError(f"{path}, line {number}: {error}") from error
        if id in found:
            raise DataError(f"{path}, line {number}: {id!r:.120} has a line already")
        if not depth or not len(set(ranking)) == len(ranking) == depth or min(ranking) < 0:
            got = f"{','.join(labels)!r:.120}"
            raise DataError(f"{path}, line {number}: expected {depth or 1} different classes, got {got}")
        if class_count is not None and max(ranking) >= class_count:
            raise DataError(
                f"{path}, line {number}: class {max(ranking)}; the data has {class_count}, from 0"
            )
        found[id] = ranking
    return found


def _stem(id: str) -> str:
    """An image id without the suffix of an image."""
    path = PurePosixPath(id)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else id


def _stored_size(data: DataSet, example: Example) -> tuple[int, int]:
    (height, width), orientation = read_size(data.images / example.id)
    return (width, height) if data.upright and orientation >= 5 else (height, width)
