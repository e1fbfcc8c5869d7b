"""The two factors of a CAM, and a figure that shows them: python examples/why_this_box.py."""

import torch

import wsol
from wsol.data.samples import sample_photographs

localizer = wsol.load("efficientnet_lite0", preset="fast")
result = localizer(sample_photographs()[0])
assert isinstance(result, wsol.Localization)  # of a folder it would be a list
norm, similarity = result.raw_maps["norm"], result.raw_maps["similarity"]  # F in [0, 1], S in [-1, 1]
print(f"{result.label}: S from {similarity.min():.2f} to {similarity.max():.2f}")
print(
    "positions where the features are strong but not like the class:",
    int(((norm > 0.5) & (similarity < 0.1)).sum()),
)
result.plot().savefig("why.png")  # photograph, map, F, S

# the identity itself: CAM = ‖f‖ · ‖w‖ · S
features, weight, label = torch.rand(1, 64, 7, 7), torch.randn(10, 64), torch.tensor([3])
cam = wsol.maps.class_activation_map(features, weight, label)
_, likeness = wsol.maps.decompose(features, weight, label)
product = features.norm(dim=1) * weight[3].norm() * likeness
print("largest difference:", float((cam - product).abs().max()))
