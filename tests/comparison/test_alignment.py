"""Which layers belong together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.comparison.alignment import Alignment, align, depths
from mcd.errors import UnknownNameError, UsageError


def pairs(reference: list[str], other: list[str], how: Alignment | dict[str, str] = "auto") -> list[tuple[str, str]]:
    return [(one.reference, one.other) for one in align(reference, other, how)]


def test_layers_of_the_same_names_are_aligned_by_name() -> None:
    assert pairs(["a", "b", "c"], ["b", "c"]) == [("b", "b"), ("c", "c")]
    assert pairs(["a", "b"], ["b", "a"]) == [("a", "a"), ("b", "b")]


def test_layers_of_other_names_are_aligned_by_depth() -> None:
    assert pairs(["a", "b", "c"], ["1", "2", "3", "4", "5"]) == [("a", "1"), ("b", "3"), ("c", "5")]
    assert pairs(["1", "2", "3", "4", "5"], ["a", "b", "c"]) == [("1", "a"), ("3", "b"), ("5", "c")]
    assert pairs(["a", "b"], ["b", "c", "d"]) == [("a", "b"), ("b", "d")]  # one shared name is chance
    assert pairs(["a", "b", "c", "d"], ["1", "2", "3", "4", "5", "6"])[1] == (
        "b",
        "3",
    )  # the nearest, not the one before
    assert pairs(["a"], ["1", "2", "3"]) == [("a", "3")]


@given(st.integers(1, 12), st.integers(1, 12))
def test_depth_pairs_each_layer_of_the_shorter_run_once_and_in_order(short: int, long: int) -> None:
    found = align([f"a{at}" for at in range(short)], [f"b{at}" for at in range(long)], "depth")
    assert len(found) == min(short, long)
    for side in ("reference", "other"):
        numbers = [int(getattr(one, side)[1:]) for one in found]
        assert numbers == sorted(set(numbers))
    assert int(found[-1].reference[1:]) == short - 1
    assert int(found[-1].other[1:]) == long - 1


def test_a_map_says_what_is_compared() -> None:
    assert pairs(["a", "b", "c"], ["x", "y"], {"c": "x", "a": "y"}) == [("a", "y"), ("c", "x")]
    with pytest.raises(UnknownNameError, match="first run has no layer 'd'"):
        align(["a"], ["x"], {"d": "x"})
    with pytest.raises(UnknownNameError, match="second run has no layer 'z'"):
        align(["a"], ["x"], {"a": "z"})
    with pytest.raises(UsageError, match="'x' of the second run is mapped twice"):
        align(["a", "b"], ["x"], {"a": "x", "b": "x"})


def test_by_name_where_no_name_is_shared_is_refused() -> None:
    with pytest.raises(UsageError, match="no layer of the same name"):
        align(["a"], ["b"], "name")


def test_depth_runs_from_the_first_to_the_last_dissected_layer() -> None:
    assert depths(["a", "b", "c"]) == {"a": 0.0, "b": 0.5, "c": 1.0}
    assert depths(["only"]) == {"only": 0.0}
