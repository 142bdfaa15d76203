"""Patterns that pick layers by name. Their grammar stands in ``docs/how-to/dissect-your-model.md``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from mcd.errors import ConfigError, UnknownNameError, nearest

__all__ = ["NO_ALIASES", "expand_braces", "match_layers", "split_patterns"]

NO_ALIASES: Mapping[str, str] = MappingProxyType({})

_MOST = 10_000
_LONGEST = 10_000
_MOST_STARS = 32
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_INDEX = re.compile(r"\[(-?\d+)\]")
_ANY_DEPTH = "**"


def expand_braces(pattern: str) -> list[str]:
    """Return the patterns that ``layer{1..4}`` and ``{stem,head}`` stand for.

    Raises
    ------
    ConfigError
        When they are more than 10,000.

    Examples
    --------
    >>> expand_braces("layer{1..3}.{a,b}")
    ['layer1.a', 'layer1.b', 'layer2.a', 'layer2.b', 'layer3.a', 'layer3.b']
    """
    expanded: list[str] = []
    waiting = [pattern]
    while waiting:
        one = waiting.pop()
        found = _first_group(one)
        if found is None:
            expanded.append(one)
            continue
        start, end, alternatives = found
        if alternatives is None or len(expanded) + len(waiting) + len(alternatives) > _MOST:
            raise ConfigError(f"layer pattern {pattern!r} stands for more than {_MOST:,} names", "use * instead")
        waiting += [one[:start] + part + one[end:] for part in reversed(alternatives)]
    return expanded


def _first_group(text: str) -> tuple[int, int, list[str] | None] | None:
    """Return where the first braces that stand for something begin and end, and what they stand for.

    Of nested ones the outer come first, so that each name is written once. None for a range that is too long; braces
    without a comma or a range, and those that are not closed, stand for themselves.
    """
    opened: list[list[int]] = []  # of each that is not closed yet: where it begins, and its commas
    found: tuple[int, int, list[str] | None] | None = None
    for at, character in enumerate(text):
        if character == "{":
            opened.append([at])
        elif character == "," and opened:
            opened[-1].append(at)
        elif character == "}" and opened:
            marks = [*opened.pop(), at]
            ends = _RANGE.fullmatch(text, marks[0] + 1, at)
            if (len(marks) > 2 or ends) and (found is None or marks[0] < found[0]):
                parts = [text[one + 1 : other] for one, other in pairwise(marks)]
                found = marks[0], at + 1, _range(ends) if ends else parts
    return found


def _range(ends: re.Match[str]) -> list[str] | None:
    """Return the numbers of a range, or None where it is too long."""
    start, stop = int(ends[1]), int(ends[2])
    if abs(stop - start) >= _MOST:
        return None
    step = 1 if stop >= start else -1
    return [str(number) for number in range(start, stop + step, step)]


def split_patterns(patterns: Iterable[str]) -> list[str]:
    """Split each pattern at the commas outside braces, as the published scripts separate layers.

    >>> split_patterns(["stem, layer{1,{3..4}}"])
    ['stem', 'layer{1,{3..4}}']
    """
    found = []
    for text in patterns:
        if len(text) > _LONGEST:
            raise ConfigError(f"a layer pattern has {len(text):,} characters", f"use * and at most {_LONGEST:,}")
        depth, part = 0, ""
        for character in text:
            depth = max(0, depth + {"{": 1, "}": -1}.get(character, 0))
            if character == "," and not depth:
                found.append(part.strip())
                part = ""
            else:
                part += character
        found.append(part.strip())
    return [part for part in found if part]


def match_layers(patterns: Sequence[str], names: Sequence[str], aliases: Mapping[str, str] = NO_ALIASES) -> list[str]:
    """Return the names that the patterns pick, in the order of ``names``, each once.

    A pattern that picks none of ``names`` may pick ``aliases``, which stand for names.

    Raises
    ------
    UnknownNameError
        When a pattern, or one that its braces expand to, picks nothing; with the nearest name.
    ConfigError
        When brackets hold anything but one whole number, or braces expand to more than 10,000 patterns.

    Examples
    --------
    >>> match_layers(["**.conv", "blocks[-1]"], ["conv", "blocks", "blocks.0", "blocks.0.conv", "blocks.1"])
    ['conv', 'blocks.0.conv', 'blocks.1']
    """
    own, other = _Names(names), _Names(list(aliases))
    picked: set[str] = set()
    for written in split_patterns(patterns):
        for pattern in expand_braces(written):
            matches = own.matching(pattern) or [aliases[one] for one in other.matching(pattern)]
            if not matches:
                within = f", which is part of '{written}'" if pattern != written else ""
                raise UnknownNameError(
                    f"no layer matches '{pattern}'{within}", nearest(pattern, names) + "\nlist them with: mcd layers"
                )
            picked.update(matches)
    return [name for name in names if name in picked]


class _Names:
    """Dotted names, taken apart once for all patterns."""

    def __init__(self, names: Sequence[str]) -> None:
        self._parts = {name: name.split(".") for name in names}
        numbers: dict[tuple[str, ...], set[str]] = {}
        for parts in self._parts.values():
            for depth, part in enumerate(parts):
                if part.isascii() and part.isdigit():
                    numbers.setdefault(tuple(parts[:depth]), set()).add(part)
        self._numbers = {level: sorted(found, key=lambda part: (int(part), part)) for level, found in numbers.items()}

    def matching(self, pattern: str) -> list[str]:
        """Return the names that a pattern without braces picks, in order."""
        plain = _INDEX.sub(lambda found: f".{int(found[1])}", pattern)
        if "[" in plain or "]" in plain:
            raise ConfigError(f"layer pattern '{pattern}': brackets hold one whole number", "write blocks[3][0]")
        if pattern.replace("**", "").count("*") > _MOST_STARS:
            raise ConfigError(f"layer pattern '{pattern[:60]} …' has too many stars", f"use at most {_MOST_STARS}")
        if pattern.startswith("["):  # a chain has its numbers at the top
            plain = plain.removeprefix(".")
        wanted = plain.split(".")
        return [name for name, parts in self._parts.items() if self._fits(wanted, parts)]

    def _fits(self, wanted: Sequence[str], parts: Sequence[str]) -> bool:
        """Return whether a name matches a pattern.

        All ways to read the pattern are followed side by side, so that the time is the product of both lengths however
        many stars there are: ``reached[i]`` is whether the parts up to here match its first ``i`` parts.
        """
        reached = [True] + [False] * len(wanted)
        for at, one in enumerate(wanted):
            reached[at + 1] = reached[at] and one == _ANY_DEPTH
        for depth, part in enumerate(parts):
            before, reached = reached, [False] * (len(wanted) + 1)
            for at, one in enumerate(wanted):
                if one == _ANY_DEPTH:
                    reached[at + 1] = reached[at] or before[at + 1]
                else:
                    reached[at + 1] = before[at] and self._is(one, part, parts[:depth])
        return reached[-1]

    def _is(self, one: str, part: str, level: Sequence[str]) -> bool:
        if re.fullmatch(r"-\d+", one):
            numbers = self._numbers.get(tuple(level), [])
            place = int(one)
            return -place <= len(numbers) and numbers[place] == part
        return fnmatch.fnmatchcase(part, one)
