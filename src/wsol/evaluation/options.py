"""What can be chosen about an evaluation: one typed definition for Python and the command line."""

from dataclasses import dataclass
from typing import Literal, get_args

from wsol.evaluation.protocol import Policy, Protocol, Standard


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Which protocol.

    Attributes:
        split: the split to evaluate.
        policy: transferred (τ is the best on another split), fixed (τ is --ratio), or oracle (τ is the best
            on the evaluated split itself; then the headline says so). The oracle is always told beside.
        select_on: the split that τ is chosen on under the policy transferred.
        ratio: τ of the policy fixed, in [0, 1].
        threshold: what τ is a share of: max (the map's maximum), percentile (Rethinking CAM), or ivr (maps
            divided by a percentile first).
        percentile: of percentile and ivr, in [0, 100]; default 90.
        label_source: whose map is looked at: the true class's, the predicted class's, or that of --label;
            default: true where the model knows the classes of the data, else predicted. Of --maps it is
            what you say: unstated if you do not.
        class_map: a file that says which class of the model is which of the data, a line each:
            data class,model class (names or indices; several lines for one class of the data are allowed).
        label: the class of --label-source asked, by the model's name or index.
        name: what to call the result in tables; default: the model.
        seed: of the training, for tables that average over seeds.
        step: between the thresholds tried, 0.0001 to 1; the official one is 0.001.
        resamples: of the bootstrap behind the 95 % intervals.
    """

    split: str = "test"
    policy: Policy = "transferred"
    select_on: str = "val"
    ratio: float | None = None
    threshold: Standard = "max"
    percentile: float | None = None
    label_source: Literal["true", "predicted", "asked"] | None = None
    class_map: str | None = None
    label: str | None = None
    name: str | None = None
    seed: int | None = None
    step: float = 0.001
    resamples: int = 1000

    def __post_init__(self) -> None:
        for name, choices in (("policy", Policy), ("threshold", Standard)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} must be one of {get_args(choices)}, got {getattr(self, name)!r}")
        if self.policy == "transferred" and self.select_on == self.split:
            raise ValueError(
                f"split and select_on are both {self.split!r}: choose the threshold on another split, or say "
                "policy 'oracle'"
            )
        if self.policy == "fixed" and self.ratio is None:
            raise ValueError("the policy 'fixed' needs ratio: the threshold τ itself, in [0, 1]")
        if self.policy != "fixed" and self.ratio is not None:
            raise ValueError(f"ratio is for the policy 'fixed'; policy is {self.policy!r}")
        if self.ratio is not None and not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio must be in [0, 1], got {self.ratio}")
        if self.threshold == "max" and self.percentile is not None:
            raise ValueError("percentile is for threshold 'percentile' or 'ivr'; threshold is 'max'")
        highest = 100 if self.threshold == "percentile" else 99.999
        if self.percentile is not None and not 0 <= self.percentile <= highest:
            raise ValueError(f"percentile must be in [0, {highest}], got {self.percentile}")
        if self.label_source not in (None, "true", "predicted", "asked"):
            raise ValueError(f"label_source must be true, predicted or asked, got {self.label_source!r}")
        if (self.label_source == "asked") != (self.label is not None):
            raise ValueError("label and label_source 'asked' go together: give both or none")
        if not 0.0001 <= self.step <= 1:
            raise ValueError(f"step must be in [0.0001, 1], got {self.step}")
        if self.resamples < 1:
            raise ValueError(f"resamples must be at least 1, got {self.resamples}")

    def protocol(self, truth: Literal["boxes", "masks"], label_source: str) -> Protocol:
        """The protocol that these options stand for.

        Raises:
            ValueError: masks do not go with the threshold ``percentile``, nor with a ratio between two steps:
                what is kept of them is counts of pixels by bins of that width.
        """
        if truth == "masks" and self.threshold == "percentile":
            raise ValueError("threshold 'percentile' is for boxes; against masks τ is the map's own value")
        if truth == "masks" and self.ratio is not None and not _on_edge(self.ratio, self.step):
            raise ValueError(f"ratio must be a multiple of step, {self.step}, for masks; got {self.ratio}")
        selected_on = {"transferred": self.select_on, "oracle": self.split, "fixed": None}[self.policy]
        percentile = 90.0 if self.percentile is None else float(self.percentile)
        return Protocol(
            split=self.split,
            truth=truth,
            policy=self.policy,
            selected_on=selected_on,
            label_source=label_source,  # type: ignore[arg-type]
            standard=self.threshold,
            percentile=100.0 if self.threshold == "max" else percentile,
            step=self.step,
        )


def _on_edge(ratio: float, step: float) -> bool:
    return abs(ratio / step - round(ratio / step)) < 1e-6
