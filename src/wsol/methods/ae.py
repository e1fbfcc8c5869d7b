"""AE, adversarial erasing (Wei et al., CVPR 2017): several classifiers, each on what the others left over.

TO BE WRITTEN.
"""

from dataclasses import dataclass

from wsol.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class AEOptions:
    """AE. Defaults: the paper's.

    Attributes:
        steps: classifiers that are trained one after the other.
        threshold: the label's map above this share of its maximum is erased, in [0, 1].
    """

    steps: int = 3
    threshold: float = 0.2


class AE(Method):
    """Adversarial erasing."""
