"""A stored run, resampled and examined beyond its labels, from its activations and embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mcd.api.scorer import Scorer, TopKScorer
from mcd.comparison.outcomes import Codes, Outcome
from mcd.comparison.resampling import Replicated, Resampler
from mcd.errors import DataError
from mcd.runs.material import bound
from mcd.runs.revived import StoredScores
from mcd.scoring.activations import Activations, as_activations
from mcd.scoring.calibration.judging import Judged, carried
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.kept_nulls import KeptNulls
from mcd.scoring.labelling import Labeller
from mcd.scoring.scored import Scored
from mcd.scoring.scores import evidence, layer_scores
from mcd.scoring.similarity import Similarity

__all__ = ["Examined", "Examiner"]


@dataclass(frozen=True)
class Examined:
    """One layer of a stored run.

    Parameters
    ----------
    layer
        Its name.
    judged
        Significance of its live neurons; None where the layer has no labels.
    carriers
        ``(concepts,)``: how many neurons have each as a significant concept, first label or not. A neuron whose first
        concept is not significant carries none.
    replicated
        Its first labels under resamples; None where none were asked for.
    """

    layer: str
    judged: Judged | None
    carriers: Codes
    replicated: Replicated | None = None


class Examiner:
    """Labels a stored run again, which gives the nulls that its labels were held against.

    Parameters
    ----------
    stored
        The run.
    nulls
        What was drawn for it and for others.

    Raises
    ------
    StoreError
        When the run was shared without what this needs.
    """

    def __init__(self, stored: StoredScores, nulls: KeptNulls) -> None:
        study, material = stored.study, stored.material()
        self.dissection = stored.dissection
        self.similarity: Similarity = material.similarity
        scorer = bound(stored.scorer, material, stored.wording)
        self.calibration = study.calibration
        self._bound = scorer is not stored.scorer
        self._labeller = Labeller(
            scorer,
            self.similarity,
            stored.concepts.concepts,
            study.calibration,
            self.dissection.patients,
            study.labels_per_neuron,
            self.dissection.image_ids,
            nulls=nulls,
        )
        self.scorer: Scorer = self._labeller.scorer  # with what breaks ties

    def unresampled(self, resamples: Resamples) -> str:
        """Return why the scorer cannot be given other images than those of the run, or an empty text."""
        if not resamples.fewest:
            return "all images are of one patient"
        if isinstance(self.scorer, TopKScorer):
            top = self.scorer.top_k
            few = resamples.fewest < top
            return f"it looks at the top {top} images, and resamples have {resamples.fewest}" if few else ""
        return "it keeps what it knows of the whole probe set" if self._bound else ""

    def layers(self, outcomes: Mapping[str, Outcome], resamples: Resamples | None) -> Iterator[Examined]:
        """Yield every layer of the run.

        Parameters
        ----------
        outcomes
            First labels as the run has them.
        resamples
            Other probe sets; None for none.

        Raises
        ------
        DataError
            When the run's labels are not what its settings give.
        """
        again = Resampler(self.scorer, self.similarity, resamples) if resamples else None
        for found in self._labeller.scored(self.dissection.sources()):
            yield self._layer(found, outcomes[found.layer], again)

    def _layer(self, found: Scored, outcome: Outcome, again: Resampler | None) -> Examined:
        judged, concepts = found.judged, self.similarity.concepts
        if judged is None or not found.live:
            return Examined(found.layer, None, np.zeros(concepts, dtype=np.int64))
        self._same(found, judged, outcome)
        activations = self.dissection.by_neurons(found.layer)
        measured = self.measured(activations.of(found.live))
        z = judged.null.z(measured, torch.arange(concepts)[None], torch.from_numpy(judged.stratum))
        carriers = carried(judged, z, found.order[:, 0], self.calibration.q).sum(dim=0).numpy()
        replicated = again.replicate(activations.held().values, found.live, judged) if again else None
        return Examined(found.layer, judged, carriers, replicated)

    def measured(self, activations: torch.Tensor | Activations) -> torch.Tensor:
        """Return what is compared with the null, ``(neurons, concepts)``, the higher the better; see `Judged.null`.

        Parameters
        ----------
        activations
            Of neurons that respond, of the run or made up, ``(images, neurons)``.
        """
        layer = as_activations(activations)
        if isinstance(self.scorer, TopKScorer):
            scorer = self.scorer
            tops = layer.each(lambda group: scorer.top_images(group, scorer.top_k))
            found = evidence(scorer, torch.cat(tops, dim=1), self.similarity)
        else:
            found = layer_scores(self.scorer, layer, self.similarity)
        return found if self.scorer.higher_is_better else -found

    def _same(self, found: Scored, judged: Judged, outcome: Outcome) -> None:
        live = list(found.live)
        first = found.order[:, 0].numpy()
        labelled = outcome.first[live] >= 0
        significant = judged.q[:, 0] <= self.calibration.q
        if not (
            np.array_equal(first[labelled], outcome.first[live][labelled])
            and np.array_equal(significant[labelled], outcome.significant[live][labelled])
        ):
            raise DataError(
                f"{self.dissection.folder}: the labels of layer {found.layer} are not what its scorer gives now "
                "(another version, or other weights)",
                "label it again: mcd score RUN",
            )
