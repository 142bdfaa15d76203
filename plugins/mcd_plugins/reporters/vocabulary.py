"""The vocabulary that a stored run was labelled with."""

from __future__ import annotations

import mcd
from mcd.errors import MCDError, StoreError
from mcd.plugins import concepts_of, echo

__all__ = ["concept_set_of", "vocabulary_of"]


def vocabulary_of(dissection: mcd.Dissection) -> tuple[mcd.Concept, ...]:
    """Return the concepts of a run, in the order of their set; none where they cannot be found again.

    The reason is printed on the terminal only, for it may name files: the set was a Python object, its plugin is
    missing, or it has changed since.
    """
    found = concept_set_of(dissection)
    if isinstance(found, mcd.ConceptSet):
        return found.concepts
    advice = f"; {found.hint.splitlines()[0]}" if found.hint else ""
    echo(f"note: the vocabulary is not known: {found.message}{advice}", err=True)
    return ()


def concept_set_of(dissection: mcd.Dissection) -> mcd.ConceptSet | MCDError:
    """Return the concept set of a run, or why it cannot be found again.

    Raises
    ------
    StoreError
        When the run has labels that no concept has, or a study that is not its own.
    """
    try:
        return concepts_of(dissection)
    except StoreError:
        raise
    except MCDError as error:
        return error
