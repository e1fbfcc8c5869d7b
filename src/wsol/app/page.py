"""What happens on the page: handlers take a person's session and the controls, and return values."""

import base64
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wsol.app import settings
from wsol.app.bench import Bench, Photo
from wsol.app.session import MAX_FILE, TURNS, Boxes, Session, Sessions, Verdict
from wsol.app.settings import Settings
from wsol.app.view import View, boxes_view, pictures_of, pictures_view, problem_view
from wsol.data.samples import sample_photographs
from wsol.errors import ModelError, WsolError
from wsol.evaluation.compare import compare
from wsol.evaluation.result import Result
from wsol.evaluation.tables import html_tables
from wsol.inference.localization import Localization
from wsol.typed import typed

Asked = int | str | None
"""A class as the page has it: an index, what a person typed, or nothing for the most probable."""

LISTED = 20
"""Files that could not be used, of those that are listed."""


class Page:
    """The handlers; nothing here knows Gradio.

    Attributes:
        bench: the models.
        results: evaluations to compare.
        main: the model whose boxes are judged, the first of the bench.
        sessions: of the people.
    """

    def __init__(self, bench: Bench, results: Sequence[Result] = ()) -> None:
        self.bench = bench
        self.results = list(results)
        self.main, *_ = bench.localizers
        self.sessions = Sessions(bench)

    def view(
        self, session: Session, label: Asked, chosen: Settings, *, judged: bool = False, whole: bool = True
    ) -> View:
        """The photograph that is looked at with the main model's boxes; or why there is nothing to see.

        Args:
            session: of the person, where it is noted what is before them.
            label: the class.
            chosen: settings of the view.
            judged: with the boxes of the verdict, if there is one.
            whole: with the photograph and its maps, even if the page has them.
        """
        turn, photo = next(TURNS), session.photo
        view = View(turn=turn, editable=True)
        if photo is None:
            return view
        try:
            index = self._index(photo, label, chosen)
            verdict = session.verdict(photo, index)
            result = verdict.result if judged and verdict else self._result(photo, self.main, index, chosen)
        except (WsolError, ValueError) as error:
            session.pictured.pop("main", None)
            return view | problem_view(photo, self.main, str(error))
        session.show(turn, photo, result)
        whole |= self._is_new(session, "main", pictures_of(photo, self.main, result))
        return view | self._view_of(photo, self.main, result, verdict, whole=whole)

    def beside(
        self, session: Session, label: Asked, model: str, chosen: Settings, *, whole: bool = True
    ) -> View:
        """The same class of the same photograph by another model, or with other settings."""
        turn, photo = next(TURNS), session.photo
        view = View(turn=turn, editable=False)
        if photo is None:
            return view
        try:
            index = self._beside(self._index(photo, label, chosen), model)
            result = self._result(photo, model, index, chosen)
        except (WsolError, ValueError) as error:
            session.pictured.pop("beside", None)
            return view | problem_view(photo, model, str(error))
        whole |= self._is_new(session, "beside", pictures_of(photo, model, result))
        return view | self._view_of(photo, model, result, None, whole=whole)

    def strip(self, session: Session) -> dict[str, Any]:
        """The photographs of the session, what became of each, and the files that could not be used."""
        kinds = [
            sorted({said.kind for said in session.verdicts.get(photo, {}).values()})
            for photo in session.photos
        ]
        count, more = len(session.photos), len(session.skipped) - LISTED
        words = f"{count} {_photographs(count)}, {sum(map(bool, kinds))} looked through" if count else ""
        rest = [("and more", f"{more} files that could not be used either")] if more > 0 else []
        return {
            "turn": next(TURNS),
            "place": session.place,
            "photos": [
                {"name": photo.name, "thumbnail": photo.thumbnail, "verdict": ", ".join(said)}
                for photo, said in zip(session.photos, kinds, strict=True)
            ],
            "skipped": session.skipped[:LISTED] + rest,
            "limit": MAX_FILE,
            "words": words,
        }

    def classes(self, session: Session, chosen: Settings, kept: Asked = None) -> list[tuple[str, int]]:
        """The most probable classes of the photograph that is looked at: what to show, and the index.

        None if the network cannot tell, of which the view says why.

        Args:
            session: of the person.
            chosen: settings of the view.
            kept: a class that is to be among them.
        """
        if session.photo is None:
            return []
        localizer = self.bench.localizers[self.main]
        names = localizer.model.classes.names
        try:
            predicted = self.bench.predicted(
                session.photo, self.main, chosen.options(localizer.options), count=5
            )
        except (WsolError, ValueError):
            return []
        shown = [(f"{names[index]} · {probability:.2f}", index) for index, probability in predicted]
        if isinstance(kept, int) and kept not in dict(predicted):
            shown.append((names[kept], kept))
        return shown

    def add(self, session: Session, files: Iterable[tuple[Path, str]]) -> None:
        """Read photographs that were uploaded."""
        session.add(files, self.bench)

    def add_samples(self, session: Session) -> None:
        """Read the photographs that come with scikit-image.

        Raises:
            WsolError: they are not there.
        """
        session.add([(path, path.name) for path in sample_photographs()], self.bench)

    def accept(self, session: Session, turn: object, boxes: object) -> None:
        """Keep the boxes as the person left them, and go to the next photograph.

        Args:
            session: of the person.
            turn: of the view that was before them, as JSON gives it.
            boxes: x0, y0, x1, y1 each, original frame, exclusive, likewise.

        Raises:
            WsolError, ValueError: boxes that are none; a view that is long gone.
        """
        drawn: Boxes = typed(tuple[tuple[int, int, int, int], ...], boxes, "boxes")
        session.judge(typed(int, turn, "turn"), "accepted", drawn)

    def reject(self, session: Session, turn: object) -> None:
        """Note that the boxes are wrong, and go to the next photograph; see :meth:`accept`."""
        session.judge(typed(int, turn, "turn"), "rejected")

    def download(self, session: Session, format: str) -> dict[str, Any]:
        """The outcome as a file in a data URI, or why there is none."""
        classes = self.bench.localizers[self.main].model.classes.names
        with tempfile.TemporaryDirectory() as folder:
            try:
                file = session.download(format, classes, Path(folder))
            except WsolError as error:
                return {"turn": next(TURNS), "words": str(error)}
            except OSError as error:  # without the folder, which is the server's
                return {"turn": next(TURNS), "words": f"the file cannot be written: {error.strerror}"}
            kind = "json" if file.suffix == ".json" else "zip"
            data = base64.b64encode(file.read_bytes()).decode("ascii")
        count = len(session.outcome())
        return {
            "turn": next(TURNS),
            "name": file.name,
            "uri": f"data:application/{kind};base64,{data}",
            "words": f"{file.name}: {count} {_photographs(count)}",
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

    def _index(self, photo: Photo, label: Asked, chosen: Settings) -> int:
        """Index of the class in the main model: the most probable if none was chosen."""
        localizer = self.bench.localizers[self.main]
        if label is not None and label != "":
            return localizer.model.classes.index(label)
        return self.bench.predicted(photo, self.main, chosen.options(localizer.options), 1)[0][0]

    def _beside(self, index: int, model: str) -> int:
        """The class of the main model that another one calls by the same name.

        Raises:
            ModelError: it has none.
        """
        mine, other = (self.bench.localizers[name].model.classes for name in (self.main, model))
        name = mine.names[index]
        if mine.names == other.names:
            return index
        if name in other.names:  # before index(), which takes a number for a place
            return other.names.index(name)
        if name.isdecimal():
            raise ModelError(f"the {model} knows no class {name!r:.80}")
        return other.index(name, owner=model)

    def _result(self, photo: Photo, model: str, index: int, chosen: Settings) -> Localization:
        base = self.bench.localizers[model].options
        return self.bench.localize(photo, model, index, chosen.options(base))

    def _is_new(self, session: Session, viewer: str, pictures: str) -> bool:
        """Whether the page has not the pictures of this yet; notes that it has them now."""
        before, session.pictured[viewer] = session.pictured.get(viewer), pictures
        return before != pictures

    def _view_of(
        self, photo: Photo, model: str, result: Localization, verdict: Verdict | None, *, whole: bool
    ) -> View:
        view = boxes_view(photo, model, result, verdict)
        return view | pictures_view(self.bench, photo, model, result) if whole else view


def _photographs(count: int) -> str:
    return "photograph" if count == 1 else "photographs"
