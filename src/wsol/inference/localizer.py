"""The localizer: a forward pass gives class scores and maps at once; maps become boxes and masks."""

import glob
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wsol import boxes as boxes_
from wsol.data.images import find_images
from wsol.errors import ImageError, ModelError
from wsol.inference.localization import Localization
from wsol.inference.mapmaker import MapMaker, Seen
from wsol.inference.reading import Batch, read_batches
from wsol.inference.uncertainty import agreement
from wsol.maps import normalize, upsample
from wsol.thresholds import quantize

Label = int | str
LabelOf = Callable[[Any], Label]
"""What tells the class to look for in an image: by its path, say."""
ImageLike = str | Path | Image.Image | NDArray[np.uint8] | Tensor


def folder_label(image: str | Path) -> str:
    """The name of the folder that an image lies in: its class in a folder of labelled photographs."""
    return PurePath(image).parent.name


class Localizations(list[Localization]):
    """The results of several images, in their order.

    Attributes:
        skipped: the images that could not be used, with the reason of each.
    """

    def __init__(self, results: Sequence[Localization] = (), skipped: Sequence[ImageError] = ()) -> None:
        super().__init__(results)
        self.skipped = list(skipped)


class Localizer(MapMaker):
    """Finds the object of a class in photographs.

    Examples:
        >>> localizer = wsol.load("efficientnet_lite0")
        >>> result = localizer("cat.jpg")
        >>> result.label, result.boxes, result.score

    Attributes:
        model: the network with its classes and transform.
        options: map, threshold, boxes.
        runtime: device, precision, batches.
    """

    def __call__(
        self, images: ImageLike | Sequence[ImageLike], label: Label | None = None
    ) -> Localization | Localizations:
        """Localise one image or many.

        The whole picture is resized to the model's input, without a crop. A file is decoded upright (EXIF).

        Args:
            images: a path, PIL image, uint8 array (H, W, 3) or tensor (3, H, W), uint8 or in [0, 1]: one
                result. A list of them, a batch of tensors (B, 3, H, W), a folder or a glob: a list.
            label: the class to look for, by index, name, synonym or synset; None takes the most probable
                (and the ``top_k`` − 1 next ones as ``alternatives``).

        Returns:
            One :class:`Localization`; or :class:`Localizations`, a list in the order of the images, without
            those that could not be read: they are warned of, and listed in its ``skipped``.

        Raises:
            ImageError: the one image cannot be read.
            ModelError: no such class.
            TypeError: something that is no image.
        """
        if isinstance(images, Tensor) and images.ndim == 4:
            return self._from_tensors(images, label)
        if isinstance(images, (str, Path)) and _stands_for_many(images):
            images = [images]
        if isinstance(images, (list, tuple)):
            return self._many(images, label)
        result = next(self.stream([images], label, workers=0))[1]
        if isinstance(result, ImageError):
            raise result
        return result

    def stream(
        self, images: Sequence[Any], label: Label | LabelOf | None = None, *, workers: int | None = None
    ) -> Iterator[tuple[int, Localization | ImageError]]:
        """Localise any number of images, a batch in memory at a time.

        Args:
            images: paths, or images from memory.
            label: see :meth:`__call__`; or a function that gives it for an image, as :func:`folder_label`. An
                image whose class the model does not know has no result.
            workers: reading processes; None takes ``runtime.workers``.

        Yields:
            The image's place in ``images``, with its result or the reason why it has none. Images of a
            batch that cannot be read come before the others of that batch.
        """
        self.check_label(label)
        batches = read_batches(
            [Path(image) if isinstance(image, str) else image for image in images],
            self.model.input_size,
            batch_size=self.runtime.batch_size,
            workers=self.runtime.workers if workers is None else workers,
            pin=self.device.type == "cuda",
        )
        for batch in batches:
            yield from self.of_batch(batch, images, label)

    def of_batch(
        self, batch: Batch, images: Sequence[Any], label: Label | LabelOf | None = None
    ) -> Iterator[tuple[int, Localization | ImageError]]:
        """Localise a batch that was read; see :meth:`stream`.

        Args:
            batch: of :func:`wsol.inference.reading.read_batch`.
            images: what it was read from.
            label: see :meth:`stream`.
        """
        self.check_label(label)
        yield from batch.errors
        rows: list[int] = []
        asked: list[int] = []
        for row, index in enumerate(batch.indices):
            try:
                asked += self._asked(label(images[index]) if callable(label) else label, 1) or []
                rows.append(row)
            except ModelError as error:
                yield index, ImageError(images[index], str(error))
        if rows:
            indices, sizes = [batch.indices[row] for row in rows], [batch.sizes[row] for row in rows]
            pictures = batch.images if len(rows) == len(batch.indices) else batch.images[rows]
            found = self._localize(pictures, asked or None, [images[index] for index in indices], sizes)
            yield from zip(indices, found, strict=True)

    def _many(self, images: Sequence[ImageLike], label: Label | None) -> Localizations:
        images = [found for image in images for found in _expand(image)]
        workers = self.runtime.workers or 0  # processes only if asked for: a script must be ready for them
        done = sorted(self.stream(images, label, workers=workers), key=lambda pair: pair[0])
        skipped = [result for _, result in done if isinstance(result, ImageError)]
        if skipped:
            listed = "; ".join(str(error) for error in skipped[:5]) + ("; …" if len(skipped) > 5 else "")
            warnings.warn(f"{len(skipped)} of {len(images)} images were skipped: {listed}", stacklevel=3)
        return Localizations([result for _, result in done if isinstance(result, Localization)], skipped)

    def _from_tensors(self, images: Tensor, label: Label | None) -> Localizations:
        """Tensors that are in the input frame already go to the network as they are."""
        in_frame = tuple(images.shape[1:]) == (3, *self.model.input_size)
        if not in_frame or not (images.is_floating_point() or images.dtype == torch.uint8):
            return self._many(list(images), label)
        if images.is_floating_point() and len(images):
            low, high = images.aminmax()
            if not (low >= 0 and high <= 1):
                raise ValueError(f"floating-point images must be in [0, 1], got {low:.3g} to {high:.3g}")
        self.check_label(label)
        results = Localizations()
        for chunk in torch.split(images, self.runtime.batch_size):
            sizes = [self.model.input_size] * len(chunk)
            results += self._localize(chunk, self._asked(label, len(chunk)), list(chunk), sizes)
        return results

    def check_label(self, label: Label | LabelOf | None) -> None:
        """Raise what :meth:`stream` would, before any image is read."""
        if label is not None and self.options.top_k > 1:
            raise ValueError("label asks for one class and top_k for several; give one of them")
        if not callable(label):
            self._asked(label, 1)

    def _asked(self, label: Label | None, count: int) -> list[int] | None:
        """The class of each of so many images; None for the most probable."""
        return None if label is None else [self.model.classes.index(label)] * count

    @torch.inference_mode()
    def _localize(
        self,
        images: Tensor,
        asked: Sequence[int] | None,
        sources: Sequence[Any],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Localization]:
        """Localise a batch (B, 3, h, w) in the input frame, uint8 or in [0, 1]; the classes asked for."""
        seen = self.see(images)
        probabilities = seen.logits.softmax(dim=1)
        if asked is None:
            top, labels = probabilities.topk(min(self.options.top_k, probabilities.shape[1]), dim=1)  # (B, k)
        else:
            labels = torch.tensor(asked, device=self.device)[:, None]  # (B, 1)
            top = probabilities.gather(1, labels)
        by_rank = [
            self.of_maps(self.raw_maps(seen, labels[:, rank]), labels[:, rank], top[:, rank], sources, sizes)
            for rank in range(labels.shape[1])
        ]
        return [replace(best, alternatives=tuple(others)) for best, *others in zip(*by_rank, strict=True)]

    @torch.inference_mode()
    def of_maps(
        self,
        raw: Mapping[str, Tensor],
        labels: Tensor,
        probabilities: Tensor,
        sources: Sequence[Any],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Localization]:
        """Boxes of maps that were made before: threshold and components, without the network.

        Args:
            raw: of :meth:`raw_maps`, with options of the same map.
            labels: (B,), int64, whose maps they are.
            probabilities: (B,), of these classes.
            sources: where each image is from.
            sizes: (height, width) of each original.
        """
        maps = normalize(upsample(raw["map"], self.model.input_size))  # (B, h, w)
        levels = self.options.build_threshold()(maps)
        quantized = quantize(maps).cpu().numpy()
        frames, T = maps.cpu().numpy(), levels.tolist()
        found = boxes_.find(quantized > levels.cpu().numpy()[:, None, None], self.options.boxes)
        arrays = {name: values.cpu().numpy() for name, values in raw.items()}
        ends = np.cumsum(found.counts)
        results = []
        for i, (index, probability) in enumerate(zip(labels.tolist(), probabilities.tolist(), strict=True)):
            mine = slice(ends[i] - found.counts[i], ends[i])
            scores, order = self._score(found.boxes[mine], found.areas[mine], frames[i], probability)
            results.append(
                Localization(
                    source=Path(sources[i]) if isinstance(sources[i], str) else sources[i],
                    size=sizes[i],
                    label=self.model.classes.names[index],
                    class_index=index,
                    probability=probability,
                    boxes=boxes_.rescale(found.boxes[mine][order], frames[i].shape, sizes[i]),
                    scores=scores,
                    components=_renumber(found.labels[i], order, int(found.counts[i])),
                    raw_maps={name: array[i] for name, array in arrays.items()},
                    map_kind=self.map,
                    level=T[i],
                    test_time=self.options.told(),
                    agreement=agreement(quantized[i], T[i]) if len(order) else 0.0,
                )
            )
        return results

    @torch.inference_mode()
    def raw_maps(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """The map of the boxes, F and S, of one class an image.

        Args:
            seen: of :meth:`wsol.inference.mapmaker.MapMaker.see`, with options of the same passes.
            labels: (B,), int64, on the same device.

        Returns:
            ``map``, ``norm`` and ``similarity``: (B, h', w') each, float32.
        """
        norm, similarity = self.classifier.decompose(seen.features, labels)
        both = {"norm": norm, "similarity": similarity}
        ready = self.map in both and self.options.is_plain
        chosen = both[self.map] if ready else self.score_maps(seen, labels).float()
        return {"map": chosen, **both}

    def _score(
        self,
        boxes: NDArray[np.int64],
        areas: NDArray[np.int64],
        frame: NDArray[np.float64],
        probability: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Scores of the boxes that are kept, best first, and which they are."""
        if probability < self.options.min_probability:
            return np.zeros(0), np.zeros(0, np.intp)
        kept = np.flatnonzero(areas >= self.options.min_area * frame.size)
        means = np.array([frame[y0:y1, x0:x1].mean() for x0, y0, x1, y1 in boxes[kept]], np.float64)
        order = np.argsort(-means, kind="stable")
        return probability * means[order], kept[order]


def _renumber(labels: NDArray[np.int32], order: NDArray[np.intp], count: int) -> NDArray[np.uint16]:
    """Component numbers in the order of their scores; 0 for those left out."""
    if order.tolist() == list(range(count)):
        return labels.astype(np.uint16)
    number = np.zeros(count + 1, np.uint16)
    number[order + 1] = np.arange(1, len(order) + 1)
    return number[labels]


def _expand(image: ImageLike) -> list[ImageLike]:
    """The images that a folder or a glob stands for; anything else stands for itself."""
    if isinstance(image, (str, Path)) and _stands_for_many(image):
        return list(find_images([image])[0])
    return [image]


def _stands_for_many(path: str | Path) -> bool:
    """Path's own tests raise where a name is too long or closed off, which reading it tells better."""
    return os.path.isdir(path) or (glob.has_magic(str(path)) and not os.path.exists(path))  # noqa: PTH110, PTH112
