"""The rungs above the first, from plain arrays: those of a run, and each asked for by what it is tested with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mcd
from mcd.errors import DataError
from mcd.runs.material import facts_of
from mcd.runs.revived import StoredScores

FEW = {"draws": 100, "most_draws": 100}
RNG = np.random.default_rng(1)
IMAGES = 120
P = RNG.standard_normal((IMAGES, 3))
LIGHT = RNG.standard_normal(IMAGES)
P[:, 2] += LIGHT
A = RNG.standard_normal((IMAGES, 6))
A[:, 0] += 2 * P[:, 0]
A[:, 2] += 2 * P[:, 1]
A[:, 1] += 3 * LIGHT  # what it responds to is no concept; concept 2 varies with it
WORDS = ["mass", "implant", "text"]
GIVEN = {
    "scorer": "pearson",
    "patients": [f"p{at // 2}" for at in range(IMAGES)],
    "calibration": {"draws": 1000, "most_draws": 1000},
}


def first(**given: object) -> pd.DataFrame:
    found = mcd.label(A, P, WORDS, **{**GIVEN, **given})  # type: ignore[arg-type]  # each has its own type
    return found[found["rank"] == 1].set_index("neuron")


@pytest.mark.slow
def test_rungs_of_a_run_and_of_its_arrays_are_the_same(tmp_path: Path) -> None:
    run = mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="stages.3",
        dataset="phantom:26",
        concepts="phantom",
        scorer="pearson",
        calibration=FEW,
        output=tmp_path / "run",
        progress=False,
    )
    stored, statistics = StoredScores(run), run.image_statistics()
    assert statistics is not None
    thumbnail = statistics.numpy()[:, 6:].astype(np.float64)
    components = np.linalg.svd(thumbnail - thumbnail.mean(axis=0), full_matrices=False)[0][:, :5]
    annotated = [
        [float(one.findings.get(word.term, np.nan)) for word in stored.concepts.concepts] for one in run.samples
    ]
    found = mcd.label(
        run.activations("stages.3"),
        stored.material().similarity.whole(),
        stored.concepts,
        scorer="pearson",
        facts=facts_of(run),
        ids=run.image_ids,
        calibration=FEW,
        nuisances=np.concatenate([statistics.numpy()[:, :6], components], axis=1),
        annotations=np.array(annotated),
    )
    for column in ("q_nuisance", "q_right", "rung"):
        pd.testing.assert_series_equal(found[column], run.labels[column], check_exact=False, atol=1e-9)
    assert (found["q_nuisance"] <= 0.05).any()
    assert found["q_right"].notna().any()


def test_a_neuron_that_follows_a_nuisance_alone_does_not_get_beyond() -> None:
    plain, held = first(), first(nuisances=LIGHT[:, None])
    assert plain.loc[1, "q"] <= 0.05
    assert held.loc[0, "q_nuisance"] <= 0.05
    assert held.loc[1, "q_nuisance"] > 0.05
    assert held.loc[[0, 1], "rung"].tolist() == ["beyond nuisances", "depends on the image"]


def test_how_an_image_was_taken_is_held_fixed_without_further_nuisances() -> None:
    view = np.where(LIGHT > 0, "CC", "MLO")
    found = first(facts={"view": view.tolist(), "patient": GIVEN["patients"]}, nuisances=np.zeros((IMAGES, 0)))
    assert found.loc[0, "q_nuisance"] <= 0.05


def test_a_label_that_random_networks_have_as_strongly_does_not_get_beyond_them() -> None:
    random = [A + 0.1 * RNG.standard_normal(A.shape) for _ in range(10)]
    silent = [RNG.standard_normal((IMAGES, 30)) for _ in range(10)]
    assert first(untrained=random).loc[0, "q_untrained"] > 0.05
    assert first(untrained=silent).loc[0, "q_untrained"] <= 0.05


def test_a_label_is_right_where_held_out_annotations_agree() -> None:
    annotations = (P > 0.3).astype(float)
    annotations[:, 1] = np.nan
    found = first(annotations=annotations)
    assert found.loc[0, "q_right"] <= 0.05
    assert np.isnan(found.loc[2, "q_right"])  # nothing is annotated of its concept


def test_columns_of_rungs_are_there_only_where_asked_for() -> None:
    assert not {"rung", "q_nuisance", "q_untrained", "q_right"} & set(first())
    assert {"rung", "q_right"} < set(first(annotations=P > 0))
    assert "q_nuisance" not in first(annotations=P > 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nuisances": LIGHT[:9, None]}, "nuisances: 9 images, not the 120 of activations"),
        ({"nuisances": np.full((IMAGES, 1), np.nan)}, "nuisances hold NaN or infinity"),
        ({"annotations": P[:, :2] > 0}, "annotations have 2 columns for 3 concepts"),
        ({"annotations": P}, "annotations hold other values than 1, 0 and NaN"),
        ({"untrained": [A[:7]]}, "activations of an untrained network: 7 images, not the 120 of activations"),
        ({"untrained": [A * np.inf]}, "activations of an untrained network hold NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(given: Mapping[str, object], said: str) -> None:
    with pytest.raises(DataError) as caught:
        first(**given)
    assert caught.value.message.startswith(said)


def test_a_rung_that_cannot_be_tested_says_why() -> None:
    with pytest.warns(UserWarning, match="beyond nuisances: 120 images are too few"):
        found = first(nuisances=RNG.standard_normal((IMAGES, 60)))
    assert "q_nuisance" in found
    assert found["q_nuisance"].isna().all()
