"""The page in Gradio: controls around our own views, and which handler each of them calls."""

import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from wsol.app import settings
from wsol.app.page import Asked, Page
from wsol.app.session import PUT_AWAY, Session
from wsol.app.settings import BOXES, THRESHOLDS, Settings
from wsol.app.view import View
from wsol.errors import UsageError, WsolError
from wsol.evaluation.result import Result

KEPT = 3600
"""Seconds after which uploaded files are removed."""

FAST: dict[str, Any] = {
    "queue": False, "show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private",
}  # fmt: skip
"""Of events that only threshold and draw."""

SLOW: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private", "concurrency_limit": 4}
"""Of events for which the network may run."""


NO_RESULTS = """<p>There were no results of <code>wsol evaluate</code> when the app was started. It compares
those in the folder <code>evaluations</code>, or those that <code>--evaluations FOLDER…</code> names.</p>"""


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

    def __init__(self, page: Page, model: str, *, beside: bool = False) -> None:
        localizer = page.bench.localizers[model]
        chosen = settings.first(localizer)
        if beside and model == page.main:
            chosen = settings.another(localizer, chosen)
        self.map = gr.Radio(settings.maps(localizer), value=chosen.map, label="Map")
        self.preset = gr.Radio(settings.presets(localizer), value=chosen.preset, label="Preset")
        kinds = [(words, kind) for kind, words in THRESHOLDS.items()]
        self.threshold = gr.Radio(kinds, value=chosen.threshold, label="Threshold: a share τ of")
        self.ratio = gr.Slider(0, 1, chosen.ratio, step=0.005, label="τ", buttons=[])
        self.percentile = gr.Slider(
            0, 100, chosen.percentile, step=0.5, label="Percentile", buttons=[],
            visible=chosen.threshold == "percentile",
        )  # fmt: skip
        for slider in (self.ratio, self.percentile):  # what was typed, of which our own view tells
            slider.preprocess = _as_typed  # type: ignore[assignment, method-assign]
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


class _Values(NamedTuple):
    """What every event brings: all controls of the page."""

    session: Session
    label: Asked
    keep: bool
    beside: bool
    model: str
    mine: Settings
    others: Settings

    @classmethod
    def of(
        cls,
        session: Session,
        label: Asked,
        keep: bool,
        beside: bool,
        model: str,
        *chosen: Any,  # noqa: ANN401
    ) -> "_Values":
        """The session, and the rest in the order of ``_Photographs.values``."""
        half = len(chosen) // 2
        return cls(session, label, keep, beside, model, Settings(*chosen[:half]), Settings(*chosen[half:]))


class _Photographs:
    """The tab in which photographs are looked at."""

    def __init__(self, page: Page) -> None:
        self.page = page
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
                self.samples = gr.Button("Take the samples", size="sm", elem_classes="start")
            with gr.Column(scale=1, min_width=280):
                self.strip = _own("strip", page.strip(Session()))
        with gr.Row(elem_classes="bench"):
            with gr.Column(elem_classes="view"):
                self.viewer = _own("viewer", {})
            with gr.Column(visible=False, elem_classes="other") as self.column:
                self.other_viewer = _own("viewer", {})
                *_, last = names = list(page.bench.localizers)
                self.model = gr.Dropdown(names, value=last, label="Model", visible=len(names) > 1)
                self.other_controls = _Controls(page, last, beside=True)
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
        controls, other = self.controls, self.other_controls
        views = [self.viewer, self.other_viewer]
        whole = [self.strip, self.label, *views, self.download]
        slow: list[tuple[Any, Callable[..., Any], list[Any]]] = [
            (self.samples.click, self._samples, whole),
            (self.strip.clear, self._clear, [self.uploads, *whole]),
            (self.viewer.before, self._before, whole),
            (self.viewer.after, self._after, whole),
            (self.label.input, self._class, views),
            (self.model.input, self._model, [*other.all, self.other_viewer]),
            (self.beside.input, self._beside, [self.column, self.other_viewer]),
            *(
                (switch.input, self._switch, [*controls.usual, self.viewer])
                for switch in (controls.map, controls.preset, controls.threshold)
            ),
            *(
                (switch.input, self._switch_other, [*other.usual, self.other_viewer])
                for switch in (other.map, other.preset, other.threshold)
            ),
        ]
        for listen, handler, outputs in slow:
            listen(self._handling(handler), self.values, outputs, **SLOW)
        for listen, handler in (
            (self.strip.pick, self._pick),
            (self.viewer.accept, self._accept),
            (self.viewer.reject, self._reject),
        ):
            listen(self._handling_event(handler), self.values, whole, **SLOW)
        uploaded = self.uploads.upload(
            self._upload, self.uploads, [self.uploads, self.strip], trigger_mode="multiple", **SLOW
        )
        uploaded.then(self._handling(self._uploaded), self.values, whole, **SLOW)
        for slider in (controls.ratio, controls.percentile, controls.boxes):
            slider.input(self._handling(self._slide), self.values, self.viewer, **FAST)
        for slider in (other.ratio, other.percentile, other.boxes):
            slider.input(self._handling(self._slide_other), self.values, self.other_viewer, **FAST)
        self.download.download(self._handling_event(self._download), self.values, self.download, **SLOW)

    def _handling(self, handler: Callable[[_Values], Any]) -> Callable[..., Any]:
        """What Gradio calls: one event of a person at a time, and what goes wrong is told."""

        def handle(request: gr.Request, *given: Any) -> Any:  # noqa: ANN401
            with _told():
                key = str(request.session_hash)
                session = self.page.sessions.get(key)
                if self.page.sessions.was_put_away(key) and handler != self._clear:
                    raise UsageError(PUT_AWAY)
                with session.lock:
                    return handler(_Values.of(session, *given))

        return handle

    def _handling_event(self, handler: Callable[[gr.EventData, _Values], Any]) -> Callable[..., Any]:
        """The same for events that bring something of their own."""

        def handle(request: gr.Request, event: gr.EventData, *given: Any) -> Any:  # noqa: ANN401
            return self._handling(lambda values: handler(event, values))(request, *given)

        return handle

    @property
    def values(self) -> list[gr.components.Component]:
        """All controls, as :class:`_Values` takes them."""
        asked = [self.label, self.keep, self.beside, self.model]
        return [*asked, *self.controls.all, *self.other_controls.all]

    # --- what the events call

    def _whole(self, values: _Values) -> list[Any]:
        """Everything that shows the photograph that is looked at, with the class to begin with."""
        page, session = self.page, values.session
        label = values.label if values.keep else None
        choices = page.classes(session, values.mine, label)
        if label is None and choices:
            label = choices[0][1]
        return [
            page.strip(session),
            gr.Dropdown(choices=choices, value=label),
            *self._views(values._replace(label=label)),
            {},
        ]

    def _views(self, values: _Values) -> list[View]:
        view = self.page.view(values.session, values.label, values.mine, judged=True)
        return [view, self._other(values)]

    def _other(self, values: _Values) -> View:
        if not values.beside:
            return View()
        return self.page.beside(values.session, values.label, values.model, values.others)

    def _upload(self, request: gr.Request, files: Any) -> list[Any]:  # noqa: ANN401
        """Read them, while other events go on; what to look at is shown when that is done."""
        with _told():
            session = self.page.sessions.get(str(request.session_hash))
            if self.page.sessions.was_put_away(str(request.session_hash)):
                gr.Warning(html.escape(PUT_AWAY))
            self.page.add(session, files)
            return [None, self.page.strip(session)]

    def _uploaded(self, values: _Values) -> list[Any]:
        if not values.session.moved:
            return [gr.skip()] * 5  # what a person has begun to correct stays as it is
        values.session.moved = False
        return self._whole(values)

    def _samples(self, values: _Values) -> list[Any]:
        self.page.add_samples(values.session)
        return self._whole(values)

    def _clear(self, values: _Values) -> list[Any]:
        values.session.clear(self.page.bench)
        strip, *others = self._whole(values)
        return [None, strip | {"cleared": True}, *others]

    def _pick(self, event: gr.EventData, values: _Values) -> list[Any]:
        values.session.go(int(event.place))
        return self._whole(values)

    def _before(self, values: _Values) -> list[Any]:
        values.session.go(values.session.place - 1)
        return self._whole(values)

    def _after(self, values: _Values) -> list[Any]:
        values.session.go(values.session.place + 1)
        return self._whole(values)

    def _accept(self, event: gr.EventData, values: _Values) -> list[Any]:
        self.page.accept(values.session, event.turn, event.boxes)
        return self._whole(values)

    def _reject(self, event: gr.EventData, values: _Values) -> list[Any]:
        self.page.reject(values.session, event.turn)
        return self._whole(values)

    def _class(self, values: _Values) -> list[View]:
        return self._views(values)

    def _switch(self, values: _Values) -> list[Any]:
        chosen = self.page.usual(self.page.main, values.mine)
        return [*_sliders(chosen), self.page.view(values.session, values.label, chosen)]

    def _slide(self, values: _Values) -> View:
        return self.page.view(values.session, values.label, values.mine, whole=False)

    def _switch_other(self, values: _Values) -> list[Any]:
        chosen = self.page.usual(values.model, values.others)
        view = self.page.beside(values.session, values.label, values.model, chosen)
        return [*_sliders(chosen), view]

    def _slide_other(self, values: _Values) -> View:
        return self.page.beside(values.session, values.label, values.model, values.others, whole=False)

    def _model(self, values: _Values) -> list[Any]:
        localizer = self.page.bench.localizers[values.model]
        chosen = settings.first(localizer)
        return [
            gr.Radio(settings.maps(localizer), value=chosen.map),
            gr.Radio(settings.presets(localizer), value=chosen.preset),
            chosen.threshold,
            *_sliders(chosen),
            chosen.boxes,
            self.page.beside(values.session, values.label, values.model, chosen),
        ]

    def _beside(self, values: _Values) -> list[Any]:
        return [gr.Column(visible=values.beside), self._other(values)]

    def _download(self, event: gr.EventData, values: _Values) -> dict[str, Any]:
        return self.page.download(values.session, str(event.format))


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
    """What goes wrong, as a message of the page; what nobody has foreseen is on the terminal too.

    Raises:
        gr.Error: it, escaped: the page would take it for HTML.
    """
    try:
        yield
    except (WsolError, ValueError) as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error
    except Exception as error:
        raise gr.Error(f"{type(error).__name__}: the terminal of wsol app has more") from error


def _own(name: str, value: Any) -> Any:  # noqa: ANN401 - events are attributes that Gradio finds in the script
    """A view of ours: its frame, and the script that fills it with values."""
    return gr.HTML(
        value,
        html_template=text(f"{name}.html"),
        js_on_load=text(f"{name}.js"),
        elem_classes=f"own-{name}",
        apply_default_css=False,
    )


def _named(files: Any) -> list[tuple[Path, str]]:  # noqa: ANN401 - of Gradio's wire format
    """Uploaded files, Gradio has made sure that they are, with the names that the person gave them.

    Gradio's own way gives names without most signs, which would not be those of the photographs any more.
    """
    return [(Path(file.path), file.orig_name or Path(file.path).name) for file in files or []]


def _as_typed(value: Any) -> Any:  # noqa: ANN401
    return value


def text(name: str) -> str:
    """A file of this folder."""
    return resources.files("wsol.app").joinpath(name).read_text(encoding="utf-8")
