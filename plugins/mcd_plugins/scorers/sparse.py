"""A neuron as a sum of few concepts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import lengths, products, refuse_unpaired, responds
from mcd_plugins.scorers.elastic_net import ElasticNet, solve
from mcd_plugins.scorers.held_out import Halves, Seed
from mcd_plugins.scorers.pearson import standardised

__all__ = ["Sparse"]

_SHOWN = 5
"""Concepts that the text of an explanation names at most."""

_LEAST = 0.005
"""The weight that it names one from."""


class Sparse(mcd.Scorer):
    """A neuron's activations as a weighted sum of few concepts, fitted jointly.

    With a the neuron's activations and X the similarities, standardised, the weights of the elastic net::

        w = argmin 1/(2n) |a - X w|² + λ (ρ |w|₁ + (1 - ρ)/2 |w|²),   w ≥ 0 unless signed

    ρ is ``l1_ratio``, and λ the share ``alpha`` of the smallest λ that leaves no concept. A concept's score is its
    weight, seen without the cut at 0::

        S[c] = (r_c - λρ) / (1 + λ(1 - ρ)),   r_c = x_c · (a - X w + x_c w_c) / n

    r_c is the correlation of the concept with what all others leave unexplained. Where w_c > 0, S[c] = w_c; a score
    of 0 or below measures how far the concept is from inclusion: it belongs to no explanation. (A cut score would be 0
    for nearly all concepts of nearly all draws, and no null could be estimated.) `explain` returns the sum.

    Source: Zou & Hastie 2005, J. R. Stat. Soc. B 67; as a score of neurons: Linear Explanations (Oikarinen & Weng,
    ICML 2024), which continues with a greedy search, and judges by the held-out correlation, as `explain` does. A
    neuron or concept that is the same on every image has no score (NaN).

    Higher is better. Not bounded; neither scale nor offset of the activations matters. Not comparable across layers: λ
    follows a neuron's strongest concept. Concepts that share what they explain share the weight, so what counts is
    which take part, not the order of near synonyms. With a vocabulary of one, S rises with Pearson's correlation, and
    so passes NeuronEval's sanity checks as that does.

    Examples
    --------
    >>> concepts = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    >>> neuron = 2 * concepts[:, :1] + concepts[:, 1:2]
    >>> Sparse(Sparse.Options(alpha=0.1, l1_ratio=1)).score(neuron, concepts).round(decimals=2)
    tensor([[ 0.8000,  0.3600, -0.0900]])
    """

    class Options(mcd.Options):
        """Settings of the sparse sum."""

        alpha: float = pydantic.Field(
            default=0.3, gt=0, lt=1, description="λ as a share of the smallest one that leaves no concept"
        )
        l1_ratio: float = pydantic.Field(
            default=0.9, ge=0.01, le=1, description="ρ, share of the lasso in the penalty: 1 keeps one of near synonyms"
        )
        signed: bool = pydantic.Field(
            default=False, description="whether a sum may hold concepts that the neuron avoids, with negative weights"
        )
        seed: Seed = 0

    options: Options
    name = "sparse"
    depends_on = "neuron"

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._patients: Sequence[str] = ()
        self._terms: Sequence[str] = ()
        self._gram = _Gram()

    def for_probe(self, probe: mcd.Probe) -> Sparse:
        """Return this scorer with the patients and words of a probe set."""
        made = copy.copy(self)
        made._patients, made._gram = probe.patients, _Gram()
        made._terms = [concept.term for concept in probe.concepts]
        return made

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        found = self._fitted(activations, similarity)
        rest = found.target - (found.weights.float() @ found.gram).double() + found.weights
        scores = ((rest - found.net.lasso[:, None]) / (1 + found.net.ridge[:, None])).float()
        scores = scores.masked_fill_(~responds(activations)[:, None], float("nan"))
        return scores.masked_fill_(~responds(similarity), float("nan"))

    def explain(self, activations: torch.Tensor, similarity: Callable[[], torch.Tensor]) -> Sequence[mcd.Explanation]:
        """Return for each neuron its sum, found on half of the patients, and its correlation on the others.

        ``fit`` and ``held_out`` are correlations of the sum with the activations. ``p`` is that of ``held_out`` when
        the other patients change places, out of `held_out.DRAWS` draws. The weights in the text are standardised,
        largest first. A neuron that is the same on all images of a half, or whose sum is, has no explanation.
        """
        whole = similarity()
        halves = Halves.of(self._patients or [""] * len(whole), self.options.seed)
        if len(halves.held) < 2:
            return ()
        fitted = self._fitted(activations[halves.fit], whole[halves.fit], kept=False)
        scale = _spread(whole[halves.fit])
        slopes = (fitted.weights / torch.where(scale > 0, scale, 1).double()).float().T
        sums = [(whole[rows] - whole[halves.fit].mean(dim=0)) @ slopes for rows in (halves.fit, halves.held)]
        (fit_sum, held_sum), (fit_own, held_own) = (
            [standardised(one) for one in parts]
            for parts in (sums, (activations[halves.fit], activations[halves.held]))
        )
        fit, held = (fit_sum * fit_own).sum(dim=0), (held_sum * held_own).sum(dim=0)
        known = (~(fit + held).isnan()).nonzero().flatten()
        known_sum, own = held_sum[:, known], held_own[:, known]
        p = halves.p(held[known], lambda order: (known_sum * own[order]).sum(dim=0))
        return [
            mcd.Explanation(
                neuron, *self._said(fitted.weights[neuron]), float(fit[neuron]), float(held[neuron]), chance
            )
            for neuron, chance in zip(known.tolist(), p, strict=True)
        ]

    def _fitted(self, activations: torch.Tensor, similarity: torch.Tensor, *, kept: bool = True) -> _Fitted:
        concepts, own = (torch.nan_to_num(standardised(columns)) for columns in (similarity, activations))
        gram = self._gram.of(concepts) if kept else products(concepts, concepts)
        target = products(own, concepts).double()
        ratio = self.options.l1_ratio
        strongest = (target.abs() if self.options.signed else target).amax(dim=1).clamp_min_(0)
        lasso = self.options.alpha * strongest
        net = ElasticNet(lasso, lasso * (1 - ratio) / ratio, self.options.signed)
        return _Fitted(gram, target, net, solve(gram, target, net))

    def _said(self, weights: torch.Tensor) -> tuple[str, tuple[int, ...]]:
        """Return a sum in words, and its concepts."""
        order = weights.abs().sort(descending=True, stable=True).indices.tolist()
        concepts = tuple(number for number in order if weights[number] != 0)
        shown = [number for number in concepts[:_SHOWN] if abs(weights[number]) >= _LEAST] or list(concepts[:1])
        text = ""
        for number in shown:
            weight, term = float(weights[number]), self._terms[number] if self._terms else f"concept {number}"
            sign = (" - " if text else "-") if weight < 0 else " + " if text else ""
            text += f"{sign}{abs(weight):.2f} {term}"
        rest = len(concepts) - len(shown)
        return (f"{text} + {rest} more" if rest > 0 else text), concepts


@dataclass(frozen=True)
class _Fitted:
    gram: torch.Tensor
    target: torch.Tensor
    net: ElasticNet
    weights: torch.Tensor


class _Gram:
    """The correlations of concepts, kept for as long as P is the same: a null asks for them again and again."""

    def __init__(self) -> None:
        self._kept: tuple[torch.Tensor, torch.Tensor] | None = None

    def of(self, standard: torch.Tensor) -> torch.Tensor:
        """Return them of concepts that are standardised: a tensor that nobody else has, P may be written to."""
        known = self._kept is not None and self._kept[0].device == standard.device
        if self._kept is None or not known or not torch.equal(self._kept[0], standard):
            self._kept = standard, products(standard, standard)
        return self._kept[1]


def _spread(columns: torch.Tensor) -> torch.Tensor:
    """Return the length of each column less its mean, ``(columns,)``: 0 where it is the same everywhere."""
    return lengths(columns - columns.mean(dim=0)).masked_fill_(~responds(columns), 0)
