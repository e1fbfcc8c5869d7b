"""Methods: what training adds to classification. One file a paper; the table here says what combines."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from wsol.errors import UsageError
from wsol.maps import MapKind
from wsol.methods.acol import ACoL, ACoLOptions
from wsol.methods.adl import ADL, ADLOptions
from wsol.methods.ae import AE, AEOptions
from wsol.methods.base import Batch, Method
from wsol.methods.bridging import ALIGNED_RATIOS, BridgingOptions, BridgingTheGap
from wsol.methods.cam import CAM
from wsol.methods.cutmix import CutMix, CutMixOptions
from wsol.methods.has import HaS, HaSOptions
from wsol.methods.spg import SPG, SPGOptions
from wsol.models import Classifier
from wsol.pooling import PoolingKind

__all__ = ["METHODS", "Batch", "Entry", "Method", "MethodKind", "MethodOptions", "adapt", "build", "check"]

MethodKind = Literal["cam", "has", "cutmix", "adl", "acol", "spg", "ae", "bridging"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the table of what combines.

    Attributes:
        method: the class.
        title: as the literature calls it.
        poolings: that its class scores may come from.
        maps: that can be read off it.
        why: why others cannot.
        rate: of the default learning rate, what suits it (ours).
    """

    method: type[Method]
    title: str
    poolings: tuple[PoolingKind, ...] = get_args(PoolingKind)
    maps: tuple[MapKind, ...] = get_args(MapKind)
    why: str = ""
    rate: float = 1.0


METHODS: dict[str, Entry] = {
    "cam": Entry(method=CAM, title="CAM"),
    "has": Entry(method=HaS, title="HaS"),
    "cutmix": Entry(method=CutMix, title="CutMix"),
    "adl": Entry(method=ADL, title="ADL"),
    "acol": Entry(
        method=ACoL,
        title="ACoL",
        rate=0.3,
        maps=("cam", "nwc"),
        why="its map is the maximum of two heads' maps, which has no feature norm or similarity",
    ),
    "spg": Entry(method=SPG, title="SPG", rate=0.1),
    "ae": Entry(
        method=AE,
        title="AE",
        maps=("cam", "nwc"),
        why="its map is the maximum of several networks' maps, which has no feature norm or similarity",
    ),
    "bridging": Entry(method=BridgingTheGap, title="Bridging the Gap"),
}


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """What training adds to classification, and the settings of each method.

    Attributes:
        method: cam (nothing), has, cutmix, adl, acol, spg, ae, or bridging (Bridging the Gap).
        has: of HaS.
        cutmix: of CutMix.
        adl: of ADL.
        acol: of ACoL.
        spg: of SPG.
        ae: of AE.
        bridging: of Bridging the Gap.
    """

    method: MethodKind = "cam"
    has: HaSOptions = field(default_factory=HaSOptions)
    cutmix: CutMixOptions = field(default_factory=CutMixOptions)
    adl: ADLOptions = field(default_factory=ADLOptions)
    acol: ACoLOptions = field(default_factory=ACoLOptions)
    spg: SPGOptions = field(default_factory=SPGOptions)
    ae: AEOptions = field(default_factory=AEOptions)
    bridging: BridgingOptions = field(default_factory=BridgingOptions)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        default = {name: type(getattr(self, name))() for name in METHODS if name != "cam"}
        for name, usual in default.items():
            if name != self.method and getattr(self, name) != usual:
                raise ValueError(f"settings of {name} were given, but method is {self.method!r}")

    @property
    def usual_ratios(self) -> dict[str, float]:
        """τ of presets, shares of the maximum, where a CAM's usual ones do not suit the method's maps."""
        return ALIGNED_RATIOS if self.method == "bridging" and self.bridging.aligns_alone else {}

    @property
    def chosen(self) -> Any:  # noqa: ANN401
        """The settings of the chosen method; None for CAM."""
        return getattr(self, self.method, None)


def check(method: str, *, pooling: PoolingKind = "gap", map: MapKind = "cam") -> None:
    """Refuse what does not combine.

    Raises:
        UsageError: with the reason.
    """
    entry = METHODS[method]
    for axis, value, allowed in (("pooling", pooling, entry.poolings), ("map", map, entry.maps)):
        if value not in allowed:
            raise UsageError(
                f"{axis} {value!r} does not go with {entry.title}: {entry.why}; it takes {', '.join(allowed)}"
            )


def adapt(options: MethodOptions, classifier: Classifier, backbone: str) -> Classifier:
    """The classifier that the method trains and that is kept; see :meth:`Method.adapt`."""
    check(options.method, pooling=classifier.pooling)
    return METHODS[options.method].method.adapt(classifier, backbone, options.chosen)


def build(options: MethodOptions, classifier: Classifier, *, epochs: int) -> Method:
    """A method that trains an adapted classifier; see :class:`Method`."""
    return METHODS[options.method].method(classifier, options.chosen, epochs=epochs)
