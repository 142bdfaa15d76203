"""Remarks: sentences that keep their counts, wherever they go."""

from __future__ import annotations

import pickle

import pytest

import mcd

UPRIGHT = "{count:image} turned upright"


def test_counts_of_two_are_added_up_and_said_as_one() -> None:
    one = mcd.Remark("view unknown in {count} of {of:image}", 0, of=10)
    assert (one, one.plus(mcd.Remark(one.text, 1, of=5))) == ("", "view unknown in 1 of 15 images")
    found = mcd.Remark("found in: {kinds}", kinds={"a": 3}, usual=["a"])
    assert not found
    assert found.plus(mcd.Remark(found.text, kinds={"b": 4, "a": 1}, usual=["a"])) == "found in: a 4, b 4"
    assert mcd.Remark("{count} differ", 0, least=0).plus(mcd.Remark("{count} differ", 0, least=0)) == "0 differ"


def test_braces_that_are_no_counts_stay() -> None:
    assert mcd.Remark("{count.__class__} {0} {} {kinds} in {x}", 1) == "{count.__class__} {0} {}  in {x}"


@pytest.mark.parametrize("kinds", [{}, {"a": 1}])
def test_a_remark_is_the_same_in_another_process_and_behind_a_name(kinds: dict[str, int]) -> None:
    one = mcd.Remark(UPRIGHT, 0, of=4, kinds=kinds, usual=["a"])
    again = pickle.loads(pickle.dumps(one))
    assert again == one == ""
    assert again.plus(mcd.Remark(UPRIGHT, 1)) == one.plus(mcd.Remark(UPRIGHT, 1))
    assert one.after("pngs: ").plus(mcd.Remark(UPRIGHT, 2, kinds={"b": 2})) == "pngs: 2 images turned upright"
