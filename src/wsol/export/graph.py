"""A localizer as one graph, for programs without PyTorch: ONNX, or what ``torch.export`` saves."""

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsol.errors import ModelError, UsageError
from wsol.export.files import atomic_write
from wsol.inference.localizer import Label, Localizer
from wsol.inference.mapmaker import maps_of_views, resized
from wsol.maps import normalize, upsample
from wsol.models import Classifier
from wsol.thresholds import PercentileThreshold

GraphFormat = Literal["onnx", "torch-export"]
INPUT = "images"
OUTPUTS = ("scores", "label", "map", "box_map")
TOLERANCE = 1e-4
"""How far a graph's results may be from PyTorch's."""


class LocalizationGraph(nn.Module):
    """Everything of a localizer that is tensors: from photographs in the input frame to maps for boxes.

    What is left to do is the threshold, a comparison of ``floor(255 · box_map)`` with a level, and to find
    the components. It is computed as by :class:`wsol.Localizer`, maps in float64, with the map of the
    options' preset; but GrabCut's (``best``) is no matter of tensors.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, localizer: Localizer, label: Label | None = None) -> None:
        """Take the network, on the CPU.

        Args:
            localizer: model and options.
            label: whose map; None: of each image's most probable class.

        Raises:
            UsageError: the options refine the map.
        """
        super().__init__()
        if localizer.options.refine == "grabcut":
            raise UsageError("GrabCut cannot be part of a graph: choose --preset balanced or fast")
        if localizer.options.top_k > 1:
            raise UsageError("a graph has the map of one class: leave top_k out")
        classifier = copy.deepcopy(localizer.classifier).cpu()
        self.classifier: Classifier = classifier.to(memory_format=torch.contiguous_format)
        self.options = localizer.options
        self.size = localizer.model.input_size
        self.asked = None if label is None else localizer.model.classes.index(label)
        mean, std = (
            torch.tensor(values)[:, None, None] for values in (localizer.model.mean, localizer.model.std)
        )
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Localise a batch.

        Args:
            images: (B, h, w, 3), uint8, RGB: whole photographs resized to the input frame.

        Returns:
            scores: (B, C), before the softmax.
            label: (B,), int64, the class of the maps.
            map: (B, h', w'), as the network gives it, unnormalised; of several views their average.
            box_map: (B, h, w) in [0, 1], what a threshold makes boxes of.
            All float32 but the label.
        """
        images = images.permute(0, 3, 1, 2).float() / 255
        features, scores = self.classifier((images - self.mean) / self.std)
        labels = scores.argmax(dim=1)
        if self.asked is not None:
            labels = torch.full_like(labels, self.asked)
        views = []
        for scale, mirrored in self.options.views:
            view = resized(images.flip(-1) if mirrored else images, scale)
            seen = features if view is images else self.classifier((view - self.mean) / self.std)[0]
            views.append((seen, mirrored))
        maps = maps_of_views(self.classifier, self.options, views, labels)
        box_maps = normalize(upsample(maps, self.size))
        return scores, labels, maps.float(), box_maps.float()


def export(localizer: Localizer, path: str | Path, kind: GraphFormat, label: Label | None = None) -> float:
    """Write a localizer as one graph, and compare what it computes with PyTorch.

    The graph has one input, ``images``, and the outputs of :meth:`LocalizationGraph.forward`, for any number
    of images at a time. The file also says what a program needs beside it (:func:`about`): in an ONNX file
    the metadata ``wsol``, in one of torch.export the extra file ``wsol.json``.

    Args:
        localizer: model and options.
        path: the file, .onnx or .pt2; it appears whole or not at all.
        kind: which.
        label: see :class:`LocalizationGraph`.

    Returns:
        The largest difference from PyTorch of scores and maps, on random images, one and several at a time.

    Raises:
        UsageError: the options refine the map, or a package is missing.
        ModelError: the network cannot be exported, or the graph computes something else.
    """
    graph = LocalizationGraph(localizer, label).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, *graph.size, 3), generator=generator, dtype=torch.uint8)
    told = json.dumps(about(localizer, graph))
    with torch.no_grad(), atomic_write(Path(path)) as file, _quiet():
        graph(images)  # once as it is: what is cached of a trace would be of no use
        try:
            write = {"onnx": _write_onnx, "torch-export": _write_program}[kind]
            run = write(graph, images, file, told)
        except ImportError as error:
            raise UsageError(f"--format {kind} needs {error.name}: pip install 'wsol[export]'") from error
        except OSError:  # a full disk is no matter of the network
            raise
        except Exception as error:  # exporters, protobuf (beyond 2 GiB) and onnxruntime have their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{localizer.model.name} cannot be exported: {reason}") from error
        difference = max(_difference(graph, run, images[:count]) for count in (1, 3))
        if not difference <= TOLERANCE:
            raise ModelError(f"the graph of {localizer.model.name} is {difference:.2g} away from PyTorch")
    return difference


def about(localizer: Localizer, graph: LocalizationGraph) -> dict[str, Any]:
    """What a program needs beside the graph: frame, threshold, names of the classes.

    ``boxes``, ``min_area`` and ``min_probability`` are those of
    :class:`wsol.inference.options.LocalizerOptions`. The level of a box map is ``int(ratio · reference)``,
    where the reference is the ``percentile`` of ``floor(255 · box_map)``; 100 is its maximum.
    """
    threshold = localizer.options.build_threshold()
    return {
        "input_size": list(graph.size),
        "classes": list(localizer.model.classes.names),
        "ratio": threshold.ratio,
        "percentile": threshold.percentile if isinstance(threshold, PercentileThreshold) else 100,
        **{
            name: getattr(localizer.options, name) for name in ("boxes", "min_area", "min_probability", "map")
        },
        "preset": localizer.options.matches,
        "model": localizer.model.name,
        "weights": localizer.model.weights,
    }


Run = Callable[[NDArray[np.uint8]], Sequence[NDArray[Any]]]


def _write_onnx(graph: LocalizationGraph, images: Tensor, file: Path, told: str) -> Run:
    import onnxruntime

    program = torch.onnx.export(
        graph,
        (images,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    program.model.metadata_props["wsol"] = told
    file.write_bytes(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: session.run(list(OUTPUTS), {INPUT: images})


def _write_program(graph: LocalizationGraph, images: Tensor, file: Path, told: str) -> Run:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(graph, (images,), dynamic_shapes=({0: batch},), strict=False)
    with file.open("wb") as stream:
        torch.export.save(program, stream, extra_files={"wsol.json": told})
    with file.open("rb") as stream:
        module = torch.export.load(stream).module()
    return lambda images: [output.numpy() for output in module(torch.from_numpy(images))]


def _difference(graph: LocalizationGraph, run: Run, images: Tensor) -> float:
    """The largest difference of scores and maps; infinite where the labels are not the same."""
    expected = dict(zip(OUTPUTS, (output.numpy() for output in graph(images)), strict=True))
    found = dict(zip(OUTPUTS, run(images.numpy()), strict=True))
    if expected["label"].tolist() != found["label"].tolist():
        return float("inf")
    return max(float(np.abs(expected[name] - found[name]).max()) for name in OUTPUTS if name != "label")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' warnings of their own insides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
