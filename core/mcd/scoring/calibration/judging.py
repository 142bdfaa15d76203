"""From the scores of a layer and their null distribution to the verdict on each neuron."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.scoring.calibration.fdr import QValues, null_share
from mcd.scoring.calibration.null import NullDistribution, decided
from mcd.scoring.calibration.permutation import Rows
from mcd.scoring.verdicts import Verdict
from mcd.study.calibration import Calibration

__all__ = ["Judged", "judge"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Significance of the labels of one layer.

    Parameters
    ----------
    z, p, q
        ``(neurons, labels)``: of each neuron's first concepts.
    p_any
        ``(neurons,)``: of the concept with the highest z, whatever comes first by score. Uniform for
        null neurons, for which the p of a label may be larger.
    verdict
        Of each neuron; see `mcd.scoring.verdicts.VERDICTS`.
    draws
        Draws of the smallest null stratum: the smallest p is ``1 / (draws + 1)``.
    significant
        How many neurons have a significant first concept.
    non_null
        Estimated non-null fraction: the share of neurons that respond to some concept, significant or not.
    decided
        Whether more draws could not change which neurons are significant.
    critical
        The z that a concept of each neuron must exceed to be significant, ``(neurons,)``; infinite where none can.
    null, stratum
        The null distribution, and the null stratum of each neuron, ``(neurons,)``.
    """

    z: Values
    p: Values
    q: Values
    p_any: Values
    verdict: tuple[Verdict, ...]
    draws: int
    significant: int
    non_null: float
    decided: bool
    critical: Values
    null: NullDistribution
    stratum: Rows


def judge(
    measured: torch.Tensor,
    order: torch.Tensor,
    stratum: Rows,
    chance: Callable[[int], NullDistribution],
    concepts: Sequence[Concept],
    settings: Calibration,
) -> Judged:
    """Judge a layer: draw until every neuron is decided, then control the false discovery rate over its neurons.

    Parameters
    ----------
    measured
        ``(neurons, concepts)``, the higher the better: evidence, or scores; `NullDistribution` is of the same.
    order
        ``(neurons, labels)``: their best concepts by score, best first.
    stratum
        Null stratum of each neuron, ``(neurons,)``.
    chance
        Returns the null distribution of a number of draws.
    """
    shown, which = measured.gather(1, order), torch.from_numpy(stratum)
    draws = settings.draws
    while True:
        null = chance(draws)
        values = null.z(shown, order, which).double().numpy()
        exceeded, of = null.exceeded(values[:, :1], stratum)[:, 0], null.draws(stratum)[:, 0]
        done = decided(exceeded, of, settings.q, settings.correction)
        if done or draws >= settings.most_draws or (of < draws).any():
            break
        draws = min(4 * draws, settings.most_draws)
    p = null.p(values, stratum)
    family = QValues.of(p[:, 0], settings.correction)
    q = family(p)
    everything = null.z(measured, torch.arange(measured.shape[1])[None], which)
    critical = _critical(null, family, settings.q, stratum)
    any_concept = torch.nan_to_num(everything, nan=-np.inf).amax(dim=1, keepdim=True).double().numpy()
    return Judged(
        z=values,
        p=p,
        q=q,
        verdict=_verdicts(everything, order[:, 0], q[:, 0] <= settings.q, critical, concepts),
        draws=int(of.min()) if len(of) else draws,
        significant=int((q[:, 0] <= settings.q).sum()),
        p_any=null.p(any_concept, stratum)[:, 0],
        non_null=1 - null_share(null.p(any_concept, stratum)[:, 0]),
        decided=done,
        critical=critical,
        null=null,
        stratum=stratum,
    )


def _critical(null: NullDistribution, family: QValues, rate: float, stratum: Rows) -> Values:
    """Return for each neuron the z that a concept must exceed to be significant, ``(neurons,)``."""
    threshold = family.threshold(rate)
    passed = []
    for highest in null.highest:
        allowed = int(np.floor(threshold * (len(highest) + 1) + 1e-9)) - 1  # (1 + exceeded) / (draws + 1) ≤ threshold
        passed.append(np.inf if allowed < 0 else highest[-allowed - 1] if allowed < len(highest) else -np.inf)
    return np.array(passed)[stratum]


def _verdicts(
    z: torch.Tensor, first: torch.Tensor, significant: NDArray[np.bool_], critical: Values, concepts: Sequence[Concept]
) -> tuple[Verdict, ...]:
    names = {name: at for at, name in enumerate(dict.fromkeys(one.category for one in concepts))}
    category = torch.tensor([names[one.category] for one in concepts])
    passing = (z > torch.from_numpy(critical).float()[:, None]).float()
    by_category = torch.zeros(len(z), len(names)).index_add_(1, category, passing)
    several = ((by_category > 0).sum(dim=1) > 1).numpy()
    foreign = np.array([not concepts[at].mammographic for at in first.tolist()], dtype=bool)
    return tuple(
        "not significant" if not a else "not mammographic" if f else "multiple categories" if s else "significant"
        for a, f, s in zip(significant.tolist(), foreign.tolist(), several.tolist(), strict=True)
    )
