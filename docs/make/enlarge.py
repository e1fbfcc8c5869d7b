"""A hook of MkDocs: each figure is a link to its file, where a phone shows it as large as one wants."""

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

FIGURE = re.compile(r'<img [^>]*\bsrc="([^"]+)"[^>]*>')


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Wrap every picture of a page."""
    return FIGURE.sub(r'<a class="figure" href="\1" title="Enlarge">\g<0></a>', html)
