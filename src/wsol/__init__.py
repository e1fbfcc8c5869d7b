"""Weakly supervised object localization: boxes and masks from class labels alone."""

from dataclasses import fields
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsol import boxes, erasing, losses, maps, pooling, thresholds
from wsol.errors import ImageError, ModelError, WsolError
from wsol.inference.localization import Localization
from wsol.inference.localizer import Localizations, Localizer
from wsol.inference.options import LocalizerOptions, RuntimeOptions
from wsol.methods.saved import load_model
from wsol.models import ModelOptions

if TYPE_CHECKING:
    from wsol import metrics

__version__ = version("wsol")

__all__ = [
    "ImageError",
    "Localization",
    "Localizations",
    "Localizer",
    "LocalizerOptions",
    "ModelError",
    "ModelOptions",
    "RuntimeOptions",
    "WsolError",
    "boxes",
    "erasing",
    "load",
    "losses",
    "maps",
    "metrics",
    "pooling",
    "thresholds",
]


def load(name_or_checkpoint: str | Path = "efficientnet_lite0", **options: Any) -> Localizer:  # noqa: ANN401
    """A localizer by the name of its model.

    Args:
        name_or_checkpoint: ``efficientnet_lite0`` (works offline with the extra ``demo``), any timm CNN, one
            of the papers' networks, or what ``wsol train`` made: a run directory, or a ``.safetensors`` of
            one.
        **options: every field of :class:`wsol.models.ModelOptions` (``checkpoint``, ``classes``,
            ``pooling``, ``stride``, …), :class:`wsol.inference.options.LocalizerOptions` (``map``,
            ``preset``, ``threshold``, ``ratio``, ``boxes``, ``top_k``, …) and
            :class:`wsol.inference.options.RuntimeOptions` (``device``, ``precision``, ``batch_size``,
            ``workers``).

    Raises:
        ModelError: the model cannot be built; the message says why and what works.
        TypeError: an option that does not exist.
        ValueError: an option out of its range.
    """
    kinds = (ModelOptions, LocalizerOptions, RuntimeOptions)
    known = {field.name for kind in kinds for field in fields(kind)} - {"backbone"}
    if unknown := set(options) - known:
        raise TypeError(f"no option {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    chosen = [
        {field.name: options[field.name] for field in fields(kind) if field.name in options} for kind in kinds
    ]
    localizer_options, runtime = LocalizerOptions(**chosen[1]), RuntimeOptions(**chosen[2])
    return Localizer(
        load_model(ModelOptions(backbone=str(name_or_checkpoint), **chosen[0])), localizer_options, runtime
    )


def __getattr__(name: str) -> object:
    """``wsol.metrics`` on its first use: torchmetrics takes as long to import as all the rest."""
    if name == "metrics":
        return import_module("wsol.metrics")
    raise AttributeError(f"module 'wsol' has no attribute {name!r}")
