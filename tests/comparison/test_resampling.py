"""What would come out with other patients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mcd.api.concepts import Concept
from mcd.api.ranking import Ties, ordered_top_k
from mcd.comparison.outcomes import NOTHING
from mcd.comparison.resampling import Resampler
from mcd.scoring.calibration.fdr import QValues
from mcd.scoring.calibration.resamples import SHARE, Resamples, interval
from mcd.scoring.labelling import Labeller
from mcd.scoring.renaming import Ordered
from mcd.scoring.scored import Scored
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

CONCEPTS = [Concept(f"c{at}", f"category {at}", "broad") for at in range(30)]


def similarity(rng: np.random.Generator, images: int) -> torch.Tensor:
    raw = rng.standard_normal((images, 16)) @ rng.standard_normal((16, len(CONCEPTS)))
    return torch.from_numpy((0.1 + 0.05 * raw / raw.std()).astype(np.float32))


def labelled(
    scorer: SoftWPMI | CosineCubed, activations: torch.Tensor, cosine: torch.Tensor, **settings: object
) -> Scored:
    labeller = Labeller(scorer, Matrix(cosine), CONCEPTS, Calibration.model_validate(settings), [""] * len(cosine), 3)
    (found,) = labeller.scored({"layer": lambda: activations})
    return found


def planted(rng: np.random.Generator, cosine: torch.Tensor, neurons: int, of: int, strength: float) -> torch.Tensor:
    noise = rng.standard_normal((len(cosine), neurons))
    column = cosine[:, :of].numpy()
    noise[:, :of] += strength * (column - column.mean(0)) / column.std(0)
    return torch.from_numpy(noise.astype(np.float32))


def test_patients_go_in_with_all_their_images_or_not_at_all() -> None:
    patients = [f"p{at // 4}" for at in range(40)]
    drawn = Resamples.draw(patients, 20, seed=1)
    assert drawn.unit == "patient"
    per_patient = drawn.weights.reshape(20, 10, 4)
    assert (per_patient == per_patient[:, :, :1]).all()
    assert (drawn.weights.sum(axis=1) == 4 * round(SHARE * 10)).all()
    assert set(np.unique(drawn.weights)) == {0, 1}
    assert len({tuple(row) for row in drawn.weights.tolist()}) > 1
    again = Resamples.draw(patients, 20, seed=1)
    assert np.array_equal(drawn.weights, again.weights)
    assert not np.array_equal(drawn.weights, Resamples.draw(patients, 20, seed=2).weights)


def test_unknown_patients_are_images_and_it_is_said() -> None:
    assert Resamples.draw([""] * 30, 5, seed=0).unit == "image"
    some = Resamples.draw(["a", "a", "", ""], 200, seed=0)
    assert some.unit == "patient"
    assert (some.weights[:, 0] == some.weights[:, 1]).all()
    assert (some.weights[:, 2] != some.weights[:, 3]).any()


def test_the_top_of_a_resample_is_read_off_the_whole_order() -> None:
    rng = np.random.default_rng(0)
    activations = torch.from_numpy(rng.integers(0, 6, (50, 9)).astype(np.float32))  # ties are common
    order = Ordered.of(activations, SoftWPMI(SoftWPMI.Options(top_k=7)))
    for weights in Resamples.draw([""] * 50, 10, seed=3).weights:
        rows = np.flatnonzero(weights)
        expected = torch.from_numpy(rows)[ordered_top_k(activations[rows], 7)]
        assert torch.equal(order.top(weights), expected)
    assert torch.equal(order.top(np.ones(50, dtype=np.int64)), ordered_top_k(activations, 7))


@pytest.mark.parametrize("scorer", [SoftWPMI(SoftWPMI.Options(top_k=30)), CosineCubed()], ids=lambda one: one.name)
def test_all_images_give_the_labels_of_the_run(scorer: SoftWPMI | CosineCubed) -> None:
    rng = np.random.default_rng(1)
    cosine = similarity(rng, 300)
    activations = planted(rng, cosine, 40, 12, 1.0)
    activations[:, 5] = 0.0
    found = labelled(scorer, activations, cosine)
    assert found.judged is not None
    everything = Resamples(np.ones((2, 300), dtype=np.int64), "image", 0.5)
    own = scorer.breaking_ties(Ties.of([str(row) for row in range(300)], Calibration().null_seed))
    again = Resampler(own, Matrix(cosine), everything).replicate(activations, found.live, found.judged)
    above = found.judged.q[:, 0] <= 0.05
    assert 0 < above.sum() < len(above)
    expected = np.full(40, NOTHING)
    expected[list(found.live)] = np.where(above, found.order[:, 0].numpy(), NOTHING)
    assert again.concept.tolist() == [expected.tolist()] * 2
    assert again.z[0, list(found.live)] == pytest.approx(found.judged.z[:, 0], abs=1e-4)
    assert (again.concept[:, 5] == NOTHING).all()
    assert np.isnan(again.z[:, 5]).all()


def test_one_more_neuron_must_pass_what_the_procedure_asks_of_it() -> None:
    rng = np.random.default_rng(2)
    cosine = similarity(rng, 300)
    scorer = SoftWPMI(SoftWPMI.Options(top_k=30))
    for of in (0, 3, 20):
        found = labelled(scorer, planted(rng, cosine, 60, of, 1.0), cosine)
        assert found.judged is not None
        passing = found.judged.z[:, 0] > found.judged.another
        assert passing.tolist() == (found.judged.q[:, 0] <= 0.05).tolist()
        assert np.isfinite(found.judged.another).all()  # also where nothing was discovered
        # One more of 60 neurons needs p ≤ 0.05 · (discoveries + 1) / 60.
        limit = QValues.of(found.judged.p[:, 0]).threshold(0.05, 1)
        assert limit == pytest.approx(0.05 * (found.judged.significant + 1) / 60)
        assert set(found.judged.another) <= set(found.judged.null.critical(limit))


def test_an_interval_lies_around_the_estimate_and_not_around_the_resamples() -> None:
    around = interval(np.array(0.5), np.array([0.1, 0.2, 0.3]), 2.0, (0.0, 1.0))
    assert float(around.low + around.high) / 2 == pytest.approx(0.5)
    assert float(around.high - around.low) == pytest.approx(2 * 1.959964 * 2 * 0.1, abs=1e-5)
    undefined = interval(np.array(0.5), np.array([np.nan, 0.2, 0.2]), 2.0)
    assert (float(undefined.low), float(undefined.high)) == (0.5, 0.5)


def test_the_factor_undoes_what_resamples_share_with_the_whole() -> None:
    """The deviation of a mean over all images, from its resamples, is that of the mean itself."""
    rng = np.random.default_rng(5)
    values = rng.standard_normal(400)
    drawn = Resamples.draw([""] * 400, 2000, seed=0)
    means = drawn.weights @ values / drawn.weights.sum(axis=1)
    assert means.std(ddof=1) * drawn.factor("permutation") == pytest.approx(values.std() / np.sqrt(400), rel=0.06)


@pytest.mark.slow
def test_intervals_cover_what_other_probe_sets_show() -> None:
    """The share of significant neurons that probe sets show on average lies in about 95 of 100 of their intervals."""
    scorer = SoftWPMI(SoftWPMI.Options(top_k=40))
    shares, covered = [], []
    bounds = []
    weights = np.random.default_rng(7).standard_normal((16, len(CONCEPTS)))
    strength = np.random.default_rng(8).uniform(0, 1.2, 30)
    for seed in range(24):
        rng = np.random.default_rng([seed, 9])
        raw = rng.standard_normal((250, 16)) @ weights
        cosine = torch.from_numpy((0.1 + 0.05 * raw / 4).astype(np.float32))
        noise = rng.standard_normal((250, 30)) + strength * raw[:, :30] / 4
        activations = torch.from_numpy(noise.astype(np.float32))
        found = labelled(scorer, activations, cosine, null_seed=seed)
        assert found.judged is not None
        shares.append(float((found.judged.q[:, 0] <= 0.05).mean()))
        drawn = Resamples.draw([""] * 250, 40, seed)
        again = Resampler(scorer, Matrix(cosine), drawn).replicate(activations, found.live, found.judged)
        around = interval(np.array(shares[-1]), (again.concept != NOTHING).mean(axis=1), again.factor, (0, 1))
        bounds.append((float(around.low), float(around.high)))
    truth = float(np.mean(shares))
    covered = [low <= truth <= high for low, high in bounds]
    assert 0.1 < truth < 0.9
    assert np.mean(covered) >= 0.87
    assert np.mean([high - low for low, high in bounds]) < 8 * np.std(shares)  # and they are not idle
