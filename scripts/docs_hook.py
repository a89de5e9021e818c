"""Lets one set of links work on GitHub and on the site: what a page links of the repository becomes a page, too.

MkDocs calls it (mkdocs.yml). A link such as ../conf/study/best.yaml leads to repository/conf/study/best.yaml.md, a page
that shows that file; a Markdown file of the repository becomes the page itself.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
DOCS, SHOWN = "docs/", "repository/"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file of the repository that the navigation or a page links."""
    from mkdocs.structure.files import File

    waiting = [file.src_uri for file in files.documentation_pages()]
    waiting += [uri for uri in _strings(config.nav) if uri.startswith(SHOWN)]
    seen = set(waiting)
    for uri in waiting:
        path = in_repository(uri)
        if uri.startswith(SHOWN):
            files.append(File.generated(config, uri, content=_shown(path)))
        source = (ROOT / path).read_text(encoding="utf-8") if path.endswith(".md") else ""
        new = {
            found for link in LINK.findall(source) if (found := target(uri, link)) and found.startswith(SHOWN)
        } - seen
        waiting += sorted(new)  # this loop goes on with these
        seen |= new
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn links to files of the repository into links between pages."""
    here = page.file.src_uri
    if here.startswith(SHOWN) and not in_repository(here).endswith(".md"):
        return markdown

    def rewritten(link: re.Match[str]) -> str:
        uri = target(here, link[1])
        return posixpath.relpath(uri, posixpath.dirname(here)) if uri else link[1]

    return LINK.sub(rewritten, markdown)


def in_repository(uri: str) -> str:
    """Return the path in the repository of what a page shows."""
    if not uri.startswith(SHOWN):
        return DOCS + uri
    path = uri.removeprefix(SHOWN)
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def target(page: str, link: str) -> str | None:
    """Return the page or file of the site that a link of a page leads to; None where there is nothing."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository(page)), link))
    if path.startswith("..") or not (ROOT / path).exists():
        return None
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return SHOWN + (path if path.endswith(".md") else f"{path}.md")


def _shown(path: str) -> str:
    if (ROOT / path).is_dir():
        names = sorted(one.name for one in (ROOT / path).iterdir() if one.suffix not in ("", ".pyc"))
        return "\n".join([f"# `{path}/`", "", *(f"- `{name}`" for name in names), ""])
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"---\nsearch: {{exclude: true}}\n---\n\n# `{path}`\n\n````{language}\n{text}\n````\n"


def _strings(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else []
    return [text for part in parts for text in _strings(part)]
