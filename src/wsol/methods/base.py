"""What every training method is: a classifier, what it does to a batch, and the terms of its loss."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from wsol.models import Classifier
from wsol.models.layers import without_dropout


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images with their classes, as a method trains on them.

    Attributes:
        images: (B, 3, H, W), normalised, so that 0 is the mean colour.
        labels: (B,), int64.
        partners: (B,), int64: the classes of the images that were pasted in; None if none were.
        share: of the loss that ``labels`` have; ``partners`` have the rest.
    """

    images: Tensor
    labels: Tensor
    partners: Tensor | None = None
    share: float = 1.0

    def cross_entropy(self, logits: Tensor) -> Tensor:
        """Classification loss of class scores (B, C): a scalar."""
        loss = F.cross_entropy(logits, self.labels)
        if self.partners is None:
            return loss
        return self.share * loss + (1 - self.share) * F.cross_entropy(logits, self.partners)


class Method(nn.Module):
    """Base of the methods; alone it is CAM: classification and nothing else.

    A method trains ``classifier``, which alone is kept for use: its ``forward`` gives features and class
    scores in one pass, its ``score_maps`` the map of a class. What only training needs are other modules
    of the method, or changes that its ``losses`` make to the pass and take back.

    Attributes:
        classifier: what is trained and kept.
        options: the method's own, a dataclass; None for CAM.
        keeps_dropout: whether the dropout layers of inception_v3_cam's head stay.
    """

    keeps_dropout: ClassVar[bool] = True

    def __init__(self, classifier: Classifier, options: Any = None, *, epochs: int = 1) -> None:  # noqa: ANN401
        """Make what training needs.

        Args:
            classifier: of :meth:`adapt`.
            options: the method's own.
            epochs: that it will be trained for.

        Raises:
            ModelError: the network has not the layers that the method looks at.
        """
        super().__init__()
        self.classifier = classifier
        self.options = options

    @classmethod
    def adapt(cls, classifier: Classifier, backbone: str, options: Any) -> Classifier:  # noqa: ANN401
        """The classifier that the method trains: most take it as it is, others bring heads of their own.

        Args:
            classifier: a backbone with its usual head; it may be taken apart.
            backbone: its name.
            options: the method's own.

        Raises:
            ModelError: the method cannot be had on that backbone.
        """
        if backbone == "inception_v3_cam" and not cls.keeps_dropout:
            without_dropout(classifier.network)
        return classifier

    def transform_batch(self, batch: Batch, generator: Generator) -> Batch:
        """What is trained on instead of the batch, which stays as it is.

        Args:
            batch: images and labels.
            generator: of every draw, on the device of the images.
        """
        return batch

    def losses(self, batch: Batch, *, epoch: int, generator: Generator) -> dict[str, Tensor]:
        """The terms of the loss by name, scalars with their weights: what is minimised is their sum.

        Args:
            batch: of :meth:`transform_batch`.
            epoch: counted from 1.
            generator: of every draw, on the device of the images.
        """
        _, logits = self.classifier(batch.images)
        return {"classification": batch.cross_entropy(logits)}

    def epoch_batch_size(self, epoch: int, batch_size: int) -> int:
        """Images in a batch of an epoch (counted from 1), where ``batch_size`` is what was asked for."""
        return batch_size
