"""What a label may not depend on: the order of rows and neurons, the other layers, names, and where ties fall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import torch

import mcd
from mcd.api.concepts import Concept
from mcd.api.ranking import Ties, ascending, ordered_top_k
from mcd.scoring.labelling import Labeller
from mcd.scoring.scored import Scored
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.overlap import IoU
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.rank_reorder import RankReorder
from mcd_plugins.scorers.soft_wpmi import SoftWPMI
from mcd_plugins.scorers.wpmi import WPMI

IMAGES, NEURONS = 120, 24
CONCEPTS = [f"c{at}" for at in range(30)]
IDS = [f"image {at}" for at in range(IMAGES)]
PATIENTS = [f"p{at // 3}" for at in range(IMAGES)]
SCORERS = [
    SoftWPMI(SoftWPMI.Options(top_k=20)),
    WPMI(WPMI.Options(top_k=20, prior="null")),
    Pearson(),
    IoU(),
    RankReorder(RankReorder.Options(top_fraction=0.1)),
]


def drawn(seed: int, active: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Draw neurons of which most responses are equal, and similarity with the same images twice."""
    rng = np.random.default_rng(seed)
    activations = rng.exponential(size=(IMAGES, NEURONS)) * (rng.random((IMAGES, NEURONS)) < active)
    activations[:2] += 1.0  # none is silent
    similarity = rng.standard_normal((IMAGES, len(CONCEPTS))).astype(np.float32)
    similarity[10:20] = similarity[20:30]
    return np.round(activations, 1).astype(np.float32), similarity


def table(scorer: object, activations: np.ndarray, similarity: np.ndarray, rows: Sequence[int]) -> pd.DataFrame:
    found = mcd.label(
        activations[list(rows)],
        similarity[list(rows)],
        CONCEPTS,
        scorer=scorer,
        ids=[IDS[row] for row in rows],
        patients=[PATIENTS[row] for row in rows],
        calibration={"draws": 200, "most_draws": 200},
    )
    return found.set_index(["neuron", "rank"]).sort_index()


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda one: one.name)
def test_rows_with_their_ids_and_neurons_may_come_in_any_order(scorer: mcd.Scorer) -> None:
    activations, similarity = drawn(1)
    rng = np.random.default_rng(2)
    expected = table(scorer, activations, similarity, range(IMAGES))
    by_rows = table(scorer, activations, similarity, rng.permutation(IMAGES))
    pd.testing.assert_frame_equal(by_rows, expected, rtol=1e-4)
    order = rng.permutation(NEURONS)
    by_neurons = table(scorer, activations[:, order], similarity, range(IMAGES)).reset_index()
    by_neurons = by_neurons.assign(neuron=order[by_neurons["neuron"]]).set_index(["neuron", "rank"]).sort_index()
    pd.testing.assert_frame_equal(by_neurons, expected, rtol=1e-4)


def test_equal_values_are_put_in_order_by_chance_in_every_column_by_itself() -> None:
    activations = torch.zeros(400, 300)
    activations[:5] = 1.0
    ties = Ties.of([f"row {at}" for at in range(400)], seed=0)
    activations += torch.arange(300) / 1e3  # columns of the same order, but not the same
    top = ordered_top_k(activations, 60, ties)
    assert (top[:5].sort(dim=0).values == torch.arange(5)[:, None]).all()
    counts = torch.bincount(top[5:].flatten(), minlength=400)[5:]
    assert counts.float().mean() == pytest.approx(300 * 55 / 395)
    assert counts.min() > 15
    assert counts.max() < 80
    other = ordered_top_k(activations, 60, Ties.of([f"row {at}" for at in range(400)], seed=1))
    assert not torch.equal(top, other)
    equal = ordered_top_k(activations[:, :1].repeat(1, 3), 60, ties)
    assert (equal == equal[:, :1]).all()  # the same neuron twice is named twice the same


def test_where_nothing_is_tied_nothing_is_drawn() -> None:
    values = torch.randn(500, 40, generator=torch.Generator().manual_seed(0))
    ties = Ties.of([str(at) for at in range(500)], seed=0)
    assert torch.equal(ordered_top_k(values, 50, ties), ordered_top_k(values, 50))


def test_the_rest_of_a_random_number_decides_where_half_of_it_is_equal() -> None:
    keys = np.arange(1, 65, dtype=np.uint64)
    ties = Ties(keys)
    constant = torch.zeros(64, 1)

    class Crowded(Ties):
        def chances(self, columns: torch.Tensor) -> np.ndarray:
            return super().chances(columns) & np.uint64(0xFFFFFFFF)

    ranks = ordered_top_k(constant, 64, Crowded(keys))[:, 0]
    chance = ties.chances(constant.T) & np.uint64(0xFFFFFFFF)
    assert ranks.tolist() == np.argsort(-chance[0].astype(np.int64)).tolist()


def scored(
    scorer: mcd.Scorer, layers: dict[str, np.ndarray], similarity: np.ndarray, patients: bool
) -> dict[str, Scored]:
    labeller = Labeller(
        scorer,
        Matrix(torch.from_numpy(similarity)),
        [Concept(one, one, "") for one in CONCEPTS],
        Calibration(draws=200, most_draws=800),
        PATIENTS if patients else [""] * IMAGES,
        3,
        IDS,
    )
    return {
        found.layer: found
        for found in labeller.scored({name: lambda one=one: torch.from_numpy(one) for name, one in layers.items()})
    }


def test_a_sort_by_value_then_chance_is_that_of_both_keys() -> None:
    rng = np.random.default_rng(4)
    values = rng.choice([-np.inf, -2.5, -1e-40, -0.0, 0.0, 1e-40, 3.0, np.inf], size=(6, 200)).astype(np.float32)
    values[0] = rng.standard_normal(200)
    chance = rng.integers(2**63, size=values.shape, dtype=np.uint64)
    chance[1] &= np.uint64(2**32 - 1)  # half of it is the same everywhere
    assert np.array_equal(ascending(torch.from_numpy(values), chance), np.lexsort((chance, values), axis=1))


@pytest.mark.parametrize("patients", [True, False])
@pytest.mark.parametrize("scorer", [SCORERS[0], CosineCubed()], ids=lambda one: one.name)
def test_significance_of_a_layer_depends_on_that_layer_alone(scorer: mcd.Scorer, patients: bool) -> None:
    rng = np.random.default_rng(3)
    similarity = drawn(3)[1]
    layers = {name: rng.standard_normal((IMAGES, 20)).astype(np.float32) for name in ("a", "b", "c")}
    layers["b"] += np.repeat(rng.standard_normal((40, 20)), 3, axis=0).astype(np.float32)  # crowds on patients
    together = scored(scorer, layers, similarity, patients)
    turned = scored(scorer, {"x": layers["c"], "y": layers["a"]}, similarity, patients)
    for alone, beside in (("x", "c"), ("y", "a")):
        ours, theirs = turned[alone].judged, together[beside].judged
        assert ours is not None
        assert theirs is not None
        for name in ("z", "p", "q", "p_any", "critical"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        assert ours.verdict == theirs.verdict


@pytest.mark.parametrize("folders", [4, 10])
@pytest.mark.parametrize("scorer", ["soft-wpmi", "wpmi"])
def test_neurons_of_few_responses_are_not_named_after_the_first_folder(scorer: str, folders: int) -> None:
    found, p = 0, []
    for seed in range(6):
        rng = np.random.default_rng([seed, folders])
        folder = np.arange(300) // (300 // folders)
        similarity = rng.standard_normal((300, 40)) + rng.standard_normal((folders, 40))[folder]
        activations = rng.exponential(size=(300, 30)) * (rng.random((300, 30)) < 0.04)
        table = mcd.label(
            activations,
            0.2 + 0.05 * similarity,
            [f"c{at}" for at in range(40)],
            scorer={"plugin": scorer, "options": {"top_k": 60}},
            calibration={"draws": 400, "most_draws": 1600, "null_seed": seed},
        )
        first = table[table["rank"] == 1]
        found += bool((first["q"] <= 0.05).any())
        p += first["p_any"].tolist()
    assert found <= 2
    assert np.mean(np.array(p) < 0.05) < 0.12
