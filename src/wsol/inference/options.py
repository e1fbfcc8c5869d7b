"""What can be chosen about localising: one typed definition for Python and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

from wsol.boxes import BoxesKind
from wsol.maps import MapKind
from wsol.refinement import RefineKind
from wsol.thresholds import Threshold, ThresholdKind, build

Precision = Literal["float32", "bfloat16", "float16"]
Preset = Literal["fast", "balanced", "best"]


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """How a score map is made.

    Attributes:
        map: which score map: cam, nwc (CAM without negative weights), norm (feature norm F, the same for
            every class), or similarity (cosine similarity S to the class weights); default: what the model
            was trained for, else cam.
        preset: fast (one pass over the picture), balanced (at one and two times the input size, mirrored too,
            with a quarter of F where the method has one: about 10 times the work), or best (that, then
            refined along the edges of the photograph); any of the next options changes a part of it.
        scales: sizes of the picture, in input sizes, whose maps are averaged; class scores are always of 1.
        flip: average with the map of the mirrored picture.
        norm_share: how much of the feature norm F is mixed into the map, in [0, 1].
        refine: grabcut makes the map follow the edges of the photograph; or none.
    """

    map: MapKind | None = None
    preset: Preset = "fast"
    scales: tuple[float, ...] | None = None
    flip: bool | None = None
    norm_share: float | None = None
    refine: RefineKind | None = None

    def __post_init__(self) -> None:
        for name, choices in (("map", MapKind), ("preset", Preset), ("refine", RefineKind)):
            if getattr(self, name) not in (None, *get_args(choices)):
                raise ValueError(f"{name} must be one of {get_args(choices)}, got {getattr(self, name)!r}")
        scales = self.scales
        if scales is not None and not (scales and all(0.25 <= scale <= 8 for scale in scales)):
            raise ValueError(f"scales must be numbers in [0.25, 8], at least one, got {scales}")
        if self.norm_share is not None and not 0 <= self.norm_share <= 1:
            raise ValueError(f"norm_share must be in [0, 1], got {self.norm_share}")

    def filled(self) -> Self:
        """With the preset's choice wherever none was made."""
        usual = PRESETS[self.preset]
        return replace(self, **{name: value for name, value in usual.items() if getattr(self, name) is None})

    def parts(self) -> dict[str, Any]:
        """What the preset stands for, as far as no other choice was made."""
        filled = self.filled()
        return {name: getattr(filled, name) for name in PRESETS["fast"]}

    @property
    def matches(self) -> Preset | None:
        """The preset that all parts together are; None for another mixture."""
        mine = self.parts()
        return next((preset for preset, parts in PRESETS.items() if mine == parts), None)

    @property
    def views(self) -> list[tuple[float, bool]]:
        """Scale of each pass over the picture, and whether it is mirrored."""
        return [
            (scale, mirrored)
            for scale in self.scales or (1.0,)
            for mirrored in (False, True)[: 1 + bool(self.flip)]
        ]

    def told(self) -> str:
        """In words what is more than one plain pass: a preset's name, or each part; "" for nothing."""
        if self.matches is not None:
            return "" if self.is_plain else self.matches
        mine = self.parts()
        told = {
            "scales": "scales " + " ".join(f"{scale:g}" for scale in mine["scales"]),
            "flip": "flip",
            "norm_share": f"F {mine['norm_share']:g}",
            "refine": mine["refine"],
        }
        return ", ".join(told[name] for name, value in mine.items() if value != PRESETS["fast"][name])

    @property
    def is_plain(self) -> bool:
        """Whether the map is that of one pass over the picture, as it is."""
        return self.matches == "fast"


PRESETS: dict[Preset, dict[str, Any]] = {
    "fast": {"scales": (1.0,), "flip": False, "norm_share": 0.0, "refine": "none"},
    "balanced": {"scales": (1.0, 2.0), "flip": True, "norm_share": 0.25, "refine": "none"},
    "best": {"scales": (1.0, 2.0), "flip": True, "norm_share": 0.25, "refine": "grabcut"},
}
"""What each preset stands for; docs/results.md has what they are worth."""

USUAL_RATIOS = {
    ("balanced", "max"): 0.33,
    ("balanced", "percentile"): 0.52,
    ("best", "max"): 0.25,
    ("best", "percentile"): 0.33,
}
"""τ of presets whose maps are not like the papers'; docs/results.md says on what they were chosen."""


@dataclass(frozen=True, kw_only=True)
class LocalizerOptions(MapOptions):
    """How scores become boxes.

    Attributes:
        threshold: what the threshold is a share of: max (the map's maximum), or percentile; default: what the
            model was trained for, else max.
        ratio: that share τ, in [0, 1]; default: what was chosen on val in training, for the same map, preset
            and threshold (of fast and balanced); else 0.33 of the maximum (fast: 0.2, best: 0.25; of Bridging
            the Gap's similarity loss alone 0.24, best: 0.19), 0.52 of the percentile (fast: 0.35, best:
            0.33).
        percentile: which percentile, in [0, 100]; default 90.
        boxes: the component of largest contour, or all components.
        top_k: how many of the most probable classes to localise.
        min_probability: below this class probability nothing is here, in [0, 1].
        min_area: smallest share of the picture that a component may cover, in [0, 1].
    """

    preset: Preset = "balanced"
    threshold: ThresholdKind | None = None
    ratio: float | None = None
    percentile: float | None = None
    boxes: BoxesKind = "largest"
    top_k: int = 1
    min_probability: float = 0.0
    min_area: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.boxes not in get_args(BoxesKind):
            raise ValueError(f"boxes must be one of {get_args(BoxesKind)}, got {self.boxes!r}")
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
        """With the preset's map, and map and threshold that a model was trained for, where not asked for.

        Args:
            use: of :class:`wsol.models.Model`: ``map``, ``threshold``, ``percentile``, and τ of presets:
                ``ratio`` of fast, ``balanced_ratio``, and ``usual_ratios`` where none was chosen on val; or
                nothing.
        """
        map = self.map or use.get("map") or "cam"
        threshold = self.threshold or use.get("threshold") or "max"
        same = threshold == use.get("threshold")
        percentile = use.get("percentile") if self.percentile is None and same else self.percentile
        ratio = self.ratio
        if same and (map, percentile) == (use.get("map"), use.get("percentile")) and ratio is None:
            chosen = {"fast": "ratio", "balanced": "balanced_ratio"}
            ratio = use.get(chosen[self.matches]) if self.matches in chosen else None
        if ratio is None:
            preset = self.matches or self.preset
            own = use.get("usual_ratios", {}) if (threshold, map) == ("max", "cam") else {}
            ratio = own.get(preset, USUAL_RATIOS.get((preset, threshold)))
        return replace(self.filled(), map=map, threshold=threshold, percentile=percentile, ratio=ratio)


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """Where and how fast; the results stay the same, but for rounding.

    Attributes:
        device: auto (a GPU if there is one), cpu, cuda, cuda:1
        precision: of the network; maps and boxes are always computed in float64.
        batch_size: images in one forward pass; at a larger scale fewer, of as many pixels.
        workers: processes that read images, or read and measure saved maps; the command's default: one less
            than there are cores, at most 8; in Python, with none the calling process reads.
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
