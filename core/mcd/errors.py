"""Everything that can go wrong for a reason a person can act on.

::

    MCDError                        exit 1   something mcd cannot do
    ├── UsageError                  exit 2   what was asked for does not exist or does not fit
    │   ├── ConfigError                      a study file or an option is invalid
    │   ├── UnknownNameError                 no such component, layer, concept set …
    │   └── AmbiguousNameError               several plugins offer the name
    ├── PluginError                 exit 3   a plugin is at fault or not complete
    │   ├── PluginLoadError                  it does not import, or breaks a contract
    │   └── MissingDependencyError           it needs a package that is not installed
    └── DataError                   exit 4   images, checkpoints or stored runs that cannot be used
        ├── ImageError                       one image cannot be read or used
        ├── CheckpointError                  a weights file does not fit the network
        └── StoreError                       a run folder that cannot be read or written
            └── DamagedError                 a file of it is not what the run wrote

An interrupt (Ctrl-C) exits with 130. Every error says what failed in the user's words (``message``) and,
where there is one, the next thing to type (``hint``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AmbiguousNameError",
    "CheckpointError",
    "ConfigError",
    "DamagedError",
    "DataError",
    "ImageError",
    "MCDError",
    "MissingDependencyError",
    "PluginError",
    "PluginLoadError",
    "StoreError",
    "UnknownNameError",
    "UsageError",
    "nearest",
    "with_article",
]


class MCDError(Exception):
    """Base of every error that mcd raises on purpose.

    Parameters
    ----------
    message
        What failed, in the user's words.
    hint
        The next thing to type, if there is one. May span lines.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(MCDError):
    """What was asked for does not exist or does not fit together."""

    exit_code = 2


class ConfigError(UsageError):
    """A study file, an option or a setting is invalid."""


class UnknownNameError(UsageError):
    """No component, layer, concept set or neuron has this name."""


class AmbiguousNameError(UsageError):
    """Several plugins offer this name; ``plugin/name`` picks one."""


class PluginError(MCDError):
    """A plugin is at fault or not complete."""

    exit_code = 3


class PluginLoadError(PluginError):
    """A plugin does not import, or breaks a contract."""


class MissingDependencyError(PluginError):
    """A plugin needs a package that is not installed."""


class DataError(MCDError):
    """Images, checkpoints or stored runs that cannot be used."""

    exit_code = 4


class ImageError(DataError):
    """One image cannot be read, or cannot be used."""


class CheckpointError(DataError):
    """A weights file cannot be read or does not fit the network."""


class StoreError(DataError):
    """A run folder cannot be read or written."""


class DamagedError(StoreError):
    """A file of a run folder is not what the run wrote."""


def with_article(word: str) -> str:
    """Return ``a`` or ``an`` and the word."""
    return f"{'an' if word[:1].lower() in tuple('aeiou') else 'a'} {word}"


def nearest(wrong: str, known: Iterable[str], *, limit: int = 12) -> str:
    """Return the hint for an unknown name: the closest one, then what there is.

    >>> nearest("tim", ["timm", "modules"])
    "did you mean 'timm'? There is: modules, timm"
    """
    names = sorted(set(known))
    if not names:
        return "there is none to choose from"
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    shown = ", ".join(names[:limit]) + (f" … ({len(names)} in all)" if len(names) > limit else "")
    return (f"did you mean '{close[0]}'? " if close else "") + f"There is: {shown}"
