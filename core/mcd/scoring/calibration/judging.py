"""From the scores of a layer and their null distribution to the verdict on each neuron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.scoring.calibration.dependence import DependenceTest
from mcd.scoring.calibration.fdr import QValues, null_share
from mcd.scoring.calibration.null import NullDistribution, discoveries
from mcd.scoring.calibration.permutation import Rows
from mcd.scoring.verdicts import Verdict
from mcd.study.calibration import Calibration

__all__ = ["Judged", "carried", "judge"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Significance of the labels of one layer.

    Parameters
    ----------
    z, p, q
        ``(neurons, labels)``: of each neuron's first concepts.
    by_tail
        ``(neurons, labels)`` bool: whether the p is that of the tail model, or was counted.
    p_any, any_by_tail
        ``(neurons,)``: of the concept with the highest z, whatever comes first by score. Uniform for
        null neurons, for which the p of a label may be larger.
    verdict
        Of each neuron; see `mcd.scoring.verdicts.VERDICTS`.
    draws
        Draws of the smallest null stratum: the smallest p that is counted is ``1 / (draws + 1)``.
    significant
        How many neurons have a significant first concept.
    non_null
        Estimated non-null fraction: the share of neurons that respond to some concept, significant or not.
    decided
        Whether more draws could not change which neurons are significant.
    critical
        The z that a concept of each neuron must exceed to be significant, ``(neurons,)``; infinite where none can.
        A neuron carries the concepts that exceed it, if its first concept does.
    another
        The z that one more neuron like each would have to exceed, ``(neurons,)``: for neurons that are made up or
        resampled, never for those of the layer. Where the draws do not reach as far, all of them must be exceeded.
    reached
        Whether the draws reach as far, ``(neurons,)`` bool: no neuron can be significant where they do not.
    null, stratum
        The null distribution, and the null stratum of each neuron, ``(neurons,)``.
    """

    z: Values
    p: Values
    q: Values
    by_tail: NDArray[np.bool_]
    p_any: Values
    any_by_tail: NDArray[np.bool_]
    verdict: tuple[Verdict, ...]
    draws: int
    significant: int
    non_null: float
    decided: bool
    critical: Values
    another: Values
    reached: NDArray[np.bool_]
    null: NullDistribution
    stratum: Rows


def judge(test: DependenceTest, order: torch.Tensor, concepts: Sequence[Concept], settings: Calibration) -> Judged:
    """Judge a layer: draw until every neuron is decided, then control the false discovery rate over its neurons.

    Parameters
    ----------
    test
        What is tested.
    order
        ``(neurons, labels)``: their best concepts by score, best first.
    """
    stratum, which = test.stratum, torch.from_numpy(test.stratum)
    shown = test.observed.gather(1, order)
    draws = settings.draws
    while True:
        null = test.null(draws)
        values = null.z(shown, order, which).double().numpy()
        exceeded, of = null.exceeded(values[:, :1], stratum)[:, 0], null.draws(stratum)[:, 0]
        found = discoveries(exceeded, of, settings.q, settings.correction)
        open_still = found.most != found.least
        if not open_still.any() or draws >= settings.most_draws:
            break
        draws = min(4 * draws, settings.most_draws)
    p, by_tail = null.p(values, stratum), null.by_tail(values, stratum)
    family = QValues.of(p[:, 0], settings.correction)
    q = family(p)
    significant = q[:, 0] <= settings.q
    critical = null.critical(family.threshold(settings.q))[stratum]
    everything = null.z(test.observed, torch.arange(test.observed.shape[1])[None], which)
    any_concept = torch.nan_to_num(everything, nan=-np.inf).amax(dim=1, keepdim=True).double().numpy()
    p_any = null.p(any_concept, stratum)[:, 0]
    undecided = ~significant & found.most & ~by_tail[:, 0]
    several = _several(test, null, everything, order[:, 0], significant, critical, concepts)
    needed = null.critical(family.threshold(settings.q, 1))
    return Judged(
        z=values,
        p=p,
        q=q,
        by_tail=by_tail,
        verdict=_verdicts(order[:, 0], significant, undecided, several, concepts),
        draws=int(of.min()) if len(of) else draws,
        significant=int(significant.sum()),
        p_any=p_any,
        any_by_tail=null.by_tail(any_concept, stratum)[:, 0],
        non_null=1 - null_share(p_any),
        decided=not (open_still & ~by_tail[:, 0]).any(),
        critical=critical,
        another=_another(null, needed)[stratum],
        reached=(needed < np.inf)[stratum],
        null=null,
        stratum=stratum,
    )


def carried(judged: Judged, z: torch.Tensor, first: torch.Tensor, rate: float) -> torch.Tensor:
    """Say which concepts the neurons of a layer carry, ``(neurons, concepts)`` bool.

    Those whose z exceeds `Judged.critical`, of neurons whose first concept is significant: a neuron that is not
    significant carries none, whatever concept has its highest z.

    Parameters
    ----------
    z
        ``(neurons, concepts)``: of all concepts.
    first
        ``(neurons,)``: the first concept of each.
    rate
        The false discovery rate at which the layer was judged.
    """
    significant = torch.from_numpy(judged.q[:, 0] <= rate)[:, None]
    found: torch.Tensor = z > torch.from_numpy(judged.critical)[:, None]
    return significant & found.scatter(1, first[:, None], value=True)  # the first is, however z was rounded


def _another(null: NullDistribution, needed: Values) -> Values:
    highest = [one[-1] if len(one) else -np.inf for one in null.highest]  # empty: no such neuron
    return np.where(np.isinf(needed), highest, needed)


def _several(
    test: DependenceTest,
    null: NullDistribution,
    z: torch.Tensor,
    first: torch.Tensor,
    significant: NDArray[np.bool_],
    critical: Values,
    concepts: Sequence[Concept],
) -> NDArray[np.bool_]:
    """Say of each neuron whether it depends on concepts of several categories, ``(neurons,)``.

    A concept of another category counts if it still passes given the first, and the first given it: concepts are
    correlated, and what follows one of them follows all that resemble it.
    """
    names = {name: at for at, name in enumerate(dict.fromkeys(one.category for one in concepts))}
    category = torch.tensor([names[one.category] for one in concepts])
    needed = torch.from_numpy(critical).float()
    other = category[None] != category[first][:, None]
    units = (torch.from_numpy(significant) & (other & (z > needed[:, None])).any(dim=1)).nonzero().flatten()
    found = np.zeros(len(z), dtype=bool)
    if test.given is None:
        found[units.numpy()] = True
        return found
    if not len(units):
        return found
    everything, which = torch.arange(len(concepts))[None], torch.from_numpy(test.stratum)[units]
    rest = torch.nan_to_num(null.z(test.given(units, first[units]), everything, which), nan=float("-inf"))
    height, second = rest.masked_fill(~other[units], float("-inf")).max(dim=1)
    kept = height > needed[units]
    units, second, which = units[kept], second[kept], which[kept]
    if len(units):
        back = null.z(test.given(units, second), everything, which).gather(1, first[units, None])[:, 0]
        found[units[back > needed[units]].numpy()] = True
    return found


def _verdicts(
    first: torch.Tensor,
    significant: NDArray[np.bool_],
    undecided: NDArray[np.bool_],
    several: NDArray[np.bool_],
    concepts: Sequence[Concept],
) -> tuple[Verdict, ...]:
    foreign = np.array([not concepts[at].mammographic for at in first.tolist()], dtype=bool)
    found = np.select(
        [undecided, ~significant, foreign, several],
        ["undecided", "not significant", "not mammographic", "multiple categories"],
        "significant",
    )
    return tuple(found.tolist())
