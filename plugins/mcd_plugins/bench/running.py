"""Cases, methods, and the clock: every method decides every case, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mcd.errors import PluginLoadError, UsageError
from mcd.plugins import calling
from mcd_plugins.bench.contract import (
    AND,
    CONFOUNDED,
    DEAD,
    NOISE,
    OR,
    SINGLE,
    SUPERPOSED,
    TIED,
    TWO,
    Decision,
    Method,
)
from mcd_plugins.bench.material import Material
from mcd_plugins.bench.plants import Planted, planted
from mcd_plugins.bench.ranking import Outcome, rows_of, tally

__all__ = ["SIZES", "Size", "cases_of", "one_thread", "outcomes"]


@dataclass(frozen=True)
class Size:
    """How large a bench is.

    Parameters
    ----------
    patients
        Phantom patients, four images each.
    untrained
        Networks with random weights.
    counts
        Units of each plant in one repeat.
    repeats
        How often everything is planted anew.
    """

    patients: int
    untrained: int
    counts: Mapping[str, int]
    repeats: int


_COUNTS = {NOISE: 32, DEAD: 4, CONFOUNDED: 8, SINGLE: 12, AND: 9, OR: 9, TWO: 9, SUPERPOSED: 12, TIED: 9}
_FEW = {NOISE: 16, DEAD: 2, CONFOUNDED: 4, SINGLE: 6, AND: 3, OR: 3, TWO: 3, SUPERPOSED: 6, TIED: 3}

SIZES: Mapping[str, Size] = {"default": Size(120, 10, _COUNTS, 5), "toy": Size(25, 2, _FEW, 2)}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: on several, sums are added in another order, and last digits differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cases_of(material: Material, counts: Mapping[str, int], repeats: int, seed: int) -> list[Planted]:
    """Return so many cases of the same material, everything planted anew in each."""
    wanted = {name: count for name, count in counts.items() if name != CONFOUNDED or material.confounders}
    return [planted(material, wanted, 1000 * seed + repeat) for repeat in range(repeats)]


def outcomes(
    cases: Sequence[Planted], methods: Sequence[Method], advanced: Callable[[Method], None] = lambda _: None
) -> list[Outcome]:
    """Return what becomes of every method; one that needs what the cases lack is not tried, and says so.

    Parameters
    ----------
    advanced
        Called with each method that is done.

    Raises
    ------
    UsageError, PluginLoadError
        When a method raises, or decides of other units or concepts than those of a case.
    """
    names = [one.name for one in methods]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two methods are called '{twice}'", "give one of them another name")
    found = []
    for method in methods:
        lacking = method.lacks(cases[0].case)
        found.append(Outcome(method, (), lacking) if lacking else _outcome(cases, method))
        advanced(method)
    return found


def _outcome(cases: Sequence[Planted], method: Method) -> Outcome:
    start = time.perf_counter()
    decisions = [_decided(method, one) for one in cases]
    seconds = (time.perf_counter() - start) / len(cases)
    if all(one.lacking for one in decisions):
        return Outcome(method, (), decisions[0].lacking)
    return Outcome(method, rows_of(method, tally(cases, decisions, seconds)))


def _decided(method: Method, one: Planted) -> Decision:
    with calling(f"method '{method.name}' failed", kind=PluginLoadError):
        decision = method.decide(one.case)
    first = decision.first
    if len(first) != one.case.units or ((first < -1) | (first >= len(one.case.concepts))).any():
        raise PluginLoadError(
            f"method '{method.name}' decided of other units or concepts than those of the case",
            "its decision has a concept's number for each unit, or -1",
        )
    return decision
