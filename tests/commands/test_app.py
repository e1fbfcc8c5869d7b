"""``wsol app``: what it is asked for is what it serves."""

import socket
import sys
from pathlib import Path

import pytest

from tests.evaluation.conftest import Write, write
from tests.inference.conftest import checkpoint
from wsol.app import settings
from wsol.app.page import Page
from wsol.app.settings import Settings
from wsol.cli import main
from wsol.models import ModelOptions

__all__ = ["checkpoint", "write"]  # fixtures

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Gradio's own


class Served(Exception):  # noqa: N818 - no error
    """Raised where serving would begin."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Page, str, int | None]]:
    """What would be served."""
    serve = pytest.importorskip("wsol.app.serve", reason="needs wsol[app]")
    asked: list[tuple[Page, str, int | None]] = []

    def serving(page: Page, host: str, port: int | None) -> None:
        asked.append((page, host, port))
        raise Served

    monkeypatch.setattr(serve, "serving", serving)
    return asked


def words(options: ModelOptions) -> list[str]:
    assert options.checkpoint
    assert options.classes
    return [
        "--model", options.backbone, "--checkpoint", options.checkpoint, "--classes", options.classes,
        "--input-size", str(options.input_size), "--device", "cpu",
    ]  # fmt: skip


def test_options_take_effect(
    served: list[tuple[Page, str, int | None]],
    checkpoint: ModelOptions,
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = [write("one", name="one"), write("two", name="two")]
    folders = [str(result.folder) for result in results]
    more = ["--preset", "fast", "--map", "similarity", "--threshold", "percentile"]
    more += ["--percentile", "80", "--ratio", "0.6", "--boxes", "all"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Served):
        main(
            [
                "app",
                *words(checkpoint),
                *more,
                "--evaluations",
                folders[0],
                "--evaluations",
                folders[1],
                "--port",
                "1234",
                "--host",
                "::1",
            ]
        )
    ((page, host, port),) = served
    assert (host, port, page.main) == ("::1", 1234, "resnet18")
    assert [result.name for result in page.results] == ["one", "two"]
    chosen = settings.first(page.bench.localizers["resnet18"])
    assert chosen == Settings("similarity", "fast", "percentile", 0.6, 80, "all")


def test_results_in_the_folder_evaluations_are_found(
    served: list[tuple[Page, str, int | None]],
    checkpoint: ModelOptions,
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("evaluations/mine", name="mine")
    folder = next(tmp_path.rglob("evaluations"))
    (folder / "broken").mkdir()
    (folder / "broken" / "result.json").write_text("{}")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(Served):
        main(["app", *words(checkpoint)])
    assert [result.name for result in served[0][0].results] == ["mine"]
    assert "left out: " in (told := capsys.readouterr().out) and "broken" in told
    assert served[0][1:] == ("127.0.0.1", None)


def test_what_cannot_be_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cases = [
        (["--evaluations", str(tmp_path / "none")], 1, "none"),
        (["--model", "a", "b", "--input-size", "64"], 2, "options of a model are for one model"),
        (["--model", "a", "--model", "b", "--input-size", "64"], 2, "options of a model are for one model"),
        (["--model", "no_such_network"], 1, "no_such_network"),
    ]
    for arguments, code, told in cases:
        assert main(["app", *arguments]) == code
        assert told in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in ("layout", "serve"):
        monkeypatch.delitem(sys.modules, f"wsol.app.{name}", raising=False)
    assert main(["app"]) == 2
    assert "wsol app needs gradio: pip install 'wsol[app]'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(checkpoint: ModelOptions, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio", reason="needs wsol[app]")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["app", *words(checkpoint), "--port", str(port)]) == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().err
    for port in (0, -1, 70000):
        assert main(["app", *words(checkpoint), "--port", str(port)]) == 2
        assert f"port must be 1 to 65535, got {port}" in capsys.readouterr().err
    assert main(["app", *words(checkpoint), "--host", "no.such.host.invalid"]) == 2
    assert "port any of no.such.host.invalid cannot be used: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("192.168.1.2", False)],
)
def test_who_can_reach_it(host: str, local: bool) -> None:
    serve = pytest.importorskip("wsol.app.serve", reason="needs wsol[app]")
    assert serve.is_local(host) == local
