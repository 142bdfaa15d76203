"""The methods that the bench compares: each published one under its own name and formula, one family a module.

A module has ``METHODS``, a tuple of `mcd_plugins.bench.contract.Method`, and is listed here.
"""

from __future__ import annotations

from importlib import import_module

from mcd_plugins.bench.contract import Method

__all__ = ["published"]

_MODULES = (
    "clip_dissect",
    "embeddings",
    "adaptive_cosine",
    "invert",
    "linear",
    "network_dissection",
    "neuron_eval",
)


def published() -> tuple[Method, ...]:
    """Return every published method, in the order of the tables."""
    found: list[Method] = []
    for name in _MODULES:
        found += import_module(f"{__name__}.{name}").METHODS
    return tuple(found)
