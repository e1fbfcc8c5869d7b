"""The models of the app, and what was computed lately: the network runs once an image, a map is made once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from wsol.inference.localization import Localization
from wsol.inference.localizer import Label, Localizer
from wsol.inference.mapmaker import Seen
from wsol.inference.options import LocalizerOptions

SEEN = 16
"""Images whose features are kept, of all people together: a few megabytes each."""

MAPS = 256
"""Maps that are kept, a few kilobytes each, and as many pictures of them."""

FOLDER = Path("photos")
"""Where results say that photographs are: the page knows no folder, and Label Studio needs one."""

Value = TypeVar("Value")


@dataclass(eq=False)
class Photo:
    """A photograph, as far as it is kept: never the file.

    Attributes:
        name: of its file, made fit to be one; no other photograph of the person has it.
        size: (height, width) of the upright original.
        inputs: (1, 3, h, w), uint8, for each input size of the models.
        picture: for the page, a data URI.
        thumbnail: likewise.
    """

    name: str
    size: tuple[int, int]
    inputs: Mapping[tuple[int, int], Tensor] = field(repr=False)
    picture: str = field(repr=False)
    thumbnail: str = field(repr=False)


class Recent:
    """The values that were asked for last, by key; whoever finds one there does not wait for others'."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value of this key, made now if it is not there; one is made at a time."""
        found, value = self._find(key)
        if not found:
            with self._making:
                found, value = self._find(key)  # by a thread that was faster
                if not found:
                    value = make()
                    self._keep(key, value)
        made: Value = value
        return made

    def forget(self, photo: Photo) -> None:
        """Leave out all that is kept of a photograph."""
        with self._lock:
            for key in [key for key in self._values if photo in key]:
                del self._values[key]

    def _find(self, key: object) -> tuple[bool, Any]:
        with self._lock:
            if key not in self._values:
                return False, None
            self._values.move_to_end(key)
            return True, self._values[key]

    def _keep(self, key: object, value: object) -> None:
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._size:
                self._values.popitem(last=False)


class Bench:
    """Models that everybody shares, each loaded once.

    Attributes:
        localizers: by the name that the page calls them.
    """

    def __init__(self, localizers: Mapping[str, Localizer]) -> None:
        self.localizers = dict(localizers)
        self._seen, self._maps, self._pictures = Recent(SEEN), Recent(MAPS), Recent(MAPS)

    @property
    def input_sizes(self) -> set[tuple[int, int]]:
        """(height, width) that photographs are to be read for."""
        return {localizer.model.input_size for localizer in self.localizers.values()}

    def predicted(
        self, photo: Photo, model: str, options: LocalizerOptions, count: int
    ) -> list[tuple[int, float]]:
        """The most probable classes with their probabilities.

        They are of one plain pass whatever the options, which only tell what else the network will be asked.
        """
        logits = self._see(photo, model, self.localizers[model].with_options(options)).logits
        top, labels = logits.softmax(dim=1).topk(min(count, logits.shape[1]), dim=1)
        return list(zip(labels[0].tolist(), top[0].tolist(), strict=True))

    def localize(
        self, photo: Photo, model: str, label: Label | None, options: LocalizerOptions
    ) -> Localization:
        """As :class:`wsol.Localizer` does it; the network runs only for a map that was not made lately.

        Args:
            photo: whose name becomes the result's source.
            model: name of the model.
            label: None for the most probable class.
            options: with ``top_k`` 1.

        Raises:
            ModelError: no such class.
            UsageError: a map that does not go with the model's method.
        """
        localizer = self.localizers[model].with_options(options)
        if label is None:
            ((index, _),) = self.predicted(photo, model, options, 1)
        else:
            index = localizer.model.classes.index(label)
        labels = torch.tensor([index], device=localizer.device)

        def make() -> tuple[dict[str, Tensor], Tensor]:
            seen = self._see(photo, model, localizer)
            return localizer.raw_maps(seen, labels), seen.logits.softmax(dim=1)[:, index]

        key = (photo, model, index, localizer.map, *localizer.options.parts().values())
        raw, probabilities = self._maps.get(key, make)
        return localizer.of_maps(raw, labels, probabilities, [FOLDER / photo.name], [photo.size])[0]

    def of_photo(self, photo: Photo, key: object, make: Callable[[], Value]) -> Value:
        """What the page shows of a photograph and is made once."""
        return self._pictures.get((photo, key), make)

    def forget(self, photo: Photo) -> None:
        """Leave out all that is kept of a photograph."""
        for recent in (self._seen, self._maps, self._pictures):
            recent.forget(photo)

    def _see(self, photo: Photo, model: str, localizer: Localizer) -> Seen:
        """The passes of the network that the options ask for."""
        passes = (localizer.options.scales, localizer.options.flip)
        image = photo.inputs[localizer.model.input_size]
        return self._seen.get((photo, model, passes), lambda: localizer.see(image))
