"""What chance may exchange: images, or patients with all their images."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.scoring.calibration.permutation import PermutationUnits, places_sorted

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


def plainly(keys: list[str], count: int, rng: np.random.Generator) -> np.ndarray:
    """Permute patients among those with as many images, and the images of each, as it is said: by sorting chance."""
    of = {key: [row for row, other in enumerate(keys) if other == key] for key in dict.fromkeys(keys)}
    found = np.zeros((count, len(keys)), dtype=np.int64)
    for size in sorted({len(rows) for rows in of.values()}):
        own = np.array([rows for rows in of.values() if len(rows) == size])
        patient = np.argsort(rng.random((count, len(own))), axis=1)
        image = np.argsort(rng.random((count, len(own), size)), axis=2)
        for draw in range(count):
            for place, (taken, order) in enumerate(zip(patient[draw], image[draw], strict=True)):
                found[draw, own[place]] = own[taken][order]
    return found


@given(st.lists(st.integers(1, 12), min_size=1, max_size=25), st.integers(0, 10_000))
@settings(max_examples=40)
def test_permutations_are_those_of_sorted_chance(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = patients(sizes)
    rng.shuffle(keys)
    units, first, last = PermutationUnits.of(keys, "patient"), seed % 3, 3 + seed % 4
    expected = plainly(keys, 6, np.random.default_rng(seed))
    assert np.array_equal(units.permutations(6, np.random.default_rng(seed)), expected)
    some = np.full((6, len(keys)), -1, dtype=np.int64)
    for draws, places, sources in units.moves(6, np.random.default_rng(seed), first, last):
        some[draws, places] = sources
    assert np.array_equal(some[first:last], expected[first:last])
    assert (some[:first] == -1).all()
    assert (some[last:] == -1).all()


def test_permutations_of_many_images_come_in_pieces_of_the_same_stream() -> None:
    keys = np.concatenate([np.repeat(np.arange(20_000), 3), 20_000 + np.arange(16_000)])  # 76,000: 32 draws a piece
    units, rng = PermutationUnits(keys), np.random.default_rng(5)
    drawn = units.permutations(33, np.random.default_rng(5))[[0, 32]]
    alone, triple = np.arange(60_000, 76_000), np.arange(60_000).reshape(-1, 3)
    patient, image = rng.random((33, 16_000)), rng.random((33, 16_000, 1))
    assert image.any()
    assert np.array_equal(drawn[:, alone], alone[np.argsort(patient[[0, 32]], axis=1)])
    patient, image = np.argsort(rng.random((33, 20_000))[[0, 32]], axis=1), rng.random((33, 20_000, 3))[[0, 32]]
    assert np.array_equal(drawn[:, triple], triple[patient[:, :, None], np.argsort(image, axis=2)])


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("patient", [[12, 11, 10, 3, 4, 5, 7, 6, 9, 8, 1, 0, 2, 13], [6, 5, 7, 4, 3, 11, 12, 10, 9, 8, 2, 0, 1, 13]]),
        ("image", [[11, 3, 13, 2, 1, 8, 6, 0, 7, 4, 10, 12, 5, 9], [6, 7, 1, 4, 11, 5, 3, 10, 9, 8, 0, 2, 13, 12]]),
    ],
)
def test_the_draws_of_a_seed_are_those_of_earlier_versions(
    unit: Literal["image", "patient"], expected: list[list[int]]
) -> None:
    units = PermutationUnits.of([*"aaabbcccddeeef"], unit)
    assert units.permutations(2, np.random.default_rng(0)).tolist() == expected


def test_an_order_of_random_numbers_is_what_a_plain_sort_gives() -> None:
    rng = np.random.default_rng(0)
    for images in (1, 2, 3, 300, 5000):
        keys = rng.random((7, images))
        assert (places_sorted(keys) == np.argsort(keys, axis=1)).all()
    close = rng.random((3, 300)) * 2.0**-50  # of these numbers too few bits are left for a place beside them
    assert (places_sorted(close) == np.argsort(close, axis=1)).all()
