"""What every component has in common: validated options and a fingerprint."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from mcd import options as settings

__all__ = ["Configured", "digest", "identity"]


def digest(*parts: str | bytes) -> str:
    """Return the sha256, in hex, of the parts; lengths are hashed too, so ("ab", "c") is not ("a", "bc")."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()


def identity(cls: type) -> str:
    """Return what a class is called in fingerprints, ``module:name``.

    The module of a user's file is called after its content and its place (see `mcd.host.importing`); the place, which
    follows an ``@``, does not count.
    """
    return f"{cls.__module__.partition('@')[0]}:{cls.__qualname__}"


class Configured:
    """Base of all components.

    A subclass declares its settings in a nested class ``Options(mcd.Options)`` and, for type checkers,
    repeats ``options: Options``.
    """

    Options: ClassVar[type[settings.Options]] = settings.Options
    options: settings.Options

    def __init__(self, options: settings.Options | None = None) -> None:
        self.options = self.Options() if options is None else options

    def fingerprint(self) -> str:
        """Return a digest of everything that decides what this component does.

        The default covers the class and its options, and the engine adds all attributes. Override it where files
        (weights, vocabularies) take part: their content counts, never their name. The engine then adds code only.
        """
        return digest(identity(type(self)), self.options.model_dump_json())
