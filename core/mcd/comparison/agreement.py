"""How far two dissections of the same neurons agree: two dissectors, or two scorers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from mcd.api.concepts import Concept
from mcd.comparison.alignment import differences
from mcd.errors import UsageError
from mcd.runs.dissection import Dissection

__all__ = ["COLUMNS", "Agreement", "agreement", "check_same_neurons", "rank_correlation"]

COLUMNS = (
    "layer",
    "neuron",
    "concept_a",
    "concept_b",
    "category_a",
    "category_b",
    "broad_category_a",
    "broad_category_b",
    "same",
    "overlap",
    "correlation",
)
"""Columns of `Agreement.neurons`."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of two dissections, neuron by neuron.

    Parameters
    ----------
    neurons
        One row for every neuron that both label: layer, neuron, concept_a, concept_b, category_a, category_b,
        broad_category_a, broad_category_b, same (the first concept), overlap (share of the first ``top`` that both
        name), correlation (Spearman's over all concepts).
    only_a, only_b
        How many neurons only one of the two labels.
    top
        How many concepts the overlap looks at.
    """

    neurons: pd.DataFrame
    only_a: int
    only_b: int
    top: int

    def by(self, column: str) -> pd.DataFrame:
        """Return neurons, same, overlap and correlation, averaged over the neurons of each value of a column."""
        grouped = self.neurons.groupby(column, sort=False)
        table = grouped[["same", "overlap", "correlation"]].mean()
        table.insert(0, "neurons", grouped.size())
        return table.reset_index()

    def moves(self) -> pd.DataFrame:
        """Return where labels go: category_a, category_b, neurons, for pairs that differ, most frequent first."""
        pairs = self.neurons[self.neurons["category_a"] != self.neurons["category_b"]]
        counts = pairs.groupby(["category_a", "category_b"], sort=True).size().rename("neurons").reset_index()
        return counts.sort_values("neurons", ascending=False, kind="stable").reset_index(drop=True)


def check_same_neurons(one: Dissection, other: Dissection) -> None:
    """Refuse two runs of one target that are not of the same layers, images and concepts.

    Of annotations and an image–text model the concepts may differ: those that both have are compared.

    Raises
    ------
    UsageError
        Saying in what they differ.
    """
    mixed = one.manifest.store.annotations != other.manifest.store.annotations
    differing = differences(one, other, ("probe set", *(() if mixed else ("concepts",))))
    if [layer.place for layer in one.manifest.layers] != [layer.place for layer in other.manifest.layers]:
        differing.append("layers")
    if differing:
        raise UsageError(
            f"{one.folder} and {other.folder} cannot be laid side by side: they differ in {', '.join(differing)}",
            "compare runs of one target on one probe set with one concept set: mcd dissect --dissector A --dissector B",
        )


def agreement(
    scores: Iterable[tuple[str, torch.Tensor, torch.Tensor]], concepts: Sequence[Concept], top: int = 10
) -> Agreement:
    """Return how far two sets of scores agree.

    Parameters
    ----------
    scores
        Layers, each with its scores ``(neurons, concepts)`` in both, best the highest; NaN where there is none.
    top
        How many concepts of a neuron the overlap looks at; all where there are fewer.
    """
    tables, only_a, only_b = [], 0, 0
    top = min(top, len(concepts))
    for layer, a, b in scores:
        in_a, in_b = ~torch.isnan(a).all(dim=1), ~torch.isnan(b).all(dim=1)
        only_a, only_b = only_a + int((in_a & ~in_b).sum()), only_b + int((in_b & ~in_a).sum())
        both = (in_a & in_b).nonzero().flatten()
        if len(both):
            tables.append(_layer(layer, both, a[both], b[both], concepts, top))
    joined = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    return Agreement(joined[list(COLUMNS)], only_a, only_b, top)


def _layer(
    layer: str, neurons: torch.Tensor, a: torch.Tensor, b: torch.Tensor, concepts: Sequence[Concept], top: int
) -> pd.DataFrame:
    order_a, order_b = _best(a, top), _best(b, top)
    overlap = (order_a[:, :, None] == order_b[:, None, :]).any(dim=2).float().mean(dim=1)
    table: dict[str, object] = {"layer": layer, "neuron": neurons.numpy()}
    for name, order in (("a", order_a), ("b", order_b)):
        first = [concepts[at] for at in order[:, 0].tolist()]
        table[f"concept_{name}"] = [one.term for one in first]
        table[f"category_{name}"] = [one.category for one in first]
        table[f"broad_category_{name}"] = [one.broad_category for one in first]
    table["same"] = (order_a[:, 0] == order_b[:, 0]).numpy()
    table["overlap"] = overlap.numpy()
    table["correlation"] = rank_correlation(a, b).numpy()
    return pd.DataFrame(table)


def _best(scores: torch.Tensor, top: int) -> torch.Tensor:
    return torch.nan_to_num(scores, nan=float("-inf")).sort(dim=1, descending=True, stable=True).indices[:, :top]


def rank_correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return Spearman's rank correlation of each row of ``a`` with that of ``b``, ``(rows,)`` float64.

    Equal values share the mean of their ranks. NaN where a row has no two different values.
    """
    ranks = [torch.tensor(pd.DataFrame(one.T.numpy()).rank().to_numpy()) for one in (a, b)]
    centred = [rank - torch.nanmean(rank, dim=0) for rank in ranks]
    product = (centred[0] * centred[1]).nansum(dim=0)
    norms = [one.square().nansum(dim=0).sqrt() for one in centred]
    found: torch.Tensor = product / (norms[0] * norms[1])
    return found
