"""Scorers over annotations: what is not known of an image takes no part, and significance stays calibrated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

import mcd
from mcd.errors import DataError, PluginLoadError
from mcd_plugins.scorers.auprc import AUPRC
from mcd_plugins.scorers.auroc import AUROC
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.spearman import Spearman

Values = NDArray[np.float64]
PATIENTS = [f"p{number}" for number in range(60) for _ in range(4)]
WORDS = [f"finding {number}" for number in range(8)]
CALIBRATION = {"draws": 500, "most_draws": 500}


def _annotations(rng: np.random.Generator, unknown: float) -> Values:
    """Return what is annotated of 240 images, ``(images, 8)``: rare and frequent, some by patient, some unknown."""
    by_patient = np.repeat(rng.random((60, 8)), 4, axis=0)
    shared = np.where(np.arange(8) % 2, by_patient, rng.random((240, 8)))
    found = (shared < np.linspace(0.1, 0.6, 8)).astype(np.float64)
    found[rng.random(found.shape) < unknown] = np.nan
    return found


def _noise(rng: np.random.Generator, neurons: int) -> Values:
    """Return activations of patients that differ from each other, ``(240, neurons)``."""
    return np.asarray(rng.normal(size=(240, neurons)) + np.repeat(rng.normal(size=(60, neurons)), 4, axis=0))


def _point(labels: Values, values: Values) -> float:
    return float(np.corrcoef(labels, values)[0, 1])


def _ranked(labels: Values, values: Values) -> float:
    return float(stats.spearmanr(labels, values).statistic)


@pytest.mark.parametrize(
    ("scorer", "oracle"),
    [
        (AUROC(), metrics.roc_auc_score),
        (AUPRC(), metrics.average_precision_score),
        (Pearson(), _point),
        (Spearman(), _ranked),
    ],
    ids=["auroc", "auprc", "pearson", "spearman"],
)
def test_a_concept_is_scored_over_the_images_it_is_known_of(
    scorer: mcd.Scorer, oracle: Callable[[Values, Values], float]
) -> None:
    rng = np.random.default_rng(0)
    annotations, activations = _annotations(rng, 0.6), rng.normal(size=(240, 3)).round(1)
    annotations[:, 7] = np.nan
    found = scorer.score(torch.from_numpy(activations).float(), torch.from_numpy(annotations).float())
    assert found[:, 7].isnan().all()
    for concept in range(7):
        rows = ~np.isnan(annotations[:, concept])
        wanted = [oracle(annotations[rows, concept], activations[rows, neuron]) for neuron in range(3)]
        assert found[:, concept].numpy() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("unknown", [0.0, 0.6])
@pytest.mark.parametrize("scorer", ["auroc", "pearson"])
def test_noise_is_significant_as_often_as_it_should_be(scorer: str, unknown: float) -> None:
    rng = np.random.default_rng(3)
    found = mcd.label(
        _noise(rng, 400), _annotations(rng, unknown), WORDS, scorer=scorer, patients=PATIENTS, calibration=CALIBRATION
    )
    p = found.drop_duplicates("neuron")["p_any"].to_numpy()
    assert 0.03 <= (p <= 0.05).mean() <= 0.07
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert not (found["q"] <= 0.05).any()


def test_a_neuron_that_follows_a_finding_is_named_by_it_whatever_is_unknown() -> None:
    rng = np.random.default_rng(1)
    whole = _annotations(rng, 0)
    activations = _noise(rng, 40)
    activations[:, :8] += 4 * whole
    known = np.where(rng.random(whole.shape) < 0.6, np.nan, whole)
    found = mcd.label(activations, known, WORDS, scorer="auroc", patients=PATIENTS, calibration=CALIBRATION)
    first = found[found["rank"] == 1].set_index("neuron")
    assert first.loc[:7, "concept"].tolist() == WORDS
    assert (first.loc[:7, "q"] <= 0.05).all()
    assert (first.loc[8:, "q"] > 0.05).all()


def test_the_order_of_the_images_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    annotations, activations = _annotations(rng, 0.6), _noise(rng, 20)
    activations[:, :8] += 2 * np.nan_to_num(annotations)
    order = rng.permutation(240)

    def labels(rows: NDArray[np.int64]) -> tuple[list[str], Values, list[bool]]:
        found = mcd.label(
            activations[rows],
            annotations[rows],
            WORDS,
            scorer="auroc",
            patients=[PATIENTS[row] for row in rows.tolist()],
            calibration=CALIBRATION,
        )
        return found["concept"].tolist(), found["score"].to_numpy(), (found["q"] <= 0.05).tolist()

    (concepts, scores, significant), (others, again, still) = labels(np.arange(240)), labels(order)
    assert concepts == others
    assert scores == pytest.approx(again, abs=1e-6)
    assert significant == still
    assert any(significant)


def test_a_scorer_of_cosines_refuses_what_is_not_known() -> None:
    rng = np.random.default_rng(0)
    annotations = _annotations(rng, 0.6)
    for scorer in ({"plugin": "soft-wpmi", "options": {"top_k": 20}}, "cosine", lambda a, p: a.T @ p):
        with pytest.raises(DataError, match="similarity hold NaN"):
            mcd.label(_noise(rng, 3), annotations, WORDS, scorer=scorer)
    annotations[0, 0] = 0.5  # neither an annotation nor a finite similarity
    with pytest.raises(DataError, match="similarity hold NaN"):
        mcd.label(_noise(rng, 3), annotations, WORDS, scorer="auroc")


def test_a_scorer_takes_annotations_only_where_it_says_so() -> None:
    class Own(mcd.Scorer):
        def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
            return activations.T @ similarity

    assert not Own.takes_annotations
    with pytest.raises(PluginLoadError, match="leave out one of the two"):
        type("Both", (mcd.TopKScorer,), {"needs": "embeddings", "takes_annotations": True})
