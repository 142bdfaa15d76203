"""Hooks of ``mkdocs build``: the repository's Markdown as a site, every link included.

Pages keep the paths that they have in the repository, so that links between them hold in both places. Pages outside
``docs/`` and the other files that are linked come along, and each public module gets a page of the API reference.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

__all__ = ["API", "PAGES", "on_config", "on_files", "pages"]

ROOT = Path(__file__).resolve().parents[1]
API = ("mcd", "mcd.plugins", "mcd.errors", "mcd.events", "mcd.figures", "mcd.testing")
"""Public modules, each with a page."""
PAGES = ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/**/*.md", "plugins/**/*.md")
"""Where Markdown stands that people read."""
_SECTIONS = {"tutorials": "Tutorials", "how-to": "How-to", "reference": "Reference", "explanation": "Explanation"}
_COMMENT = re.compile(r"^ *<!--.*?-->\n?", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def pages() -> list[Path]:
    """Return every page of the repository, relative to its root."""
    return sorted(path.relative_to(ROOT) for pattern in PAGES for path in ROOT.glob(pattern))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation: folders become their pages, and a page that it does not name ends its section."""
    nav = [_filled(entry) for entry in config.nav or []]
    named = set(_named(nav))
    for folder, title in _SECTIONS.items():
        late = [str(path) for path in pages() if path.match(f"docs/{folder}/**/*.md") and str(path) not in named]
        section = next(entry[title] for entry in nav if isinstance(entry, dict) and title in entry)
        section.extend(late)
    config.nav = nav
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")  # anchors as GitHub makes them
    return config


def on_page_markdown(markdown: str, **_: object) -> str:
    """Leave out what only the tests of the pages read."""
    return _COMMENT.sub("", markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the site under the paths that they have in the repository."""
    own = [*pages(), *_linked()]
    replaced = {path.as_posix().removeprefix("docs/") for path in own}
    found = [one for one in files if one.src_uri not in replaced]  # of the theme, and assets
    found += [_placed(File.generated(config, path.as_posix(), abs_src_path=str(ROOT / path))) for path in own]
    found += [_placed(File.generated(config, _api_path(one), content=_api_page(one))) for one in API]
    return Files(found)


def _placed(file: File) -> File:
    """Return a file with its place on the site, where ``docs/`` is no folder of its own."""
    file.dest_uri = file.dest_uri.removeprefix("docs/")
    return file


def _linked() -> Iterator[Path]:
    """Return what pages link to that is no page: pictures, schemas, code."""
    targets = set()
    for page in pages():
        text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in _LINK.findall(text):
            target = (ROOT / page.parent / unquote(link)).resolve()
            if not re.match(r"[a-z]+:", link) and target.is_file() and target.suffix != ".md":
                targets.add(target.relative_to(ROOT))
    yield from sorted(targets)


def _api_path(module: str) -> str:
    return f"docs/reference/api/{module}.md"


def _api_page(module: str) -> str:
    """Return the reference of a module: what its docstring says, then each public name."""
    loaded = importlib.import_module(module)
    lines = [f"# `{module}`", "", f"::: {module}", *_options(members=False, show_root_heading=False), ""]
    for name in loaded.__all__:
        if f"{module}.{name}" in API:
            lines += [f"## `{module}.{name}`", "", f"[A module of its own]({module}.{name}.md).", ""]
        else:
            lines += [f"::: {module}.{name}", ""]
    return "\n".join(lines)


def _options(**options: bool) -> list[str]:
    return ["    options:", *(f"      {name}: {str(value).lower()}" for name, value in options.items())]


def _filled(entry: object) -> object:
    """Replace a folder of the navigation, whose path ends with a slash, by its pages."""
    if not isinstance(entry, dict):
        return entry
    ((title, value),) = entry.items()
    if isinstance(value, list):
        return {title: [_filled(one) for one in value]}
    if value == "api/":
        return {title: [{module: _api_path(module)} for module in API]}
    if str(value).endswith("/"):
        below = [path.as_posix() for path in pages() if path.as_posix().startswith(value)]
        return {title: sorted(below, key=lambda path: (PurePosixPath(path).name != "README.md", path))}
    return entry


def _named(nav: Iterable[object]) -> Iterator[str]:
    for entry in nav:
        values = list(entry.values()) if isinstance(entry, dict) else [entry]
        for value in values:
            if isinstance(value, list):
                yield from _named(value)
            else:
                yield str(value)
