"""What the study trains: each training by its name, in the order in which a budget is spent on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SEEDS = (0, 1, 2)
EPOCHS = {"butterfly10": 5, "sysu5": 3}
"""Passes over the 494 and the 922 training images: every training of a set has the same."""


Level = Literal["plain", "presets", "parts"]


@dataclass(frozen=True)
class Training:
    """A configuration to train.

    Attributes:
        name: of its runs.
        options: of ``wsol train``, beside data, epochs and seed; ``{runs}`` is the folder of the set's runs.
        seeds: to train it with; a search on val has one.
        measured: with which maps: plain and with NWC; those of the presets too; or also each of their parts
            alone, with the first seed.
        usual: with the number of epochs of ``wsol train``, 8 on both sets, and validated after each.
    """

    name: str
    options: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    measured: Level = "plain"
    usual: bool = False


def bridging(similarity: float, norm: float, drop: float) -> tuple[str, ...]:
    """Options of Bridging the Gap with these weights of its losses."""
    weights = {"similarity": similarity, "norm": norm, "drop": drop}
    given = tuple(f"--bridging.{name}={weight:g}" for name, weight in weights.items())
    return ("--method=bridging", "--bridging.warm-up=1", *given)


TAP = ("--pooling=tap",)
WEIGHTS = (2.0, 0.3, 2.0)
"""Of the similarity, norm and consistency losses, by the search on val: docs/results.md has its curves."""

CORE = (
    Training("cam", measured="parts"),
    Training("bridging", bridging(*WEIGHTS), measured="presets"),
    Training("tap", TAP),
    Training("bridging-tap", (*bridging(*WEIGHTS), *TAP)),
    Training("bridging-without-similarity", bridging(0, 0.3, 2)),
    Training("bridging-without-norm", bridging(2, 0, 2)),
    Training("bridging-without-drop", bridging(2, 0.3, 0)),
)

LEAD = Training("bridging-8-0-0", bridging(8, 0, 0), measured="presets")
"""What the search on val found best of all: the similarity loss alone, and more of it."""

LEAD_SEARCH = (
    Training("bridging-8-0-0-warm-0", (*LEAD.options, "--bridging.warm-up=0"), (0,)),
    Training("bridging-8-0-0-tap", (*LEAD.options, *TAP), (0,)),
)
CAM_USUAL = Training("cam-usual", usual=True, measured="presets")
USUAL = {"plain CAM": CAM_USUAL} | {
    f"weight {weight}": Training(
        f"bridging-{weight}-0-0-usual",
        (*bridging(weight, 0, 0), "--bridging.warm-up=2"),  # 2/7 of 8 epochs, as by default
        (0,),
        usual=True,
    )
    for weight in (2, 8)
}
"""The length that users train, by weight of the similarity loss."""

DEFAULT = Training("bridging-usual", ("--method=bridging",), usual=True, measured="presets")
"""What ``wsol train --method bridging`` does: the weight goes by the number of images seen."""

BRIDGING_SEARCH = {(8, 0, 0): LEAD} | {
    (similarity, norm, drop): Training(
        f"bridging-{similarity:g}-{norm:g}-{drop:g}", bridging(similarity, norm, drop), (0,)
    )
    for similarity, norm, drop in (
        *((4, 0, 0), (16, 0, 0), (32, 0, 0)),
        *((0.5, 0.3, 2), (8, 0.3, 2), (2, 0.05, 2), (2, 1, 2), (2, 0.3, 0.5), (2, 0.3, 8)),
        *((0.5, 0.05, 2), (8, 1, 2), (0, 2, 0)),
    )
}
TAP_SEARCH = (
    Training("tap-warm", (*TAP, "--checkpoint={runs}/cam-seed0/best.safetensors"), (0,)),
    Training("tap-usual", TAP, (0,), usual=True),
    Training("tap-theta-0.3", (*TAP, "--tap-threshold=0.3"), (0,)),
    Training("tap-rate-0.0005", (*TAP, "--training.learning-rate=0.0005"), (0,)),
    Training("tap-theta-0", (*TAP, "--tap-threshold=0"), (0,)),
    Training("tap-rate-0.005", (*TAP, "--training.learning-rate=0.005"), (0,)),
)
RATE_SEARCH = (
    Training("cam-rate-0.03", ("--training.learning-rate=0.03",), (0,)),
    Training("bridging-rate-0.03", (*bridging(*WEIGHTS), "--training.learning-rate=0.03"), (0,)),
    Training("cam-rate-0.002", ("--training.learning-rate=0.002",), (0,)),
    Training("cam-trunk-0.1", ("--training.trunk-gradient=0.1",), (0,)),
)
SEARCH = (*USUAL.values(), *RATE_SEARCH, *list(BRIDGING_SEARCH.values())[1:], *LEAD_SEARCH, *TAP_SEARCH)
"""Tried with one seed and looked at on val alone."""

OTHERS = tuple(
    Training(name, (f"--method={name}",)) for name in ("has", "cutmix", "adl", "acol", "spg", "ae")
)


def planned() -> Iterator[tuple[Training, int]]:
    """Every training and seed; within a stage one seed of all before the next seed."""
    stages = (
        (CORE[0], LEAD),
        LEAD_SEARCH[:1],
        (*USUAL.values(), DEFAULT),
        CORE[1:],
        (*OTHERS, *TAP_SEARCH),
        SEARCH,
    )
    yield from dict.fromkeys(
        (training, seed) for stage in stages for seed in SEEDS for training in stage if seed in training.seeds
    )
