"""What is chosen on the page for one view, as options of a localizer, and what is usual."""

from dataclasses import dataclass
from typing import get_args

from wsol.boxes import BoxesKind
from wsol.errors import ModelError, UsageError
from wsol.inference.localizer import Localizer
from wsol.inference.options import PRESETS, LocalizerOptions, Preset
from wsol.maps import MapKind
from wsol.methods import METHODS
from wsol.report.overlay import MAP_NAMES
from wsol.thresholds import PercentileThreshold, Threshold, ThresholdKind

THRESHOLDS = {"max": "the maximum", "percentile": "a percentile"}
BOXES = {"largest": "the largest component", "all": "all"}


@dataclass(frozen=True)
class Settings:
    """The controls of one view, in the order in which the page has them."""

    map: MapKind
    preset: Preset
    threshold: ThresholdKind
    ratio: float
    percentile: float
    boxes: BoxesKind

    def options(self, base: LocalizerOptions) -> LocalizerOptions:
        """As options of a localizer.

        Args:
            base: options that the controls do not have: the smallest probability and area.

        Raises:
            UsageError: a value that is none of a control's.
        """
        for name, value in (("τ", self.ratio), ("the percentile", self.percentile)):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UsageError(f"{name} must be a number")
        return LocalizerOptions(
            map=self.map,
            preset=self.preset,
            threshold=self.threshold,
            ratio=self.ratio,
            percentile=self.percentile if self.threshold == "percentile" else None,
            boxes=self.boxes,
            min_probability=base.min_probability,
            min_area=base.min_area,
        )


def first(localizer: Localizer) -> Settings:
    """Where the controls stand at first: as the localizer's own options.

    A mixture of parts that is no preset is shown as the preset that it was made from.
    """
    made = localizer.options
    threshold = made.build_threshold()
    return Settings(
        map=made.map or "cam",
        preset=made.matches or made.preset,
        threshold=made.threshold or "max",
        ratio=threshold.ratio,
        percentile=_percentile(threshold),
        boxes=made.boxes,
    )


def usual(
    localizer: Localizer, map: MapKind, preset: Preset, threshold: ThresholdKind, boxes: BoxesKind
) -> Settings:
    """With the τ and percentile that are usual for the model, map, preset and threshold.

    Raises:
        UsageError: the map does not go with the model's method.
        ValueError: a value that is none of a control's.
    """
    options = LocalizerOptions(map=map, preset=preset, threshold=threshold, boxes=boxes)
    made = localizer.with_options(options).options.build_threshold()
    return Settings(map, preset, threshold, made.ratio, _percentile(made), boxes)


def _percentile(threshold: Threshold) -> float:
    if isinstance(threshold, PercentileThreshold):
        return threshold.percentile
    return PercentileThreshold.percentile


def another(localizer: Localizer, chosen: Settings) -> Settings:
    """The same with another map: what is worth to be looked at beside it."""
    other = next((kind for _, kind in reversed(maps(localizer)) if kind != chosen.map), chosen.map)
    return usual(localizer, other, chosen.preset, chosen.threshold, chosen.boxes)


def maps(localizer: Localizer) -> list[tuple[str, MapKind]]:
    """The maps that go with the model's method, by the names that people see."""
    known: tuple[MapKind, ...] = get_args(MapKind)
    return [(MAP_NAMES[kind], kind) for kind in known if kind in METHODS[localizer.model.method].maps]


def presets(localizer: Localizer) -> list[Preset]:
    """Those that the network can take, the fastest first: some networks take pictures of one size alone."""

    def takes(preset: Preset) -> bool:
        try:
            localizer.with_options(LocalizerOptions(preset=preset))
        except ModelError:
            return False
        return True

    return [preset for preset in PRESETS if takes(preset)]
