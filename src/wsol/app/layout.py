"""The page in Gradio: controls around our own views, and which handler each of them calls."""

import html
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio reads it

import gradio as gr

from wsol.app import settings
from wsol.app.page import Label, Page
from wsol.app.session import MAX_FILE, Session
from wsol.app.settings import BOXES, THRESHOLDS, Settings
from wsol.app.view import View
from wsol.errors import UsageError, WsolError
from wsol.evaluation.result import Result

SESSIONS = 16
"""People whose photographs are kept at a time."""

KEPT = 3600
"""Seconds after which uploaded files are removed."""

FAST: dict[str, Any] = {
    "queue": False, "show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private",
}  # fmt: skip
"""Of events that only threshold and draw."""

SLOW: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private", "concurrency_limit": 4}
"""Of events for which the network may run."""


NO_RESULTS = """<p>No results were named: <code>wsol app --evaluations FOLDER…</code> compares what
<code>wsol evaluate</code> wrote.</p>"""


def launch(page: Page, host: str, port: int | None) -> tuple[gr.Blocks, str]:
    """Serve the page, in a thread of its own.

    Args:
        page: its handlers.
        host: address to listen at.
        port: None for a free one from 7860.

    Returns:
        The application, and its address.

    Raises:
        UsageError: the port is taken, or the address is not this machine's.
    """
    try:
        with socket.create_server((host, port or 0)):
            pass
    except OSError as error:
        raise UsageError(f"port {port or 'any'} of {host} cannot be used: {error.strerror}") from error
    blocks = build(page)
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.rose,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    _, url, _ = blocks.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=False,
        allowed_paths=[],
        max_file_size=MAX_FILE,
        state_session_capacity=SESSIONS,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        footer_links=[],
        theme=theme,
        css=_text("style.css"),
    )
    return blocks, url


def build(page: Page) -> gr.Blocks:
    """The application, not served yet."""
    blocks: gr.Blocks = gr.Blocks(
        title="wsol", analytics_enabled=False, delete_cache=(KEPT, KEPT), fill_width=True
    )
    with blocks, gr.Tabs():
        with gr.Tab("Photographs"):
            _Photographs(page)
        with gr.Tab("Evaluations"):
            _evaluations(page)
    return blocks


class _Controls:
    """The controls of one view."""

    def __init__(self, page: Page, model: str) -> None:
        localizer = page.bench.localizers[model]
        chosen = settings.first(localizer)
        self.map = gr.Radio(settings.maps(localizer), value=chosen.map, label="Map")
        self.preset = gr.Radio(list(settings.presets()), value=chosen.preset, label="Preset")
        kinds = [(words, kind) for kind, words in THRESHOLDS.items()]
        self.threshold = gr.Radio(kinds, value=chosen.threshold, label="Threshold: a share τ of")
        self.ratio = gr.Slider(0, 1, chosen.ratio, step=0.005, label="τ", buttons=[])
        self.percentile = gr.Slider(
            0, 100, chosen.percentile, step=0.5, label="Percentile", buttons=[],
            visible=chosen.threshold == "percentile",
        )  # fmt: skip
        self.boxes = gr.Radio(
            [(words, kind) for kind, words in BOXES.items()], value=chosen.boxes, label="Boxes of"
        )

    @property
    def all(self) -> list[gr.components.Component]:
        """In the order of :class:`Settings`."""
        return [self.map, self.preset, self.threshold, self.ratio, self.percentile, self.boxes]

    @property
    def usual(self) -> list[gr.components.Component]:
        """What is set anew with another map, preset or threshold."""
        return [self.ratio, self.percentile]


class _Photographs:
    """The tab in which photographs are looked at."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.session = gr.State(Session(), delete_callback=lambda session: session.clear(page.bench))
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        page = self.page
        with gr.Row(elem_classes="top"):
            with gr.Column(scale=0, min_width=250):
                self.uploads = gr.File(
                    show_label=False, file_count="multiple", height=110, elem_classes="uploads"
                )
                self.uploads.preprocess = _named  # type: ignore[assignment, method-assign]
                with gr.Row(elem_classes="start"):
                    self.samples = gr.Button("Take the samples", size="sm", min_width=110)
                    self.clear = gr.Button("Clear all", size="sm", min_width=90)
            with gr.Column(scale=1, min_width=280):
                self.strip = _own("strip", page.strip(Session()))
        with gr.Row(elem_classes="bench"):
            with gr.Column(elem_classes="view"):
                self.viewer = _own("viewer", {})
            with gr.Column(visible=False, elem_classes="other") as self.column:
                self.other_viewer = _own("viewer", {})
                *_, last = names = list(page.bench.localizers)
                self.model = gr.Dropdown(names, value=last, label="Model", visible=len(names) > 1)
                self.other_controls = _Controls(page, last)
            with gr.Column(elem_classes="side"):
                self.label = gr.Dropdown(
                    [],
                    value=None,
                    label="Class: predicted, or type a name",
                    allow_custom_value=True,
                    elem_classes="class",
                )
                self.keep = gr.Checkbox(False, label="Keep it for the next photographs", container=False)
                self.controls = _Controls(page, page.main)
            with gr.Column(elem_classes="more"):
                self.beside = gr.Checkbox(False, label="Another model or map beside it", container=False)
                self.download = _own("download", {})

    def _connect(self) -> None:
        mine = [self.session, self.label, *self.controls.all]
        others = [self.session, self.label, self.model, *self.other_controls.all]
        everything = [self.beside, self.keep, self.model, *mine, *self.other_controls.all]
        whole = [self.strip, self.label, self.viewer, self.other_viewer]
        self.uploads.upload(self._upload, [self.uploads, *everything], [self.uploads, *whole], **SLOW)
        self.samples.click(self._samples, everything, whole, **SLOW)
        self.clear.click(self._clear, everything, whole, **SLOW)
        self.strip.pick(self._pick, everything, whole, **SLOW)
        self.viewer.before(self._before, everything, whole, **SLOW)
        self.viewer.after(self._after, everything, whole, **SLOW)
        self.viewer.accept(self._accept, everything, whole, **SLOW)
        self.viewer.reject(self._reject, everything, whole, **SLOW)
        self.label.input(self._class, everything, [self.viewer, self.other_viewer], **SLOW)
        controls, other = self.controls, self.other_controls
        for switch in (controls.map, controls.preset, controls.threshold):
            switch.input(self._switch, mine, [*controls.usual, self.viewer], **SLOW)
        for slider in (controls.ratio, controls.percentile, controls.boxes):
            slider.input(self._slide, mine, self.viewer, **FAST)
        for switch in (other.map, other.preset, other.threshold):
            switch.input(self._switch_other, others, [*other.usual, self.other_viewer], **SLOW)
        for slider in (other.ratio, other.percentile, other.boxes):
            slider.input(self._slide_other, others, self.other_viewer, **FAST)
        self.model.input(self._model, others, [*other.all, self.other_viewer], **SLOW)
        self.beside.input(self._beside, [self.beside, *others], [self.column, self.other_viewer], **SLOW)
        self.download.download(self._download, self.session, self.download, **SLOW)

    # --- what the events call: values come in the order of the inputs above

    def _whole(self, values: tuple[Any, ...]) -> list[Any]:
        """Everything that shows the photograph that is looked at, with the class to begin with."""
        beside, keep, model, session, label, *chosen = values
        page = self.page
        label = label if keep else None
        choices = page.classes(session, Settings(*chosen[:6]))
        if not keep:
            label = choices[0][1] if choices else None
        other = page.beside(session, label, model, Settings(*chosen[6:])) if beside else {}
        return [
            page.strip(session),
            gr.Dropdown(choices=choices, value=label),
            page.first_view(session, label, Settings(*chosen[:6])),
            other,
        ]

    def _upload(self, files: Any, *values: Any) -> list[Any]:  # noqa: ANN401
        self.page.add(values[3], files)
        return [None, *self._whole(values)]

    def _samples(self, *values: Any) -> list[Any]:  # noqa: ANN401
        self.page.add_samples(values[3])
        return self._whole(values)

    def _clear(self, *values: Any) -> list[Any]:  # noqa: ANN401
        values[3].clear(self.page.bench)
        strip, *others = self._whole(values)
        return [strip | {"cleared": True}, *others]

    def _pick(self, event: gr.EventData, *values: Any) -> list[Any]:  # noqa: ANN401
        values[3].go(int(event.place))
        return self._whole(values)

    def _before(self, *values: Any) -> list[Any]:  # noqa: ANN401
        values[3].go(values[3].place - 1)
        return self._whole(values)

    def _after(self, *values: Any) -> list[Any]:  # noqa: ANN401
        values[3].go(values[3].place + 1)
        return self._whole(values)

    def _accept(self, event: gr.EventData, *values: Any) -> list[Any]:  # noqa: ANN401
        with _told():
            self.page.accept(values[3], values[4], Settings(*values[5:11]), event.boxes)
        return self._whole(values)

    def _reject(self, *values: Any) -> list[Any]:  # noqa: ANN401
        with _told():
            self.page.reject(values[3], values[4], Settings(*values[5:11]))
        return self._whole(values)

    def _class(self, *values: Any) -> list[View]:  # noqa: ANN401
        beside, _, model, session, label, *chosen = values
        other = self.page.beside(session, label, model, Settings(*chosen[6:])) if beside else {}
        return [self.page.first_view(session, label, Settings(*chosen[:6])), other]

    def _switch(self, session: Session, label: Label, *values: Any) -> list[Any]:  # noqa: ANN401
        chosen = self.page.usual(self.page.main, Settings(*values))
        return [*_sliders(chosen), self.page.view(session, label, chosen)]

    def _slide(self, session: Session, label: Label, *values: Any) -> View:  # noqa: ANN401
        return self.page.view(session, label, Settings(*values))

    def _switch_other(self, session: Session, label: Label, model: str, *values: Any) -> list[Any]:  # noqa: ANN401
        chosen = self.page.usual(model, Settings(*values))
        return [*_sliders(chosen), self.page.beside(session, label, model, chosen)]

    def _slide_other(self, session: Session, label: Label, model: str, *values: Any) -> View:  # noqa: ANN401
        return self.page.beside(session, label, model, Settings(*values))

    def _model(self, session: Session, label: Label, model: str, *_: Any) -> list[Any]:  # noqa: ANN401
        localizer = self.page.bench.localizers[model]
        chosen = settings.first(localizer)
        switches = [
            gr.Radio(settings.maps(localizer), value=chosen.map), chosen.preset, chosen.threshold,
            *_sliders(chosen), chosen.boxes,
        ]  # fmt: skip
        return [*switches, self.page.beside(session, label, model, chosen)]

    def _beside(self, beside: bool, session: Session, label: Label, model: str, *values: Any) -> list[Any]:  # noqa: ANN401
        view = self.page.beside(session, label, model, Settings(*values)) if beside else {}
        return [gr.Column(visible=beside), view]

    def _download(self, session: Session, event: gr.EventData) -> View:
        return self.page.download(session, str(event.format))


def _sliders(chosen: Settings) -> list[Any]:
    return [chosen.ratio, gr.Slider(value=chosen.percentile, visible=chosen.threshold == "percentile")]


def _evaluations(page: Page) -> None:
    """The tab in which results are compared."""
    if not page.results:
        gr.HTML(NO_RESULTS)
        return
    choices = [(_called(result), place) for place, result in enumerate(page.results)]
    places = list(range(len(choices)))
    chosen = gr.CheckboxGroup(choices, value=places, label="Results")
    intervals = gr.Checkbox(False, label="95 % intervals")
    table = gr.HTML(page.comparison(places, intervals=False), elem_classes="comparison")

    def compare(places: list[int], intervals: bool) -> str:
        with _told():
            return page.comparison(places, intervals=intervals)

    for control in (chosen, intervals):
        control.input(compare, [chosen, intervals], table, api_visibility="private", show_progress="minimal")


def _called(result: Result) -> str:
    """A result by its name and that of its folder, if it is another; not by the machine's folders."""
    folder = result.folder.name if result.folder is not None else ""
    return result.name if folder in ("", result.name) else f"{result.name} · {folder}"


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong by what a person did, as a message of the page.

    Raises:
        gr.Error: it, escaped: the page would take it for HTML.
    """
    try:
        yield
    except (WsolError, ValueError) as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def _own(name: str, value: View) -> Any:  # noqa: ANN401 - events are attributes that Gradio finds in the script
    """A view of ours: its frame, and the script that fills it with values."""
    return gr.HTML(
        value,
        html_template=_text(f"{name}.html"),
        js_on_load=_text(f"{name}.js"),
        elem_classes=f"own-{name}",
        apply_default_css=False,
    )


def _named(files: Any) -> list[tuple[Path, str]]:  # noqa: ANN401 - of Gradio's wire format
    """Uploaded files, Gradio has made sure that they are, with the names that the person gave them.

    Gradio's own way gives names without most signs, which would not be those of the photographs any more.
    """
    return [(Path(file.path), file.orig_name or Path(file.path).name) for file in files or []]


def _text(name: str) -> str:
    return resources.files("wsol.app").joinpath(name).read_text(encoding="utf-8")
