"""Packages whose public names are imported on first use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping

__all__ = ["HEAVY", "lazily"]

HEAVY = (
    "numpy",
    "open_clip",
    "pandas",
    "pydantic",
    "pydicom",
    "rich",
    "timm",
    "torch",
    "torchvision",
    "transformers",
    "yaml",
)
"""Top-level packages that a listing must not import: every ``mcd`` command imports every plugin."""


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package (PEP 562).

    Parameters
    ----------
    package
        Its ``__name__``.
    homes
        Public name → the module it comes from, ``module:name`` where it has another name there. The package itself
        stands for its module of that name.

    Examples
    --------
    >>> get = lazily("mcd", {"digest": "mcd.api.base"})
    >>> get("digest").__name__
    'digest'
    """

    def get(name: str) -> object:
        home, _, attribute = homes.get(name, "").partition(":")
        if not home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home == package:
            return importlib.import_module(f"{package}.{name}")  # which also makes it an attribute of the package
        value: object = getattr(importlib.import_module(home), attribute or name)
        setattr(sys.modules[package], name, value)
        return value

    return get
