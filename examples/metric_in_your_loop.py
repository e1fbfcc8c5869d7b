"""Exact box accuracy inside your own evaluation loop: python examples/metric_in_your_loop.py."""

import torch

from wsol.maps import normalize, upsample
from wsol.metrics import BoxAccuracy, PixelAveragePrecision

generator = torch.Generator().manual_seed(0)
largest = BoxAccuracy("largest", iou_thresholds=(0.5,))
every = BoxAccuracy("all", iou_thresholds=(0.3, 0.5, 0.7))
pixels = PixelAveragePrecision()
for _ in range(3):  # batches of your loader
    cams = torch.rand(4, 7, 7, generator=generator)
    boxes = [torch.tensor([[40, 40, 180, 180]])] * 4  # official frame: 224×224, one or more an image
    masks = torch.zeros(4, 224, 224, dtype=torch.bool)
    masks[:, 40:180, 40:180] = True
    maps = normalize(upsample(cams, (224, 224)))
    largest.update(maps, boxes, rank=torch.tensor([0, 0, 1, 7]))  # place of the true class among the scores
    every.update(maps, boxes)
    pixels.update(maps, masks)
for metric in (largest, every):
    print({name: round(float(value), 3) for name, value in metric.compute().items()})
print("PxAP", round(float(pixels.compute()), 3))
print("at τ = 0.2, fixed:", largest.at(0.2))
