"""Sparse sums: the elastic net against scikit-learn, what a score means, and what held-out patients say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet

from mcd.errors import ConfigError
from mcd.options import validate_options
from mcd_plugins.scorers import held_out
from mcd_plugins.scorers.held_out import Halves
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.sparse import Sparse


def made(**options: object) -> Sparse:
    return Sparse(validate_options(Sparse.Options, options, "sparse"))


def drawn(
    seed: int, images: int = 80, neurons: int = 6, concepts: int = 15, noise: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A and P that share a few causes: concepts are near one another, and neurons follow several."""
    generator = torch.Generator().manual_seed(seed)
    causes = torch.randn(images, 5, generator=generator)
    cosines = causes @ torch.randn(5, concepts, generator=generator)
    activations = causes @ torch.randn(5, neurons, generator=generator)
    cosines += noise * torch.randn(images, concepts, generator=generator)
    return activations + torch.randn(images, neurons, generator=generator), 0.2 + 0.02 * cosines


def slow_weights(a: torch.Tensor, p: torch.Tensor, alpha: float, l1_ratio: float, signed: bool) -> torch.Tensor:
    y, x = ((m.double() - m.double().mean(dim=0)) / m.double().std(dim=0, correction=0) for m in (a, p))
    rows = []
    for neuron in y.T:
        r = (x.T @ neuron / len(x)).numpy()
        penalty = alpha * (np.abs(r) if signed else r).max() / l1_ratio
        net = ElasticNet(
            alpha=penalty, l1_ratio=l1_ratio, positive=not signed, fit_intercept=False, tol=1e-10, max_iter=1_000_000
        )
        rows.append(net.fit(x.numpy(), neuron.numpy()).coef_)
    return torch.from_numpy(np.array(rows))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.5, 0.9), (0.1, 1.0), (0.02, 0.9), (0.1, 0.2)])
def test_a_positive_score_is_the_weight_of_the_elastic_net_and_no_other_is_positive(
    alpha: float, l1_ratio: float, signed: bool
) -> None:
    activations, cosines = drawn(1)
    scores = made(alpha=alpha, l1_ratio=l1_ratio, signed=signed).score(activations, cosines)
    expected = slow_weights(activations, cosines, alpha, l1_ratio, signed)
    assert (expected > 0).any(dim=1).all()
    torch.testing.assert_close(scores.clamp_min(0).double(), expected.clamp_min(0), atol=2e-4, rtol=0)
    assert ((expected < 0).any()) == signed


def test_a_score_below_zero_is_how_far_a_concept_is_from_taking_part() -> None:
    activations, cosines = drawn(2, neurons=1)
    scorer = made(alpha=0.3, l1_ratio=1)
    score = scorer.score(activations, cosines)[0]
    weights = slow_weights(activations, cosines, 0.3, 1, False)[0]
    y, x = ((m.double() - m.double().mean(dim=0)) / m.double().std(dim=0, correction=0) for m in (activations, cosines))
    unexplained = x.T @ (y[:, 0] - x @ weights) / len(x)
    penalty = 0.3 * (x.T @ y[:, 0] / len(x)).max()
    out = weights == 0
    torch.testing.assert_close(score[out].double(), (unexplained - penalty)[out], atol=1e-5, rtol=0)
    assert (score[out] <= 0).all()


def test_nearly_equal_concepts_and_an_exact_copy_are_solved_as_well() -> None:
    activations, cosines = drawn(3, concepts=8, noise=0.001)  # rank 5, and a little
    cosines = torch.cat([cosines, cosines[:, :1]], dim=1)
    scores = made(alpha=0.05, l1_ratio=0.5).score(activations, cosines)
    torch.testing.assert_close(scores[:, 8], scores[:, 0], atol=1e-4, rtol=0)  # the ridge shares out among equals
    expected = slow_weights(activations, cosines, 0.05, 0.5, False)
    torch.testing.assert_close(scores.clamp_min(0).double(), expected, atol=2e-3, rtol=0)


def test_with_one_concept_the_score_rises_with_the_correlation() -> None:
    activations, cosines = drawn(4, neurons=40, concepts=1)
    r = Pearson().score(activations, cosines)[:, 0]
    score = made(alpha=0.3, l1_ratio=1).score(activations, cosines)[:, 0]
    torch.testing.assert_close(score, torch.where(r > 0, 0.7 * r, r), atol=1e-5, rtol=0)


def test_a_neuron_or_concept_that_is_the_same_everywhere_has_no_score_and_changes_no_other() -> None:
    activations, cosines = drawn(5)
    expected = made().score(activations, cosines)
    for value in (0.3, math.nan):
        flat = torch.full((80, 1), value)
        scores = made().score(torch.cat([activations, flat], dim=1), torch.cat([flat, cosines], dim=1))
        assert scores[6].isnan().all()
        assert scores[:, 0].isnan().all()
        torch.testing.assert_close(scores[:6, 1:], expected, atol=1e-5, rtol=0)


def test_scale_offset_and_what_is_beside_a_neuron_do_not_matter() -> None:
    activations, cosines = drawn(6)
    expected = made().score(activations, cosines)
    torch.testing.assert_close(made().score(activations * 1e20, cosines), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(made().score(activations[:, [4]], 3 + 9 * cosines), expected[[4]], atol=1e-4, rtol=0)


def test_one_scorer_may_be_asked_about_another_vocabulary() -> None:
    activations, cosines = drawn(7)
    scorer = made()
    scorer.score(activations, cosines)
    fewer = cosines[:, :9].contiguous()
    assert torch.equal(scorer.score(activations, fewer), made().score(activations, fewer))
    turned = cosines.flip(1).contiguous()
    assert torch.equal(scorer.score(activations, turned), made().score(activations, turned))


# Explanations.


def test_a_planted_sum_is_said_in_words_and_holds_for_other_patients(probe_of) -> None:
    generator = torch.Generator().manual_seed(0)
    cosines = torch.randn(240, 12, generator=generator)
    clean = 2 * cosines[:, [7]] + cosines[:, [3]]
    activations = torch.cat([clean + 0.3 * torch.randn(240, 1, generator=generator), -clean], dim=1)
    patients = [f"p{row // 4}" for row in range(240)]
    scorer = made(signed=True).for_probe(probe_of(torch.eye(240), torch.eye(12, 240), {"patient": patients}))
    first, second = scorer.explain(activations, lambda: cosines)
    assert first.concepts == (7, 3)
    assert first.text.split(" + ")[0].endswith("word 7")
    assert second.text.startswith("-")
    assert " - " in second.text
    assert first.p == second.p == 0.001
    assert min(first.fit, first.held_out) > 0.95
    assert scorer.explain(activations, lambda: cosines) == [first, second]


def test_held_out_is_the_correlation_on_patients_that_the_sum_was_not_found_on() -> None:
    activations, cosines = drawn(8, images=120)
    halves = Halves.of([""] * 120, 0)
    found = made(alpha=0.1).explain(activations, lambda: cosines)
    weights = slow_weights(activations[halves.fit], cosines[halves.fit], 0.1, 0.9, False)
    slopes = weights / cosines[halves.fit].double().std(dim=0, correction=0)
    for rows, told in ((halves.fit, "fit"), (halves.held, "held_out")):
        sums = cosines[rows].double() @ slopes.T
        for one in found:
            expected = np.corrcoef(sums[:, one.neuron], activations[rows, one.neuron])[0, 1]
            assert getattr(one, told) == pytest.approx(expected, abs=2e-3)
    # What the others do cannot change what was found.
    moved = activations.clone()
    moved[halves.held] = moved[halves.held].flip(0)
    assert [one.text for one in made(alpha=0.1).explain(moved, lambda: cosines)] == [one.text for one in found]


def test_a_long_sum_is_cut_in_its_text_but_not_in_its_concepts() -> None:
    activations, cosines = drawn(9, images=300)
    one = made(alpha=0.01).explain(activations, lambda: cosines)[0]
    shown = one.text.split(" + ")
    assert len(one.concepts) > 5
    assert len(shown) == 6
    assert shown[-1] == f"{len(one.concepts) - 5} more"


def test_a_neuron_that_no_concept_goes_with_has_no_explanation() -> None:
    _, cosines = drawn(10, concepts=3, noise=0)
    assert made().explain(-cosines[:, :1], lambda: cosines[:, :1]) == []


def test_by_chance_p_is_uniform_although_images_of_a_patient_are_alike(
    probe_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "DRAWS", 199)
    generator = torch.Generator().manual_seed(3)
    patients = [f"p{row // 4}" for row in range(320)]

    def by_patient(columns: int) -> torch.Tensor:
        return torch.randn(80, columns, generator=generator).repeat_interleave(4, dim=0)

    activations = by_patient(300) + 0.3 * torch.randn(320, 300, generator=generator)
    cosines = by_patient(30)
    probe = probe_of(torch.eye(320), torch.eye(30, 320), {"patient": patients})
    p = np.array([one.p for one in made(alpha=0.5).for_probe(probe).explain(activations, lambda: cosines)])
    assert len(p) > 250
    assert (p <= 0.05).mean() < 0.09
    assert abs(p.mean() - 0.5) < 0.06
    # Were images exchanged, a quarter of all would seem to hold.
    lax = np.array([one.p for one in made(alpha=0.5).explain(activations, lambda: cosines)])
    assert (lax <= 0.05).mean() > 0.12


# Halves.


def test_no_patient_is_in_both_halves_and_the_seed_decides_which_is_where() -> None:
    patients = [f"p{row % 21}" for row in range(100)]
    halves = Halves.of(patients, 0)
    fit, held = ({patients[row] for row in rows.tolist()} for rows in (halves.fit, halves.held))
    assert not fit & held
    assert (len(fit), len(held)) == (11, 10)
    assert sorted([*halves.fit.tolist(), *halves.held.tolist()]) == list(range(100))
    assert Halves.of(patients, 1).fit.tolist() != halves.fit.tolist()
    turned = Halves.of(patients[::-1], 0)
    assert {patients[::-1][row] for row in turned.fit.tolist()} == fit


def test_images_of_nobody_known_are_split_one_by_one() -> None:
    halves = Halves.of([""] * 9, 0)
    assert (len(halves.fit), len(halves.held)) == (5, 4)


@pytest.mark.parametrize("options", [{"alpha": 0}, {"alpha": 1}, {"l1_ratio": 0}, {"l1_ratio": 1.1}, {"seed": -1}])
def test_a_setting_out_of_bounds_is_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        made(**options)
