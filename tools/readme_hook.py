"""The README as the package's description: links into the repository lead nowhere on the page of a package index.

hatchling runs it when it builds. With ``Repository`` among the project's URLs links become absolute; without one their
text stays, and pictures go.
"""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

__all__ = ["ReadmeHook", "portable"]

_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?://|#)(?P<path>[^)\s]+)\)")


def portable(text: str, repository: str | None) -> str:
    """Return Markdown whose relative links lead into a repository, or are gone.

    Parameters
    ----------
    repository
        Address below which files of the main branch are found, or None.
    """

    def link(found: re.Match[str]) -> str:
        if repository is None:
            return "" if found["picture"] else found["text"]
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['text']}]({repository.rstrip('/')}/{kind}/main/{found['path']})"

    return _LINK.sub(link, text)


class ReadmeHook(MetadataHookInterface):
    """Sets the readme of the project's metadata."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set ``readme``, which ``pyproject.toml`` declares dynamic."""
        urls = metadata.get("urls")
        repository = urls.get("Repository") if isinstance(urls, dict) else None
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": portable(text, repository)}
