"""The elastic net of many columns on the same variables, by active sets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional

__all__ = ["ElasticNet", "solve"]

_ROUNDS = 1000
"""Variables that may join a set, those that leave again included."""

_CLOSE = 1e-5
"""How near the optimum is: by what no correlation may exceed the penalty."""

_NONE = 1e-12
"""Weights below are 0."""


@dataclass(frozen=True)
class ElasticNet:
    """What is minimised, over w: ``½ w·G w - r·w + λ (ρ |w|₁ + (1 - ρ)/2 |w|₂²)``.

    Parameters
    ----------
    lasso
        λρ of each column, ``(columns,)`` float64.
    ridge
        λ(1 - ρ), ``(columns,)`` float64.
    signed
        Whether weights may be negative.
    """

    lasso: torch.Tensor
    ridge: torch.Tensor
    signed: bool

    def of(self, columns: torch.Tensor) -> ElasticNet:
        """Return that of some columns."""
        return ElasticNet(self.lasso[columns], self.ridge[columns], self.signed)

    def missed(self, rest: torch.Tensor) -> torch.Tensor:
        """Return by how much a weight of 0 misses the optimum, given what is unexplained, ``(columns, variables)``."""
        return (rest.abs() if self.signed else rest) - self.lasso[:, None]


def solve(gram: torch.Tensor, target: torch.Tensor, net: ElasticNet) -> torch.Tensor:
    """Return the weights, ``(columns, variables)`` float64.

    The variable that misses the optimum most joins the set of those with a weight, which is then solved as linear
    equations; one whose weight would change its sign leaves. Columns are solved side by side. Source: Lawson & Hanson
    1974, Solving Least Squares Problems, chapter 23 (NNLS); with weights of either sign, each variable stands for
    itself and for its negative.

    Parameters
    ----------
    gram
        G, correlations of variables, ``(variables, variables)`` float32; 1 on its diagonal.
    target
        r, correlations of columns and variables, ``(columns, variables)`` float64.
    """
    weights = torch.zeros_like(target)
    left = torch.arange(len(target), device=target.device)
    sets = _Sets(target.new_zeros(len(target), 0, dtype=torch.int64), target.new_zeros(len(target), 0), target[:, :0])
    for _ in range(_ROUNDS):
        rest = target - sets.explained(gram)
        missed = net.missed(rest).masked_fill_(sets.members(target.shape[1]), float("-inf"))
        most, variable = missed.max(dim=1, keepdim=True)
        going = most[:, 0] > _CLOSE
        weights[left] = sets.spread(weights.shape[1])
        if not going.any():
            break
        left, target, net, sets = left[going], target[going], net.of(going), sets.of(going)
        joining = variable[going]
        sets = sets.joined(joining, rest[going].gather(1, joining).sign()).settled(gram, target, net)
    return weights


@dataclass(frozen=True)
class _Sets:
    """The variables that have a weight, ``(columns, members)`` each; a column with fewer repeats some of size 0.

    Parameters
    ----------
    place
        Numbers of the variables.
    sign
        1 or -1, and 0 for what is no member.
    size
        Their weights without sign, at least 0.
    """

    place: torch.Tensor
    sign: torch.Tensor
    size: torch.Tensor

    def of(self, columns: torch.Tensor) -> _Sets:
        return _Sets(self.place[columns], self.sign[columns], self.size[columns])

    def members(self, variables: int) -> torch.Tensor:
        """Return which variables are members, ``(columns, variables)`` bool."""
        return self.size.new_zeros(len(self.place), variables).scatter_add_(1, self.place, self.sign.abs()) > 0

    def explained(self, gram: torch.Tensor) -> torch.Tensor:
        """Return G w, ``(columns, variables)``."""
        if not self.place.shape[1]:
            return self.size.new_zeros(len(self.place), len(gram))
        own = (self.sign * self.size).float()
        return functional.embedding_bag(self.place, gram, mode="sum", per_sample_weights=own).double()

    def spread(self, variables: int) -> torch.Tensor:
        """Return w, ``(columns, variables)``."""
        return self.size.new_zeros(len(self.place), variables).scatter_add_(1, self.place, self.sign * self.size)

    def joined(self, place: torch.Tensor, sign: torch.Tensor) -> _Sets:
        """Return them with one variable more each, those that left taken away."""
        places, signs = torch.cat([place, self.place], dim=1), torch.cat([sign, self.sign], dim=1)
        sizes = torch.cat([torch.zeros_like(sign), self.size], dim=1)
        order = (signs == 0).to(torch.uint8).sort(dim=1, stable=True).indices
        order = order[:, : int((signs != 0).sum(dim=1).max())]
        signs, sizes = signs.gather(1, order), sizes.gather(1, order)
        # What is no member stands where a member does already: its own place may be that of one that joins later.
        return _Sets(places.gather(1, order).where(signs != 0, place), signs, sizes)

    def settled(self, gram: torch.Tensor, target: torch.Tensor, net: ElasticNet) -> _Sets:
        """Return them with the weights that are best; members whose weight would be below 0 leave."""
        sign, size = self.sign.clone(), self.size.clone()
        local = gram[self.place[:, :, None], self.place[:, None, :]].double()
        wanted = target.gather(1, self.place)
        left = torch.arange(len(size), device=size.device)
        while len(left):
            mine, before = sign[left], size[left]
            best = _solved(local[left], wanted[left], mine, net.of(left))
            leaving = (mine != 0) & (best <= 0)
            share = (before / (before - best).clamp_min(1e-300)).where(leaving, 1).amin(dim=1, keepdim=True)
            after = before + share * (best - before)
            gone = leaving & (after <= _NONE)
            size[left], sign[left] = after.masked_fill(gone, 0), mine.masked_fill(gone, 0)
            left = left[leaving.any(dim=1)]
        return _Sets(self.place, sign, size)


def _solved(local: torch.Tensor, wanted: torch.Tensor, sign: torch.Tensor, net: ElasticNet) -> torch.Tensor:
    """Return the sizes where no weight is cut at 0, ``(columns, members)``; 0 for what is no member."""
    member = (sign != 0).double()
    system = local * sign[:, :, None] * sign[:, None, :]
    diagonal = member * (local.diagonal(dim1=1, dim2=2) + net.ridge[:, None] + _NONE) + (1 - member)
    system.diagonal(dim1=1, dim2=2).copy_(diagonal)
    right = sign * wanted - member * net.lasso[:, None]
    found: torch.Tensor = torch.linalg.solve(system, right)
    return found
