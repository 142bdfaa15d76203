"""Under-represented concepts: significant for no neuron, although they were detectable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mcd.comparison.examine import Examined, Examiner
from mcd.comparison.outcomes import Outcome, Vocabulary
from mcd.scoring.rungs import RUNGS
from mcd.study.vocabularies.coverage import PRESENT, coverage, presence

__all__ = ["ANSWERS", "AUROCS", "Detectable", "detectable", "represented"]

ANSWERS = ("carried", "under-represented", "could not be shown", "not known")
"""Answers for a concept. carried: significant for some neuron whose first concept is significant. under-represented:
for none, although a neuron that separates its images would have been detected. could not be shown: for none, and none
could have been detected. not known: for none, and the probe set has no labels of it."""

AUROCS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.975, 1.0)
"""AUROCs of the simulated neurons, for images with a concept against those without."""

_DRAWS = 50
_POWER = 0.8
_PERFECT = 1e3


@dataclass(frozen=True)
class Detectable:
    """The weakest neuron for a concept that would be detected.

    Parameters
    ----------
    auroc
        The smallest of `AUROCS` at which four neurons in five are significant in some layer; NaN where not even
        neurons do that have all images with the concept on top.
    layer
        That layer.
    """

    auroc: float
    layer: str


def detectable(
    examiner: Examiner, layers: Sequence[Examined], positive: NDArray[np.bool_], concept: int, seed: int = 0
) -> Detectable:
    """Return the weakest neuron for a concept that would be detected.

    Neurons are simulated: ``μ · (the concept is present) + normal noise``, with ``AUROC = Φ(μ / √2)``, image by image.
    The dissector's own similarities decide what such a neuron looks like, so a concept that the dissector does not
    separate is not detectable however many images show it; nor is any where the draws are too few for a neuron to be
    significant at all.

    Parameters
    ----------
    positive
        ``(images,)``: where the concept is present.
    concept
        Its number.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, concept]))
    means = [_PERFECT if one == 1 else sqrt(2) * NormalDist().inv_cdf(one) for one in AUROCS]
    steps = np.repeat(means, _DRAWS).astype(np.float32)
    there = positive.astype(np.float32)
    made = there[:, None] * steps + rng.standard_normal((len(there), len(steps))).astype(np.float32)
    measured = examiner.measured(torch.from_numpy(made))[:, concept]
    best = Detectable(float("nan"), "")
    for layer in layers:
        if layer.judged is None:
            continue
        stratum = int(np.bincount(layer.judged.stratum).argmax())
        null = layer.judged.null
        z = ((measured - null.mean[stratum, concept]) / null.sd[stratum, concept]).reshape(len(AUROCS), _DRAWS)
        of = int(np.flatnonzero(layer.judged.stratum == stratum)[0])
        if not layer.judged.reached[of]:
            continue
        needed = layer.judged.another[of]
        power = (z > float(needed)).float().mean(dim=1).tolist()
        enough = [auroc for auroc, share in zip(AUROCS, power, strict=True) if share >= _POWER]
        if enough and not enough[0] >= best.auroc:  # NaN is never passed
            best = Detectable(enough[0], layer.layer)
    return best


def represented(
    run: str,
    vocabulary: Vocabulary,
    outcomes: Sequence[Outcome],
    examined: Sequence[Examined] = (),
    examiner: Examiner | None = None,
    labels: pd.DataFrame | None = None,
    first_labels: pd.DataFrame | None = None,
    learned: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row for each mammographic concept, those that no neuron carries first.

    Columns: ``run``, ``concept``, ``category``, ``broad_category``, ``answer`` (one of `ANSWERS`), ``carriers``
    (neurons for which it is significant), ``first`` (those it is the first label of), ``positives`` and
    ``negatives`` (images that say so; -1 where the probe map is missing), ``patients`` with positives (-1
    also where the data set names none), ``detectable_auroc``, ``detectable_layer`` (see `detectable`), ``rung``: the
    highest that a neuron reaches whose first label it is; and ``learned``: the highest that it passes over all layers.

    Parameters
    ----------
    examined, examiner
        The run resampled; without, carriers are counted among its kept labels, and nothing is known of images.
    labels
        Those of `significant_labels`, for a run without its activations.
    first_labels, learned
        Of the run; see `mcd.scoring.tables.COLUMNS` and `mcd.scoring.learned.COLUMNS`.
    """
    first = vocabulary.counts(np.concatenate([one.concept for one in outcomes], axis=1))[0]
    carriers = first
    if examined:
        carriers = np.sum([one.carriers for one in examined], axis=0)
    elif labels is not None:
        counted = labels["concept"].value_counts()
        carriers = np.array([int(counted.get(one.term, 0)) for one in vocabulary.concepts])
    table = pd.DataFrame(
        {
            "run": run,
            "concept": [one.term for one in vocabulary.concepts],
            "category": [one.category for one in vocabulary.concepts],
            "broad_category": [one.broad_category for one in vocabulary.concepts],
            "answer": np.where(carriers > 0, ANSWERS[0], ANSWERS[3]),
            "carriers": carriers,
            "first": first,
            "positives": -1,
            "negatives": -1,
            "patients": -1,
            "detectable_auroc": np.nan,
            "detectable_layer": "",
        }
    )
    for column, rows in (("rung", first_labels), ("learned", learned)):
        table[column] = _highest(rows, vocabulary)
    if examiner is not None:
        _shown(table, examiner, examined, vocabulary)
    table = table[vocabulary.mammographic]
    rank = table["answer"].map({answer: at for at, answer in enumerate((*ANSWERS[1:], ANSWERS[0]))})
    return table.iloc[np.argsort(rank.to_numpy(), kind="stable")].reset_index(drop=True)


def _highest(rows: pd.DataFrame | None, vocabulary: Vocabulary) -> list[str]:
    """Return the highest rung of the rows of each concept; empty where there is none."""
    if rows is None or "rung" not in rows:  # a run of before
        return [""] * len(vocabulary.concepts)
    order = {rung: at for at, rung in enumerate(("", *RUNGS))}
    best = rows["rung"].map(order).groupby(rows["concept"]).max()
    names = list(order)
    return [names[int(best.get(one.term, 0))] for one in vocabulary.concepts]


def _shown(table: pd.DataFrame, examiner: Examiner, examined: Sequence[Examined], vocabulary: Vocabulary) -> None:
    """Fill in the annotations of each concept, and the smallest detectable effect of those without a neuron."""
    samples = examiner.dissection.samples
    known = coverage(samples, vocabulary.concepts)
    for column in ("positives", "negatives", "patients"):
        table[column] = known[column].fillna(-1).astype(int)
    annotated = (known["positives"] + known["negatives"]) > 0
    missing = (table["carriers"] == 0) & vocabulary.mammographic
    table.loc[missing & annotated, "answer"] = ANSWERS[2]
    asked = np.flatnonzero((missing & (known["positives"] > 0)).to_numpy()).tolist()
    there = presence(samples, [vocabulary.concepts[number] for number in asked])
    for at, number in enumerate(asked):
        weakest = detectable(examiner, examined, there[:, at] == PRESENT, number)
        if not np.isnan(weakest.auroc):
            table.loc[number, "answer"] = ANSWERS[1]
        table.loc[number, "detectable_auroc"] = weakest.auroc
        table.loc[number, "detectable_layer"] = weakest.layer
