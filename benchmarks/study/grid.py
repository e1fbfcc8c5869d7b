"""What the study trains: each training by its name, in the order in which a budget is spent on them."""

from dataclasses import dataclass

SEEDS = (0, 1, 2)
EPOCHS = {"butterfly10": 5, "sysu5": 3}
"""Passes over the 494 and the 922 training images: every training of a set has the same."""


@dataclass(frozen=True)
class Training:
    """A configuration to train.

    Attributes:
        name: of its runs.
        options: of ``wsol train``, beside data, epochs and seed.
        seeds: to train it with; a search on val has one.
    """

    name: str
    options: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS


def bridging(similarity: float, norm: float, drop: float) -> tuple[str, ...]:
    """Options of Bridging the Gap with these weights of its losses."""
    weights = {"similarity": similarity, "norm": norm, "drop": drop}
    given = tuple(f"--bridging.{name}={weight:g}" for name, weight in weights.items())
    return ("--method=bridging", "--bridging.warm-up=1", *given)


TAP = ("--pooling=tap",)

SEARCH = (
    *(
        Training(f"bridging-{similarity:g}-{norm:g}-{drop:g}", bridging(similarity, norm, drop), (0,))
        for similarity, norm, drop in ((0.5, 0.05, 2), (2, 0.3, 2), (8, 1, 2), (4, 0, 0), (0, 2, 0))
    ),
    Training("tap-rate-0.005", (*TAP, "--training.learning-rate=0.005"), (0,)),
    Training("tap-theta-0", (*TAP, "--tap-threshold=0"), (0,)),
    Training("tap-theta-0.3", (*TAP, "--tap-threshold=0.3"), (0,)),
)
"""Tried with one seed and looked at on val alone."""

CORE = (
    Training("cam"),
    Training("tap", TAP),
    Training("bridging", bridging(2, 0.3, 2)),
    Training("bridging-without-similarity", bridging(0, 0.3, 2)),
    Training("bridging-without-norm", bridging(2, 0, 2)),
    Training("bridging-without-drop", bridging(2, 0.3, 0)),
    Training("bridging-tap", (*bridging(2, 0.3, 2), *TAP)),
)

OTHERS = tuple(
    Training(name, (f"--method={name}",)) for name in ("has", "cutmix", "adl", "acol", "spg", "ae")
)

TRAININGS = (*CORE[:1], *SEARCH, *CORE[1:], *OTHERS)
