"""What would come out with other patients: the same neurons under resampled probe sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.scorer import Scorer
from mcd.comparison.outcomes import NOTHING, Codes
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.renaming import Renaming
from mcd.scoring.similarity import Similarity

__all__ = ["Replicated", "Resampler"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Replicated:
    """The first labels of one layer under resamples.

    Parameters
    ----------
    concept
        ``(resamples, neurons)``: number of the first concept where it is significant, `NOTHING` for all others.
    z
        ``(resamples, neurons)``: of the first concept, significant or not; NaN where there is none.
    factor
        See `Resamples.factor`.
    """

    concept: Codes
    z: Values
    factor: float


class Resampler:
    """Labels neurons anew under resamples, against the nulls of the run as it is.

    Parameters
    ----------
    scorer, similarity
        As the run was labelled with.
    resamples
        The probe sets.
    """

    def __init__(self, scorer: Scorer, similarity: Similarity, resamples: Resamples) -> None:
        self._scorer, self._resamples, self._renaming = scorer, resamples, Renaming(scorer, similarity)

    def replicate(self, activations: torch.Tensor, live: Sequence[int], judged: Judged) -> Replicated:
        """Return the first labels of a layer under every resample.

        Parameters
        ----------
        activations
            A, ``(images, neurons)`` float32.
        live
            Numbers of the neurons that respond; all others have no label in any resample.
        judged
            Of these, as the run is: its null, their strata and the z that one more neuron must exceed stay.
        """
        count, neurons = len(self._resamples.weights), activations.shape[1]
        concept = np.full((count, neurons), NOTHING, dtype=np.int64)
        z = np.full((count, neurons), np.nan)
        if live:
            responding = activations[:, list(live)]
            measure = self._renaming.measure(responding)
            stratum = torch.from_numpy(judged.stratum)
            for number, weights in enumerate(self._resamples.weights):
                first, measured = measure(weights)
                found = judged.null.z(measured.gather(1, first), first, stratum)[:, 0].double().numpy()
                z[number, live] = found
                concept[number, live] = np.where(found > judged.another, first[:, 0].numpy(), NOTHING)
        return Replicated(concept, z, self._resamples.factor(self._scorer.null))
