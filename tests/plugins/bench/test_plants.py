"""What is planted: each kind follows what it says and nothing else, and looks like a unit of the layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest
from tests.plugins.bench.materials import as_similarity, material

from mcd.errors import DataError
from mcd_plugins.bench.contract import FOLLOWING, PLANTS
from mcd_plugins.bench.material import levels
from mcd_plugins.bench.plants import SNR, Planted, Truth, can_be_planted, clusters, planted

MATERIAL = material()
COUNTS = dict.fromkeys(PLANTS, 9)
LAYER = planted(MATERIAL, COUNTS, seed=1)


def of(plant: str, layer: Planted = LAYER) -> list[tuple[Truth, np.ndarray]]:
    """Return truth and values of each unit of a plant."""
    return [
        (truth, layer.case.activations[:, unit].astype(np.float64))
        for unit, truth in enumerate(layer.truths)
        if truth is not None and truth.plant == plant
    ]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.argsort().argsort(), other)[0, 1])


def test_as_many_of_each_as_were_asked_for_and_the_rest_is_the_layers_own() -> None:
    assert [len(of(plant)) for plant in PLANTS] == [9] * len(PLANTS)
    assert LAYER.case.units == 9 * len(PLANTS)  # the layer has 60 units, fewer than are planted
    few = planted(MATERIAL, {"noise": 5}, seed=1)
    own = [unit for unit, truth in enumerate(few.truths) if truth is None]
    assert len(own) == 55
    columns = {column.tobytes() for column in MATERIAL.activations.T}
    assert all(few.case.activations[:, unit].tobytes() in columns for unit in own)


@pytest.mark.parametrize("plant", [plant for plant in PLANTS if plant not in ("dead", "tied", "noise")])
def test_a_planted_unit_has_the_values_of_a_unit_of_the_layer(plant: str) -> None:
    real = {np.sort(column).tobytes() for column in MATERIAL.activations.T}
    assert all(np.sort(values).astype(np.float32).tobytes() in real for _, values in of(plant))


def test_noise_keeps_patients_together_and_follows_no_concept() -> None:
    layer = planted(MATERIAL, {"noise": 400}, seed=2)
    patient = np.array([int(one[1:]) for one in MATERIAL.patients])
    p, within = [], []
    for truth, values in of("noise", layer):
        assert not truth.right
        assert not truth.cluster
        mean = np.array([values[patient == one].mean() for one in range(patient.max() + 1)])
        within.append(mean.var() / values.var())
        p.append(correlation(values, MATERIAL.truth[:, 4]))
    assert np.mean(within) > 1 / 4 + 0.05  # of independent images it would be a quarter
    assert abs(np.mean(p)) < 4 * np.std(p) / np.sqrt(len(p))
    assert kstest((np.array(p) - np.mean(p)) / np.std(p), "norm").pvalue > 0.001


def test_one_in_four_noise_units_is_tied() -> None:
    tied = [len(np.unique(values)) < 60 for _, values in of("noise", planted(MATERIAL, {"noise": 40}, seed=3))]
    assert sum(tied) == 10


def test_dead_units_are_zero_everywhere() -> None:
    assert all(not values.any() and not truth.right for truth, values in of("dead"))


def test_a_unit_follows_its_concepts_more_strongly_with_a_larger_ratio() -> None:
    strengths = {snr: [] for snr in SNR}
    for truth, values in of("single", planted(MATERIAL, {"single": 120}, seed=4)):
        (concept,) = truth.right
        strengths[truth.snr].append(correlation(values, MATERIAL.truth[:, concept]))
    means = [np.mean(strengths[snr]) for snr in SNR]
    expected = [snr / np.sqrt(1 + snr**2) for snr in SNR]
    np.testing.assert_allclose(means, expected, atol=0.05)


def test_two_concepts_are_joined_as_the_plant_says() -> None:
    joins = {"and": np.minimum, "or": np.maximum, "two": np.add}
    for plant in joins:
        found: dict[str, list[float]] = {name: [] for name in joins}
        for truth, values in of(plant, planted(MATERIAL, {plant: 90}, seed=5)):
            one, other = sorted(truth.right)
            assert other not in clusters(MATERIAL.truth)[one]
            assert MATERIAL.concepts[one].category != MATERIAL.concepts[other].category
            for name, join in joins.items():
                truths = MATERIAL.truth[:, [one, other]]
                found[name].append(correlation(values, join(*(levels(truths) if name == "two" else truths).T)))
        means = {name: float(np.mean(one)) for name, one in found.items()}
        assert max(means, key=lambda name: means[name]) == plant, means


def test_superposed_concepts_are_more_than_the_units_and_each_is_in_several() -> None:
    few = planted(MATERIAL, {"superposed": 4}, seed=6)
    own = [truth.right for truth, _ in of("superposed", few)]
    assert len(frozenset().union(*own)) > 4
    assert all(own)
    assert sum(map(len, own)) > len(frozenset().union(*own))


def test_a_confounded_unit_follows_the_confounder_and_no_name_is_right() -> None:
    for truth, values in of("confounded"):
        assert correlation(values, MATERIAL.confounders["side (left)"]) > 0.7
        assert truth.follows == "side (left)"
        assert not truth.right


def test_tied_units_have_few_values_and_follow_their_concept() -> None:
    layer = planted(MATERIAL, {"tied": 60}, seed=7)
    kinds = set()
    for truth, values in of("tied", layer):
        kinds.add(bool((values == 0).mean() > 0.8))
        assert len(np.unique(values)) <= 0.2 * len(values)
        assert correlation(values + 1e-9 * np.arange(len(values)), MATERIAL.truth[:, min(truth.right)]) > -0.2
    assert kinds == {True, False}


def test_a_near_synonym_is_a_concept_whose_truth_is_nearly_the_same() -> None:
    found = clusters(MATERIAL.truth)
    assert found[0] == found[1] == {0, 1}
    assert all(found[at] == {at} for at in range(2, 10))
    assert all(truth.cluster >= truth.right for truth in LAYER.truths if truth is not None)


def test_near_synonyms_are_so_where_both_are_known() -> None:
    truth = MATERIAL.truth.copy()
    truth[:80, 0] = truth[40:120, 1] = np.nan
    assert clusters(truth)[0] == {0, 1}
    truth[:-7, 1] = np.nan  # seven images are too few to say so
    assert clusters(truth)[0] == {0}


def test_concepts_that_only_normal_images_are_known_to_lack_are_not_all_alike() -> None:
    truth = np.full((90, 2), np.nan)
    truth[:30] = 0
    truth[30:60, 0], truth[55:85, 1] = 1, 1
    assert clusters(truth) == ({0}, {1})
    truth[50:] = np.nan
    truth[30:55, 1] = 1
    assert clusters(truth) == ({0, 1}, {0, 1})


def test_nothing_is_planted_where_the_truth_is_not_known() -> None:
    truth = np.array([[1.0], [0.0], [np.nan], [0.0]])
    np.testing.assert_allclose(levels(truth)[:, 0], [np.sqrt(2), -np.sqrt(0.5), 0.0, -np.sqrt(0.5)])


def test_means_of_maps_are_the_activations_and_signal_lies_in_boxes() -> None:
    case = LAYER.case
    assert case.maps is not None
    np.testing.assert_allclose(case.maps.mean(axis=(2, 3)), case.activations, atol=1e-4)
    inside = []
    for unit, truth in enumerate(LAYER.truths):
        if truth is not None and truth.plant == "single" and truth.snr == 1.0:
            shown = MATERIAL.truth[:, min(truth.right)] == 1
            inside.append(case.maps[shown, unit, 0, 0].mean() / case.maps[~shown, unit, 0, 0].mean())
    assert min(inside) > 3


def test_the_same_seed_plants_the_same_and_another_does_not() -> None:
    again, other = planted(MATERIAL, COUNTS, seed=1), planted(MATERIAL, COUNTS, seed=2)
    assert again.case.activations.tobytes() == LAYER.case.activations.tobytes()
    assert again.truths == LAYER.truths
    assert other.truths != LAYER.truths


def test_units_can_follow_similarity_where_nothing_is_annotated() -> None:
    layer = planted(as_similarity(MATERIAL), COUNTS, seed=1)
    assert sum(truth is not None and bool(truth.right) for truth in layer.truths) == 9 * len(FOLLOWING)
    for truth, values in of("single", layer):
        assert correlation(values, MATERIAL.similarity[:, min(truth.right)]) > 0.0


def test_a_concept_needs_enough_images_and_patients_on_both_sides() -> None:
    patients = [f"p{at // 4}" for at in range(80)]
    truth = np.zeros(80)
    truth[:8] = 1  # of two patients
    assert not can_be_planted(truth, patients)
    truth[:32:4] = 1
    assert can_be_planted(truth, patients)
    assert not can_be_planted(1 - truth * 0, patients)


def test_too_little_to_plant_is_one_clear_error() -> None:
    with pytest.raises(DataError, match="0 of 10 concepts can be planted"):
        planted(replace(MATERIAL, truth=np.zeros_like(MATERIAL.truth)), COUNTS, seed=1)
    with pytest.raises(DataError, match="no unit of the layer responds"):
        planted(replace(MATERIAL, activations=np.zeros_like(MATERIAL.activations)), COUNTS, seed=1)
    with pytest.raises(DataError, match="nothing is known of the images"):
        planted(replace(MATERIAL, confounders={}), {"confounded": 1}, seed=1)
