"""A layer, scored and judged, and the tables that the layers of a run make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from mcd.api.concepts import Concept
from mcd.api.scorer import Explanation
from mcd.scoring.calibration.fdr import QValues
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.calibration.permutation import Rows
from mcd.scoring.calibration.thresholds import local_threshold, reaches
from mcd.scoring.learned import FirstLabels, learned
from mcd.scoring.results import LayerSummary, Results
from mcd.scoring.rungs import Rungs
from mcd.scoring.scores import LayerScores
from mcd.scoring.tables import (
    EXPLANATION_COLUMNS,
    NEURON_COLUMNS,
    NULL_COLUMNS,
    explanation_table,
    label_table,
    neuron_table,
    null_table,
)
from mcd.scoring.untrained import Beside
from mcd.study.calibration import Calibration

__all__ = ["Scored", "Tables"]


@dataclass(frozen=True)
class Scored:
    """One layer: scores of all its neurons, and significance of those that are live.

    Parameters
    ----------
    layer
        Its name.
    scores
        Of all its neurons.
    live
        Numbers of those that respond; ``order`` and ``judged`` are of these alone.
    order
        ``(live neurons, labels)``: their best concepts, best first.
    stratum
        Null stratum of each live neuron, ``(live neurons,)``.
    judged
        Significance; None where it was not computed.
    rungs
        How far the first labels got; None where that was not computed.
    beside
        The layer beside networks that have not been trained; None where there are none.
    explanations
        Explanations of neurons by several concepts together.
    """

    layer: str
    scores: LayerScores
    live: tuple[int, ...]
    order: torch.Tensor
    stratum: Rows
    judged: Judged | None
    rungs: Rungs | None = None
    beside: Beside | None = None
    explanations: Sequence[Explanation] = ()


def _summary(found: Scored, unit: str, level: float, *, higher_is_better: bool) -> LayerSummary:
    status = found.scores.status
    labelled = sum(state in ("labelled", "tied") for state in status)
    judged = found.judged
    return LayerSummary(
        layer=found.layer,
        neurons=len(status),
        labelled=labelled,
        above_mean_score=_published(found, higher_is_better=higher_is_better),
        significant=judged.significant if judged else None,
        non_null=round(judged.non_null, 4) if judged else None,
        draws=judged.draws if judged else None,
        decided=judged.decided if judged else None,
        permutation_unit=unit if judged else None,
        rungs=found.rungs.counts(level) if found.rungs else {},
        untrained=found.beside.networks if found.beside else None,
        untrained_reached=found.beside.reached if found.beside else None,
        p_untrained=found.beside.p_layer if found.beside else None,
    )


def _published(found: Scored, *, higher_is_better: bool) -> int:
    """Return how many neurons pass the mean-score threshold of the paper."""
    if not found.live:
        return 0
    first = found.scores.scores[list(found.live)].gather(1, found.order[:, :1])[:, 0].numpy()
    return int(reaches(first, local_threshold(first), higher_is_better=higher_is_better).sum())


@dataclass
class Tables:
    """Gathers the tables of a run, a layer at a time."""

    target: str
    concepts: Sequence[Concept]
    unit: str
    calibration: Calibration
    higher_is_better: bool
    labels: list[pd.DataFrame] = field(default_factory=list)
    neurons: list[pd.DataFrame] = field(default_factory=list)
    nulls: list[pd.DataFrame] = field(default_factory=list)
    explanations: list[pd.DataFrame] = field(default_factory=list)
    firsts: list[FirstLabels] = field(default_factory=list)
    summary: list[LayerSummary] = field(default_factory=list)

    def add(self, found: Scored) -> LayerSummary:
        """Take a layer; return its summary."""
        judged = found.judged
        self.labels.append(
            label_table(
                self.target, found.layer, found.scores, self.concepts, found.order, found.live, judged, found.rungs
            )
        )
        if judged is not None:
            self.neurons.append(neuron_table(found.layer, found.live, found.stratum, judged))
            self.nulls.append(null_table(found.layer, found.stratum, judged))
        if judged is not None and found.rungs is not None:
            first, significant = found.order[:, 0].numpy(), judged.q[:, 0] <= self.calibration.q
            self.firsts.append(FirstLabels(first, found.rungs.p, significant))
        if found.explanations:
            q = QValues.of(np.array([one.p for one in found.explanations]), self.calibration.correction)
            self.explanations.append(explanation_table(found.layer, found.explanations, self.concepts, q))
        self.summary.append(_summary(found, self.unit, self.calibration.q, higher_is_better=self.higher_is_better))
        return self.summary[-1]

    def results(self) -> Results:
        """Return the tables of all layers."""
        return Results(
            _joined(self.labels, ()),
            self.summary,
            _joined(self.neurons, NEURON_COLUMNS),
            _joined(self.nulls, NULL_COLUMNS),
            _joined(self.explanations, EXPLANATION_COLUMNS),
            learned(self.firsts, self.concepts, self.calibration),
        )


def _joined(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(columns))
