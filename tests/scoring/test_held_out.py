"""The fourth rung: labels held against annotations of patients that named nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mcd
from mcd.scoring.activations import Held
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.calibration.right import split_halves
from mcd.scoring.held_out import HeldOut
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.scoring.rungs import IMAGE, RIGHT
from mcd.scoring.similarity import Matrix, Part
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.pearson import Pearson

PATIENTS, IMAGES = 120, 480
TERMS = tuple(mcd.Concept(name, name, "x", (name,)) for name in ("mass", "calcification", "rare", "distortion"))


def made(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return A, P and annotations: 40 units follow the annotated mass, 40 what the dissector takes for calcifications.

    The dissector sees masses and is wrong about calcifications; a rare finding is annotated in 5 patients, a
    distortion in none.
    """
    rng = np.random.default_rng(seed)
    mass, other = (np.repeat(rng.random(PATIENTS) < 0.4, 4).astype(float) for _ in range(2))
    taken_for = np.repeat(rng.normal(size=PATIENTS), 4)
    rare = np.repeat(np.arange(PATIENTS) < 5, 4).astype(float)
    causes = [2 * mass, taken_for, 3 * rare, np.zeros(IMAGES)]
    activations = np.concatenate([one[:, None] + rng.normal(size=(IMAGES, 40)) for one in causes], axis=1)
    similarity = np.stack([2 * mass, taken_for, 3 * rare, np.zeros(IMAGES)], axis=1) + 0.5 * rng.normal(
        size=(IMAGES, 4)
    )
    annotated = np.stack([mass, other, rare, np.full(IMAGES, np.nan)], axis=1)
    a, p, known = (torch.from_numpy(one.astype(np.float32)) for one in (activations, similarity, annotated))
    return a, p, known


def held_out(p: torch.Tensor, annotated: torch.Tensor, seed: int = 0) -> HeldOut:
    units = PermutationUnits(np.repeat(np.arange(PATIENTS), 4))
    rows = split_halves(units, seed)
    part = Part(Matrix(p), torch.from_numpy(np.flatnonzero(~rows)))
    naming = Labeller(Pearson(), part, TERMS, Calibration(draws=0), [""] * part.images, 1)
    return HeldOut(rows, annotated, units, naming.first, seed)


def test_a_label_is_right_where_annotations_of_other_patients_agree() -> None:
    a, p, annotated = made()
    patients = np.repeat([f"p{number}" for number in range(PATIENTS)], 4).tolist()
    rungs = RungData(held_out=lambda: held_out(p, annotated))
    labeller = Labeller(Pearson(), Matrix(p), TERMS, Calibration(nuisances=False), patients, 2, rungs=rungs)
    assert labeller.ladder.problems == {RIGHT: ""}
    (found,) = labeller.scored({"": lambda: a})
    assert found.rungs is not None
    q = found.rungs.q[RIGHT].reshape(4, 40)
    assert (found.rungs.q[IMAGE].reshape(4, 40)[:2] <= 0.05).mean() > 0.9
    assert (q[0] <= 0.05).mean() > 0.9
    assert (q[1] <= 0.05).mean() <= 0.05  # significant, and wrong
    significant = found.rungs.q[IMAGE].reshape(4, 40)[2] <= 0.05
    assert significant.any()
    assert np.isnan(q[2][significant]).all()  # not assessable
    assert not (q[3] <= 0.05).any()


def test_a_unit_that_the_other_half_names_otherwise_is_not_right() -> None:
    a, p, annotated = made()
    found = held_out(p, annotated)
    chosen = np.arange(40)
    assert (found.test(Held(a), chosen, torch.zeros(40, dtype=torch.int64)) <= 0.05).mean() > 0.9
    other = HeldOut(found.rows, annotated, found.units, lambda part: torch.ones(part.neurons, dtype=torch.int64), 0)
    assert (other.test(Held(a), chosen, torch.zeros(40, dtype=torch.int64)) == 1).all()


def test_only_images_of_the_other_half_name_and_only_held_out_ones_are_judged() -> None:
    a, p, annotated = made()
    found = held_out(p, annotated)
    spoiled = a.clone()
    spoiled[torch.from_numpy(found.rows)] = torch.randn(int(found.rows.sum()), a.shape[1])
    first = torch.zeros(40, dtype=torch.int64)
    assert torch.equal(found.naming(Held(spoiled[~found.rows])), found.naming(Held(a[~found.rows])))
    assert (found.test(Held(spoiled), np.arange(40), first) <= 0.05).mean() <= 0.15


def test_concepts_of_which_nothing_is_annotated_need_no_column() -> None:
    a, p, annotated = made()
    annotated[:, 1] = float("nan")
    found = held_out(p, annotated)
    kept = [at for at in range(annotated.shape[1]) if at != 1]
    place = np.full(annotated.shape[1], -1)
    place[kept] = np.arange(len(kept))
    few = HeldOut(found.rows, annotated[:, kept], found.units, found.naming, found.seed, columns=place)
    assert np.array_equal(few.assessable, found.assessable)
    for concept in range(annotated.shape[1]):
        first = torch.full((40,), concept, dtype=torch.int64)
        one, other = (held.test(Held(a), np.arange(40), first) for held in (few, found))
        assert np.array_equal(one, other, equal_nan=True)
    nothing = HeldOut(found.rows, annotated[:, :0], found.units, found.naming, 0, columns=np.full(4, -1))
    assert nothing.problem == "the data set annotates no concept of the vocabulary"


def test_images_in_another_order_give_the_same_p() -> None:
    a, _, annotated = made()
    patients = np.repeat([f"p{number}" for number in range(PATIENTS)], 4)
    order = np.random.default_rng(1).permutation(IMAGES)
    found = []
    for rows in (np.arange(IMAGES), order):
        units = PermutationUnits.of(patients[rows].tolist(), "patient", np.argsort(rows))
        held = HeldOut(split_halves(units, 0), annotated[rows], units, lambda part: torch.zeros(160).long(), 0)
        found.append((held.rows, held.test(Held(a[rows]), np.arange(40), torch.zeros(40, dtype=torch.int64))))
    assert np.array_equal(found[0][0][order], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("annotated", "why"),
    [
        (torch.full((IMAGES, 4), float("nan")), "annotates no concept of the vocabulary"),
        (torch.zeros(IMAGES, 4), "no annotated concept has 10 held-out patients with it"),
    ],
)
def test_where_nothing_can_be_assessed_the_reason_is_said(annotated: torch.Tensor, why: str) -> None:
    _, p, _ = made()
    assert why in held_out(p, annotated).problem
