"""The order in which concepts and neurons are shown: by what decides, which is chance first, then size."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mcd.scoring.verdicts import SIGNIFICANT

__all__ = ["above_chance", "by_evidence"]


def above_chance(labels: pd.DataFrame, rate: float) -> pd.Series[bool]:
    """Say of each row of a label table whether its concept is above chance.

    It is where its q is at most the run's, and the first concept of its neuron is significant: a neuron carries
    further concepts only if it carries its first.

    Parameters
    ----------
    labels
        Rows of a label table.
    rate
        The false discovery rate of the run.
    """
    return (labels["q"] <= rate) & labels["verdict"].isin(SIGNIFICANT)


def by_evidence(labels: pd.DataFrame, within: Sequence[str] = (), *, higher_is_better: bool = True) -> pd.DataFrame:
    """Return rows of a label table, those with the strongest evidence first: lowest q, then highest z, then best score.

    ``rank`` stays what it is, the place by score, and stands in for the score among the concepts of a neuron: it knows
    whether high scores are good, and decides between equals. Rows without a label, which have no rank, come last.

    Parameters
    ----------
    labels
        Rows of a label table. Where significance was not computed, the rank alone decides.
    within
        Columns of which equal values stay together, in the order in which they come: ``("layer", "neuron")`` for the
        concepts of each neuron, ``("layer",)`` for the neurons of each layer.
    higher_is_better
        Whether high scores are good, as the manifest of the run says; only between neurons it counts.
    """
    keys = pd.DataFrame(
        {
            "group": labels.groupby(list(within), sort=False).ngroup() if within else 0,
            "q": labels["q"],
            "z": -labels["z"],
            "rank": labels["rank"].astype("Float64"),
            "score": -labels["score"] if higher_is_better else labels["score"],
        }
    ).reset_index(drop=True)
    return labels.iloc[keys.sort_values([str(one) for one in keys], kind="stable").index.to_numpy()]
