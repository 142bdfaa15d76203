"""What a reader must know before anything else, in the order in which it matters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcd_plugins.reporters.facts import LIMITS, Facts, said_of

__all__ = ["cautions_of"]


def cautions_of(facts: Sequence[Facts], of_all: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return cautions and notes, each once, with the letters of the runs it is about where those are not all.

    What runs say of their dissectors and targets comes first: labels of a dissector that knows only phantoms mean
    nothing on other images, however significant. Then what forbids a comparison, what these images do not allow, other
    notes of the runs, and what no run allows.

    Parameters
    ----------
    of_all
        About the runs side by side.
    """
    named = [[one for one in run.notes if _names(one, run)] for run in facts]
    doubts = [[one for one in run.cautions if one not in LIMITS] for run in facts]
    notes = [[one for one in run.notes if not _names(one, run)] for run in facts]
    limits = [[one for one in run.cautions if one in LIMITS] for run in facts]
    ordered = [*said_of(facts, named), *(("", one) for one in of_all)]
    for each in (doubts, notes, limits):
        ordered += said_of(facts, each)
    return list(dict.fromkeys(ordered))


def _names(note: str, run: Facts) -> bool:
    """Say whether a note of a run is about its dissector or its target."""
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", note) for name in (run.dissector, run.target) if name)
