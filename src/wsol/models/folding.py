"""Batch norms folded into the convolutions before them: the same function, with less memory to move."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norms(network: nn.Module, input_size: tuple[int, int]) -> nn.Module:
    """A copy for inference in which each batch norm behind a convolution has become part of it.

    In evaluation a batch norm is a scale and a shift per channel, which the convolution's weight and bias
    can carry. Which follows which is seen by running the network once. The copy is proved on that run: a
    network that uses a convolution's output elsewhere too is copied as it is.

    Args:
        network: in evaluation mode, on the CPU.
        input_size: (height, width) of the image to run.

    Returns:
        A copy, folded unless that would change the result.
    """
    folded = copy.deepcopy(network)
    image = torch.randn(1, 3, *input_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(image)
        names = {module: name for name, module in folded.named_modules()}
        for convolution, norm in _pairs(folded, image):
            convolution.weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            parent, _, name = names[norm].rpartition(".")
            setattr(folded.get_submodule(parent), name, _rest(norm))
        same = all(_close(*pair) for pair in zip(_flat(expected), _flat(folded(image)), strict=True))
    return folded if same else copy.deepcopy(network)


def _pairs(network: nn.Module, image: Tensor) -> list[tuple[Any, Any]]:
    """Convolutions and the batch norms that take their output."""
    pairs: list[tuple[Any, Any]] = []
    outputs: dict[int, tuple[nn.Module, Tensor]] = {}  # keeps the tensors, so that no id is used twice

    def saw_convolution(module: nn.Module, _: object, output: Tensor) -> None:
        outputs[id(output)] = (module, output)

    def saw_norm(module: nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        if id(inputs[0]) in outputs:
            pairs.append((outputs[id(inputs[0])][0], module))

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(saw_convolution))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats and module.affine:
            hooks.append(module.register_forward_hook(saw_norm))
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return pairs


def _rest(norm: nn.Module) -> nn.Module:
    """What a batch norm does besides: timm's carry an activation."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def _close(expected: Tensor, found: Tensor) -> bool:
    return torch.allclose(expected, found, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def _flat(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)
