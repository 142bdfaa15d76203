"""What every report begins with: cautions, the answers to its questions, and which concepts are missing.

The page, the summaries and the terminal say the same sentences: these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import mcd
from mcd.errors import MCDError
from mcd.plugins import echo
from mcd_plugins.reporters.answers import Answer, answers_of
from mcd_plugins.reporters.cautions import cautions_of
from mcd_plugins.reporters.facts import Facts, between, first_labels
from mcd_plugins.reporters.represented import Represented, represented_of
from mcd_plugins.reporters.side_answers import side_answers_of

__all__ = ["FirstScreen", "first_screen"]


@dataclass(frozen=True)
class FirstScreen:
    """What a report begins with.

    Parameters
    ----------
    answers, cautions
        In the order in which they stand there; cautions with the letters of their runs.
    represented
        For each run which concepts its neurons carry.
    comparison
        Of several runs, where they can be compared.
    between
        For each pair of runs why they may not be compared.
    """

    answers: Sequence[Answer]
    cautions: Sequence[tuple[str, str]]
    represented: Sequence[Represented]
    comparison: mcd.Comparison | None
    between: Mapping[tuple[int, int], Sequence[str]]


def first_screen(dissections: Sequence[mcd.Dissection], facts: Sequence[Facts], resamples: int) -> FirstScreen:
    """Return what a report begins with.

    Parameters
    ----------
    resamples
        How many probe sets are drawn for the intervals of several runs; 0 for none.
    """
    if len(dissections) == 1:
        (run,), (said,) = dissections, facts
        (found,) = represented_of(dissections)
        answers = answers_of(said, run.manifest, first_labels(run, said.judged), found)
        return FirstScreen(answers, cautions_of(facts), [found], None, {})
    comparison, notes = _comparison_of(dissections, resamples)
    each = represented_of(dissections, comparison)
    pairs = {(a, b): between(dissections[a], dissections[b]) for a, b in combinations(range(len(dissections)), 2)}
    reasons = [f"{facts[a].letter} and {facts[b].letter}: {said}" for (a, b), each_ in pairs.items() for said in each_]
    answers = side_answers_of(facts, [one.manifest for one in dissections], each, comparison)
    return FirstScreen(answers, cautions_of(facts, [*reasons, *notes]), each, comparison, pairs)


def _comparison_of(
    dissections: Sequence[mcd.Dissection], resamples: int
) -> tuple[mcd.Comparison | None, Sequence[str]]:
    """Return the comparison, where runs allow one, and what it adds to what is said of each run.

    Parameters
    ----------
    resamples
        How many probe sets are drawn for intervals; 0 for none.
    """
    try:
        found = mcd.compare(dissections, resamples=resamples)
    except MCDError as error:  # its message may name folders: it goes to the terminal, not into the summary
        echo(f"note: no differences: {error.message}", err=True)
        return None, ["Differences were not computed: the runs are not comparable, or not complete."]
    return found, [f"{note[:1].upper()}{note[1:]}." for note in found.own_notes]  # those of runs are among the cautions
