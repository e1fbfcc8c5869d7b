"""A timm network with weights and classes of your own: python examples/own_backbone.py."""

from pathlib import Path

import timm
from safetensors.torch import save_file

import wsol
from wsol.data.samples import sample_photographs

# in place of your training: a state dict in .safetensors or .pth, and the names of its classes
save_file(timm.create_model("resnet18", num_classes=2).state_dict(), "mine.safetensors")
Path("mine.txt").write_text("cat\ndog\n")

localizer = wsol.load("resnet18", checkpoint="mine.safetensors", classes="mine.txt", preset="fast")
result = localizer(sample_photographs()[0])
print(result.label, result.boxes.tolist(), "map of", result.raw_maps["map"].shape)

finer = wsol.load(
    "resnet18", checkpoint="mine.safetensors", classes="mine.txt", input_size=448, preset="fast"
)
print("at 448 pixels the map is", finer(sample_photographs()[0]).raw_maps["map"].shape)

try:
    wsol.load("convnext_atto")
except wsol.ModelError as error:  # what stands between features and linear layer
    print(error)
