"""Bridging the Gap (Kim et al., CVPR 2022): strong features and likeness to the class are made to agree.

    L = CE + λ_drop · L_drop                                        in the warm-up epochs 1 … n
    L = CE + λ_drop · L_drop + λ_sim · L_sim + λ_norm · L_norm      after them

L_sim and L_norm (:mod:`wsol.losses`) pull the two factors of a CAM together; L_drop asks the features to
stay the same when the most active pixels of an inner map are erased (:func:`wsol.erasing.attentive_dropout`).
Only the layers behind that map run a second time. Classes and maps come from the clean pass alone.
"""

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

from timm.models.vgg import VGG
from torch import Generator, Tensor

from wsol.erasing import attentive_dropout
from wsol.errors import ModelError
from wsol.losses import Region, consistency_loss, norm_loss, similarity_loss
from wsol.methods.base import Batch, Method
from wsol.methods.checks import check_shares
from wsol.models import Classifier
from wsol.models.layers import Passed, before, find_layer, stages

log = logging.getLogger("wsol")

PUBLISHED: dict[str, Any] = {"similarity": 0.5, "norm": 0.05, "drop": 2.0}
"""Weights released for ResNet50 on CUB-200-2011."""

SIMILARITY_TIMES_IMAGES = 12_000
"""λ_sim times the images seen after the warm-up, on other networks: a search on val (docs/results.md)."""

MOST_SIMILARITY = 8.0
"""The largest λ_sim that is chosen so."""

ALIGNED_RATIOS = {"balanced": 0.24, "best": 0.19}
"""τ of presets for maps of the similarity loss alone: the best on val of docs/results.md's two sets."""


@dataclass(frozen=True, kw_only=True)
class BridgingOptions:
    """Bridging the Gap. Defaults: released for ResNet50 on CUB-200-2011.

    The three weights go by the backbone: as released on the papers' networks; elsewhere what a search with
    EfficientNet-Lite0 on val found (docs/results.md): the similarity loss alone, and less of it the more
    images it sees, for on pictures that are easy to tell apart nothing else stops it before features are
    like the class everywhere, and boxes too large.

    Attributes:
        warm_up: epochs without similarity and norm loss; default: 2/7 of all, as released for CUB.
        similarity: λ_sim, weight of the similarity loss; default: 0.5 on the papers' networks, else 12,000
            over the images seen after the warm-up (images × epochs), from 0.5 to 8.
        norm: λ_norm, weight of the norm loss; default: 0.05 on the papers' networks, else 0.
        drop: λ_drop, weight of the consistency loss; default: 2 on the papers' networks, else 0.
        foreground: τ_fg: the feature norm above it is foreground, in [0, 1].
        background: τ_bg: the feature norm below it is background, in [0, 1].
        region: the norm loss looks at the similarity to the true class (target; ImageNet's) or to the most
            similar one (max; CUB's).
        drop_threshold: γ of attentive dropout: above this share of the maximum a pixel may be erased.
        drop_probability: q: with this probability it is.
        drop_layer: whose output is erased, by module name; default: features.22 (conv4_3's ReLU) of
            vgg16_cam, layer4.0 of ResNets, else the input of the last stage.
        batch_size_after: images in a batch after the warm-up; default: the same.
    """

    warm_up: int | None = None
    similarity: float | None = None
    norm: float | None = None
    drop: float | None = None
    foreground: float = 0.4
    background: float = 0.2
    region: Region = "max"
    drop_threshold: float = 0.8
    drop_probability: float = 0.25
    drop_layer: str | None = None
    batch_size_after: int | None = None

    def __post_init__(self) -> None:
        check_shares(self, "foreground", "background", "drop_threshold", "drop_probability")
        for name in PUBLISHED:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name} must be at least 0, got {value}")
        if self.region not in get_args(Region):
            raise ValueError(f"region must be one of {get_args(Region)}, got {self.region!r}")
        if self.warm_up is not None and self.warm_up < 0:
            raise ValueError(f"warm_up must be at least 0, got {self.warm_up}")
        if self.batch_size_after is not None and self.batch_size_after < 1:
            raise ValueError(f"batch_size_after must be at least 1, got {self.batch_size_after}")

    def with_published(self) -> Self:
        """With the released weights where none was given."""
        return self._filled(PUBLISHED)

    def with_searched(self, *, images: int, epochs: int) -> Self:
        """With the weights for other networks where none was given.

        Args:
            images: of the training split.
            epochs: of the training, with the warm-up.
        """
        seen = images * (epochs - self.warm_up_epochs(epochs))
        similarity = min(MOST_SIMILARITY, round(SIMILARITY_TIMES_IMAGES / max(1, seen), 2))
        similarity = max(PUBLISHED["similarity"], similarity)
        return self._filled({"similarity": similarity, "norm": 0.0, "drop": 0.0})

    @property
    def aligns_alone(self) -> bool:
        """Whether the similarity loss is the only one beside classification."""
        return bool(self.similarity) and not self.norm and not self.drop

    def warm_up_epochs(self, epochs: int) -> int:
        """Epochs of warm-up, of so many in all."""
        return round(2 / 7 * epochs) if self.warm_up is None else min(self.warm_up, epochs)

    def _filled(self, usual: dict[str, Any]) -> Self:
        return replace(self, **{name: value for name, value in usual.items() if getattr(self, name) is None})


class BridgingTheGap(Method):
    """Bridging the Gap between classification and localization; weights not given are those published."""

    options: BridgingOptions
    keeps_dropout = False  # its two passes would differ by it

    def __init__(self, classifier: Classifier, options: BridgingOptions, *, epochs: int = 1) -> None:
        super().__init__(classifier, options, epochs=epochs)
        options = options.with_published()
        self.weights = {name: float(getattr(options, name)) for name in PUBLISHED}
        self.warm_up = options.warm_up_epochs(epochs)
        if self.warm_up >= epochs and (self.weights["similarity"] or self.weights["norm"]):
            log.warning(
                "bridging.warm_up: of %s epochs %s are warm-up; none is left for similarity and norm loss",
                epochs,
                self.warm_up,
            )
        self.drop_layer = options.drop_layer or default_drop_layer(classifier)
        find_layer(classifier.network, self.drop_layer)

    def losses(self, batch: Batch, *, epoch: int, generator: Generator) -> dict[str, Tensor]:
        """See :meth:`Method.losses`."""
        options, weights, labels = self.options, self.weights, batch.labels
        passed = self._passed(generator)
        with passed.recording() if weights["drop"] else nullcontext():
            features, logits = self.classifier(batch.images)
        terms = {"classification": batch.cross_entropy(logits)}
        if weights["drop"]:
            with passed.again():
                erased = self.classifier.features(batch.images)
            terms["drop"] = weights["drop"] * consistency_loss(features, erased)
        if epoch <= self.warm_up:
            return terms
        weight = self.classifier.linear.weight
        if weights["similarity"]:
            terms["similarity"] = weights["similarity"] * similarity_loss(
                features, weight, labels, foreground=options.foreground, background=options.background
            )
        if weights["norm"]:
            terms["norm"] = weights["norm"] * norm_loss(features, weight, labels, region=options.region)
        return terms

    def _passed(self, generator: Generator) -> Passed:
        """What remembers the clean pass, so that the erased one can begin behind the drop layer."""
        options = self.options

        def drop(inner: Tensor) -> Tensor:
            return attentive_dropout(
                inner,
                threshold=options.drop_threshold,
                probability=options.drop_probability,
                generator=generator,
            )

        return Passed(self.classifier.network, self.drop_layer, drop)

    def epoch_batch_size(self, epoch: int, batch_size: int) -> int:
        """See :meth:`Method.epoch_batch_size`."""
        after = self.options.batch_size_after
        return batch_size if after is None or epoch <= self.warm_up else after


def default_drop_layer(classifier: Classifier) -> str:
    """Where attentive dropout stands in the paper's networks, and where it is set in others.

    Raises:
        ModelError: the network has no stages.
    """
    network = classifier.network
    if isinstance(network, VGG):
        return "features.22"  # conv4_3's ReLU, before pool4
    if "layer4.0" in {name for name, _ in network.named_modules()}:  # ResNets
        return "layer4.0"
    if not (found := stages(network)):
        raise ModelError("the network has no stages before whose last one it could drop: name a drop_layer")
    return before(network, found[-1])
