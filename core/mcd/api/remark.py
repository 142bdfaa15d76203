"""Sentences that count images: those of the parts of a run add up to what one process says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Self

__all__ = ["Remark"]

_NONE: Mapping[str, int] = MappingProxyType({})
_FIELD = re.compile(r"\{(count|of|kinds)(?::([^{}]*))?\}")


class Remark(str):
    """A sentence about images with the counts in it, which are added up over the parts of a run.

    It is a text as any other: empty where there is nothing to count, so that nothing need be asked before.

    Parameters
    ----------
    text
        The sentence, with ``{count}``, ``{of}`` and ``{kinds}`` where the counts stand. With a noun, as in
        ``{count:image}``, it is in the plural where there are several. Nothing else in braces is replaced.
    count
        How many; by default all of ``kinds``.
    of
        Of how many.
    kinds
        How many of each kind; shown by name, the most frequent first.
    usual
        Kinds that need no remark by themselves.
    least
        The lowest count that is said.

    Examples
    --------
    >>> Remark("{count:image} turned upright", 3)
    '3 images turned upright'
    >>> Remark("{count:image} turned upright", 0)
    ''
    >>> Remark("{count:object} passed over: {kinds}", kinds={"report": 1, "waveform": 2})
    '3 objects passed over: waveform 2, report 1'
    """

    text: str
    number: int
    of: int
    kinds: Mapping[str, int]
    usual: tuple[str, ...]
    least: int

    def __new__(
        cls,
        text: str,
        count: int | None = None,
        *,
        of: int = 0,
        kinds: Mapping[str, int] = _NONE,
        usual: Iterable[str] = (),
        least: int = 1,
    ) -> Self:
        """Return the sentence, empty where nothing is to be said."""
        known, besides = {name: number for name, number in kinds.items() if number}, tuple(usual)
        total = sum(known.values()) if count is None else count
        values = {"count": str(total), "of": str(of), "kinds": _listed(known)}

        def filled(found: re.Match[str]) -> str:
            value, noun = values[found[1]], found[2]
            return f"{value} {noun}{'' if value == '1' else 's'}" if noun else value

        said = bool(set(known) - set(besides)) if known else total >= least
        made = super().__new__(cls, _FIELD.sub(filled, text) if said else "")
        made.text, made.number, made.of, made.kinds, made.usual, made.least = text, total, of, known, besides, least
        return made

    def __reduce__(self) -> tuple[object, ...]:
        """Return what makes it again in another process."""
        return _made, (self.text, self.number, self.of, self.kinds, self.usual, self.least)

    def after(self, start: str) -> Remark:
        """Return the remark with a text before it."""
        return _made(f"{start}{self.text}", self.number, self.of, self.kinds, self.usual, self.least)

    def plus(self, other: Remark) -> Remark:
        """Return the remark on the images of both."""
        names = dict.fromkeys([*self.kinds, *other.kinds])
        kinds = {name: self.kinds.get(name, 0) + other.kinds.get(name, 0) for name in names}
        return _made(self.text, self.number + other.number, self.of + other.of, kinds, self.usual, self.least)


def _made(text: str, count: int, of: int, kinds: Mapping[str, int], usual: Iterable[str], least: int) -> Remark:
    return Remark(text, count, of=of, kinds=kinds, usual=usual, least=least)


def _listed(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(kinds.items(), key=lambda one: (-one[1], one[0])))
