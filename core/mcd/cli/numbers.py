"""Numbers on the command line: every one has a range, declared where the number is."""

from __future__ import annotations

import math

import click

from mcd.options import Bounds, Resamples, Seed, bounds_of

__all__ = ["RESAMPLES", "SEED", "FiniteRange", "number", "whole_number"]


class FiniteRange(click.FloatRange):
    """The type of a flag that takes a number in a range; ``nan`` is in none, though no comparison says so."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return what was typed as a number of the range."""
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return found


def whole_number(bounds: Bounds) -> click.IntRange:
    """Return the type of a flag that takes a whole number of a range."""
    low, high = (None if end is None else int(end) for end in (bounds.low, bounds.high))
    return click.IntRange(low, high, bounds.low_open, bounds.high_open)


def number(bounds: Bounds) -> click.FloatRange:
    """Return the type of a flag that takes a number of a range."""
    return FiniteRange(bounds.low, bounds.high, bounds.low_open, bounds.high_open)


SEED = whole_number(bounds_of(Seed))
RESAMPLES = whole_number(bounds_of(Resamples))
