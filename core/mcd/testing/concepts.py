"""The check of concept sets."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path

from mcd.api.concepts import ConceptSet, ConceptSource
from mcd.testing.contract import ContractError, called, created, kind_of, require, same_settings_same_fingerprint

__all__ = ["check_concepts"]


def check_concepts(concepts: ConceptSource | type[ConceptSource] | Path | Traversable) -> None:
    """Make sure that a vocabulary can be read, and is the same each time.

    Parameters
    ----------
    concepts
        A file of a package, ``importlib.resources.files("acme_words") / "words.yaml"``; or a concept source, or its
        class where the default settings will do.

    Raises
    ------
    ContractError
        When it cannot be read, holds no concept, has no name, licence or description, or is another the next time.
    """
    if isinstance(concepts, type | ConceptSource):
        made = created(concepts, ConceptSource)
        name = type(made).__qualname__
        same_settings_same_fingerprint(made)
        with called(f"{name}.load()"):
            first: object = made.load()
            second = made.load()
    else:
        name = concepts.name
        with called(f"{name} cannot be read: it"):
            first, second = ConceptSet.from_file(concepts), ConceptSet.from_file(concepts)
    if not isinstance(first, ConceptSet):
        raise ContractError(f"{name}.load() returned {kind_of(first)}", "return a mcd.ConceptSet")
    require(first == second, f"{name} is another concept set the second time", "order what has no order, use no chance")
    require(first.concepts, f"{name} holds no concept", "give it words")
    for field in ("name", "licence", "description"):
        require(getattr(first, field), f"{name} says no {field}", f"write {field}: people cite what they use")
