"""Simulation, baselines, tuning, geometry, stability, truth and tallies, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score

from mcd.evaluation.agreement import pearson
from mcd.evaluation.baselines import labels_of
from mcd.evaluation.geometry import clarity_of_all, geometry
from mcd.evaluation.measuring import Judge, Judged
from mcd.evaluation.naming import tuned, tuning_units
from mcd.evaluation.references import Reference
from mcd.evaluation.simulation import scale_of, simulation
from mcd.evaluation.stability import stability_table
from mcd.evaluation.tallying import Tally
from mcd.evaluation.truth import recovered
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.similarity import Matrix

ALL = np.ones((1, 30))


def test_a_prediction_is_fitted_on_one_half_and_correlated_on_the_other() -> None:
    rng = np.random.default_rng(0)
    naming, held_out = rng.standard_normal((2, 30, 3))
    before, after = rng.standard_normal((2, 30))
    before[:5] = np.nan
    scale = scale_of(naming, before)
    for neuron in range(3):
        slope, offset = np.polyfit(before[5:], naming[5:, neuron], 1)
        assert scale[neuron] == pytest.approx(slope)
        expected = np.corrcoef(slope * after + offset, held_out[:, neuron])[0, 1]
        assert simulation(scale, held_out, after, ALL)[0, neuron] == pytest.approx(expected)


def test_a_neuron_that_falls_with_its_concept_is_predicted_where_it_falls_again() -> None:
    concept = np.arange(30.0)
    falling = -concept[:, None]
    assert pearson(falling, concept, ALL)[0, 0] == pytest.approx(-1)
    assert simulation(scale_of(falling, concept), falling, concept, ALL)[0, 0] == pytest.approx(1)
    assert simulation(scale_of(falling, -concept), falling, concept, ALL)[0, 0] == pytest.approx(-1)


def test_a_concept_that_does_not_vary_where_it_is_fitted_predicts_nothing() -> None:
    concept = np.arange(30.0)
    for flat in (np.ones(30), np.full(30, np.nan)):
        assert simulation(scale_of(concept[:, None], flat), concept[:, None], concept, ALL)[0, 0] == 0


def test_baselines_are_another_concept_of_the_category_and_the_most_frequent_one() -> None:
    categories = ["a", "a", "a", "b", "c", "c"]
    allowed = np.array([True, True, False, True, True, True])
    first = np.array([0, 0, 0, 1, 2, 3, 4, -1])
    second = np.array([1, 2, 3, 0, 1, 4, 5, -1])
    found = labels_of(first, second, allowed, categories, [0])
    assert found["first"].tolist() == [0, 0, 0, 1, -1, 3, 4, -1]
    assert found["runner-up"].tolist() == [1, -1, 3, 0, -1, 4, 5, -1]
    assert found["constant"].tolist() == [0, 0, 0, 0, -1, 0, 0, -1]
    assert found["random"].tolist() == [1, 1, 1, 0, -1, -1, 5, -1]  # no other concept of b, none of a but 0 and 1
    assert found["random"].tolist() == labels_of(first, second, allowed, categories, [0])["random"].tolist()


def test_random_labels_take_every_other_concept_of_the_category_as_often() -> None:
    drawn = labels_of(np.zeros(6000, np.int64), np.ones(6000, np.int64), np.ones(4, bool), ["x"] * 4, [1])["random"]
    counts = np.bincount(drawn, minlength=4)
    assert counts[0] == 0
    assert counts[1:].min() > 1850


def test_of_equally_frequent_concepts_chance_takes_the_constant() -> None:
    first = np.array([0, 1, 2])
    seen = {labels_of(first, first, np.ones(3, bool), ["x"] * 3, [seed])["constant"][0] for seed in range(40)}
    assert seen == {0, 1, 2}


def test_one_unit_in_twenty_tunes_and_a_single_one_is_judged() -> None:
    labelled = {"a": np.array([0] * 30 + [-1] * 10), "b": np.array([3] * 30)}
    found = tuning_units(labelled, 0)
    assert sum(int(one.sum()) for one in found.values()) == 3
    assert not found["a"][30:].any()
    assert not tuning_units({"a": np.array([-1, 4])}, 0)["a"].any()
    assert sum(tuning_units({"a": np.array([1, 4])}, 0)["a"]) == 1


def test_the_threshold_is_that_with_the_largest_mean() -> None:
    rng = np.random.default_rng(2)
    shown = (np.arange(200) < 20).astype(np.float32)  # a tenth
    reference = Reference("annotations", Matrix(torch.from_numpy(shown[:, None])), np.array([True]), annotated=True)
    units = [(shown + 0.01 * rng.standard_normal(200), 0) for _ in range(3)]
    assert tuned(units, reference, np.ones(200, bool)) == (0.1, 0.1)
    assert tuned([], reference, np.ones(200, bool)) == (0.05, 0.05)


def test_of_similarities_the_largest_tenth_shows_the_concept() -> None:
    reference = Reference("held-out", Matrix(torch.zeros(3, 1)), np.array([True]), annotated=False)
    assert reference.shown(np.arange(50.0)).nonzero()[0].tolist() == [45, 46, 47, 48, 49]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_clarity_is_the_mean_cosine_of_two_images_and_redundancy_the_nearest_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((12, 5))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    top = np.stack([rng.permutation(12)[:6] for _ in range(4)], axis=1)
    found = geometry(torch.from_numpy(embeddings).float(), torch.from_numpy(top))
    means = [embeddings[one].mean(axis=0) for one in top.T]
    for neuron, rows in enumerate(top.T):
        pairs = [embeddings[i] @ embeddings[j] for i in rows for j in rows if i != j]
        assert found.clarity[neuron] == pytest.approx(np.mean(pairs), abs=1e-5)
        others = [
            (means[neuron] @ one / np.linalg.norm(means[neuron]) / np.linalg.norm(one), at)
            for at, one in enumerate(means)
            if at != neuron
        ]
        assert (found.redundancy[neuron], found.nearest[neuron]) == (
            pytest.approx(max(others)[0], abs=1e-5),
            max(others)[1],
        )
    every = [embeddings[i] @ embeddings[j] for i in range(12) for j in range(12) if i != j]
    assert clarity_of_all(torch.from_numpy(embeddings).float()) == pytest.approx(np.mean(every), abs=1e-5)


def test_polysemanticity_is_how_far_the_two_clusters_of_a_neurons_images_are_apart() -> None:
    rng = np.random.default_rng(3)
    one, other = np.eye(6)[:2]
    raw = np.concatenate([one + 0.1 * rng.standard_normal((10, 6)), other + 0.1 * rng.standard_normal((10, 6))])
    embeddings = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    top = np.stack([np.r_[0:5, 10:15], np.arange(10)], axis=1)
    found = geometry(torch.from_numpy(embeddings).float(), torch.from_numpy(top)).polysemanticity
    centres = KMeans(2, n_init=5, random_state=0).fit(embeddings[top[:, 0]]).cluster_centers_
    cosine = centres[0] @ centres[1] / np.linalg.norm(centres[0]) / np.linalg.norm(centres[1])
    assert found[0] == pytest.approx(1 - cosine, abs=1e-4)
    assert found[0] > 0.8 > 0.1 > found[1]


def test_equal_images_have_one_meaning_and_one_image_has_no_clarity() -> None:
    same = torch.ones(4, 3) / 3**0.5
    found = geometry(same, torch.arange(4)[:, None])
    assert (found.clarity[0], found.polysemanticity[0]) == (pytest.approx(1), pytest.approx(0))
    assert (np.isnan(found.redundancy[0]), found.nearest[0]) == (True, -1)
    assert np.isnan(geometry(same, torch.zeros(1, 2, dtype=torch.int64)).clarity).all()


def test_the_set_of_labels_is_the_smallest_that_covers() -> None:
    drawn = np.array([[0, 1, -1]] * 90 + [[1, 1, -1]] * 6 + [[2, 1, 3]] * 4)
    table = stability_table("l", np.array([4, 5, 9]), np.array([0, 0, 3]), drawn, ["a", "b", "c", "d"])
    assert table["share"].tolist() == [0.9, 0.0, 0.04]
    assert table["set"].tolist() == ["a; b", "b", "d"]
    assert table["size"].tolist() == [2, 1, 1]
    assert table["coverage"].tolist() == pytest.approx([0.96, 1.0, 0.04])
    assert table["certain"].tolist() == [False, False, False]
    certain = stability_table("l", np.array([0]), np.array([1]), drawn[:, 1:2], ["a", "b", "c", "d"])
    assert certain["certain"].tolist() == [True]


def naive_recovered(
    activations: NDArray[np.float64], shows: NDArray[np.bool_], neuron: int, label: int, units: PermutationUnits
) -> bool:
    """Judge one label by AUROCs and 2000 permutations of patients."""
    rng = np.random.default_rng(9)
    z = []
    orders = units.permutations(2000, rng)
    for truth in range(shows.shape[1]):
        own = roc_auc_score(shows[:, truth], activations[:, neuron])
        ranks, there = rankdata(activations[:, neuron]), shows[:, truth]
        drawn = [ranks[there[order]].sum() for order in orders]
        chance = (np.array(drawn) - there.sum() * (there.sum() + 1) / 2) / there.sum() / (~there).sum()
        z.append((own - chance.mean()) / chance.std())
    return bool(z[label] >= 1.645 and sum(one > z[label] for one in z) < 3)


def test_a_label_recovers_the_truth_where_it_is_among_the_clearest() -> None:
    rng = np.random.default_rng(4)
    shows = rng.random((60, 6)) < 0.4
    activations = rng.standard_normal((60, 4)) + 2.0 * shows[:, [0, 1, 2, 3]]
    activations[:, 3] = rng.standard_normal(60)
    units = PermutationUnits.of([str(row // 2) for row in range(60)], "patient")
    labels = {"first": np.array([0, 1, 5, 3]), "random": np.array([4, -1, 2, 2])}
    found = recovered(activations, shows, labels, units, np.ones((1, 60)), 0)
    for kind, own in labels.items():
        for neuron, label in enumerate(own.tolist()):
            if label < 0:
                assert np.isnan(found[kind][0, neuron])
            else:
                assert bool(found[kind][0, neuron]) is naive_recovered(activations, shows, neuron, label, units)
    assert found["first"][0, :2].tolist() == [1, 1]


def test_a_mean_is_of_the_neurons_that_have_a_value_and_a_difference_of_those_that_have_both() -> None:
    nan = np.nan
    first = np.array([[1, 3, nan], [2, 4, nan], [0, 2, nan]], dtype=np.float32)
    random = np.array([[nan, 1, 5], [nan, 1, 5], [nan, nan, 5]], dtype=np.float32)
    labels = {"first": np.array([0, 1, -1]), "random": np.array([-1, 0, 1])}
    tally = Tally("t", ["mass", "cyst"], 12, 2.0)
    tally.add("annotations", "l", Judged(labels, {"first": {"f1": first}, "random": {"f1": random}}))
    table = tally.summary()
    whole = table[table["layer"] == ""].set_index("labels")
    assert whole["value"].to_dict() == {"first": 2.0, "random": 3.0, "first - random": 2.0}
    assert whole["neurons"].to_dict() == {"first": 2, "random": 2, "first - random": 1}
    sd = 2.0 * np.std([3.0, 1.0], ddof=1)
    assert (whole.loc["first", "high"] - whole.loc["first", "low"]) / 2 == pytest.approx(1.959964 * sd)
    neurons = tally.neurons()
    assert neurons[["neuron", "labels", "concept", "value"]].to_numpy().tolist() == [
        [0, "first", "mass", 1.0],
        [1, "first", "cyst", 3.0],
        [1, "random", "mass", 1.0],
        [2, "random", "cyst", 5.0],
    ]


def test_few_patients_have_no_interval() -> None:
    tally = Tally("t", ["mass"], 9, 1.0)
    values = {"first": {"f1": np.array([[1.0], [0.5], [0.0]], dtype=np.float32)}}
    tally.add("annotations", "l", Judged({"first": np.array([0])}, values))
    assert tally.summary()[["low", "high"]].isna().all(axis=None)


def test_random_networks_are_beside_the_run_and_not_among_its_neurons() -> None:
    tally = Tally("t", ["mass"], 12, 1.0)
    own, other = {"first": np.array([0, 0])}, {"untrained": np.array([0, 0])}
    tally.add("annotations", "l", Judged(own, {"first": {"f1": np.array([[1.0, 0.5]], dtype=np.float32)}}))
    for value in (0.25, 0.75):
        values = {"untrained": {"f1": np.full((1, 2), value, dtype=np.float32)}}
        tally.add("annotations", "l", Judged(other, values))
    table = tally.summary()
    whole = table[table["layer"] == ""].set_index("labels")
    assert whole["value"].to_dict() == {"first": 0.75, "untrained": 0.5, "first - untrained": 0.25}
    assert whole["neurons"].to_dict() == {"first": 2, "untrained": 4, "first - untrained": 2}
    assert set(tally.neurons()["labels"]) == {"first"}


def test_neurons_judged_in_groups_are_as_judged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    activations, shown = rng.standard_normal((40, 9)).astype(np.float32), rng.random((40, 2)) < 0.5
    known = np.where(rng.random((40, 2)) < 0.8, shown, np.nan).astype(np.float32)
    reference = Reference("annotations", Matrix(torch.from_numpy(known)), np.ones(2, bool), annotated=True)
    held_out = np.arange(40) % 2 == 0
    labels = {"first": rng.integers(-1, 2, 9), "random": rng.integers(0, 2, 9)}
    judge = Judge(reference, held_out, np.ones((1, 20)), dict.fromkeys(labels, (0.2, 0.1)))
    tuning = np.arange(9) == 2
    whole = judge.judge(activations, labels, ~tuning)
    monkeypatch.setattr("mcd.evaluation.measuring._HELD", 80)
    for kind, measures in judge.judge(activations, labels, ~tuning).values.items():
        for name, values in measures.items():
            np.testing.assert_array_equal(values, whole.values[kind][name])
            missing = (labels[kind] < 0) | (tuning if name in ("f1", "iou") else False)
            assert (np.isnan(values[0]) == missing).all()
