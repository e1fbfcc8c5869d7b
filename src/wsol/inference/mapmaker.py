"""From images to maps: the network on its device, and all passes that the options ask for."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from wsol.errors import ModelError, UsageError
from wsol.inference.options import LocalizerOptions, RuntimeOptions
from wsol.maps import MapKind, average, feature_norm, normalize, upsample
from wsol.methods import METHODS, check
from wsol.models import Classifier, Model
from wsol.models.folding import fold_batch_norms
from wsol.refinement import grab_cut


@dataclass(frozen=True)
class Seen:
    """What the network made of a batch of images.

    Attributes:
        images: (B, 3, h, w), as they were given.
        logits: (B, C), class scores before the softmax, float32.
        features: (B, K, h', w') of the images as they are, float32.
        views: features of each scale, mirrored or not, that the map is made of; (B, K, h'', w'') each.
    """

    images: Tensor
    logits: Tensor
    features: Tensor
    views: tuple[tuple[Tensor, bool], ...]


class MapMaker:
    """Makes class scores and maps of batches of images.

    Attributes:
        model: the network with its classes and transform.
        options: map, threshold, boxes.
        runtime: device, precision, batches.
        device: where the network is.
        classifier: the model's, on the device, with its batch norms folded.
    """

    def __init__(
        self, model: Model, options: LocalizerOptions | None = None, runtime: RuntimeOptions | None = None
    ) -> None:
        """Put the model on its device.

        Raises:
            ModelError: the model's head is untrained, or the device or precision cannot be had.
            UsageError: a map that does not go with the method that the model was trained by.
        """
        if not model.trained:
            raise ModelError(
                f"the head of {model.name} is not trained (weights: {model.weights}): its boxes would mean "
                "nothing. Train it first, or give a checkpoint."
            )
        self.model = model
        self.options = self._resolved(options or LocalizerOptions())
        self.runtime = runtime or RuntimeOptions()
        self.device = _device(self.runtime)
        folded = cast("Classifier", fold_batch_norms(model.classifier, model.input_size))
        self.classifier: Classifier = folded.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean, self._std = (
            torch.tensor(values, device=self.device)[:, None, None] for values in (model.mean, model.std)
        )
        self._taken = {1.0}  # scales that the network is known to take, for all options
        self._check_scales()

    def with_options(self, options: LocalizerOptions) -> Self:
        """The same network, in the same memory, with other options.

        Raises:
            ModelError: the network cannot take pictures of a scale that they ask for.
            UsageError: a map that does not go with the method that the model was trained by.
        """
        other = copy.copy(self)
        other.options = self._resolved(options)
        other._check_scales()
        return other

    def _resolved(self, options: LocalizerOptions) -> LocalizerOptions:
        """Options with what the model was trained for where nothing was chosen; refuses what it cannot do."""
        method = METHODS[self.model.method]
        if options.norm_share and "norm" not in method.maps:
            raise UsageError(f"norm_share does not go with {method.title}: {method.why}")
        resolved = options.resolved(self.model.use)
        check(self.model.method, map=resolved.map or "cam")
        return resolved if "norm" in method.maps else replace(resolved, norm_share=0.0)

    @property
    def map(self) -> MapKind:
        """Which map the boxes come from."""
        return self.options.map or "cam"

    @torch.inference_mode()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """One pass of the network.

        Args:
            images: (B, 3, h, w) in the input frame, uint8 or floating point in [0, 1].

        Returns:
            Features (B, K, h', w') and class scores before the softmax (B, C), float32, on the device.
        """
        unit = 1 if images.is_floating_point() else 255
        images = images.to(self.device, non_blocking=True)
        images = images.to(torch.float32, memory_format=torch.channels_last, copy=True)
        images.sub_(self._mean * unit).div_(self._std * unit)
        precision = getattr(torch, self.runtime.precision)
        with torch.autocast(self.device.type, precision, enabled=precision != torch.float32):
            features, logits = self.classifier(images)
        return features.float(), logits.float()

    @torch.inference_mode()
    def see(self, images: Tensor) -> Seen:
        """All passes of the network that the options ask for; scores are of the images as they are.

        Args:
            images: see :meth:`forward`.
        """
        images = images.to(self.device, non_blocking=True)
        features, logits = self.forward(images)
        views = []
        for scale, mirrored in self.options.views:
            plain = scale == 1 and not mirrored
            view = features if plain else self._view(images, scale, mirrored=mirrored)
            views.append((view, mirrored))
        return Seen(images, logits, features, tuple(views))

    def _view(self, images: Tensor, scale: float, *, mirrored: bool) -> Tensor:
        """Features of resized and mirrored images; no more pixels in a pass than the images have."""
        count = max(1, int(len(images) / max(1, scale**2)))
        parts = (resized(part, scale) for part in torch.split(images, count))
        return torch.cat([self.forward(part.flip(-1) if mirrored else part)[0] for part in parts])

    @torch.inference_mode()
    def _check_scales(self) -> None:
        """Some networks take pictures of one size alone.

        Raises:
            ModelError: this one does, and others are asked for.
        """
        for scale in {*(self.options.scales or ())} - self._taken:
            image = resized(torch.zeros(1, 3, *self.model.input_size, device=self.device), scale)
            try:
                self.forward(image)
            except (AssertionError, RuntimeError, ValueError) as error:
                height, width = image.shape[2:]
                raise ModelError(
                    f"{self.model.name} cannot take pictures of {height} × {width} pixels, as the scale "
                    f"{scale:g} asks for: choose --preset fast, or other --scales ({error or 'refused'})"
                ) from error
            self._taken.add(scale)

    @torch.inference_mode()
    def score_maps(self, seen: Seen, labels: Tensor) -> Tensor:
        """The map that the options name, of one class an image.

        Args:
            seen: of :meth:`see`.
            labels: (B,), int64, on the same device.

        Returns:
            (B, h', w'): of one plain pass float32, unnormalised; of several the average on the finest grid;
            refined ones have the size of the images.
        """
        maps = maps_of_views(self.classifier, self.options, seen.views, labels)
        if self.options.refine == "grabcut":
            size = (seen.images.shape[2], seen.images.shape[3])
            maps = grab_cut(normalize(upsample(maps, size)), seen.images)
        return maps


def maps_of_views(
    classifier: Classifier, options: LocalizerOptions, views: Sequence[tuple[Tensor, bool]], labels: Tensor
) -> Tensor:
    """The map that the options name, unrefined, of one class an image.

    Args:
        classifier: that saw the images.
        options: resolved: with a map.
        views: features (B, K, h', w') of each scale, mirrored or not.
        labels: (B,), int64.

    Returns:
        (B, h', w'): of one plain pass float32, unnormalised; of several the average on the finest grid.
    """
    kind = options.map or "cam"
    if replace(options, refine="none").is_plain:
        return classifier.score_maps(views[0][0], labels, kind)
    share = options.norm_share or 0.0
    maps = []
    for features, mirrored in views:
        view = classifier.score_maps(features, labels, kind)
        if share:
            whole = view.isfinite().flatten(1).all(dim=1)[:, None, None]  # normalize would hide it
            mixed = (1 - share) * normalize(view) + share * feature_norm(features)
            view = torch.where(whole, mixed, torch.nan)
        maps.append(view.flip(-1) if mirrored else view)
    return average(maps)


def resized(images: Tensor, scale: float) -> Tensor:
    """Images (B, 3, h, w) of another size, (bicubic), as floating point in [0, 1]."""
    if scale == 1:
        return images
    size = [max(1, round(side * scale)) for side in images.shape[2:]]
    unit = images if images.is_floating_point() else images.float() / 255
    return F.interpolate(unit, size, mode="bicubic", antialias=scale < 1).clamp(0, 1)


def _device(runtime: RuntimeOptions) -> torch.device:
    name = runtime.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    if device.type == "cpu" and runtime.precision == "float16":
        raise ModelError("float16 needs a GPU; on a CPU use bfloat16 or float32")
    return device
