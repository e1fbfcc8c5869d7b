"""``wsol export``."""

from pathlib import Path

from jsonargparse import Namespace

from wsol.commands import add_options, backbone_of, options_of
from wsol.commands.parser import ArgumentParser
from wsol.errors import UsageError

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2"}


def export_parser() -> ArgumentParser:
    """Options of ``wsol export``."""
    from wsol.inference.options import LocalizerOptions
    from wsol.models import ModelOptions

    parser = ArgumentParser(
        allow_abbrev=False,
        description="Write a model with its map as one graph: images in, class scores and the map for boxes "
        "out, for programs without PyTorch. What the graph computes is compared with PyTorch. docs/export.md "
        "has a program that runs it.",
        epilog="Exit code: 0 all well, 1 an error, 2 wrong usage, 130 interrupted.",
    )
    parser.add_argument(
        "model", nargs="?", type=str | None, help="the same as --backbone: a run or a name", metavar="MODEL"
    )
    parser.add_argument("--format", choices=tuple(SUFFIXES), default="onnx", help="of the file")
    parser.add_argument("--output", type=str | None, help="the file; default: the model's name, here")
    parser.add_argument(
        "--label",
        type=str | None,
        help="whose map: name, index or synset; default: of each image's most probable class",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    for kind in (ModelOptions, LocalizerOptions):
        add_options(parser, kind)
    return parser


def export(options: Namespace) -> int:
    """Run ``wsol export``; returns the exit code."""
    from wsol.export.graph import TOLERANCE
    from wsol.export.graph import export as write
    from wsol.inference.localizer import Localizer
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.methods.saved import load_model
    from wsol.models import ModelOptions

    options.backbone = backbone_of(options)
    model_options: ModelOptions = options_of(ModelOptions, options)
    localizer_options: LocalizerOptions = options_of(LocalizerOptions, options)
    name = Path(model_options.backbone).resolve().name
    output = Path(options.output or name + SUFFIXES[options.format])
    if output.suffix != SUFFIXES[options.format]:
        raise UsageError(f"--format {options.format} is a file {SUFFIXES[options.format]}, not {output}")
    if output.exists() and not options.overwrite:
        raise UsageError(f"{output} is there already; choose another --output, or --overwrite")
    localizer = Localizer(load_model(model_options), localizer_options, RuntimeOptions(device="cpu"))
    difference = write(localizer, output, options.format, options.label)
    height, width = localizer.model.input_size
    print(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB\n"
        f"images (B, {height}, {width}, 3), uint8, RGB, any B -> scores, label, map, box_map\n"
        f"furthest from PyTorch on random images: {difference:.1e} (at most {TOLERANCE:.0e} is accepted)"
    )
    return 0
