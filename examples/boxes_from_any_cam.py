"""Boxes from a map that other code made, of any size and range: python examples/boxes_from_any_cam.py."""

import numpy as np
import torch

from wsol import boxes, maps, thresholds

rows, columns = np.mgrid[0:14, 0:14]
cam = np.exp(-((rows - 4) ** 2 + (columns - 4) ** 2) / 6) + 0.6 * np.exp(
    -((rows - 9) ** 2 + (columns - 10) ** 2) / 4
)
height, width = 480, 640  # of the photograph

score_map = maps.normalize(maps.upsample(torch.from_numpy(cam)[None], (height, width)))  # (1, H, W) in [0, 1]
for threshold in (
    thresholds.MaximumThreshold(0.2),
    thresholds.MaximumThreshold(0.5),
    thresholds.PercentileThreshold(0.35, 90),
):
    mask = thresholds.foreground(score_map, threshold(score_map))  # (1, H, W) bool
    print(threshold, "largest", boxes.largest_box(mask)[0].tolist(), "all", boxes.all_boxes(mask[0]).tolist())
