"""Trained weights in one file that is loadable by itself: safetensors, with the description in its header.

The header's key ``wsol`` holds JSON: how the network is built, method and settings, classes, the transform,
which map and threshold were chosen on val, and which run it is from. Nothing in the file is executed.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from wsol.errors import ModelError
from wsol.export.files import atomic_write
from wsol.maps import MapKind
from wsol.methods import MethodOptions, adapt
from wsol.models import Classes, Model, ModelOptions, build
from wsol.models.weights import check_finite, file_source, load_strictly
from wsol.typed import relied_on, typed

FORMAT = 1
KEY = "wsol"
WEIGHTS = "best.safetensors"
"""The file of a run directory that is used."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a model is used with; see :class:`wsol.models.Model`."""

    map: MapKind | None = None
    threshold: Literal["max", "percentile"] | None = None
    percentile: float | None = None
    ratio: float | None = None
    balanced_ratio: float | None = None

    def __post_init__(self) -> None:
        for name, most in (("percentile", 100), ("ratio", 1), ("balanced_ratio", 1)):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= most:
                raise ValueError(f"{name} must be in [0, {most}], got {value}")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The run that a model is from."""

    title: str
    name: str = ""
    seed: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    data: str = ""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the header of a file holds; ``run`` and ``use`` as they were given, for a model."""

    backbone: ModelOptions
    method: MethodOptions
    classes: Classes
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    initial_weights: str
    run: dict[str, Any]
    use: dict[str, Any]

    def __post_init__(self) -> None:
        if self.backbone.checkpoint is not None or self.backbone.classes is not None:
            raise ValueError("it names other files: a trained model is whole")
        ModelOptions(input_size=self.input_size, mean=self.mean, std=self.std)  # refuses what cannot be
        names, aliases = self.classes.names, self.classes.aliases
        if not names or len(aliases) not in (0, len(names)):
            raise ValueError(f"it has {len(names)} classes, and aliases of {len(aliases)}")
        if self.run:
            relied_on(Origin, self.run, "run")
        relied_on(Use, self.use, "use")


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
    use = describe(path).use | values
    _write(path, _tensors(path), _header(path) | {"use": use})


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


def describe(path: Path) -> Description:
    """The description in the header of a file.

    Raises:
        ModelError: not such a file, or one of another version.
    """
    given = _header(path)
    version = given.pop("format", None)
    if type(version) is int and version != FORMAT:
        raise ModelError(
            f"{path} is of format {version}, this version of wsol reads {FORMAT}: take another version"
        )
    try:
        description: Description = typed(Description, given, "it")
    except ValueError as error:
        raise ModelError(f"{path}: its description is damaged: {error}") from error
    return description


def _header(path: Path) -> dict[str, Any]:
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
        values: dict[str, Any] = typed(dict[str, Any], json.loads(header), "it")
    except (RecursionError, ValueError) as error:
        raise ModelError(f"{path}: its description is damaged: {error}") from error
    return values


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
    options, method, classes = given.backbone, given.method, given.classes
    usual_ratios = {"usual_ratios": ratios} if (ratios := method.usual_ratios) else {}
    known: dict[str, Any] = {
        "weights": f"{given.initial_weights}, trained: {file_source(path)}",
        "input_size": (asked.input_size or given.input_size,) * 2,
        "mean": given.mean,
        "std": given.std,
        "run": given.run,
        "use": given.use | usual_ratios,
    }
    options = replace(options, **{name: getattr(asked, name) for name in changed})
    model = build(options, pretrained=False, num_classes=len(classes.names))
    classifier = adapt(method, model.classifier, model.name).eval()
    state = _tensors(path)
    load_strictly(classifier, state, path)
    check_finite(state, str(path))
    known |= {"classifier": classifier, "classes": classes, "trained": True, "method": method.method}
    return replace(model, **known)


def load_model(options: ModelOptions, *, pretrained: bool = True) -> Model:
    """A model by the name of its backbone, or a trained one by its run directory or weights file.

    Raises:
        ModelError: it cannot be had; the message says why and what works.
    """
    path = weights_file(options.backbone)
    return build(options, pretrained=pretrained) if path is None else load(path, options)
