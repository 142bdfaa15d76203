"""Permutations that keep something fixed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.calibration.strata import Strata


def of(sizes: list[int], seed: int) -> Strata:
    """Return patients of several sizes, images of three cells, in any order."""
    rng = np.random.default_rng(seed)
    patients = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    rng.shuffle(patients)
    units = PermutationUnits.of(patients, "patient")
    return Strata(units, rng.integers(0, 3, size=len(patients)), rng.normal(size=len(patients)))


@given(st.lists(st.integers(1, 4), min_size=2, max_size=30), st.integers(0, 1000))
@settings(max_examples=50)
def test_an_image_takes_the_place_of_one_of_its_cell_and_patients_stay_together(sizes: list[int], seed: int) -> None:
    strata = of(sizes, seed)
    patient, cell = strata.units.patient, strata.cell
    for moved in strata.permutations(3, np.random.default_rng(seed)):
        assert sorted(moved) == list(range(len(cell)))
        assert (cell[moved] == cell).all()
        pairs = set(zip(patient, patient[moved], strict=True))
        assert len(pairs) == len(set(patient))  # a bijection of patients
    assert 0 < strata.fixed <= 1
    assert 0 < strata.rarest <= 1


def test_every_patient_of_a_kind_can_take_the_place_of_every_other() -> None:
    units = PermutationUnits(np.repeat(np.arange(8), 2))
    strata = Strata(units, np.tile([0, 1], 8), np.repeat([0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0], 2))
    seen = {
        (row, int(one)) for moved in strata.permutations(200, np.random.default_rng(0)) for row, one in enumerate(moved)
    }
    assert seen == {(row, row + step) for row in range(16) for step in (-2, 0, 2) if (row // 4) == ((row + step) // 4)}
    assert strata.fixed == 0.5


def test_a_patient_like_no_other_stays_where_she_is() -> None:
    units = PermutationUnits(np.array([0, 0, 1, 2, 3]))
    strata = Strata(units, np.zeros(5, dtype=np.int64))
    for moved in strata.permutations(20, np.random.default_rng(0)):
        assert sorted(moved[:2].tolist()) == [0, 1]
