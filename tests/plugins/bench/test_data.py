"""What of a run becomes material: its vocabulary without what units are confounded with, and statistics held fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.plugins.bench.materials import material

import mcd
from mcd_plugins.bench.data import confounders_of, of_run
from mcd_plugins.bench.material import correlations, fixed_by, levels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    """Return a run over 56 images of 14 patients with words for findings and for how an image was taken."""
    return mcd.dissect(
        "phantom-mammo",
        layers="stages.3",
        dissector="phantom-clip",
        dataset="phantom:14",
        concepts=["mass", "calcifications", "asymmetry", "craniocaudal view", "left breast", "a thing never annotated"],
        scorer="pearson",
        calibration={"draws": 0},
        output=tmp_path_factory.mktemp("runs") / "run",
        progress=False,
    )


@pytest.mark.slow
def test_words_for_a_confounder_and_words_without_annotations_are_left_out(run: mcd.Dissection) -> None:
    found = of_run(run, None, seed=0)
    assert [one.term for one in found.concepts] == ["mass", "calcifications", "asymmetry"]
    assert found.truth_is == "annotations"
    np.testing.assert_array_equal(found.truth, found.annotations)
    assert {name.partition(" (")[0] for name in found.confounders} == {"view", "laterality", "vendor"}
    assert found.activations.shape == (56, 128)
    assert found.patients == run.patients


@pytest.mark.slow
def test_rows_of_all_arrays_are_the_same_images(run: mcd.Dissection) -> None:
    found = of_run(run, "stages.3", seed=0)
    np.testing.assert_array_equal(found.activations, run.activations("stages.3").numpy())
    np.testing.assert_allclose(found.similarity, found.images @ found.texts.T, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.images, axis=1), 1, atol=1e-6)
    assert found.statistics is not None
    assert found.statistics.shape == (56, 11)


def test_of_a_thumbnail_components_are_held_fixed() -> None:
    statistics = np.random.default_rng(0).random((40, 70)).astype(np.float32)
    found = fixed_by(statistics)
    np.testing.assert_array_equal(found[:, :6], statistics[:, :6])
    thumbnail = statistics[:, 6:] - statistics[:, 6:].mean(axis=0)
    whole = np.linalg.svd(thumbnail, compute_uv=False)
    np.testing.assert_allclose(((found[:, 6:].T @ thumbnail) ** 2).sum(axis=1), whole[:5] ** 2, rtol=1e-3)
    assert fixed_by(np.ones((40, 70), np.float32)).shape == (40, 6)


def test_correlations_are_those_of_the_images_of_which_both_are_known() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((60, 2)), rng.random((60, 3))
    one[:20, 0] = other[10:40, 1] = np.nan
    other[:, 2] = 0.1
    found = correlations(one, other)
    for at, mine in enumerate(one.T):
        for place, theirs in enumerate(other.T[:2]):
            both = ~np.isnan(mine) & ~np.isnan(theirs)
            assert found[at, place] == pytest.approx(np.corrcoef(mine[both], theirs[both])[0, 1])
    assert not found[:, 2].any()


def test_images_of_which_a_fact_is_not_known_are_not_without_it() -> None:
    truth = np.random.default_rng(0).random((60, 2))
    found = confounders_of({"laterality": ["L", "R", ""] * 20, "vendor": ["film", "", ""] * 20}, None, truth)
    ((name, values),) = found.items()  # of one vendor, and images of which none is known, nothing can be said
    flags = {"laterality (L)": [1.0, 0.0, np.nan], "laterality (R)": [0.0, 1.0, np.nan]}
    np.testing.assert_array_equal(values, flags[name] * 20)


def test_a_shortcut_is_the_concept_that_a_confounder_correlates_with() -> None:
    of = material()
    values = of.truth[:, 3] + 0.5 * np.random.default_rng(0).standard_normal(len(of.truth))
    ((name, said),) = replace(of, confounders={"side": values}).shortcuts().items()
    expected = float(np.mean(levels(values[:, None]) * levels(of.truth[:, 3:4])))
    assert (name, said) == ("side", f"concept 3 {expected:.2f}")
