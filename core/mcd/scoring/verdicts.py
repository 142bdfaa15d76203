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
        "significant": "the first concept is significant, and no concept of another category is besides",
        "multiple categories": "concepts of several categories are significant, each with the other held fixed",
        "not mammographic": "the first concept is significant and does not describe the breast",
        "undecided": "neither the draws nor a model of their tail decide whether the first concept is significant",
        "not significant": "the first concept is not significant",
    }
)
"""Every verdict and its meaning."""

NOT_SIGNIFICANT: tuple[Verdict, ...] = ("undecided", "not significant")

SIGNIFICANT: tuple[Verdict, ...] = tuple(one for one in get_args(Verdict) if one not in NOT_SIGNIFICANT)
"""Verdicts of neurons whose first concept is significant."""
