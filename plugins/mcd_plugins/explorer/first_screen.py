"""What the page begins with: cautions, the answers to its questions, and which concepts are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

import mcd
from mcd.plugins import ANSWERS
from mcd_plugins.explorer.packing import Json, Names, rounded
from mcd_plugins.reporters.answers import Answer, answers_of
from mcd_plugins.reporters.cautions import cautions_of
from mcd_plugins.reporters.comparisons import comparison_of
from mcd_plugins.reporters.facts import Facts, between, first_labels
from mcd_plugins.reporters.represented import Represented, represented_of
from mcd_plugins.reporters.side_answers import side_answers_of

__all__ = ["FirstScreen", "first_screen", "represented_rows"]


@dataclass(frozen=True)
class FirstScreen:
    """What the page begins with.

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
    """Return what the page begins with.

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
    comparison, notes = comparison_of(dissections, resamples)
    each = represented_of(dissections, comparison)
    pairs = {(a, b): between(dissections[a], dissections[b]) for a, b in combinations(range(len(dissections)), 2)}
    reasons = [f"{facts[a].letter} and {facts[b].letter}: {said}" for (a, b), each_ in pairs.items() for said in each_]
    answers = side_answers_of(facts, [one.manifest for one in dissections], each, comparison)
    return FirstScreen(answers, cautions_of(facts, [*reasons, *notes]), each, comparison, pairs)


def represented_rows(found: Represented, concepts: Names) -> Json:
    """Return the answer for each concept of a run: number, answer, images, patients, AUROC that is detectable, why.

    Images and patients are null where they are not known. Where nothing is known, the reason is all there is.
    """
    table = found.table
    if not len(table):
        return {"missing": found.missing, "rows": []}
    named = zip(table["concept"], table["category"], table["broad_category"], strict=True)
    rows = zip(
        [concepts.number(*map(str, one)) for one in named],
        [ANSWERS.index(one) for one in table["answer"]],
        [int(one) if one >= 0 else None for one in table["positives"]],
        [int(one) if one >= 0 else None for one in table["patients"]],
        rounded(table["detectable_auroc"].to_numpy(np.float64), 3),
        table["why"].astype(str),
        strict=True,
    )
    return {"missing": "", "rows": [list(one) for one in rows]}
