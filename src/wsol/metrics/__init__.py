"""Metrics of the protocol: box accuracies, PxAP, class accuracy, errors by kind, and how sure they are."""

from wsol.metrics.box_accuracy import V2_IOU_THRESHOLDS, BoxAccuracy
from wsol.metrics.error_analysis import ERROR_TYPES, error_types
from wsol.metrics.functional import (
    box_hits,
    distinct_ratios,
    hit_counts,
    hits_at,
    hits_by_ratio,
    levels_of,
    overlaps_by_level,
    ranks,
    references_of,
    thresholds,
    to_official_frame,
)
from wsol.metrics.pixels import (
    mask_overlaps,
    pixel_average_precision,
    pixel_edges,
    pixel_histograms,
    precision_recall,
)
from wsol.metrics.pooled import PixelAveragePrecision, TopKAccuracy
from wsol.metrics.statistics import (
    Measure,
    PairedTest,
    bootstrap_interval,
    bootstrap_intervals,
    box_measure,
    mean_measure,
    oracle_measure,
    paired_test,
    pixel_measure,
)
from wsol.thresholds import level_histograms

__all__ = [
    "ERROR_TYPES",
    "V2_IOU_THRESHOLDS",
    "BoxAccuracy",
    "Measure",
    "PairedTest",
    "PixelAveragePrecision",
    "TopKAccuracy",
    "bootstrap_interval",
    "bootstrap_intervals",
    "box_hits",
    "box_measure",
    "distinct_ratios",
    "error_types",
    "hit_counts",
    "hits_at",
    "hits_by_ratio",
    "level_histograms",
    "levels_of",
    "mask_overlaps",
    "mean_measure",
    "oracle_measure",
    "overlaps_by_level",
    "paired_test",
    "pixel_average_precision",
    "pixel_edges",
    "pixel_histograms",
    "pixel_measure",
    "precision_recall",
    "ranks",
    "references_of",
    "thresholds",
    "to_official_frame",
]
