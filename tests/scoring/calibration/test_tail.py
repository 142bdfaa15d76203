"""Small p: those of a tail where one fits, counted where none does, and undecided where neither decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto, gumbel_r

from mcd.api.concepts import Concept
from mcd.scoring.calibration.dependence import DependenceTest, drawn
from mcd.scoring.calibration.judging import judge
from mcd.scoring.calibration.null import NullDistribution, StratumNull
from mcd.scoring.calibration.tail import Tail, fitted
from mcd.scoring.labelling import Labeller
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.overlap import IoU
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

CONCEPTS = [Concept("a", "one", ""), Concept("b", "two", "")]


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3])
def test_the_fit_is_as_good_as_maximum_likelihood(shape: float) -> None:
    ours, theirs = [], []
    for seed in range(20):
        above = np.sort(genpareto.rvs(shape, size=200, random_state=seed))
        ours.append(fitted(above)[::-1])
        c, _, scale = genpareto.fit(above, floc=0)
        theirs.append((c, scale))
    errors = [np.abs(np.array(one) - (shape, 1.0)).mean(axis=0) for one in (ours, theirs)]
    assert (errors[0] < 1.15 * errors[1] + 0.01).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([-0.4, -0.1, 0.0, 0.2]), st.floats(1e-11, 0.9))
def test_p_falls_with_z_and_what_is_critical_is_what_p_says(seed: int, shape: float, wanted: float) -> None:
    highest = np.sort(genpareto.rvs(shape, size=1000, random_state=seed)) + 3
    null = NullDistribution([highest], torch.zeros(1, 1), torch.ones(1, 1), [Tail.of(highest)])
    z = np.concatenate([np.linspace(2, highest[-1] + 20, 400), highest])[:, None]
    z.sort(axis=0)
    stratum = np.zeros(len(z), dtype=np.int64)
    p = null.p(z, stratum)[:, 0]
    assert (np.diff(p) <= 0).all()
    assert p.min() > 0
    critical = null.critical(wanted)[0]
    away = np.abs(z[:, 0] - critical) > 1e-4
    assert ((z[:, 0] > critical) == (p <= wanted))[away].all()


def test_the_tail_is_that_of_the_null_and_errs_towards_large_p() -> None:
    """The highest of many z is nearly Gumbel; p at a chance of one in 10,000, from 4,000 draws."""
    at = gumbel_r.isf(1e-4)
    p = []
    for seed in range(60):
        tail = Tail.of(np.sort(gumbel_r.rvs(size=4000, random_state=seed)))
        assert tail is not None
        p.append(float(tail.p(np.array([at]))[0]))
    assert 0.8e-4 < np.exp(np.mean(np.log(p))) < 3e-4
    ends = [Tail.of(np.sort(genpareto.rvs(-0.4, size=2000, random_state=seed))) for seed in range(20)]
    assert all(tail is None or tail.shape >= 0 for tail in ends)
    assert sum(tail is not None for tail in ends) > 10


def test_few_values_have_no_tail() -> None:
    few = np.sort(np.random.default_rng(0).binomial(5, 0.2, 4000)).astype(float)
    assert Tail.of(few) is None
    assert Tail.of(np.arange(99.0)) is None
    assert Tail.of(np.full(1000, -np.inf)) is None


@pytest.mark.parametrize(("scorer", "units"), [(SoftWPMI(), 2048), (Pearson(), 2048)], ids=lambda one: str(one)[:12])
def test_one_perfect_neuron_of_a_wide_layer_is_found(scorer: SoftWPMI | Pearson, units: int) -> None:
    rng = np.random.default_rng(5)
    cosine = (0.2 + 0.05 * rng.standard_normal((400, 60))).astype(np.float32)
    activations = rng.standard_normal((400, units)).astype(np.float32)
    activations[:, 7] = cosine[:, 30]
    labeller = Labeller(
        scorer,
        Matrix(torch.from_numpy(cosine)),
        [Concept(f"c{at}", f"category {at}", "") for at in range(60)],
        Calibration(most_draws=4000),
        [""] * 400,
        2,
    )
    (found,) = labeller.scored({"layer": lambda: torch.from_numpy(activations)})
    assert found.judged is not None
    assert found.judged.verdict[7] == "significant"
    assert found.judged.by_tail[7, 0]
    assert found.judged.p[7, 0] < 1e-5
    assert found.judged.significant <= 3


def test_where_neither_draws_nor_a_tail_decide_it_is_said() -> None:
    """One neuron above all draws in a layer of 200: 1/500 is too much, and what has two values has no tail."""
    highest = np.repeat([1.0, 2.0], 250)
    null = NullDistribution([highest], torch.zeros(1, 2), torch.ones(1, 2), [Tail.of(highest)])
    measured = torch.tensor([[9.0, 0.0]] + [[1.5, 0.0]] * 199)
    test = DependenceTest(measured, np.zeros(200, dtype=np.int64), lambda _draws: null)
    found = judge(test, torch.tensor([[0, 1]]).expand(200, 2), CONCEPTS, Calibration(draws=500, most_draws=500))
    assert found.verdict[0] == "undecided"
    assert set(found.verdict[1:]) == {"not significant"}
    assert not found.decided
    assert found.significant == 0
    assert not found.by_tail.any()


def test_moments_are_of_other_draws_than_those_that_are_compared() -> None:
    asked: list[tuple[int, int]] = []

    def statistic(start: int, stop: int) -> torch.Tensor:
        asked.append((start, stop))
        return torch.randn(stop - start, 3, generator=torch.Generator().manual_seed(start))

    null = StratumNull(statistic, 100, 50)
    drawn({0: null}, 200, 3)
    assert asked == [(start, start + 50) for start in range(0, 300, 50)]


@pytest.mark.slow
@pytest.mark.parametrize("images", [60, 200])
def test_noise_of_few_values_is_not_significant_too_often(images: int) -> None:
    p = []
    for seed in range(30):
        rng = np.random.default_rng([seed, images])
        labeller = Labeller(
            IoU(IoU.Options(alpha=0.1, quantile=0.9)),
            Matrix(torch.from_numpy(rng.standard_normal((images, 80)).astype(np.float32))),
            [Concept(f"c{at}", "", "") for at in range(80)],
            Calibration(draws=1000, most_draws=1000, null_seed=seed),
            [""] * images,
            1,
        )
        activations = torch.from_numpy(rng.standard_normal((images, 60)).astype(np.float32))
        (found,) = labeller.scored({"layer": lambda activations=activations: activations})
        assert found.judged is not None
        p.append(found.judged.p_any)
    assert (np.concatenate(p) <= 0.05).mean() < 0.062
