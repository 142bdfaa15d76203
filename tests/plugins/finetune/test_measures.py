"""Measures against scikit-learn, intervals over patients, and the calibration curve."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as oracle
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plugins.finetune.material import sample

from mcd_plugins.finetune.measures import Measure, best_threshold, calibration_of, measured, primary, probabilities
from mcd_plugins.finetune.probing import PENALTIES, class_weights, correction, loss_of, probe
from mcd_plugins.finetune.tasks import Task, task_of


def task(classes: int, labels: list[int]) -> Task:
    values = ["no" if classes == 2 and one == 0 else "yes" if classes == 2 else str(one) for one in labels]
    return task_of("it", [sample(at, labels={"it": one}) for at, one in enumerate(values)])


@settings(max_examples=20)
@given(st.integers(2, 4), st.integers(0, 10_000), st.integers(1, 3))
def test_measures_are_those_of_scikit_learn(classes: int, seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 40)])
    logits = rng.normal(size=(len(labels), 1 if classes == 2 else classes)).round(decimals)  # with ties
    said = probabilities(logits)
    found = measured(task(classes, labels.tolist()), said, labels, np.arange(len(labels)), 0.4, 0, draws=5)
    guessed = (said[:, 1] >= 0.4).astype(int) if classes == 2 else said.argmax(axis=1)
    events = range(1, 2) if classes == 2 else range(classes)
    each = [(labels == at, said[:, at]) for at in events]
    assert found["AUROC"].value == pytest.approx(np.mean([oracle.roc_auc_score(*one) for one in each]))
    assert found["AUPRC"].value == pytest.approx(np.mean([oracle.average_precision_score(*one) for one in each]))
    kappa = found["kappa" if classes == 2 else "quadratic kappa"].value
    weights = None if classes == 2 else "quadratic"
    assert kappa == pytest.approx(oracle.cohen_kappa_score(labels, guessed, weights=weights))
    assert found["accuracy"].value == pytest.approx(oracle.accuracy_score(labels, guessed))
    assert found["macro F1"].value == pytest.approx(oracle.f1_score(labels, guessed, average="macro"))
    if classes == 2:
        assert found["Brier score"].value == pytest.approx(oracle.brier_score_loss(labels, said[:, 1]))


def test_intervals_are_over_patients_not_over_images() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    one = rng.normal(truth, 1.5)
    said, labels = probabilities(np.repeat(one, 10)[:, None]), np.repeat(truth, 10)
    learned = task(2, labels.tolist())
    by_patient = measured(learned, said, labels, np.repeat(np.arange(60), 10), 0.5, 0)["AUROC"]
    by_image = measured(learned, said, labels, np.arange(600), 0.5, 0)["AUROC"]
    assert by_patient.value == by_image.value

    def width(measure: Measure) -> float:
        assert measure.low is not None
        assert measure.high is not None
        return measure.high - measure.low

    assert width(by_patient) > 2.5 * width(by_image)


def test_a_measure_that_no_resample_has_has_no_interval() -> None:
    found = measured(
        task(2, [0, 1]), probabilities(np.array([[0.0], [1.0]])), np.array([0, 1]), np.array([0, 0]), 0.5, 0
    )
    assert (found["AUROC"].value, found["AUROC"].low) == (1.0, 1.0)
    alone = measured(task(2, [0, 1]), probabilities(np.array([[0.0]])), np.array([1]), np.array([0]), 0.5, 0)
    assert np.isnan(alone["AUROC"].value)
    assert alone["AUROC"].low is None


def test_a_class_that_a_resample_lacks_is_no_failure_to_find_it() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2])
    said = np.eye(3)[truth]  # all right
    found = measured(task(3, truth.tolist()), said, truth, np.arange(6) // 2, 0.5, 0)["macro F1"]
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_a_small_probability_is_as_exact_on_either_side() -> None:
    assert probabilities(np.array([[40.0], [-40.0]]))[[0, 1], [0, 1]] == pytest.approx([np.exp(-40)] * 2, rel=1e-9)


def test_the_calibration_curve_has_equally_many_images_a_bin() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(size=5000)
    labels = (rng.uniform(size=5000) < true).astype(np.int64)
    learned = task(2, labels.tolist())
    right = calibration_of(learned, np.stack([1 - true, true], axis=1), labels)
    assert [one.images for one in right.bins] == [500] * 10
    assert right.error < 0.03
    sure = np.where(true > 0.5, 0.99, 0.01)
    assert calibration_of(learned, np.stack([1 - sure, sure], axis=1), labels).error > 0.2


def test_the_threshold_parts_best() -> None:
    assert best_threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])) == 0.8


def test_a_feature_that_is_dead_in_training_decides_nothing() -> None:
    rng = np.random.default_rng(0)
    truth, features = rng.integers(0, 2, 60), rng.normal(size=(60, 3))
    features[:, 0] = 0
    features[3, 0], features[50:, 0] = 1e-12, 1  # a trace in one image, alive in those to be tested
    given = torch.from_numpy(features).float()
    found = probe(task(2, truth.tolist()), given, np.arange(40), np.arange(40, 50), "none")
    assert found.head(given).abs().max() < 10


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_is_the_logistic_regression_that_its_penalty_asks_for(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    features, truth = rng.normal(size=(120, 4)) * [1, 5, 0.1, 1] + 3, rng.integers(0, classes, 120)
    features[:, 0] += truth
    learned, rows = task(classes, truth.tolist()), np.arange(90)
    found = probe(learned, torch.from_numpy(features).float(), rows, np.arange(90, 120), "weighted")
    standard = (features - features[rows].mean(axis=0)) / features[rows].std(axis=0)
    strength = 1 / (PENALTIES[found.best] * len(rows))  # the mean loss is penalised, not the sum
    theirs = LogisticRegression(C=strength, class_weight="balanced", tol=1e-10, max_iter=10_000)
    theirs.fit(standard[rows], truth[rows])
    ours = probabilities(found.head(torch.from_numpy(features).float()).detach().double().numpy())
    assert ours == pytest.approx(theirs.predict_proba(standard), abs=1e-4)
    chosen = [one[2] for one in found.history]
    assert chosen[found.best] == max(chosen)
    shift = correction(learned, class_weights(learned, rows, "weighted"), "weighted").numpy()
    given = found.head(torch.from_numpy(features).float()).detach().double().numpy() + shift
    assert primary(learned, probabilities(given)[90:], truth[90:]) == pytest.approx(max(chosen))
    assert loss_of(learned, torch.zeros(2, learned.outputs), torch.tensor([0, 1]), torch.ones(classes)) > 0
