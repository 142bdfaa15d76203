"""A row derived anew, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from mcd.errors import MCDError
from mcd_plugins.reproduce.ledger import Data, Row, Verdict

__all__ = ["Derived", "derive", "verdict_of"]

Derivation = Callable[..., float]

_MODULES = (
    "bottleneck",
    "clip_dissect",
    "concept_graph",
    "cosy",
    "linear_explanations",
    "mammo_clip",
    "mammo_sae",
    "neuron_eval",
    "noise",
    "tcav",
)
"""What a row may name: a module of `derivations`, and a name of its ``__all__``."""


class _UnusableError(Exception):
    """A file does not hold what a row is derived from."""


@dataclass(frozen=True)
class Derived:
    """A row with what was computed.

    Attributes
    ----------
    ours
        The number, computed as it should be; None where a file does not hold what its name says.
    as_published
        The same with the known fault of the published procedure, where the row names one.
    verdict
        `verdict_of` these.
    reason
        Why, in a sentence.
    """

    row: Row
    ours: float | None
    as_published: float | None
    verdict: Verdict
    reason: str

    @property
    def as_recorded(self) -> bool:
        """Whether the verdict is that of the ledger."""
        return self.verdict == self.row.verdict


def derive(row: Row, data: Data) -> Derived:
    """Compute a row. A file with another content than the ledger names is computed from, and makes it *wrong*.

    Raises
    ------
    DataError
        When a file of it is missing or cannot be read.
    """
    contents = {name: data.read(name) for name in row.data}
    others = [name for name in row.data if not data.is_the_ledgers(name)]
    try:
        ours = _computed(row, row.derivation, contents)
        as_published = None if row.artefact is None else _computed(row, row.artefact, contents)
    except _UnusableError as error:
        return Derived(row, None, None, "wrong", str(error))
    if others:
        return Derived(row, ours, as_published, "wrong", f"{', '.join(others)}: not the content that the ledger names")
    verdict = verdict_of(row, ours, as_published)
    return Derived(row, ours, as_published, verdict, _reason(row, verdict, as_published))


def verdict_of(row: Row, ours: float, as_published: float | None) -> Verdict:
    """Return the verdict.

    ``matches``: the derived number is within the tolerance of the published one. ``artefact``: it is not, and the
    published procedure with its fault gives the published number. ``wrong``: neither.
    """
    if _near(row, ours):
        return "matches"
    return "artefact" if as_published is not None and _near(row, as_published) else "wrong"


def _near(row: Row, number: float) -> bool:
    return abs(number - row.value) <= row.tolerance + 1e-12  # the tolerance itself is within it, whatever its last bit


def _reason(row: Row, verdict: Verdict, as_published: float | None) -> str:
    if verdict == "matches":
        return "within the tolerance" if row.tolerance else "equal"
    if verdict == "artefact":
        return f"{row.cause}; so computed it is {as_published:.4g}"
    return row.cause or "the derived number is another one"


def _computed(row: Row, name: str, contents: Mapping[str, bytes]) -> float:
    module, _, function = name.partition(".")
    if module not in _MODULES:
        raise ValueError(f"{row.id}: there is no module of derivations '{module}'")
    found = import_module(f"mcd_plugins.reproduce.derivations.{module}")
    if function not in found.__all__:
        raise ValueError(f"{row.id}: '{module}' offers no '{function}'")
    derivation: Derivation = getattr(found, function)
    try:
        number = float(derivation(*contents.values(), **row.settings))
    except (ArithmeticError, LookupError, MCDError, TypeError, ValueError) as error:
        if not contents:
            raise
        names = ", ".join(contents)
        raise _UnusableError(f"{names}: the number cannot be derived from it ({type(error).__name__})") from None
    if not math.isfinite(number):
        raise _UnusableError(f"{', '.join(contents) or row.id}: no number is derived from it")
    return number
