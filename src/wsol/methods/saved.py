"""Trained weights in one file that is loadable by itself: safetensors, with the description in its header.

The header's key ``wsol`` holds JSON: how the network is built, method and settings, classes, the transform,
which map and threshold were chosen on val, and which run it is from. Nothing in the file is executed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from wsol.errors import ModelError
from wsol.export.files import atomic_write
from wsol.methods import MethodOptions, adapt
from wsol.models import Classes, Model, ModelOptions, build
from wsol.models.weights import check_finite, file_source, load_strictly

FORMAT = 1
KEY = "wsol"
WEIGHTS = "best.safetensors"
"""The file of a run directory that is used."""


def save(path: Path, model: Model, options: ModelOptions, method: MethodOptions) -> None:
    """Write a trained model; the file appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.classifier.state_dict().items()
    }
    description = {
        "format": FORMAT,
        "backbone": asdict(replace(options, checkpoint=None)),
        "method": {"method": method.method}
        | ({} if method.chosen is None else {method.method: asdict(method.chosen)}),
        "classes": asdict(model.classes),
        "input_size": model.input_size[0],
        "mean": model.mean,
        "std": model.std,
        "initial_weights": model.weights,
        "run": dict(model.run),
        "use": dict(model.use),
    }
    _write(path, state, description)


def add_use(path: Path, **values: float) -> None:
    """Add to what a trained model is used with; see :class:`wsol.models.Model`.

    Raises:
        ModelError: not a file of :func:`save`.
        OSError: it cannot be written.
    """
    description = describe(path)
    _write(path, _tensors(path), description | {"use": description["use"] | values})


def _tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def _write(path: Path, state: dict[str, Tensor], description: dict[str, Any]) -> None:
    whole = to_bytes(state, metadata={KEY: json.dumps(description)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(whole)  # safetensors itself would let nobody else read it


def weights_file(name: str | Path) -> Path | None:
    """The weights that a run directory, or a file written by :func:`save`, stands for; None if it is neither.

    Raises:
        ModelError: a run directory without weights.
    """
    path = Path(name)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise ModelError(
                f"{path} holds no trained weights: there is no {WEIGHTS}. Has an epoch finished?"
            )
        return path / WEIGHTS
    return path if path.suffix == ".safetensors" and path.is_file() else None


def describe(path: Path) -> dict[str, Any]:
    """The description in the header of a file.

    Raises:
        ModelError: not such a file, or one of another version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if header is None:
        raise ModelError(
            f"{path} is no trained model of wsol: it does not say which network it is of. Give that as the "
            "model, and the file as --checkpoint."
        )
    try:
        description: dict[str, Any] = json.loads(header)
        version = description["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: its description is damaged ({error})") from error
    if version != FORMAT:
        raise ModelError(
            f"{path} is of format {version}, this version of wsol reads {FORMAT}: take another version"
        )
    return description


def load(path: Path, asked: ModelOptions) -> Model:
    """The model of a file.

    Args:
        path: of :func:`weights_file`.
        asked: input size and stride may differ from those of the training; other fields must be as they are
            by default.

    Raises:
        ModelError: options that a trained model does not take, a file that cannot be read, or weights that do
            not fit.
    """
    given = describe(path)
    usual = ModelOptions(backbone=asked.backbone)
    changed = [
        each.name for each in fields(ModelOptions) if getattr(asked, each.name) != getattr(usual, each.name)
    ]
    if refused := set(changed) - {"input_size", "stride"}:
        raise ModelError(
            f"{', '.join(sorted(refused))}: not for the trained model {path}, which knows its own"
        )
    try:
        options: ModelOptions = _make(ModelOptions, given["backbone"])
        method: MethodOptions = _make(MethodOptions, given["method"])
        classes = Classes(tuple(given["classes"]["names"]), tuple(map(tuple, given["classes"]["aliases"])))
        known: dict[str, Any] = {
            "weights": f"{given['initial_weights']}, trained: {file_source(path)}",
            "input_size": (asked.input_size or int(given["input_size"]),) * 2,
            "mean": tuple(given["mean"]),
            "std": tuple(given["std"]),
            "run": dict(given["run"]),
            "use": dict(given["use"]) | ({"usual_ratios": ratios} if (ratios := method.usual_ratios) else {}),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its description is damaged ({type(error).__name__}: {error})") from error
    options = replace(options, **{name: getattr(asked, name) for name in changed})
    model = build(options, pretrained=False, num_classes=len(classes.names))
    classifier = adapt(method, model.classifier, model.name).eval()
    state = _tensors(path)
    load_strictly(classifier, state, path)
    check_finite(state, str(path))
    known |= {"classifier": classifier, "classes": classes, "trained": True, "method": method.method}
    return replace(model, **known)


def _make(kind: type[Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """A dataclass from JSON."""
    types = get_type_hints(kind)
    return kind(
        **{
            name: _make(types[name], value)
            if is_dataclass(types[name])
            else tuple(value)
            if isinstance(value, list)
            else value
            for name, value in values.items()
        }
    )


def load_model(options: ModelOptions, *, pretrained: bool = True) -> Model:
    """A model by the name of its backbone, or a trained one by its run directory or weights file.

    Raises:
        ModelError: it cannot be had; the message says why and what works.
    """
    path = weights_file(options.backbone)
    return build(options, pretrained=pretrained) if path is None else load(path, options)
