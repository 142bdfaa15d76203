"""Patterns that pick layers: their grammar, held to a slow reading of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.errors import ConfigError, UnknownNameError
from mcd.networks.patterns import expand_braces, match_layers, split_patterns

NAMES = [
    "stem",
    "conv",
    "layer1",
    "layer1.0",
    "layer1.0.conv",
    "layer2",
    "layer3",
    "layer4",
    "layer4.0",
    "layer4.0.conv",
    "blocks",
    "blocks.0",
    "blocks.0.0",
    "blocks.0.1",
    "blocks.1",
    "blocks.1.0",
    "blocks.1.0.conv",
    "blocks.10",
    "head",
]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("stem", ["stem"]),
        ("blocks.*", ["blocks.0", "blocks.1", "blocks.10"]),
        ("blocks.*.*", ["blocks.0.0", "blocks.0.1", "blocks.1.0"]),
        ("blocks[1][0]", ["blocks.1.0"]),
        ("blocks[-1]", ["blocks.10"]),
        ("blocks[0][-1]", ["blocks.0.1"]),
        ("layer{1..4}", ["layer1", "layer2", "layer3", "layer4"]),
        ("layer{4..3}", ["layer3", "layer4"]),
        ("{stem,head}", ["stem", "head"]),
        ("head, stem", ["stem", "head"]),
        ("layer{1,4}.0", ["layer1.0", "layer4.0"]),
        ("**.conv", ["conv", "layer1.0.conv", "layer4.0.conv", "blocks.1.0.conv"]),
        ("blocks.**.conv", ["blocks.1.0.conv"]),
        ("blocks.0.**", ["blocks.0", "blocks.0.0", "blocks.0.1"]),
        ("layer*[-1]", ["layer1.0", "layer4.0"]),
        ("**[-1]", ["layer1.0", "layer4.0", "blocks.0.1", "blocks.1.0", "blocks.10"]),
        ("blocks[-2].**", ["blocks.1", "blocks.1.0", "blocks.1.0.conv"]),
        ("blocks[01]", ["blocks.1"]),
        ("layer?", ["layer1", "layer2", "layer3", "layer4"]),
    ],
)
def test_patterns_pick_layers_in_module_order(pattern: str, expected: list[str]) -> None:
    assert match_layers([pattern], NAMES) == expected


def test_each_layer_is_picked_once() -> None:
    assert match_layers(["stem", "*", "stem"], NAMES).count("stem") == 1


@pytest.mark.parametrize("wrong", ["layr2", "layer2.*", "layer2[-1]"])
def test_a_pattern_that_picks_nothing_names_the_nearest(wrong: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"no layer matches '{re.escape(wrong)}'") as caught:
        match_layers([wrong], NAMES)
    assert "did you mean 'layer" in caught.value.hint


def test_of_braces_the_part_that_picks_nothing_is_named() -> None:
    with pytest.raises(UnknownNameError) as caught:
        match_layers(["layer{1..5}"], NAMES)
    assert caught.value.message == "no layer matches 'layer5', which is part of 'layer{1..5}'"


def test_a_chain_has_its_numbers_at_the_top() -> None:
    assert match_layers(["[-1]", "[0]"], ["0", "1", "1.0", "2"]) == ["0", "2"]
    with pytest.raises(UnknownNameError):
        match_layers(["[-4]"], ["0", "1", "2"])


def test_an_alias_stands_for_its_layer_where_no_name_is_meant() -> None:
    assert match_layers(["visual.**"], ["conv", "head"], {"visual.conv": "conv"}) == ["conv"]
    assert match_layers(["**"], ["conv", "head"], {"visual.conv": "conv"}) == ["conv", "head"]


@pytest.mark.parametrize("pattern", ["blocks[1", "blocks[a]", "blocks[__import__('os')]"])
def test_brackets_hold_numbers_only(pattern: str) -> None:
    with pytest.raises(ConfigError, match="brackets hold one whole number"):
        match_layers([pattern], NAMES)


@pytest.mark.parametrize("absurd", ["layer{1..999999999}", "{0..999}{0..999}", "{a,b}" * 30])
def test_absurd_braces_are_refused(absurd: str) -> None:
    with pytest.raises(ConfigError, match=r"more than 10,000"):
        expand_braces(absurd)


@pytest.mark.parametrize("stars", ["a*" * 30 + "c", "**." * 30 + "c", ".".join(["a*"] * 30 + ["c"])])
def test_many_stars_on_a_long_name_are_answered_at_once(stars: str) -> None:
    """Tried one way after the other, this would not end within anybody's life."""
    with pytest.raises(UnknownNameError):
        match_layers([stars], ["a" * 3000 + "b", "a." * 500 + "b"])


def slowly(wanted: Sequence[str], parts: Sequence[str], names: Sequence[str], level: Sequence[str] = ()) -> bool:
    """Whether a name is what a pattern says: the sentences of the grammar, one after the other."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(slowly(wanted[1:], parts[n:], names, [*level, *parts[:n]]) for n in range(len(parts) + 1))
    return (
        bool(parts)
        and part_slowly(wanted[0], parts[0], names, level)
        and slowly(wanted[1:], parts[1:], names, [*level, parts[0]])
    )


def part_slowly(one: str, part: str, names: Sequence[str], level: Sequence[str]) -> bool:
    if one.startswith("-"):
        beside = {name.split(".")[len(level)] for name in names if name.split(".")[:-1][: len(level)] == [*level]}
        numbers = sorted((text for text in beside if text.isdigit()), key=int)
        return len(numbers) >= -int(one) and numbers[int(one)] == part
    if not one:
        return not part
    if one[0] == "*":
        return any(part_slowly(one[1:], part[n:], names, level) for n in range(len(part) + 1))
    return bool(part) and one[0] in (part[0], "?") and part_slowly(one[1:], part[1:], names, level)


NAME = st.lists(st.sampled_from(["a", "ab", "b", "conv", "0", "1", "2", "10"]), min_size=1, max_size=4).map(".".join)
WANTED = st.lists(
    st.sampled_from(["**", "*", "a*", "*b", "?", "c?n*", "a", "ab", "conv", "0", "10", "-1", "-2"]),
    min_size=1,
    max_size=5,
)


@given(names=st.lists(NAME, max_size=15, unique=True), wanted=WANTED)
def test_the_matcher_agrees_with_a_slow_reading_of_the_grammar(names: list[str], wanted: list[str]) -> None:
    pattern = re.sub(r"\.(-\d+)", r"[\1]", ".".join(wanted))
    expected = [name for name in names if slowly(wanted, name.split("."), names)]
    if expected:
        assert match_layers([pattern], names) == expected
    else:
        with pytest.raises(UnknownNameError):
            match_layers([pattern], names)


BRACES = st.recursive(
    st.sampled_from(["", "a", "b1"]).map(lambda text: (text, [text]))
    | st.tuples(st.integers(-3, 3), st.integers(-3, 3)).map(
        lambda ends: (
            f"{{{ends[0]}..{ends[1]}}}",
            [str(n) for n in (range(ends[0], ends[1] + 1) if ends[0] <= ends[1] else range(ends[0], ends[1] - 1, -1))],
        )
    ),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(
            lambda parts: ("{" + ",".join(text for text, _ in parts) + "}", [one for _, many in parts for one in many])
        )
        | st.tuples(inner, inner).map(
            lambda two: (two[0][0] + two[1][0], [a + b for a in two[0][1] for b in two[1][1]])
        )
    ),
    max_leaves=5,
)


@given(BRACES)
def test_braces_stand_for_what_is_in_them_nested_or_side_by_side(braces: tuple[str, list[str]]) -> None:
    written, meant = braces
    assert set(expand_braces(written)) == set(meant)
    if written:
        assert split_patterns([f"{written},x"]) == [written, "x"]


def test_a_pattern_that_would_take_long_is_refused() -> None:
    names = ["a" * 200 + ".b"]
    for pattern in ("*a" * 40 + "c", "a*" * 4_000, "b" * 20_000):
        with pytest.raises(ConfigError, match=r"stars|characters"):
            match_layers([pattern], names)
    assert match_layers(["**." * 200 + "*b"], names) == names


def test_nested_braces_count_what_they_stand_for_once() -> None:
    ranges = [f"{letter}{{0..9}}" for letter in "abcdef"]
    assert len(expand_braces("{" + ",".join(ranges) + "}")) == 60
    assert sorted(expand_braces("{{1..3},{2,b}}")) == ["1", "2", "2", "3", "b"]
    assert expand_braces("{{1..2}}") == ["{1}", "{2}"]  # braces around one thing stand for themselves
    assert expand_braces("{a,{b") == ["{a,{b"]
