"""A hook of MkDocs: files beside ``docs/`` that pages link to become pages of the site.

In the repository ``../examples/x.py`` is a link to a file. The site holds ``docs/`` alone, so each such file
is shown on a page of its own under ``files/``, and the link leads there. A link to a file that does not exist
is a warning, which ends the build.
"""

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.links")

ROOT = Path(__file__).parents[2]
SHOWN = {"examples": "**/*.py", "recipes": "**/*.yaml", "benchmarks": "README.md"}
"""Folders beside ``docs/`` that pages may link to, and which of their files."""

LANGUAGES = {".py": "python", ".yaml": "yaml"}
LINK = re.compile(
    r"^(?P<fence>`{3,}).*?^(?P=fence)$"  # a block of code, in which brackets are no link
    r"|(?<=\]\()(?P<path>[\w./-]+)(?P<anchor>#[\w-]+)?(?=\))",
    re.MULTILINE | re.DOTALL,
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file, and one for each folder, that lists its files."""
    for folder, pattern in SHOWN.items():
        paths = sorted((ROOT / folder).glob(pattern))
        for path in paths:
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, _page_of(name), content=_shown(path, name)))
        if not (ROOT / folder / "README.md").exists():
            names = [path.relative_to(ROOT / folder).as_posix() for path in paths]
            listed = "".join(f"- [{name}]({name})\n" for name in names)
            files.append(
                File.generated(config, f"files/{folder}/index.md", content=f"# {folder}/\n\n{listed}")
            )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of ``docs/`` to those pages."""
    here = posixpath.dirname(_source(page.file.src_uri))

    def lead(link: re.Match[str]) -> str:
        if link["fence"]:
            return link[0]
        target = posixpath.normpath(posixpath.join(here, link["path"]))
        folder = target.split("/")[0]
        if folder == "docs":
            uri = target.removeprefix("docs/")
        elif folder in SHOWN:
            uri = _page_of(target)
        else:
            return link[0]
        if files.get_file_from_path(uri) is None:
            log.warning("%s links to %s, which is not shown", page.file.src_uri, link["path"])
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".") + (link["anchor"] or "")

    return LINK.sub(lead, markdown)


def _source(uri: str) -> str:
    """Where the Markdown of a page lies in the repository."""
    return uri.removeprefix("files/") if uri.startswith("files/") else f"docs/{uri}"


def _page_of(name: str) -> str:
    """The page of a file or folder beside ``docs/``."""
    if (ROOT / name).is_dir():
        return f"files/{name}/{'README' if (ROOT / name / 'README.md').exists() else 'index'}.md"
    return f"files/{name}" if name.endswith(".md") else f"files/{name}.md"


def _shown(path: Path, name: str) -> str:
    """A file as Markdown: code in a block, Markdown as it is."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"# {name}\n\n````{LANGUAGES[path.suffix]}\n{text.rstrip()}\n````\n"
