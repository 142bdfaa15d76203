"""The verdicts on a neuron: the one declaration of their names, what they mean and which of them are significant."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

__all__ = ["NOT_SIGNIFICANT", "SIGNIFICANT", "VERDICTS", "Verdict"]

Verdict = Literal["significant", "multiple categories", "not mammographic", "undecided", "not significant"]
"""The column ``verdict`` of the label table; empty where significance was not computed."""

VERDICTS: Mapping[str, str] = MappingProxyType(
    {
        "significant": "the first concept is significant, and no concept of another category is",
        "multiple categories": "concepts of several categories are significant",
        "not mammographic": "the first concept is significant and does not describe the breast",
        "undecided": "the permutations do not decide whether the first concept is significant",
        "not significant": "the first concept is not significant",
    }
)
"""Every verdict and its meaning.

*undecided* is reserved: today it is said of a whole layer, by ``decided`` in the manifest's summary.
"""

NOT_SIGNIFICANT: tuple[Verdict, ...] = ("undecided", "not significant")

SIGNIFICANT: tuple[Verdict, ...] = tuple(one for one in get_args(Verdict) if one not in NOT_SIGNIFICANT)
"""Verdicts of neurons whose first concept is significant."""
