"""How many labels are right: what neurons respond to, held against what the phantoms were drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import mcd
from mcd.errors import DataError, UsageError
from mcd.plugins import SIGNIFICANT, PermutationUnits

__all__ = ["RightLabels", "judge_labels", "right_labels"]

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

_DRAWS_AT_ONCE = 64


@dataclass(frozen=True)
class RightLabels:
    """The significant labels of a dissection of phantoms, and which of them are right.

    Parameters
    ----------
    labels
        One row a label: layer, neuron, concept, category, broad_category, auroc, p, place, right. ``auroc`` is that of
        the neuron's activation for the images that show the concept, ``place`` where the concept stands among all
        truths by how clearly the neuron separates them. Of a concept that no image shows, or all do, both are NaN;
        such a label is not right.
    by_chance
        The share of right labels that is expected by chance: the mean over reassignments of the labels to the same
        neurons; NaN with fewer than two.
    unknown
        How many more labels are concepts without known truth.
    """

    labels: pd.DataFrame
    by_chance: float
    unknown: int

    @property
    def right(self) -> int:
        """How many are right."""
        return int(self.labels["right"].sum())

    def __len__(self) -> int:
        """Return how many were judged."""
        return len(self.labels)


def right_labels(
    dissection: mcd.Dissection, *, level: float = 0.05, best: int = 3, draws: int = 999, seed: int = 0
) -> RightLabels:
    """Judge the significant labels by what the phantoms show: `judge_labels` of a run.

    Parameters
    ----------
    dissection
        Of the data set ``phantom``, calibrated, its folder ``private`` at hand.
    level, best, draws, seed
        See `judge_labels`.

    Raises
    ------
    UsageError
        When the run was not calibrated, so that no label is known to be significant.
    DataError
        When the probe set does not have the truth of every image.
    StoreError
        When activations or probe map are missing.
    """
    verdict = dissection.labels["verdict"]
    if not verdict.ne("").any():
        raise UsageError(
            f"{dissection.folder} does not say which labels are significant", "run it with calibration switched on"
        )
    truth = _truth(dissection)
    first = dissection.labels[(dissection.labels["rank"] == 1) & verdict.isin(SIGNIFICANT)]
    activations = [
        dissection.activations(str(layer)).numpy()[:, rows["neuron"].to_numpy()]
        for layer, rows in first.groupby("layer", sort=False)
    ]
    return judge_labels(
        first[["layer", "neuron", "concept", "category", "broad_category"]],
        np.concatenate([np.zeros((len(truth), 0)), *activations], axis=1),
        truth,
        dissection.patients,
        level=level,
        best=best,
        draws=draws,
        seed=seed,
    )


def judge_labels(
    labels: pd.DataFrame,
    activations: Values,
    truth: pd.DataFrame,
    patients: Sequence[str],
    *,
    level: float = 0.05,
    best: int = 3,
    draws: int = 999,
    seed: int = 0,
) -> RightLabels:
    """Judge labels by the truth.

    A neuron's label is right when the neuron really responds to the concept, and to few others more. That is:

    1. Its activation separates images that show the concept from those that do not: the area under the ROC curve
       exceeds 0.5 with p ≤ ``level``, one-sided. The permutation unit is the patient: patients are permuted with all
       their images, and the images of each are shuffled. An image without a known patient is a unit of its own.
    2. Of all truths, fewer than ``best`` are separated more clearly. Clearness is the AUROC's distance from its mean
       under permutation in standard deviations, so that rare truths, whose AUROC varies most, do not come first.

    Both use the images that gave the labels, and p is not corrected for the number of labels: of meaningless labels
    some are right by chance, and ``by_chance`` is their expected share. The dissector is not used: it cannot judge
    itself.

    Parameters
    ----------
    labels
        One row a label, with at least the column ``concept``.
    activations
        ``(images, labels)``: of each label's neuron.
    truth
        One row an image, one column of bool a concept; labels that are no column are counted as unknown.
    patients
        ``(images,)``: the patient of each image, empty where unknown.
    level, best
        See above.
    draws, seed
        Number of permutations of patients, and their seed.
    """
    known = labels["concept"].isin(truth.columns).to_numpy()
    table = labels[known].reset_index(drop=True)
    orders = _permutations(patients, draws, seed)
    area, p, clear = _measured(activations[:, known], truth.to_numpy(dtype=np.float64), orders)
    place = pd.DataFrame(-clear).rank(axis=1, method="min").to_numpy()
    right = (p <= level) & (place <= best)
    each, mine = np.arange(len(table)), truth.columns.get_indexer(pd.Index(table["concept"]))
    table["auroc"], table["p"] = area[each, mine], p[each, mine]
    table["place"] = np.where(np.isnan(area[each, mine]), np.nan, place[each, mine])
    table["right"] = right[each, mine]
    dealt = right[:, mine].sum() - right[each, mine].sum()
    by_chance = float(dealt / (len(table) * (len(table) - 1))) if len(table) > 1 else float("nan")
    return RightLabels(table, by_chance, int((~known).sum()))


def _truth(dissection: mcd.Dissection) -> pd.DataFrame:
    """Return what is known of every image: which of its concepts it shows, ``(images, concepts)`` bool."""
    images = [entry for entry in dissection.probe_map if not entry["left_out"]]
    shown = [set(filter(None, entry["findings"].split("|"))) for entry in images]
    absent = [set(filter(None, entry["absent"].split("|"))) for entry in images]
    known = set.intersection(*(one | other for one, other in zip(shown, absent, strict=True))) if images else set()
    if not known:
        raise DataError(
            f"the probe set of {dissection.folder} does not have the truth of every image",
            "dissect the data set phantom",
        )
    return pd.DataFrame([{concept: concept in found for concept in sorted(known)} for found in shown])


def _permutations(patients: Sequence[str], draws: int, seed: int) -> Iterator[Rows]:
    """Yield orders of the images ``(some draws, images)``: patients are permuted with all their images."""
    units, rng = PermutationUnits.of(patients, "patient"), np.random.default_rng(seed)
    for start in range(0, draws, _DRAWS_AT_ONCE):
        yield units.permutations(min(_DRAWS_AT_ONCE, draws - start), rng)


def _measured(activations: Values, shows: Values, orders: Iterator[Rows]) -> tuple[Values, Values, Values]:
    """Return AUROC, p and distance from chance, each ``(neurons, concepts)``; NaN, 1 and -inf where truth is constant.

    The AUROC is linear in the rank sum of the positives (Mann and Whitney 1947), and how many there are does not change
    when images are permuted, so everything is computed from rank sums.
    """
    ranks = pd.DataFrame(activations).rank().to_numpy(dtype=np.float64).T
    images, concepts = shows.shape
    positives = shows.sum(axis=0)
    observed = ranks @ shows
    expected = (images + 1) / 2 * positives
    exceeded, total, square = (np.zeros_like(observed) for _ in range(3))
    drawn = 0
    for some in orders:
        permuted = shows[some].transpose(1, 0, 2).reshape(images, -1)
        by_chance = (ranks @ permuted).reshape(len(ranks), len(some), concepts)
        exceeded += (by_chance >= observed[:, None]).sum(axis=1)
        total += (by_chance - expected).sum(axis=1)
        square += ((by_chance - expected) ** 2).sum(axis=1)
        drawn += len(some)
    mean = total / drawn
    spread = np.sqrt(np.maximum(square / drawn - mean**2, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (observed - positives * (positives + 1) / 2) / (positives * (images - positives))
        clear = (observed - expected - mean) / spread
    return area, (1 + exceeded) / (drawn + 1), np.where(np.isfinite(clear), clear, -np.inf)
