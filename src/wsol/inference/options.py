"""What can be chosen about localising: one typed definition for Python and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from wsol.boxes import BoxesKind
from wsol.maps import MapKind
from wsol.thresholds import Threshold, ThresholdKind, build

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class LocalizerOptions:
    """How scores become boxes.

    Attributes:
        map: which score map: cam, nwc (CAM without negative weights), norm (feature norm F, the same for
            every class), or similarity (cosine similarity S to the class weights); default: what the model
            was trained for, else cam.
        threshold: what the threshold is a share of: max (the map's maximum), or percentile; default: what the
            model was trained for, else max.
        ratio: that share τ, in [0, 1]; default: what was chosen on val in training, for the same map and
            threshold; else 0.2 of the maximum, 0.35 of the percentile.
        percentile: which percentile, in [0, 100]; default 90.
        boxes: the component of largest contour, or all components.
        top_k: how many of the most probable classes to localise.
        min_probability: below this class probability nothing is here, in [0, 1].
        min_area: smallest share of the picture that a component may cover, in [0, 1].
    """

    map: MapKind | None = None
    threshold: ThresholdKind | None = None
    ratio: float | None = None
    percentile: float | None = None
    boxes: BoxesKind = "largest"
    top_k: int = 1
    min_probability: float = 0.0
    min_area: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in (("map", MapKind), ("boxes", BoxesKind)):
            if getattr(self, name) not in (None, *get_args(choices)):
                raise ValueError(f"{name} must be one of {get_args(choices)}, got {getattr(self, name)!r}")
        for name in ("min_probability", "min_area"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        self.build_threshold()

    def build_threshold(self) -> Threshold:
        """The threshold that the options name."""
        return build(self.threshold or "max", self.ratio, self.percentile)

    def resolved(self, use: Mapping[str, Any]) -> "LocalizerOptions":
        """With map and threshold that a model was trained for, where they were not asked for.

        Args:
            use: of :class:`wsol.models.Model`: ``map``, ``threshold``, ``percentile``, ``ratio``; or nothing.
        """
        map = self.map or use.get("map") or "cam"
        threshold = self.threshold or use.get("threshold") or "max"
        same = threshold == use.get("threshold")
        percentile = use.get("percentile") if self.percentile is None and same else self.percentile
        chosen = same and (map, percentile) == (use.get("map"), use.get("percentile"))
        ratio = use.get("ratio") if self.ratio is None and chosen else self.ratio
        return replace(self, map=map, threshold=threshold, percentile=percentile, ratio=ratio)


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """Where and how fast; the results stay the same, but for rounding.

    Attributes:
        device: auto (a GPU if there is one), cpu, cuda, cuda:1
        precision: of the network; maps and boxes are always computed in float64.
        batch_size: images in one forward pass.
        workers: processes that read images; the command's default: one less than there are cores, at most 8;
            in Python, with none the calling process reads.
    """

    device: str = "auto"
    precision: Precision = "float32"
    batch_size: int = 32
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be float32, bfloat16 or float16, got {self.precision!r}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers must be at least 0, got {self.workers}")
