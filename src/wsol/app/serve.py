"""Serving the page: address, uploads, what Gradio takes from the environment, and what is put away."""

import ipaddress
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import gradio as gr

from wsol.app.layout import build, text
from wsol.app.page import Page
from wsol.app.session import MAX_FILE
from wsol.errors import UsageError


@contextmanager
def serving(page: Page, host: str, port: int | None) -> Iterator[tuple[gr.Blocks, str]]:
    """Serve the page in a thread of its own, with a folder for uploads that is removed at the end.

    Args:
        page: its handlers.
        host: address to listen at.
        port: None for a free one from 7860.

    Yields:
        The application, and its address.

    Raises:
        UsageError: the port is taken or none, or the address is not this machine's.
    """
    _check_free(host, port)
    name = f"[{host}]" if ":" in host else host
    given = [os.environ.get(variable, "") for variable in ("NO_PROXY", "no_proxy")]
    here = ",".join([*filter(None, given), "localhost", "127.0.0.1", host])
    with (
        TemporaryDirectory(prefix="wsol-app-") as uploads,
        _environment(GRADIO_TEMP_DIR=uploads, NO_PROXY=here, no_proxy=here),  # Gradio calls itself
    ):
        blocks, ended = build(page), threading.Event()
        threading.Thread(target=_put_away, args=(page, ended), daemon=True).start()
        try:
            yield blocks, _launch(blocks, name, port)
        finally:
            ended.set()
            blocks.close(verbose=False)


def _put_away(page: Page, ended: threading.Event) -> None:
    while not ended.wait(60):
        page.sessions.put_away()


def is_local(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_free(host: str, port: int | None) -> None:
    if port is not None and not 0 < port < 2**16:
        raise UsageError(f"port must be 1 to 65535, got {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address[:2], family=family):
            pass
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"port {port or 'any'} of {host} cannot be used: {reason}") from error


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """These variables of the environment, and the old ones afterwards."""
    before = {name: os.environ.pop(name, None) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _launch(blocks: gr.Blocks, name: str, port: int | None) -> str:
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.rose,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    try:
        _, url, _ = blocks.launch(
            server_name=name,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            inbrowser=False,
            allowed_paths=[],
            max_file_size=MAX_FILE,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            enable_monitoring=False,
            footer_links=[],
            theme=theme,
            css=text("style.css"),
        )
    except OSError as error:
        raise UsageError(f"the app cannot listen at {name}: {error}") from error
    return str(url)
