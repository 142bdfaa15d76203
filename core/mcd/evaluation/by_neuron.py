"""What is said of each neuron without a judge: how stable its label is, and what its images have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as functional

from mcd.api.ranking import Ties, ordered_top_k
from mcd.errors import MCDError
from mcd.evaluation.geometry import COLUMNS, TOP, clarity_of_all, geometry
from mcd.evaluation.splitting import Split
from mcd.evaluation.stability import Codes, firsts, stability_table
from mcd.events import Clock
from mcd.runs.material import bound
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.renaming import Renaming
from mcd.scoring.scores import neuron_states

__all__ = ["ByNeuron"]


@dataclass
class ByNeuron:
    """Looks at the neurons of a run, a layer at a time.

    Parameters
    ----------
    split
        The run; all its images take part.
    problems, notes
        What could not be done and why, and what a reader must know.
    """

    split: Split
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tables(self, clock: Clock) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the tables of stability and geometry; see `mcd.runs.evaluated.Evaluation`."""
        drawn, embeddings = self._resamples(), self._embeddings()
        renaming = self._renaming(drawn) if drawn is not None else None
        ties = Ties.of(self.split.run.image_ids, self.split.seed)
        stability, shapes = [], []
        with clock.stage("stability", len(self.split.run.layers), "layers") as advanced:
            for layer in self.split.run.layers:
                activations = self.split.run.activations(layer)
                live = np.flatnonzero(np.array(neuron_states(activations)) == "live")
                responding = activations[:, torch.from_numpy(live)]
                if renaming is not None and drawn is not None and len(live):
                    stability.append(self._stability(layer, responding, live, renaming, drawn))
                if embeddings is not None and len(live):
                    top = ordered_top_k(responding, min(TOP, len(responding)), ties)
                    shapes.append(_shape(layer, live, embeddings, top))
                advanced(1)
        return _joined(stability), _joined(shapes)

    def _resamples(self) -> Resamples | None:
        """Return the resamples of all patients; None where none are drawn, or the scorer needs more images."""
        if not self.split.draws:
            self.problems.append("stability was left out: there are no draws")
            return None
        drawn = self.split.resampled(self.split.units)
        try:
            self.notes += filter(None, [self.split.note(drawn.fewest, "a resample")])
        except MCDError as error:
            self.problems.append(f"stability could not be computed on resamples: {error.message}")
            return None
        return drawn

    def _renaming(self, drawn: Resamples) -> Renaming:
        split = self.split
        study, material = split.scores.study, split.material
        ties = Ties.of(split.run.image_ids, study.calibration.null_seed)
        scorer = bound(split.scorer_for(drawn.fewest), material, study.prompts).breaking_ties(ties)
        return Renaming(scorer, material.similarity)

    def _stability(
        self, layer: str, activations: torch.Tensor, live: Codes, renaming: Renaming, drawn: Resamples
    ) -> pd.DataFrame:
        table = self.split.run.labels
        own = table[(table["layer"] == layer) & (table["rank"] == 1)]
        if not len(own):
            return pd.DataFrame()
        terms = [one.term for one in self.split.concepts]
        place = {term: at for at, term in enumerate(terms)}
        neurons = own["neuron"].to_numpy(dtype=np.int64)
        labels = np.array([place[str(one)] for one in own["concept"]], dtype=np.int64)
        found = firsts(renaming, activations, drawn)[:, np.searchsorted(live, neurons)]
        return stability_table(layer, neurons, labels, found, terms)

    def _embeddings(self) -> torch.Tensor | None:
        if self.split.run.manifest.store.annotations:
            self.problems.append(
                "clarity, polysemanticity and redundancy need embeddings of images, and annotations have none"
            )
            return None
        found = functional.normalize(self.split.run.image_embeddings(), dim=1)
        self.notes.append(f"the clarity of images drawn at random is {clarity_of_all(found):.3f}")
        return found


def _shape(layer: str, live: Codes, embeddings: torch.Tensor, top: torch.Tensor) -> pd.DataFrame:
    found = geometry(embeddings, top)
    values = {
        "layer": layer,
        "neuron": live,
        "clarity": found.clarity,
        "polysemanticity": found.polysemanticity,
        "redundancy": found.redundancy,
        "nearest": np.where(found.nearest >= 0, live[np.maximum(found.nearest, 0)], -1),
    }
    return pd.DataFrame(values, columns=list(COLUMNS))


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    some = [one for one in tables if len(one)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame()
