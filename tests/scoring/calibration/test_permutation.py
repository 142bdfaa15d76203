"""What chance may exchange: images, or patients with all their images."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.scoring.calibration.permutation import PermutationUnits

SIZES = st.lists(st.integers(1, 6), min_size=3, max_size=40)


def patients(sizes: list[int]) -> list[str]:
    return [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]


@given(SIZES, st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_moved_ranking_is_a_ranking(sizes: list[int], seed: int) -> None:
    keys = patients(sizes)
    rng = np.random.default_rng(seed)
    rng.shuffle(keys)
    units = PermutationUnits.of(keys, "patient")
    k = int(rng.integers(1, len(keys) + 1))
    ranked = np.stack([rng.permutation(len(keys))[:k] for _ in range(5)], axis=1)
    moved = units.permuted(ranked, rng)
    assert moved.shape == ranked.shape
    assert all(len(set(column)) == k for column in moved.T)
    assert moved.min() >= 0
    assert moved.max() < len(keys)


@given(SIZES, st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_permutation_holds_every_image_once(sizes: list[int], seed: int) -> None:
    keys = patients(sizes)
    rng = np.random.default_rng(seed)
    rng.shuffle(keys)
    for row in PermutationUnits.of(keys, "patient").permutations(4, rng):
        assert sorted(row) == list(range(len(keys)))


def test_images_of_one_patient_stay_of_one_patient() -> None:
    rng = np.random.default_rng(0)
    keys = patients([4] * 30)
    rng.shuffle(keys)
    units = PermutationUnits.of(keys, "patient")
    ranked = np.stack([rng.permutation(120)[:20] for _ in range(50)], axis=1)
    moved = units.permuted(ranked, rng)
    of = np.array(keys)
    for before, after in zip(ranked.T, moved.T, strict=True):
        assert sorted(Counter(of[before]).values()) == sorted(Counter(of[after]).values())
        pairs = set(zip(of[before], of[after], strict=True))
        assert len(pairs) == len(set(of[before])) == len(set(of[after]))  # a bijection of patients
    for row in units.permutations(20, rng):
        assert all(len(set(of[row][of == one])) == 1 for one in set(keys))


def test_every_image_may_take_every_place() -> None:
    rng = np.random.default_rng(1)
    units = PermutationUnits.of(patients([3] * 8), "patient")
    ranked = np.repeat(np.array([[0], [5], [1]]), 4000, axis=1)
    moved = units.permuted(ranked, rng)
    counts = np.stack([np.bincount(row, minlength=24) for row in moved])
    assert counts.min() > 0.6 * 4000 / 24
    assert counts.max() < 1.5 * 4000 / 24


def test_an_unknown_patient_is_one_of_her_own_and_images_alone_are_exchanged_freely() -> None:
    units = PermutationUnits.of(["a", "", "a", ""], "patient")
    assert units.patients == 3
    assert units.blocks
    assert not PermutationUnits.of(["a", "a", "b"], "image").blocks


def test_neurons_share_a_null_with_those_that_crowd_alike() -> None:
    units = PermutationUnits.of(patients([4] * 25), "patient")
    spread, crowded = np.arange(0, 100, 4)[:20], np.arange(20)
    strata = units.null_stratum(np.stack([spread, crowded], axis=1))
    assert strata[0] == 0
    assert strata[1] > 1
    assert (
        PermutationUnits.of(patients([1] * 100), "patient").null_stratum(np.stack([spread, crowded], axis=1)) == 0
    ).all()


def test_the_images_of_a_patient_who_keeps_her_place_are_shuffled_too() -> None:
    units = PermutationUnits.of(patients([4] * 12), "patient")
    drawn = units.permutations(2000, np.random.default_rng(0)).reshape(-1, 12, 4)
    own = np.arange(48).reshape(12, 4)
    kept = [
        tuple(drawn[row, at] - own[at, 0])
        for row, at in zip(*np.nonzero((drawn // 4 == own // 4).all(axis=2)), strict=True)
    ]
    orders = Counter(kept)
    assert len(orders) == 24
    assert max(orders.values()) < 2.5 * len(kept) / 24


@given(SIZES, st.integers(0, 10_000))
@settings(max_examples=60)
def test_no_patient_is_split_and_each_takes_the_place_of_one_with_as_many_images(sizes: list[int], seed: int) -> None:
    keys = patients(sizes)
    rng = np.random.default_rng(seed)
    rng.shuffle(keys)
    units, of = PermutationUnits.of(keys, "patient"), np.array(keys)
    count = Counter(keys)
    drawn = units.permutations(3, rng)
    ranked = np.stack([rng.permutation(len(keys))[: max(1, len(keys) // 2)] for _ in range(3)], axis=1)
    pairs = [(of, of[row]) for row in drawn]
    pairs += list(zip(of[ranked].T, of[units.permuted(ranked, rng)].T, strict=True))
    for before, after in pairs:
        places = set(zip(before, after, strict=True))
        assert len(places) == len(set(before)) == len(set(after))  # a bijection of patients
        assert all(count[one] == count[other] for one, other in places)


def test_draws_do_not_depend_on_where_images_stand() -> None:
    keys = patients([4] * 10 + [2] * 6 + [1] * 5 + [7])
    moved = np.random.default_rng(3).permutation(len(keys))
    back = np.argsort(moved)
    for unit in ("patient", "image"):
        units = PermutationUnits.of(keys, unit)
        other = PermutationUnits.of([keys[row] for row in moved], unit, back)
        ours, theirs = (one.permutations(3, np.random.default_rng(1)) for one in (units, other))
        assert np.array_equal(ours, moved[theirs][:, back])
        ranked = np.arange(12)[:, None].repeat(2, axis=1)
        ours = units.permuted(ranked, np.random.default_rng(1))
        assert np.array_equal(ours, moved[other.permuted(back[ranked], np.random.default_rng(1))])


def test_it_is_said_where_few_patients_can_be_exchanged() -> None:
    assert not PermutationUnits.of(patients([4] * 30), "patient").caution
    assert not PermutationUnits.of(patients([4] * 3), "image").caution
    assert "33% of the images" in PermutationUnits.of(patients([4] * 3), "patient").caution
    assert "100% of the images" in PermutationUnits.of(patients(list(range(1, 9))), "patient").caution
