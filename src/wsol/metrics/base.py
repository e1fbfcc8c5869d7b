"""What the metrics with a state have in common."""

from torchmetrics import Metric


class ImageMetric(Metric):
    """A metric that says itself when there was nothing to count."""

    @property
    def update_called(self) -> bool:
        """Whether images may have been seen; of several processes one may see none, which is no mistake."""
        return super().update_called or bool(self.distributed_available_fn())
