"""Exported graphs compute what the localizer does, for any number of images, and without PyTorch."""

import errno
import json
import runpy
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import wsol
from tests.methods.test_combinations import trained
from wsol import Localizer, LocalizerOptions, RuntimeOptions
from wsol.cli import main
from wsol.data.inputs import to_image
from wsol.data.samples import sample_photographs
from wsol.errors import ModelError, UsageError
from wsol.export import graph as graphs
from wsol.export.graph import OUTPUTS, export
from wsol.inference.reading import to_frame
from wsol.maps import normalize, upsample
from wsol.methods import MethodKind
from wsol.pooling import PoolingKind

CASES: dict[str, tuple[MethodKind, PoolingKind, dict[str, Any]]] = {
    "cam": ("cam", "gap", {"preset": "fast"}),
    "acol": ("acol", "gap", {"preset": "fast"}),
    "spg": ("spg", "gap", {"preset": "fast"}),
    "ae": ("ae", "gap", {"preset": "fast"}),
    "balanced": ("cam", "gap", {"preset": "balanced"}),
    "tap, nwc": ("bridging", "tap", {"preset": "fast", "map": "nwc", "threshold": "percentile"}),
    "similarity": ("cam", "gap", {"map": "similarity", "scales": (0.5,), "flip": True, "norm_share": 0.0}),
}
EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_boxes.py"


def _run(path: Path) -> Callable[[NDArray[np.uint8]], dict[str, NDArray[Any]]]:
    """What is in the file, as a function of a batch of images."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        return lambda images: dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"images": images}), strict=True))
    module = torch.export.load(path).module()
    return lambda images: {
        name: value.numpy() for name, value in zip(OUTPUTS, module(torch.from_numpy(images)), strict=True)
    }


def _expected(localizer: Localizer, images: NDArray[np.uint8], label: int | None) -> dict[str, NDArray[Any]]:
    """By the steps of a localizer, one after the other."""
    seen = localizer.see(torch.from_numpy(images).permute(0, 3, 1, 2))
    labels = seen.logits.argmax(dim=1) if label is None else torch.full((len(images),), label)
    maps = localizer.score_maps(seen, labels)
    box_maps = normalize(upsample(maps, localizer.model.input_size))
    found = (seen.logits, labels, maps, box_maps)
    return {name: value.numpy() for name, value in zip(OUTPUTS, found, strict=True)}


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
@pytest.mark.parametrize("case", CASES)
def test_any_batch_gives_what_the_localizer_gives(case: str, suffix: str, tmp_path: Path) -> None:
    kind, pooling, options = CASES[case]
    torch.manual_seed(0)
    localizer = Localizer(
        trained("test_resnet", kind, pooling)[0], LocalizerOptions(**options), RuntimeOptions(device="cpu")
    )
    path, label = tmp_path / f"model{suffix}", 1 if kind == "bridging" else None
    assert export(localizer, path, "onnx" if suffix == ".onnx" else "torch-export", label) <= 1e-4
    run, generator = _run(path), np.random.default_rng(0)
    for count in (1, 2, 5):
        images = generator.integers(0, 256, (count, *localizer.model.input_size, 3), np.uint8)
        found, expected = run(images), _expected(localizer, images, label)
        assert found["label"].tolist() == expected["label"].tolist()
        for name in ("scores", "map", "box_map"):
            assert found[name].dtype == np.float32 and found[name].shape == expected[name].shape
            np.testing.assert_allclose(found[name], expected[name], atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline ImageNet classifier in ONNX."""
    path = tmp_path_factory.mktemp("graph") / "lite.onnx"
    assert (
        main(["export", "efficientnet_lite0", "--preset", "fast", "--boxes", "all", "--output", str(path)])
        == 0
    )
    return path


def test_real_photographs(offline: Path) -> None:
    localizer = wsol.load("efficientnet_lite0", preset="fast", device="cpu")
    frames = [to_frame(to_image(Image.open(path)), (224, 224)).numpy() for path in sample_photographs()]
    found, expected = _run(offline)(np.stack(frames)), _expected(localizer, np.stack(frames), None)
    assert found["label"].tolist() == expected["label"].tolist()
    for name in ("scores", "map", "box_map"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The sample photographs, and pictures of two of them side by side, in odd sizes."""
    folder = tmp_path_factory.mktemp("several")
    samples = sample_photographs()
    for number, (left, right) in enumerate(pairwise(samples)):
        both = Image.new("RGB", (1003 + 7 * number, 377 + 5 * number), (128, 128, 128))
        for place, path in enumerate((left, right)):
            both.paste(to_image(Image.open(path)).resize((401, 301)), (35 + 520 * place, 30))
        both.save(folder / f"{number}.png")
    return [*map(str, samples), *map(str, sorted(folder.iterdir()))]


@pytest.mark.parametrize(
    "options",
    [
        {"boxes": "all"},
        {"min_probability": 0.5},
        {"boxes": "all", "min_area": 0.05, "threshold": "percentile", "ratio": 0.6},
    ],
)
def test_the_example_gives_the_localizers_boxes_without_torch(
    options: dict[str, Any],
    several: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    localizer = wsol.load("efficientnet_lite0", preset="fast", device="cpu", **options)
    export(localizer, tmp_path / "lite.onnx", "onnx")
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("torch", "wsol"):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "lite.onnx"), *several])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    monkeypatch.undo()
    told = capsys.readouterr().out.splitlines()
    for path in several:
        result = localizer(path)
        assert isinstance(result, wsol.Localization)
        assert told.pop(0) == f"{path} {result.label} {result.probability:.3f}"
        boxes = zip(result.boxes.tolist(), result.scores, strict=True)
        mine = [told.pop(0) for _ in result.boxes]
        assert sorted(mine) == sorted(f"  {x0} {y0} {x1} {y1}  {s:.3f}" for (x0, y0, x1, y1), s in boxes)
    assert not told


def test_what_a_program_needs_beside_the_graph(offline: Path) -> None:
    metadata = onnxruntime.InferenceSession(offline).get_modelmeta().custom_metadata_map
    about = json.loads(metadata["wsol"])
    assert about["classes"][285] == "Egyptian cat" and len(about["classes"]) == 1000
    assert (about["ratio"], about["percentile"], about["input_size"]) == (0.2, 100, [224, 224])
    assert (about["boxes"], about["map"], about["preset"]) == ("all", "cam", "fast")


def test_a_program_of_torch_export_tells_it_too(tmp_path: Path) -> None:
    localizer = Localizer(
        trained("test_resnet", "cam")[0], LocalizerOptions(preset="fast", threshold="percentile")
    )
    export(localizer, tmp_path / "m.pt2", "torch-export")
    extra = {"wsol.json": ""}
    torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert (json.loads(extra["wsol.json"])["percentile"], json.loads(extra["wsol.json"])["ratio"]) == (
        90,
        0.35,
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--preset", "best"], "GrabCut cannot be part of a graph: choose --preset balanced or fast"),
        (["--top-k", "2"], "a graph has the map of one class: leave top_k out"),
        (["--backbone", "resnet18"], "give one model: efficientnet_lite0, or --backbone resnet18"),
        (["--output", "model.pt2"], "--format onnx is a file .onnx, not model.pt2"),
    ],
)
def test_what_cannot_be(
    options: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "efficientnet_lite0", *options]) == 2
    assert told in capsys.readouterr().err and not [*tmp_path.iterdir()]


def test_a_file_is_replaced_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "efficientnet_lite0.pt2"
    path.write_text("mine")
    command = ["export", "efficientnet_lite0", "--preset", "fast", "--format", "torch-export"]
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err and path.read_text() == "mine"
    assert main([*command, "--overwrite"]) == 0
    assert "images (B, 224, 224, 3), uint8" in capsys.readouterr().out
    assert [*tmp_path.iterdir()] == [path]


def test_a_graph_that_computes_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = Localizer(trained("test_resnet", "cam")[0], LocalizerOptions(preset="fast"))
    write = graphs._write_program

    def wrong(*arguments: Any) -> graphs.Run:
        run = write(*arguments)
        return lambda images: [output + 0.01 for output in run(images)]

    monkeypatch.setattr(graphs, "_write_program", wrong)
    with pytest.raises(ModelError, match="away from PyTorch"):
        export(localizer, tmp_path / "m.pt2", "torch-export")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("error", [RuntimeError(), NotImplementedError("no such operator\nat all")])
def test_an_exporter_that_fails_is_told(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> graphs.Run:
        raise error

    monkeypatch.setattr(graphs, "_write_program", fail)
    localizer = Localizer(trained("test_resnet", "cam")[0], LocalizerOptions(preset="fast"))
    with pytest.raises(ModelError, match=r"cannot be exported: (RuntimeError|no such operator)$"):
        export(localizer, tmp_path / "m.pt2", "torch-export")
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: Any) -> graphs.Run:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(graphs, "_write_program", fill)
    localizer = Localizer(trained("test_resnet", "cam")[0], LocalizerOptions(preset="fast"))
    with pytest.raises(OSError, match=r"No space left on device: .*m\.pt2") as told:
        export(localizer, tmp_path / "m.pt2", "torch-export")
    assert told.value.errno == errno.ENOSPC and not [*tmp_path.iterdir()]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    localizer = Localizer(trained("test_resnet", "cam")[0], LocalizerOptions(preset="fast"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"--format onnx needs onnxruntime: pip install 'wsol\[export\]'"):
        export(localizer, tmp_path / "m.onnx", "onnx")
