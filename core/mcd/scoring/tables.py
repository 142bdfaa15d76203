"""Tables of a dissection: labels, neurons and what chance looked like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.api.scorer import Explanation
from mcd.scoring.calibration.fdr import QValues
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.calibration.permutation import Rows
from mcd.scoring.rungs import COLUMNS as RUNG_COLUMNS
from mcd.scoring.rungs import NUISANCE, RIGHT, UNTRAINED, Rungs
from mcd.scoring.scores import LayerScores

__all__ = [
    "COLUMNS",
    "EXPLANATION_COLUMNS",
    "NEURON_COLUMNS",
    "NULL_COLUMNS",
    "P_METHODS",
    "explanation_table",
    "label_table",
    "neuron_table",
    "null_table",
    "p_methods",
]

COLUMNS = (
    "target",
    "layer",
    "neuron",
    "status",
    "verdict",
    "rank",
    "concept",
    "category",
    "broad_category",
    "score",
    "z",
    "p",
    "p_method",
    "q",
    "q_nuisance",
    "q_untrained",
    "q_right",
    "rung",
)
"""Columns of the label table. ``status``: labelled, tied, dead, constant or unscored (see `mcd.scoring.scores.Live`);
``verdict``: see `mcd.scoring.verdicts.VERDICTS`; ``p_method``: see `P_METHODS`; ``rung``, of first concepts, how far
they got, with the q of each rung (`mcd.scoring.rungs.RUNGS`). `mcd.runs.labelling.with_fitted_images` may add one."""

P_METHODS = ("empirical", "tail")
"""How a p was computed: counted among the draws, or by the tail that was fitted to them."""

NEURON_COLUMNS = ("layer", "neuron", "stratum", "p_any", "p_any_method", "critical")
"""Columns of the table of neurons: the null stratum of each, the p of the concept with the highest z, whatever comes
first by score, how that p was computed, and the z that a concept must exceed to be significant (infinite: none can)."""

NULL_COLUMNS = ("layer", "stratum", "level", "z")
"""Columns of the table of nulls: quantiles of the highest z over all concepts, by null stratum."""

EXPLANATION_COLUMNS = ("layer", "neuron", "explanation", "concepts", "fit", "held_out", "p", "q")
"""Columns of the table of explanations by several concepts together: in words, their terms joined by ``|``, how well it
fits the patients it was found on, and others (the scorer's docstring says in which measure), and p and q of
the latter."""

_LEVELS = np.concatenate([np.linspace(0, 0.99, 100), [0.995, 0.999, 1.0]])


def label_table(
    target: str,
    layer: str,
    scored: LayerScores,
    concepts: Sequence[Concept],
    order: torch.Tensor,
    live: Sequence[int],
    judged: Judged | None = None,
    rungs: Rungs | None = None,
) -> pd.DataFrame:
    """Return the label table of one layer: a row for each kept concept of a labelled neuron, one for any other.

    Parameters
    ----------
    order
        ``(live neurons, labels)``: the best concepts of each, best first. Undefined scores never appear.
    live
        Numbers of the live neurons.
    """
    status, numbers = np.array(scored.status, dtype=object), np.array(live, dtype=np.int64)
    shown = scored.scores[numbers].gather(1, order) if len(live) else scored.scores[:0]
    kept = ~torch.isnan(shown).numpy() & np.isin(status[numbers], ("labelled", "tied"))[:, None]
    at, rank = kept.nonzero()
    silent = np.setdiff1d(np.arange(len(status)), numbers[at])
    nowhere = np.zeros_like(silent)
    neuron = np.concatenate([numbers[at], silent])
    place = np.argsort(neuron, kind="stable")
    neuron, rows = neuron[place], np.concatenate([at, nowhere])[place]
    ranks_of = np.concatenate([rank, nowhere - 1])[place]
    labelled = ranks_of >= 0
    chosen = order.numpy()[rows, ranks_of] if len(live) else np.zeros(len(rows), dtype=np.int64)
    columns = {
        name: np.array([getattr(one, name) for one in concepts], dtype=object)
        for name in ("term", "category", "broad_category")
    }

    def number_of(values: NDArray[np.floating] | None) -> NDArray[np.floating]:
        if values is None or not len(live):
            return np.full(len(rows), np.nan)
        return np.where(labelled, values[rows, ranks_of], np.nan)

    p = number_of(judged.p if judged else None)
    tail = number_of(judged.by_tail.astype(np.float64) if judged else None)
    first = ranks_of == 0

    def of_rung(rung: str) -> NDArray[np.floating]:
        found = rungs.q.get(rung) if rungs else None
        return np.full(len(rows), np.nan) if found is None or not len(live) else np.where(first, found[rows], np.nan)

    def words_of(values: Sequence[str] | None) -> NDArray[np.object_]:
        if not values:
            return np.full(len(rows), "", dtype=object)
        found: NDArray[np.object_] = np.array(values, dtype=object)[rows]
        return found

    verdict, reached = words_of(judged.verdict if judged else None), words_of(rungs.reached if rungs else None)
    return pd.DataFrame(
        {
            "target": target,
            "layer": layer,
            "neuron": neuron,
            "status": status[neuron],
            "verdict": np.where(labelled, verdict, ""),
            "rank": pd.Series(ranks_of + 1, dtype="Int64").where(labelled).array,
            "concept": np.where(labelled, columns["term"][chosen], ""),
            "category": np.where(labelled, columns["category"][chosen], ""),
            "broad_category": np.where(labelled, columns["broad_category"][chosen], ""),
            "score": number_of(shown.numpy()).astype(np.float32),
            "z": number_of(judged.z if judged else None).astype(np.float32),
            "p": p,
            "p_method": np.where(np.isnan(p), "", p_methods(tail > 0)),
            "q": number_of(judged.q if judged else None),
            **{RUNG_COLUMNS[rung]: of_rung(rung) for rung in (NUISANCE, UNTRAINED, RIGHT)},
            "rung": np.where(first, reached, ""),
        },
        columns=list(COLUMNS),
    )


def p_methods(by_tail: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return the names of `P_METHODS`, in the shape given."""
    return np.where(by_tail, P_METHODS[1], P_METHODS[0]).astype(object)


def neuron_table(layer: str, live: Sequence[int], stratum: Rows, judged: Judged) -> pd.DataFrame:
    """Return a row for each live neuron of a layer; see `NEURON_COLUMNS`."""
    values = {
        "layer": layer,
        "neuron": np.array(live, dtype=np.int64),
        "stratum": stratum,
        "p_any": judged.p_any,
        "p_any_method": p_methods(judged.any_by_tail),
        "critical": judged.critical,
    }
    return pd.DataFrame(values, columns=list(NEURON_COLUMNS))


def null_table(layer: str, stratum: Rows, judged: Judged) -> pd.DataFrame:
    """Return the quantiles of the nulls that neurons of a layer share; see `NULL_COLUMNS`."""
    parts = []
    for number in np.unique(stratum).tolist():
        with np.errstate(invalid="ignore"):  # where a scorer gives no score, nothing is reached: minus infinity
            z = np.quantile(judged.null.highest[number], _LEVELS)
        parts.append(pd.DataFrame({"layer": layer, "stratum": number, "level": _LEVELS, "z": z}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(NULL_COLUMNS))


def explanation_table(
    layer: str, explanations: Sequence[Explanation], concepts: Sequence[Concept], q: QValues
) -> pd.DataFrame:
    """Return a row for each explanation of a layer's neurons; see `EXPLANATION_COLUMNS`."""
    p = np.array([one.p for one in explanations], dtype=np.float64)
    values = {
        "layer": layer,
        "neuron": np.array([one.neuron for one in explanations], dtype=np.int64),
        "explanation": [one.text for one in explanations],
        "concepts": ["|".join(concepts[at].term for at in one.concepts) for one in explanations],
        "fit": [one.fit for one in explanations],
        "held_out": [one.held_out for one in explanations],
        "p": p,
        "q": q(p),
    }
    return pd.DataFrame(values, columns=list(EXPLANATION_COLUMNS))
