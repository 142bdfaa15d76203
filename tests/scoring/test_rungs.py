"""The ladder of significance: what a label must hold against at every rung."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mcd
from mcd.errors import ConfigError
from mcd.scoring.calibration.nuisances import Nuisances, nuisances_of
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.scoring.rungs import IMAGE, NUISANCE, RIGHT, UNTRAINED, climbed
from mcd.scoring.scored import Scored
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.auroc import AUROC
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

IMAGES, PATIENTS = 480, 120
CONCEPTS = tuple(mcd.Concept(name, name, "x", (name,)) for name in ("brightness", "oblique", "mass", "a", "b", "c"))


def made(scorer: mcd.Scorer, seed: int = 0, *, unit: str = "patient") -> tuple[Scored, Nuisances]:
    """Label 40 units that follow brightness, 40 an interaction of view and side, 40 a mass, 40 nothing."""
    rng = np.random.default_rng(seed)
    view, side = np.tile(["CC", "CC", "MLO", "MLO"], PATIENTS), np.tile(["L", "R", "L", "R"], PATIENTS)
    bright, mass = rng.normal(size=IMAGES), np.repeat(rng.normal(size=PATIENTS), 4)
    both = ((view == "CC") ^ (side == "L")) * 2.0 - 1
    statistics = np.stack([bright, rng.normal(size=IMAGES), *rng.normal(size=(64, IMAGES))], axis=1)
    found = nuisances_of({"view": view.tolist(), "side": side.tolist()}, statistics.astype(np.float32), ("mean", "x"))
    assert isinstance(found, Nuisances)
    causes = [bright, both, mass, np.zeros(IMAGES)]
    activations = np.concatenate([one[:, None] + rng.normal(size=(IMAGES, 40)) for one in causes], axis=1)
    similarity = np.stack(
        [one + 0.3 * rng.normal(size=IMAGES) for one in causes[:3]] + [*rng.normal(size=(3, IMAGES))], 1
    )
    patients = np.repeat([f"p{number}" for number in range(PATIENTS)], 4).tolist()
    labeller = Labeller(
        scorer,
        Matrix(torch.from_numpy(similarity.astype(np.float32)) * 0.1),
        CONCEPTS,
        Calibration.model_validate({"exchangeable": unit}),
        patients,
        3,
        rungs=RungData(lambda: found),
    )
    assert labeller.ladder.problems == {NUISANCE: "", RIGHT: "nothing is annotated"}
    (scored,) = labeller.scored({"x": lambda: torch.from_numpy(activations.astype(np.float32))})
    return scored, found


@pytest.mark.parametrize("scorer", [Pearson(), SoftWPMI(SoftWPMI.Options(top_k=60))], ids=["residuals", "strata"])
def test_followers_of_a_confounder_do_not_pass_and_followers_of_a_finding_do(scorer: mcd.Scorer) -> None:
    scored, _ = made(scorer, unit="image")
    assert scored.rungs is not None
    passed = (scored.rungs.q[NUISANCE] <= 0.05).reshape(4, 40).mean(axis=1)
    significant = (scored.rungs.q[IMAGE] <= 0.05).reshape(4, 40).mean(axis=1)
    assert (significant[:3] >= 0.9).all()
    assert passed[0] <= 0.05
    assert passed[1] <= 0.05  # an interaction
    assert passed[2] >= 0.85
    assert passed[3] <= 0.05


def test_patients_stay_the_unit_and_what_cannot_be_exchanged_is_said() -> None:
    scored, found = made(Pearson())
    assert scored.rungs is not None
    assert (scored.rungs.q[NUISANCE] <= 0.05).reshape(4, 40).mean(axis=1)[2] >= 0.9
    alone = Labeller(
        AUROC(),
        Matrix(torch.rand(8, 3)),
        CONCEPTS[:3],
        Calibration(),
        ["a", "a", "b", "b", "c", "d", "e", "f"],
        3,
        rungs=RungData(lambda: Nuisances(np.ones((8, 1)) / 8**0.5, np.arange(8), None, ("view",))),
    )
    assert "have no other like them to change places with" in alone.ladder.problems[NUISANCE]
    assert len(found.names) == 4


def test_a_concept_that_is_a_nuisance_is_not_testable_there() -> None:
    rng = np.random.default_rng(0)
    view = rng.choice(["CC", "MLO"], 300)
    oblique = torch.from_numpy((view == "MLO").astype(np.float32))
    noise = torch.from_numpy(rng.normal(size=(300, 3)).astype(np.float32))
    found = nuisances_of({"view": view.tolist()}, None)
    labeller = Labeller(
        Pearson(),
        Matrix(torch.stack([oblique, noise[:, 0]], 1)),
        CONCEPTS[1:3],
        Calibration(),
        [""] * 300,
        2,
        rungs=RungData(lambda: found),
    )
    units = torch.stack([oblique + 0.5 * noise[:, 1], noise[:, 0] + 0.5 * noise[:, 2]], dim=1)
    (scored,) = labeller.scored({"x": lambda: units})
    assert scored.rungs is not None
    assert scored.rungs.reached == (IMAGE, NUISANCE)
    assert np.isnan(scored.rungs.q[NUISANCE]).tolist() == [True, False]


def test_the_p_of_a_rung_is_the_largest_so_far_and_a_rung_that_was_not_tested_is_not_passed() -> None:
    p = {IMAGE: np.array([0.01, 0.001, 0.001, 0.9]), NUISANCE: np.array([0.001, 0.02, 0.9, 0.001])}
    found = climbed(p, Calibration())
    assert found.q[NUISANCE].tolist() == pytest.approx([0.04, 0.04, 0.9, 0.9])
    assert found.reached == (NUISANCE, NUISANCE, IMAGE, "")
    above = climbed({IMAGE: p[IMAGE], RIGHT: np.array([0.001] * 4)}, Calibration())
    assert above.reached == (IMAGE, IMAGE, IMAGE, "")
    assert UNTRAINED not in above.q


def test_without_it_no_rung_above_the_first_is_tested() -> None:
    none = RungData(lambda: pytest.fail("read"), held_out=lambda: pytest.fail("read"))
    settings = Calibration(nuisances=False, right=False)
    labeller = Labeller(Pearson(), Matrix(torch.rand(50, 3)), CONCEPTS[:3], settings, [""] * 50, 3, rungs=none)
    assert labeller.ladder.problems == {}
    with pytest.raises(ConfigError):
        mcd.label(torch.rand(50, 2), torch.rand(50, 3), ["a", "b", "c"], calibration={"nuisances": "perhaps"})
