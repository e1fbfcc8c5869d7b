"""How many images of a data set are localized, gathered batch by batch and over several processes."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from wsol.component_tree import Contours
from wsol.metrics.base import ImageMetric
from wsol.metrics.checks import check_iou_thresholds, check_percentile, check_rank
from wsol.metrics.functional import (
    hit_counts,
    hits_at,
    hits_by_ratio,
    overlaps_by_level,
    references_of,
    thresholds,
)
from wsol.thresholds import level_histograms

V2_IOU_THRESHOLDS = (0.3, 0.5, 0.7)
"""The δ that MaxBoxAccV2 averages over."""

_EMPTY = {
    "overlaps": torch.empty(0, 256, dtype=torch.float64),
    "histograms": torch.empty(0, 256, dtype=torch.int32),
    "rank": torch.empty(0, dtype=torch.int64),  # -1 where none was given
}
"""What is kept of each image, of no image yet."""


class BoxAccuracy(ImageMetric):
    """How many images are localized: MaxBoxAcc, MaxBoxAccV2, GT-known, Top-1 and Top-5 Loc.

    Choe et al., Evaluating WSOL Methods Right, CVPR 2020 (MaxBoxAcc) and its extension of 2020
    (MaxBoxAccV2). An image is localized at a ratio τ if a predicted box has IoU ≥ δ with a ground-truth
    box (:func:`wsol.metrics.overlaps_by_level`); one τ serves all images. Kept are the overlaps and the
    histogram of each image over the 256 levels of its 8-bit map: everything else only looks them up.

    On several processes every method that gives numbers gathers the images of all of them, so all must
    call it; images are then in the order of the processes.

    Args:
        contours: ``largest`` (MaxBoxAcc, GT-known) or ``all`` (MaxBoxAccV2).
        iou_thresholds: the δ, in (0, 1]; MaxBoxAccV2 takes (0.3, 0.5, 0.7).
        step: of the sweep over τ.
        percentile: what τ is relative to: 100 the maximum (MaS), less a percentile (PaS).
        threads: images worked on at a time.
        **options: of ``torchmetrics.Metric``.

    Raises:
        ValueError: an option out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    overlaps: list[Tensor]
    histograms: list[Tensor]
    rank: list[Tensor]

    def __init__(
        self,
        contours: Contours = "largest",
        iou_thresholds: Sequence[float] = (0.5,),
        step: float = 0.001,
        percentile: float = 100.0,
        threads: int = 1,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        if contours not in ("largest", "all"):
            raise ValueError(f"contours must be 'largest' or 'all', got {contours!r}")
        check_percentile(percentile)
        check_iou_thresholds(iou_thresholds)
        self.contours: Contours = contours
        self.iou_thresholds = tuple(iou_thresholds)
        self.thresholds = thresholds(step)
        self.percentile = percentile
        self.threads = threads
        for name in _EMPTY:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, maps: Tensor, boxes: Sequence[Tensor], rank: Tensor | None = None) -> None:
        """Count a batch.

        Args:
            maps: (B, H, W), float64, normalised to [0, 1]; 224×224 in the protocol.
            boxes: B tensors (n, 4), integer, n ≥ 1, in the maps' frame
                (:func:`wsol.metrics.to_official_frame`).
            rank: (B,), integer: place of the true class, 0 = top-1 (:func:`wsol.metrics.ranks`). Given
                for every batch or for none.

        Raises:
            ValueError: an argument that is not as described, or an image without boxes.
        """
        if rank is not None:
            check_rank(rank, len(maps))
        if self.rank and (self.rank[-1] < 0).any() != (rank is None):
            raise ValueError("rank must be given for every batch or for none")
        overlaps = overlaps_by_level(maps, boxes, self.contours, self.threads)
        rank = torch.full((len(maps),), -1) if rank is None else rank.long()
        self.overlaps.append(overlaps.to(self.device))
        self.histograms.append(level_histograms(maps).int().to(self.device))
        self.rank.append(rank.to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """The protocol's numbers under the *oracle* policy: τ is chosen on these very images.

        Where that is not meant, take τ from another split (:meth:`best_ratios`) or fix it, and ask
        :meth:`at`.

        Returns:
            Values in [0, 1], float64 tensors without dimensions, by name.

            - ``contours="largest"``: ``MaxBoxAcc@δ`` for every δ, each at the best τ of its own; with 0.5
                among the δ also ``MaxBoxAcc`` and ``GT-known Loc`` (both are ``MaxBoxAcc@0.5``) and, where
                ranks were given, ``Top-1 Loc`` and ``Top-5 Loc`` at GT-known's best τ.
            - ``contours="all"``: ``MaxBoxAccV2@δ`` for every δ, each at the best τ of its own; with the
                δ 0.3, 0.5 and 0.7 also their mean ``MaxBoxAccV2``.

        Raises:
            ValueError: no image was seen, or ranks were given only for some.
        """
        best, place = self.curves().max(dim=1)  # (D,), the lowest τ of the maximum
        name = "MaxBoxAcc" if self.contours == "largest" else "MaxBoxAccV2"
        values = {f"{name}@{delta:g}": best[i] for i, delta in enumerate(self.iou_thresholds)}
        if self.contours == "all":
            if set(self.iou_thresholds) == set(V2_IOU_THRESHOLDS):
                values[name] = best.mean()
        elif 0.5 in self.iou_thresholds:
            index = self.iou_thresholds.index(0.5)
            values |= {name: best[index], "GT-known Loc": best[index]}
            if self._images()[2][0] >= 0:
                ratio = float(self.thresholds[int(place[index])])
                values |= {f"Top-{topk} Loc": self.at(ratio, topk)[index] for topk in (1, 5)}
        return values

    def curves(self, topk: int | None = None) -> Tensor:
        """The share of images localized at each ratio τ of the sweep.

        Args:
            topk: also ask that the true class is among the first ``topk``.

        Returns:
            (δ, τ), float64, in [0, 1]: a row for each of ``iou_thresholds``, a column for each of
            ``thresholds``.

        Raises:
            ValueError: no image was seen, ranks were given only for some, or ``topk`` without ranks.
        """
        overlaps, references, right = self._gathered(topk)
        ratios = self.thresholds.to(overlaps.device)
        counts = hit_counts(overlaps, references, ratios, self._deltas(overlaps), right)  # (D, T)
        return counts.double() / len(overlaps)

    def best_ratios(self) -> Tensor:
        """The lowest ratio τ at which each δ has its highest accuracy, the class aside: (δ,) float64.

        Raises:
            ValueError: no image was seen, or ranks were given only for some.
        """
        return self.thresholds[self.curves().argmax(dim=1).cpu()]

    def at(self, ratios: float | Sequence[float] | Tensor, topk: int | None = None) -> Tensor:
        """The share of images localized at given ratios τ: the *fixed* and the *transferred* policy.

        Args:
            ratios: one τ in [0, 1] for all δ, or one for each of ``iou_thresholds``, such as the
                :meth:`best_ratios` of another split.
            topk: also ask that the true class is among the first ``topk``.

        Returns:
            (δ,), float64, in [0, 1].

        Raises:
            ValueError: no image was seen, ranks were given only for some, ``topk`` without ranks, or
                ratios that are not as described.
        """
        hits = self.hits(ratios, topk)
        return hits.sum(dim=0).double() / len(hits)

    def hits(self, ratios: float | Sequence[float] | Tensor, topk: int | None = None) -> Tensor:
        """Which images are localized at given ratios τ: (N, δ) bool; arguments and errors as :meth:`at`."""
        overlaps, references, right = self._gathered(topk)
        ratios = torch.as_tensor(ratios, dtype=torch.float64, device=overlaps.device)
        if ratios.shape not in ((), (len(self.iou_thresholds),)):
            raise ValueError(f"ratios must be one τ or one for each δ, got shape {tuple(ratios.shape)}")
        ratios = ratios.expand(len(self.iou_thresholds))
        hits = hits_at(overlaps, references, ratios, self._deltas(overlaps))
        return hits if right is None else hits & right[:, None]

    def sweep_hits(self, topk: int | None = None) -> Tensor:
        """Which images are localized at each ratio of the sweep: (N, δ, τ) bool; :meth:`curves` is its mean.

        It is what :func:`wsol.metrics.oracle_measure` takes. Errors as :meth:`curves`.
        """
        overlaps, references, right = self._gathered(topk)
        ratios = self.thresholds.to(overlaps.device)
        hits = torch.cat(list(hits_by_ratio(overlaps, references, ratios, self._deltas(overlaps))))
        return hits if right is None else hits & right[:, None, None]

    def reindexed(
        self, *, iou_thresholds: Sequence[float] | None = None, percentile: float | None = None
    ) -> "BoxAccuracy":
        """The same images under other δ or another percentile, without looking for boxes again.

        Args:
            iou_thresholds: the δ; None keeps this metric's.
            percentile: what τ is relative to; None keeps this metric's.

        Returns:
            A metric of its own: what either is updated with later stays unknown to the other.
        """
        other = cast("BoxAccuracy", self.clone())
        if iou_thresholds is not None:
            check_iou_thresholds(iou_thresholds)
            other.iou_thresholds = tuple(iou_thresholds)
        if percentile is not None:
            check_percentile(percentile)
            other.percentile = percentile
        other._computed = None
        return other

    def _deltas(self, overlaps: Tensor) -> Tensor:
        return torch.tensor(self.iou_thresholds, dtype=torch.float64, device=overlaps.device)

    def _gathered(self, topk: int | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Overlaps (N, 256), references (N,), and whose class is among the first ``topk`` (N,)."""
        if topk is not None and topk < 1:
            raise ValueError(f"topk must be 1 or more, got {topk}")
        overlaps, histograms, rank = self._images()
        if topk is not None and (rank < 0).any():
            raise ValueError("rank was not given for every image")
        return overlaps, references_of(histograms, self.percentile), None if topk is None else rank < topk

    def _images(self) -> tuple[Tensor, Tensor, Tensor]:
        """Overlaps (N, 256), histograms (N, 256) and rank (N,) of the images of all processes."""
        context = self.sync_context(
            dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync, should_unsync=self._should_unsync
        )
        with nullcontext() if self._is_synced else context:  # within compute() they are gathered already
            overlaps, histograms, rank = (
                torch.cat([empty.to(self.device), *_as_list(getattr(self, name))])
                for name, empty in _EMPTY.items()
            )
        if len(overlaps) == 0:
            raise ValueError("no image was seen: call update first")
        if (rank < 0).any() and (rank >= 0).any():
            raise ValueError("rank was not given for every image")
        return overlaps, histograms, rank

    def _sync_dist(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        """Gather; a process that saw no image takes part with states of the right shape and type."""
        for name, empty in _EMPTY.items():
            if not getattr(self, name):
                setattr(self, name, [empty.to(self.device)])
        super()._sync_dist(*args, **options)


def _as_list(state: Tensor | list[Tensor]) -> list[Tensor]:
    """A state as a list of tensors: gathering from processes joins its list to one tensor."""
    return [state] if isinstance(state, Tensor) else state
