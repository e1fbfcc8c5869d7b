"""A timm network with weights and classes of your own: python examples/own_backbone.py."""

from pathlib import Path

import timm
from safetensors.torch import save_file

import wsol
from wsol.data.samples import sample_photographs

# in place of your training: a state dict in .safetensors or .pth, and the names of its classes
save_file(timm.create_model("resnet18", num_classes=2).state_dict(), "mine.safetensors")
Path("mine.txt").write_text("cat\ndog\n")

for size in (224, 448):
    localizer = wsol.load(
        "resnet18", checkpoint="mine.safetensors", classes="mine.txt", input_size=size, preset="fast"
    )
    result = localizer(sample_photographs()[0])
    assert isinstance(result, wsol.Localization)  # of a folder it would be a list
    print(result.label, result.boxes.tolist(), "map of", result.raw_maps["map"].shape, "at", size, "pixels")

try:
    wsol.load("convnext_atto")
except wsol.ModelError as error:  # what stands between features and linear layer
    print(error)
