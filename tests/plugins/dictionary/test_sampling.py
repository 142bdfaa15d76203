"""Positions of which a dictionary is made: whose they are, that they lie inside the breast, and how many."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from tests.plugins.dictionary.positions import Halves, Nameless, pixels, ready

from mcd.errors import DataError, ImageError
from mcd.testing.material import TinyImages
from mcd_plugins.dictionary.sampling import divided, halves, quotas, sampled

SAMPLES = list(TinyImages().scan())  # 24 images of 12 patients


def rows(patients: dict[str, tuple[int, ...]]) -> set[int]:
    return {row for own in patients.values() for row in own}


def test_patients_are_on_one_side_each_whatever_the_order_of_images() -> None:
    found = divided(SAMPLES, 0.5, seed=0)
    fitted, tested = ({SAMPLES[row].patient for row in rows(dict(one))} for one in (found.fitted, found.tested))
    assert (len(fitted), len(tested), fitted & tested) == (6, 6, set())
    turned = SAMPLES[::-1]
    again = divided(turned, 0.5, seed=0)
    assert {turned[row].patient for row in rows(dict(again.fitted))} == fitted
    other = divided(SAMPLES, 0.5, seed=1)
    assert {SAMPLES[row].patient for row in rows(dict(other.fitted))} != fitted
    assert len(divided(SAMPLES, 0.01, seed=0).fitted) == 1
    assert len(divided(SAMPLES, 0.99, seed=0).tested) == 1
    assert divided(SAMPLES, 1.0, seed=0).tested == {}


def test_images_of_unknown_patients_stand_for_themselves() -> None:
    found = divided(list(Nameless().scan()), 0.5, seed=0)
    assert (len(found.fitted), len(found.tested), found.unknown) == (12, 12, 24)


def test_patients_who_share_an_image_are_not_on_both_sides() -> None:
    same = [replace(one, digest="same") if one.id in ("tiny-00", "tiny-23") else one for one in SAMPLES]
    for seed in range(8):
        found = divided(same, 0.5, seed)
        digests = [{same[row].digest for row in rows(dict(one))} for one in (found.fitted, found.tested)]
        assert not digests[0] & digests[1]


def test_one_patient_leaves_none_to_test_on() -> None:
    with pytest.raises(DataError, match="2 images of one patient"):
        divided(SAMPLES[:2], 0.5, seed=0)
    assert len(divided(SAMPLES[:2], 1.0, seed=0).fitted) == 1
    with pytest.raises(DataError, match="no halves to compare"):
        halves(["one"], seed=0)
    one, other = halves("abcde", seed=0)
    assert (len(one), len(other), one & other) == (2, 3, frozenset())


def test_each_patient_gives_as_many() -> None:
    patients = divided(SAMPLES, 1.0, seed=0).fitted
    for positions in (1, 2, 7):
        found = quotas(patients, SAMPLES, positions, seed=0)
        each = Counter[str]()
        for row, count in found.items():
            each[SAMPLES[row].patient] += count
        assert set(each.values()) == {positions}
        assert len(found) == (12 if positions == 1 else 24)


def test_positions_lie_inside_the_breast() -> None:
    images = ready(pixels(), Halves(), batch_size=5)
    found = sampled(images, "seen", dict.fromkeys(range(24), 40), seed=0)
    assert found.values.shape == (24 * 40, 1)
    assert found.rows.tolist() == sorted(found.rows.tolist())
    inside = found.values[found.rows != 3]
    assert float(inside.min()) > 0.6
    assert (found.framed, found.images) == (1, 24)
    assert float(found.values[found.rows == 3].max()) < 0.25  # of all its positions
    fewer = sampled(images, "seen", {5: 10**6, 9: 1}, seed=0)
    assert Counter(fewer.rows.tolist()) == {5: int(Halves().mask(SAMPLES[5], Halves().read(SAMPLES[5])).sum()), 9: 1}


def test_what_is_drawn_follows_from_seed_and_image() -> None:
    wanted = dict.fromkeys(range(24), 10)
    first = sampled(ready(pixels(), Halves(), batch_size=5), "seen", wanted, seed=0)
    other = sampled(ready(pixels(), Halves(), batch_size=16), "seen", {7: 10}, seed=0)
    assert torch.equal(first.values[first.rows == 7], other.values)
    again = sampled(ready(pixels(), Halves()), "seen", {7: 10}, seed=1)
    assert not torch.equal(again.values, other.values)


def test_pictures_of_other_things_are_sampled_as_a_whole() -> None:
    found = sampled(ready(pixels(), TinyImages()), "seen", {1: 32 * 32}, seed=0)
    assert (len(found.values), found.framed) == (32 * 32, 0)


class Unreadable(Halves):
    """Two images turn out to be unreadable."""

    unreadable = frozenset({"tiny-04", "tiny-05"})


def test_images_that_cannot_be_read_are_refused_or_left_out() -> None:
    images = ready(pixels(), Unreadable())
    with pytest.raises(ImageError, match="tiny-04: its pixels are cut short"):
        sampled(images, "seen", {3: 5, 4: 5}, seed=0)
    found = sampled(images, "seen", {3: 5, 4: 5}, seed=0, skip=True)
    assert set(found.rows.tolist()) == {3}
    with pytest.raises(DataError, match="no image could be read"):
        sampled(images, "seen", {4: 5, 5: 5}, seed=0, skip=True)


def test_more_than_memory_holds_is_said_before_an_image_is_read() -> None:
    images = ready(pixels(), Unreadable())
    with pytest.raises(DataError, match=r"4,096 positions of 1 neuron take 1.64e-05 GB; at most 1e-05 GB are kept"):
        sampled(images, "seen", dict.fromkeys(range(4, 8), 5000), seed=0, most=10_000)
