"""What may be wrong with title and caption of a figure."""

from __future__ import annotations

import re

from mcd.figures import Caption

__all__ = ["faults"]


def faults(said: Caption) -> list[str]:
    """Return what is wrong with a caption."""
    sentences = [one for one in re.split(r"(?<=\.) (?=[^a-z])", said.text) if one]
    return [
        *(one for one in sentences if not re.match(r"[A-Z].*\.$", one)),
        *re.findall(r"\bnan\b|\bNone\b|(?<![\d.])1 (?:images|patients|categories)\b|\.\.", f"{said.title} {said.text}"),
        *([said.title] if not re.match(r"[A-Z].*[^.]$", said.title) else []),
    ]
