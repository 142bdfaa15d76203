"""Partial correlation: against least squares one pair at a time, and what confounders explain."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mcd.api.concepts import Concept
from mcd.errors import DataError, UsageError
from mcd.options import validate_options
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.labelling import Labeller
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers import partial_correlation
from mcd_plugins.scorers.partial_correlation import PartialCorrelation
from mcd_plugins.scorers.pearson import Pearson

VIEW = ["CC", "MLO"] * 30
VENDOR = [["a", "b", "", "c"][row * row % 7 % 4] for row in range(60)]  # one of them not known
FACTS = {"view": VIEW, "vendor": VENDOR, "implant": ["no"] * 60, "birads": ["1"] * 59 + ["2"]}


def made(**options: object) -> PartialCorrelation:
    return PartialCorrelation(validate_options(PartialCorrelation.Options, options, "partial-correlation"))


@pytest.fixture
def probe(probe_of):
    return probe_of(torch.eye(60), torch.eye(4, 60), FACTS)


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A and P that follow view and vendor besides what they have in common."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(60, 2, generator=generator)
    side = torch.tensor([[float(v == "CC"), float(m == "a")] for v, m in zip(VIEW, VENDOR, strict=True)])
    mixed = [
        common @ torch.randn(2, columns, generator=generator)
        + 3 * side @ torch.randn(2, columns, generator=generator)
        + torch.randn(60, columns, generator=generator)
        for columns in (5, 4)
    ]
    return mixed[0], 0.2 + 0.01 * mixed[1]


def slow(a: torch.Tensor, p: torch.Tensor, confounders: list[list[str]]) -> np.ndarray:
    """Return the correlations of residuals by ordinary least squares, one pair at a time."""
    cells = list(zip(*confounders, strict=True))
    design = [[float(cells[row] == cell) for cell in sorted(set(cells))] for row in range(len(a))]

    def rest(column: torch.Tensor) -> np.ndarray:
        y = column.double().numpy()
        return y - np.array(design) @ np.linalg.lstsq(np.array(design), y, rcond=None)[0]

    return np.array([[np.corrcoef(rest(x), rest(y))[0, 1] for y in p.T] for x in a.T])


@pytest.mark.parametrize("names", [("view",), ("vendor",), ("view", "vendor"), ("view", "vendor", "view", "implant")])
def test_the_score_is_the_correlation_of_what_least_squares_leaves(probe, names: tuple[str, ...]) -> None:
    activations, cosines = drawn(1)
    scorer = made(confounders=names).for_probe(probe)
    expected = slow(activations, cosines, [FACTS[name] for name in names])
    np.testing.assert_allclose(scorer.score(activations, cosines), expected, atol=1e-5)
    assert not np.allclose(Pearson().score(activations, cosines), expected, atol=0.05)


def test_the_usual_confounders_are_those_that_the_probe_set_tells_and_that_differ(probe) -> None:
    scorer = made().for_probe(probe)
    assert scorer.confounders == ("view", "vendor")
    assert made().confounders == ()
    assert made(confounders="birads, view").for_probe(probe).confounders == ("birads", "view")
    assert "density" not in partial_correlation.CONFOUNDERS


def test_what_confounders_explain_has_no_score_instead_of_that_of_rounding(probe) -> None:
    activations, cosines = drawn(2)
    expected = made().for_probe(probe).score(activations, cosines)
    follows = torch.tensor([1000.1 + 0.3 * (v == "CC") + 0.7 * (m == "b") for v, m in zip(VIEW, VENDOR, strict=True)])
    scores = (
        made()
        .for_probe(probe)
        .score(torch.cat([activations, follows[:, None]], dim=1), torch.cat([cosines, follows[:, None] / 7e5], dim=1))
    )
    assert scores[5].isnan().all()
    assert scores[:, 4].isnan().all()
    torch.testing.assert_close(scores[:5, :4], expected)
    almost = follows[:, None] + 0.01 * activations[:, :1]  # a little besides: that is what counts
    close = made().for_probe(probe).score(almost, cosines)
    torch.testing.assert_close(close, expected[:1], atol=0.03, rtol=0)


@pytest.mark.parametrize("value", [0.0, 0.3, math.nan])
def test_what_is_the_same_everywhere_has_no_score(probe, value: float) -> None:
    activations, cosines = drawn(3)
    activations[:, 1], cosines[:, 2] = value, value
    scores = made().for_probe(probe).score(activations, cosines)
    assert scores.isnan().all(dim=1).tolist() == [False, True, False, False, False]
    assert scores.isnan().all(dim=0).tolist() == [False, False, True, False]


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e30])
def test_scale_offset_and_pieces_do_not_matter(probe, monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    activations, cosines = drawn(4)
    scorer = made().for_probe(probe)
    expected = scorer.score(activations, cosines)
    torch.testing.assert_close(scorer.score(activations * factor, 5 + cosines), expected, atol=1e-3, rtol=0)
    monkeypatch.setattr(partial_correlation, "_CHUNK", 1)
    torch.testing.assert_close(scorer.score(activations, cosines), expected)
    torch.testing.assert_close(scorer.score(activations[:, [3]], cosines[:, [2, 0]]), expected[[3]][:, [2, 0]])


def test_a_neuron_that_only_follows_the_view_is_no_longer_named_by_what_that_view_shows(probe) -> None:
    generator = torch.Generator().manual_seed(6)
    view = torch.tensor([[float(v == "MLO")] for v in VIEW])
    neuron, muscle = (view + 0.2 * torch.randn(60, 1, generator=generator) for _ in range(2))
    assert float(Pearson().score(neuron, muscle)) > 0.8
    assert abs(float(made().for_probe(probe).score(neuron, muscle))) < 0.3


# What is refused.


def test_a_confounder_that_is_not_told_is_an_error_that_names_those_that_are(probe, probe_of) -> None:
    with pytest.raises(DataError, match="laterality") as caught:
        made(confounders=("laterality",)).for_probe(probe)
    assert "view" in caught.value.hint
    with pytest.raises(DataError, match="none of view") as caught:
        made().for_probe(probe_of(torch.eye(8), torch.eye(2, 8)))
    assert "pearson" in caught.value.hint


def test_a_confounder_that_tells_every_image_apart_is_refused(probe_of) -> None:
    facts = {"serial": [f"no. {row}" for row in range(8)]}
    with pytest.raises(DataError, match="as many"):
        made(confounders=("serial",)).for_probe(probe_of(torch.eye(8), torch.eye(2, 8), facts))


def test_without_a_probe_set_the_scorer_says_what_it_lacks() -> None:
    with pytest.raises(UsageError, match="facts"):
        made().score(*drawn(5))


@pytest.mark.parametrize("size", [0.0, 3.0])
def test_noise_that_follows_a_confounder_is_not_discovered(probe_of, size: float) -> None:
    rng = np.random.default_rng(0)
    patients, views = [f"p{row // 4}" for row in range(400)], ["CC", "MLO"] * 200
    side = np.array([one == "CC" for one in views], dtype=float)[:, None]
    hers = rng.standard_normal((100, 100))[np.arange(400) // 4]
    activations = size * side + hers + rng.standard_normal((400, 100))
    similarity = 0.2 + 0.02 * rng.standard_normal((400, 20)) + 0.02 * side
    found = probe_of(torch.eye(400), torch.eye(20, 400), {"patient": patients, "view": views})
    labeller = Labeller(
        made(confounders=("view",)).for_probe(found),
        Matrix(torch.from_numpy(similarity).float()),
        [Concept(f"c{at}", "c", "b") for at in range(20)],
        Calibration(draws=500, most_draws=500),
        patients,
        3,
    )
    (scored,) = labeller.scored({"layer": lambda: torch.from_numpy(activations).float()})
    assert scored.judged is not None
    assert scored.judged.significant == 0
    assert (scored.judged.p_any < 0.05).mean() < 0.13  # 5 % is expected of 100 neurons


def labels_of(scorer: PartialCorrelation, activations: np.ndarray, similarity: np.ndarray) -> Judged:
    labeller = Labeller(
        scorer,
        Matrix(torch.from_numpy(similarity).float()),
        [Concept(f"c{at}", "c", "b") for at in range(similarity.shape[1])],
        Calibration(draws=400, most_draws=400),
        [""] * len(similarity),
        1,
    )
    (scored,) = labeller.scored({"layer": lambda: torch.from_numpy(activations).float()})
    assert scored.judged is not None
    return scored.judged


@pytest.mark.parametrize("way", ["view × side", "view × side × vendor", "age", "age²", "age × view"])
def test_who_follows_how_confounders_go_together_is_not_discovered(probe_of, way: str) -> None:
    rng = np.random.default_rng(1)
    facts = {name: rng.choice(levels, 600) for name, levels in (("view", ["CC", "MLO"]), ("laterality", ["L", "R"]))}
    facts |= {"vendor": rng.choice(["a", "b", "c"], 600), "age": rng.uniform(40, 75, 600).round(1).astype(str)}
    view, side, vendor = (facts[name] == one for name, one in (("view", "CC"), ("laterality", "L"), ("vendor", "b")))
    age = (facts["age"].astype(float) - 57) / 10
    followed = {
        "view × side": view ^ side,
        "view × side × vendor": view & side & vendor,
        "age": age,
        "age²": age**2,
        "age × view": age * (view - 0.5),
    }[way].astype(float)[:, None]
    activations = 2 * followed + rng.standard_normal((600, 40))
    similarity = followed + rng.standard_normal((600, 10))
    probe = probe_of(torch.eye(600), torch.eye(10, 600), {name: list(map(str, one)) for name, one in facts.items()})
    chosen = tuple(facts) if "age" in way else ()
    scorer = made(confounders=chosen).for_probe(probe)
    assert "all interactions" in scorer.caution
    assert (labels_of(scorer, activations, similarity).q[:, 0] <= 0.05).mean() <= 0.05
    plain = labels_of(
        made(confounders=("vendor" if "age" in way else "age",)).for_probe(probe), activations, similarity
    )
    assert (plain.q[:, 0] <= 0.05).mean() > 0.9


def test_interactions_are_left_out_where_there_are_too_few_images_and_it_is_said(probe_of) -> None:
    rng = np.random.default_rng(0)
    facts = {name: rng.choice(list("abcd"), 60).tolist() for name in ("view", "laterality", "vendor")}
    some = probe_of(torch.eye(60), torch.eye(4, 60), facts)
    assert "no interactions" in made().for_probe(some).caution
    assert "all interactions" in made(confounders=("view", "vendor")).for_probe(some).caution
    assert "interactions" not in made(confounders=("view",)).for_probe(some).caution


def test_a_number_that_is_not_known_of_some_images_is_held_fixed_where_it_is(probe_of) -> None:
    ages = [str(40 + row) if row % 3 else "" for row in range(60)]
    explained, _ = partial_correlation.basis([ages])
    assert explained.shape[1] == 4
    known = torch.tensor([float(age or 0) for age in ages])[:, None]
    assert float(partial_correlation.residual(known, explained).abs().max()) == 0
