"""What happens on the page: handlers take a person's session and the controls, and return values."""

import base64
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wsol.app import settings
from wsol.app.bench import Bench
from wsol.app.session import MAX_FILE, Boxes, Session
from wsol.app.settings import Settings
from wsol.app.view import View, view_of
from wsol.data.samples import sample_photographs
from wsol.errors import WsolError
from wsol.evaluation.compare import compare
from wsol.evaluation.result import Result
from wsol.evaluation.tables import html_tables
from wsol.inference.localization import Localization
from wsol.typed import typed

Label = int | str | None
"""A class as the page has it: an index, what a person typed, or nothing."""


class Page:
    """The handlers; nothing here knows Gradio.

    Attributes:
        bench: the models.
        results: evaluations to compare.
        main: the model whose boxes are judged, the first of the bench.
    """

    def __init__(self, bench: Bench, results: Sequence[Result] = ()) -> None:
        self.bench = bench
        self.results = list(results)
        self.main, *_ = bench.localizers

    def view(self, session: Session, label: Label, chosen: Settings) -> View:
        """The photograph that is looked at with the main model's boxes; or why there is nothing to see."""
        view = self._start(session, editable=True)
        if session.photo is None:
            return view
        try:
            result = self._result(session, self.main, self._asked(session, label, chosen), chosen)
        except (WsolError, ValueError) as error:
            return view | {"problem": str(error)}
        return view | self._shown(session, result)

    def first_view(self, session: Session, label: Label, chosen: Settings) -> View:
        """As :meth:`view`, but with the boxes of the verdict if there is one."""
        view = self.view(session, label, chosen)
        if session.photo is None or "problem" in view:
            return view
        verdict = session.verdict(session.photo, self._asked(session, label, chosen))
        return view if verdict is None else view | self._shown(session, verdict.result)

    def beside(self, session: Session, label: Label, model: str, chosen: Settings) -> View:
        """The same class of the same photograph by another model, or with other settings."""
        view = self._start(session, editable=False)
        if session.photo is None:
            return view
        try:
            index = self._asked(session, label, chosen)
            mine, other = (self.bench.localizers[name].model.classes for name in (self.main, model))
            index = index if mine.names == other.names else other.index(mine.names[index], owner=model)
            result = self._result(session, model, index, chosen)
        except (WsolError, ValueError) as error:
            return view | {"problem": str(error)}
        return view | view_of(self.bench, session.photo, model, result, None)

    def strip(self, session: Session) -> View:
        """The photographs of the session, and what became of each."""
        session.turn += 1
        kinds = [
            sorted({said.kind for said in session.verdicts.get(photo, {}).values()})
            for photo in session.photos
        ]
        count = len(session.photos)
        words = (
            f"{count} photograph{'s' * (count != 1)}, {sum(map(bool, kinds))} looked through" if count else ""
        )
        return {
            "turn": session.turn,
            "place": session.place,
            "photos": [
                {"name": photo.name, "thumbnail": photo.thumbnail, "verdict": ", ".join(said)}
                for photo, said in zip(session.photos, kinds, strict=True)
            ],
            "skipped": session.skipped,
            "limit": MAX_FILE,
            "words": words,
        }

    def classes(self, session: Session, chosen: Settings) -> list[tuple[str, int]]:
        """The most probable classes of the photograph that is looked at: what to show, and the index."""
        if session.photo is None:
            return []
        names = self.bench.localizers[self.main].model.classes.names
        predicted = self.bench.predicted(session.photo, self.main, chosen.options())
        return [(f"{names[index]} · {probability:.2f}", index) for index, probability in predicted]

    def add(self, session: Session, files: Iterable[tuple[Path, str]]) -> None:
        """Read photographs that were uploaded."""
        session.add(files, self.bench)

    def add_samples(self, session: Session) -> None:
        """Read the photographs that come with scikit-image."""
        try:
            session.add([(path, path.name) for path in sample_photographs()], self.bench)
        except WsolError as error:
            session.skipped.append(("samples", str(error)))

    def accept(self, session: Session, label: Label, chosen: Settings, boxes: Any) -> None:  # noqa: ANN401
        """Keep the boxes as the person left them, and go to the next photograph.

        Args:
            session: of the person.
            label: class that was chosen.
            chosen: settings of the view.
            boxes: x0, y0, x1, y1 each, as JSON gives them.

        Raises:
            WsolError, ValueError: boxes that are none.
        """
        drawn: Boxes = typed(tuple[tuple[int, int, int, int], ...], boxes, "boxes")
        session.judge(
            "accepted", self._result(session, self.main, self._asked(session, label, chosen), chosen), drawn
        )
        session.go(session.place + 1)

    def reject(self, session: Session, label: Label, chosen: Settings) -> None:
        """Note that the boxes are wrong, and go to the next photograph."""
        result = self._result(session, self.main, self._asked(session, label, chosen), chosen)
        session.judge("rejected", result, None)
        session.go(session.place + 1)

    def download(self, session: Session, format: str) -> View:
        """The outcome as a file in a data URI, or why there is none."""
        session.turn += 1
        view: View = {"turn": session.turn}
        classes = self.bench.localizers[self.main].model.classes.names
        with tempfile.TemporaryDirectory() as folder:
            try:
                file = session.download(format, classes, Path(folder))
            except (WsolError, OSError) as error:
                return view | {"words": str(error)}
            kind = "json" if file.suffix == ".json" else "zip"
            data = base64.b64encode(file.read_bytes()).decode("ascii")
            count = len(session.outcome())
            return view | {
                "name": file.name,
                "uri": f"data:application/{kind};base64,{data}",
                "words": f"{file.name}: {count} photograph{'s' * (count != 1)}",
            }

    def comparison(self, places: Sequence[int], *, intervals: bool) -> str:
        """The table of ``wsol compare`` with its protocol, as HTML; names are escaped.

        Args:
            places: which of the results.
            intervals: with the 95 % interval of each number.
        """
        if not places:
            return "<p>Choose results to compare.</p>"
        chosen = [self.results[place] for place in sorted(places)]
        return html_tables(compare(chosen, intervals=intervals))

    def usual(self, model: str, chosen: Settings) -> Settings:
        """The settings with the τ and percentile that are usual for their map, preset and threshold."""
        return settings.usual(
            self.bench.localizers[model], chosen.map, chosen.preset, chosen.threshold, chosen.boxes
        )

    def _start(self, session: Session, *, editable: bool) -> View:
        session.turn += 1
        return {"turn": session.turn, "editable": editable}

    def _asked(self, session: Session, label: Label, chosen: Settings) -> int:
        """Index of the class in the main model: the most probable if none was chosen."""
        if label is not None and label != "":
            return self.bench.localizers[self.main].model.classes.index(label)
        if session.photo is None:
            raise WsolError("there is no photograph")
        return self.bench.predicted(session.photo, self.main, chosen.options(), 1)[0][0]

    def _result(self, session: Session, model: str, index: int, chosen: Settings) -> Localization:
        if session.photo is None:
            raise WsolError("there is no photograph")
        return self.bench.localize(session.photo, model, index, chosen.options())

    def _shown(self, session: Session, result: Localization) -> View:
        photo = session.photos[session.place]
        return view_of(self.bench, photo, self.main, result, session.verdict(photo, result.class_index))
