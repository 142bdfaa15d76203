"""Which labels are right: a neuron that shows its concept, one that shows another, luck, rarity, patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.signing import signed

import mcd
from mcd.errors import DataError, UsageError
from mcd_plugins.phantom.truth import RightLabels, judge_labels, right_labels

PATIENTS = [f"p{number}" for number in range(40) for _ in range(4)]


def labels(*concepts: str) -> pd.DataFrame:
    return pd.DataFrame({"layer": "head", "neuron": range(len(concepts)), "concept": concepts})


def truths(count: int = 12, seed: int = 0) -> pd.DataFrame:
    """Every breast has or has not; its two views show the same."""
    rng = np.random.default_rng(seed)
    breasts = rng.random((80, count)) < 0.3
    both = breasts.reshape(40, 2, count)
    return pd.DataFrame(np.concatenate([both, both], axis=1).reshape(160, count), columns=list("abcdefghijkl")[:count])


def judged(truth: pd.DataFrame, told: pd.DataFrame, *columns: np.ndarray) -> RightLabels:
    return judge_labels(told, np.stack(columns, axis=1), truth, PATIENTS)


def test_a_neuron_that_shows_its_concept_is_right_and_one_that_shows_another_is_wrong() -> None:
    truth = truths()
    noise = np.random.default_rng(1).normal(size=(160, 3))
    a = truth["a"].to_numpy(dtype=float)
    found = judged(truth, labels("a", "b", "a"), 3 * a + noise[:, 0], 3 * a + noise[:, 1], -3 * a + noise[:, 2])
    assert found.labels["right"].tolist() == [True, False, False]
    assert found.right == 1
    assert len(found) == 3
    assert found.labels["auroc"].iloc[0] > 0.95
    assert found.labels["auroc"].iloc[2] < 0.05
    assert found.labels["place"].iloc[0] == 1


def test_a_label_that_is_true_but_far_from_what_the_neuron_shows_most_is_wrong() -> None:
    truth = truths()
    strengths = {"a": 1.2, "b": 2.0, "c": 2.0, "d": 2.0, "e": 2.0}
    noise = 0.5 * np.random.default_rng(1).normal(size=160)
    activation = sum((size * truth[name].to_numpy(dtype=float) for name, size in strengths.items()), noise)
    found = judged(truth, labels("c"), activation)
    assert found.labels["p"].iloc[0] <= 0.05
    assert found.labels["place"].iloc[0] == 4
    assert found.right == 0
    assert judge_labels(labels("c"), activation[:, None], truth, PATIENTS, best=4).right == 1


def test_four_views_of_one_patient_are_not_four_witnesses() -> None:
    """A neuron that tells patients apart for no reason tells any ten of them from the others ever so often."""
    truth = pd.DataFrame({"a": np.repeat(np.arange(40) < 10, 4), "b": np.tile([True, False], 80)})
    rng = np.random.default_rng(3)
    activations = np.repeat(rng.normal(size=(40, 100)), 4, axis=0) + 0.1 * rng.normal(size=(160, 100))
    told = labels(*["a"] * 100)
    by_patient = judge_labels(told, activations, truth, PATIENTS).labels["p"]
    by_image = judge_labels(told, activations, truth, [""] * 160).labels["p"]
    assert (by_patient <= 0.05).mean() <= 0.10
    assert (by_image <= 0.05).mean() > 0.15


def test_neurons_that_respond_to_nothing_are_seldom_right() -> None:
    truth = truths()
    noise = np.random.default_rng(5).normal(size=(160, 200))
    told = labels(*np.random.default_rng(6).choice(list(truth.columns), 200))
    found = judge_labels(told, noise, truth, PATIENTS)
    assert found.right / len(found) < 0.10
    assert found.by_chance < 0.10
    assert 0.01 < (found.labels["p"] <= 0.05).mean() < 0.10


def test_luck_is_what_labels_dealt_out_anew_would_get() -> None:
    truth = truths()
    noise = 0.1 * np.random.default_rng(1).normal(size=(160, 4))
    a, b = (truth[name].to_numpy(dtype=float) for name in "ab")
    found = judged(
        truth, labels("a", "a", "b", "b"), a + noise[:, 0], a + noise[:, 1], b + noise[:, 2], b + noise[:, 3]
    )
    assert found.right == 4
    # of the three other labels that each neuron could have been dealt, one is right
    assert found.by_chance == pytest.approx(1 / 3, abs=0.1)


def test_words_without_truth_are_counted_and_what_no_image_shows_is_wrong() -> None:
    truth = truths().assign(never=False)
    a = truth["a"].to_numpy(dtype=float)
    found = judged(truth, labels("a", "never", "teapot"), a, a, a)
    assert found.labels["concept"].tolist() == ["a", "never"]
    assert found.labels["right"].tolist() == [True, False]
    assert np.isnan(found.labels["auroc"].iloc[1])
    assert found.unknown == 1


def test_the_same_seed_gives_the_same_and_no_labels_are_no_error() -> None:
    truth = truths()
    noise = np.random.default_rng(5).normal(size=160)
    one, two = (judged(truth, labels("a"), noise) for _ in range(2))
    pd.testing.assert_frame_equal(one.labels, two.labels)
    none = judge_labels(labels(), np.zeros((160, 0)), truth, PATIENTS)
    assert (none.right, len(none)) == (0, 0)
    assert np.isnan(none.by_chance)


@pytest.fixture(scope="module")
def dissection(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    found = mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="head",
        dataset={"plugin": "phantom", "options": {"patients": 25}},
        concepts="phantom",
        output=tmp_path_factory.mktemp("truth") / "run",
        progress=False,
    )
    assert isinstance(found, mcd.Dissection)
    return found


def test_labels_of_phantoms_are_mostly_right(dissection: mcd.Dissection) -> None:
    found = right_labels(dissection)
    assert len(found) == dissection.manifest.summary[0].significant
    assert found.unknown == 0
    assert found.right / len(found) > 0.5 > 2 * found.by_chance
    fibroglandular = found.labels[found.labels["neuron"] == 10]  # the output "dense breast"
    assert fibroglandular["right"].all()


def test_a_run_that_cannot_be_judged_says_why(dissection: mcd.Dissection, tmp_path: Path) -> None:
    copy = dissection.save(tmp_path / "copy")
    probe_map, labels_file = copy / "private" / "probe_map.csv", copy / "labels.parquet"
    pd.read_csv(probe_map, keep_default_na=False).assign(findings="", absent="").to_csv(probe_map, index=False)
    with pytest.raises(DataError, match="does not have the truth of every image"):
        right_labels(mcd.load(signed(copy)))
    pd.read_parquet(labels_file).assign(verdict="").to_parquet(labels_file)
    with pytest.raises(UsageError, match="significant"):
        right_labels(mcd.load(signed(copy)))


@pytest.mark.nightly
def test_the_three_networks_differ_as_their_training_did(tmp_path: Path) -> None:
    def told(name: str) -> tuple[int, RightLabels]:
        found = mcd.dissect(
            name,
            dataset="phantom",
            dissector="phantom-clip",
            layers="stages.*",
            concepts="phantom",
            output=tmp_path / name,
            progress=False,
        )
        assert isinstance(found, mcd.Dissection)
        return sum(layer.neurons for layer in found.manifest.layers), right_labels(found)

    def count(found: RightLabels, *categories: str) -> int:
        return int(found.labels["category"].isin(categories).sum())

    def clinical(found: RightLabels) -> int:
        right = found.labels[found.labels["right"]]
        return int((~right["category"].isin(["Scanner", "Laterality", "View", "View marker"])).sum())

    (neurons, general), (_, mammo), (_, calc) = (told(f"phantom-{name}") for name in ("general", "mammo", "calc"))
    for found in (general, mammo, calc):
        assert len(found) > 0.9 * neurons
        assert found.right > 0.85 * len(found) > 2 * found.by_chance * len(found)
    # everyday pictures leave a network with what any picture has: sides, contrast, edges of the skin
    assert clinical(mammo) > clinical(general) + 0.1 * neurons
    assert count(mammo, "Density") > 3 * count(general, "Density")
    calcifications = ("Calcifications", "Calcification morphology", "Calcification distribution")
    assert count(calc, *calcifications) > 1.5 * count(mammo, *calcifications)
    assert count(calc, "Density") < 0.5 * count(mammo, "Density")


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["phantom-general", "phantom-mammo", "phantom-calc"])
def test_a_prior_over_random_images_names_neurons_as_they_are_and_that_over_the_layer_does_not(
    name: str, tmp_path: Path
) -> None:
    """All first labels are judged, significant or not."""
    found = mcd.dissect(
        name,
        dataset="phantom",
        dissector="phantom-clip",
        layers="stages.*",
        concepts="phantom",
        output=tmp_path / "run",
        progress=False,
    )
    assert isinstance(found, mcd.Dissection)
    mcd.score(
        found, scorer={"plugin": "soft-wpmi", "options": {"prior": "layer"}}, output=tmp_path / "layer", progress=False
    )

    def right(one: mcd.Dissection) -> pd.Series:
        every = one.labels["verdict"].replace("not significant", "significant").replace("undecided", "significant")
        results = replace(one.results, labels=one.labels.assign(verdict=every))
        judged = right_labels(mcd.Dissection(one.folder, one.manifest, results, trust=True)).labels
        return judged.set_index(["layer", "neuron"])["right"]

    own, published = right(found), right(mcd.load(tmp_path / "layer"))
    assert own.mean() > 0.85 > 0.5 > published.mean()
    assert (own & ~published).sum() > 20 * (published & ~own).sum()
