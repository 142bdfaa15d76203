"""How far an image–text model can be trusted, concept by concept: its similarities held against annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.comparison.outcomes import significant_labels
from mcd.errors import UsageError
from mcd.runs.dissection import Dissection
from mcd.runs.material import Material
from mcd.runs.revived import StoredScores
from mcd.scoring.calibration.resamples import Resamples, interval
from mcd.study.vocabularies.folding import folded

__all__ = ["COLUMNS", "areas", "shared_concepts", "validity"]

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

COLUMNS = (
    "concept",
    "category",
    "broad_category",
    "present",
    "absent",
    "patients",
    "auroc",
    "low",
    "high",
    "named",
    "named_by_annotations",
    "named_by_both",
)
"""Columns of the table of validity: a concept as the image–text model has it; images annotated as present and as
absent, patients with it (-1 where not known); the AUROC of its similarity for these images with a 95 % interval; how
many neurons it is the significant first concept of, how many it is by annotations, and how many by both."""


def shared_concepts(concepts: Sequence[Concept], others: Sequence[Concept]) -> dict[int, int]:
    """Return which concepts of two sets are the same, by term or synonym: number → number; each at most once.

    Those of equal terms are: skin folds is no other's while the other set has skin folds too.
    """
    forms: dict[str, int] = {}
    for number, other in enumerate(others):
        for word in (other.term, *other.synonyms):
            forms.setdefault(folded(word), number)
    exact = {other.term: number for number, other in enumerate(others)}
    found = {number: exact[one.term] for number, one in enumerate(concepts) if one.term in exact}
    for number, concept in enumerate(concepts):
        if number in found:
            continue
        meant = (forms.get(folded(word)) for word in (concept.term, *concept.synonyms))
        other_number = next((one for one in meant if one is not None), None)
        if other_number is not None and other_number not in found.values():
            found[number] = other_number
    return found


def areas(values: Values, positive: NDArray[np.bool_], weights: Rows) -> Values:
    """Return the area under the ROC curve of values, ``(resamples,)``, each with its own weights; ties count half.

    NaN where a resample has no positive or no negative.

    Parameters
    ----------
    values, positive
        ``(images,)``.
    weights
        ``(resamples, images)``: how often each image counts.
    """
    order = np.argsort(values, kind="stable")
    ranked, there, counted = values[order], positive[order], weights[:, order]
    below = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(counted * ~there, axis=1)], axis=1)
    first, last = np.searchsorted(ranked, ranked, "left"), np.searchsorted(ranked, ranked, "right")
    beaten = (below[:, first] + below[:, last]) / 2
    hits, misses = (counted * there).sum(axis=1), below[:, -1]
    with np.errstate(invalid="ignore"):  # 0/0: NaN
        found: Values = (beaten * counted * there).sum(axis=1) / (hits * misses)
    return found


def validity(
    text: StoredScores, annotations: StoredScores, shared: Mapping[int, int], resamples: int, seed: int
) -> pd.DataFrame:
    """Return how well the similarity of an image–text model separates images by what is annotated; see `COLUMNS`.

    Concepts that the model separates worst come first.

    Parameters
    ----------
    text, annotations
        Two runs of the same neurons and images.
    shared
        From `shared_concepts` of the two.
    resamples, seed
        How many probe sets are drawn for intervals, 0 for none; and what decides them.

    Raises
    ------
    UsageError
        When no concept of the image–text model can be assessed.
    """
    said, seen = annotations.material(), text.material()
    assessable = said.annotations["assessable"].tolist()
    patients = text.dissection.patients
    drawn = Resamples.draw(patients, resamples, seed) if resamples else None
    named, by_annotations = _first(text.dissection), _first(annotations.dissection)
    rows = []
    for number, other in shared.items():
        if not assessable[other]:
            continue
        concept, same = text.concepts.concepts[number], annotations.concepts.concepts[other]
        mine, theirs = named == concept.term, by_annotations == same.term
        rows.append(
            {
                "concept": concept.term,
                "category": concept.category,
                "broad_category": concept.broad_category,
                **_separated(seen, said, number, other, patients, drawn),
                "named": int(mine.sum()),
                "named_by_annotations": int(theirs.sum()),
                "named_by_both": int((mine & theirs.reindex(mine.index, fill_value=False)).sum()),
            }
        )
    if not rows:
        raise UsageError(
            f"no concept of {text.dissection.folder} can be assessed by the annotations of "
            f"{annotations.dissection.folder}",
            "use concepts that the data set annotates; annotations.csv of that run lists them",
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("auroc", kind="stable").reset_index(drop=True)


def _separated(
    seen: Material, said: Material, number: int, other: int, patients: Sequence[str], drawn: Resamples | None
) -> dict[str, float]:
    state = said.similarity.to(slice(other, other + 1))[:, 0].numpy()
    known = ~np.isnan(state)
    values = seen.similarity.to(slice(number, number + 1))[:, 0].double().numpy()[known]
    positive = state[known] == 1
    auroc = areas(values, positive, np.ones((1, len(values)), dtype=np.int64))
    low = high = np.full(1, np.nan)
    if drawn is not None and drawn.fewest:
        again = areas(values, positive, drawn.weights[:, known])
        found = interval(auroc, again[:, None], drawn.factor("permutation"), (0, 1))
        low, high = found.low, found.high
    people = {patients[row] for row in np.flatnonzero(state == 1).tolist()} - {""}
    return {
        "present": int(positive.sum()),
        "absent": int((~positive).sum()),
        "patients": len(people) if any(patients) else -1,
        "auroc": float(auroc[0]),
        "low": float(low[0]),
        "high": float(high[0]),
    }


def _first(dissection: Dissection) -> pd.Series[str]:
    """Return the significant first concepts of a run, by layer and neuron."""
    labels = significant_labels(dissection)
    first = labels[labels["rank"] == 1]
    return first.set_index(["layer", "neuron"])["concept"]
