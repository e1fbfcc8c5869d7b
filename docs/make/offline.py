"""A hook of MkDocs: no page loads anything from elsewhere. The theme's one script that would is ours here."""

import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

THEIRS = "https://unpkg.com/iframe-worker/shim"
OURS = "worker.js"
ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//[^\"]+\"")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Take our script instead.

    Raises:
        ValueError: the page would load something else.
    """
    output = _local(output, posixpath.dirname(page.url))
    if found := ELSEWHERE.search(output):
        raise ValueError(f"{page.url} loads from elsewhere: {found[0]}")
    return output


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for pages without Markdown, as 404.html."""
    return _local(output_content, "")


def _local(output: str, folder: str) -> str:
    return output.replace(THEIRS, posixpath.relpath(OURS, folder or "."))
