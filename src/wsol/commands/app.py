"""``wsol app``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from wsol.commands import add_options, options_of
from wsol.commands.parser import ArgumentParser
from wsol.errors import UsageError, WsolError

if TYPE_CHECKING:
    from wsol.app.bench import Bench
    from wsol.evaluation.result import Result

LOCAL = "127.0.0.1"


def app_parser() -> ArgumentParser:
    """Options of ``wsol app``."""
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.models import LITE0, ModelOptions

    parser = ArgumentParser(
        allow_abbrev=False,
        description="Open the browser app: drop photographs, choose a class, move the threshold, accept or "
        "correct boxes, download them; compare evaluations. See docs/app.md.",
        epilog="Exit code: 0 all well, 1 an error, 2 wrong usage, 130 ended by Ctrl-C.",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        action="extend",
        type=str,
        help="a run of wsol train or a name, as --backbone of wsol localize; two or more can be looked at "
        f"beside each other; default: {LITE0}",
        metavar="MODEL",
    )
    parser.add_argument(
        "--evaluations",
        nargs="+",
        action="extend",
        type=str,
        help="results of wsol evaluate to compare; default: what the folder evaluations holds",
        metavar="RESULT",
    )
    parser.add_argument(
        "--host",
        type=str,
        default=LOCAL,
        help="address to listen at; any but the default lets others in your network use the app",
    )
    parser.add_argument("--port", type=int | None, help="default: a free one from 7860")
    add_options(parser, ModelOptions, leave_out=("backbone",))
    add_options(
        parser, LocalizerOptions, leave_out=("top_k", "scales", "flip", "norm_share", "refine")
    )  # the page has presets and no parts of them
    add_options(parser, RuntimeOptions, leave_out=("batch_size", "workers"))
    return parser


def app(options: Namespace) -> int:
    """Run ``wsol app`` until Ctrl-C; returns the exit code."""
    try:
        from wsol.app.serve import is_local, serving
    except ModuleNotFoundError as error:
        raise UsageError(f"wsol app needs {error.name}: pip install 'wsol[app]'") from error
    from wsol.app.page import Page

    page = Page(_bench(options), _results(options.evaluations))
    with serving(page, options.host, options.port) as (blocks, url):
        if not is_local(options.host):
            print(f"Whoever can reach {options.host} can use this app.")
        print(f"{url}\nCtrl-C ends it.", flush=True)
        blocks.server.thread.join()
    return 0


def _bench(options: Namespace) -> "Bench":
    """The models; two that end in the same name are called by what was given."""
    from wsol.app.bench import Bench
    from wsol.inference.localizer import Localizer
    from wsol.inference.options import LocalizerOptions, RuntimeOptions
    from wsol.methods.saved import load_model
    from wsol.models import LITE0, ModelOptions

    model_options: ModelOptions = options_of(ModelOptions, options)
    chosen: LocalizerOptions = options_of(LocalizerOptions, options)
    runtime: RuntimeOptions = options_of(RuntimeOptions, options)
    given = list(dict.fromkeys(options.model or [LITE0]))
    if len(given) > 1 and model_options != ModelOptions():
        raise UsageError("options of a model are for one model; leave them out to look at several")
    short = [Path(model).name or model for model in given]
    names = given if len(set(short)) < len(short) else short
    return Bench(
        {
            name: Localizer(load_model(replace(model_options, backbone=model)), chosen, runtime)
            for name, model in zip(names, given, strict=True)
        }
    )


def _results(folders: list[str] | None) -> "list[Result]":
    """Evaluations that were named; else those of the folder ``evaluations`` here, but for broken ones.

    Raises:
        DataError: one that was named is no result.
    """
    from wsol.evaluation.result import RESULT_FILE
    from wsol.evaluation.rows import load_results

    if folders is not None:
        return load_results(folders)[0]
    found: list[Result] = []
    for file in sorted(Path("evaluations").glob(f"*/{RESULT_FILE}")):
        try:
            found += load_results([str(file.parent)])[0]
        except WsolError as error:
            print(f"left out: {error}")
    return found
