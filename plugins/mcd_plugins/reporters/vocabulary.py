"""The vocabulary that a stored run was labelled with."""

from __future__ import annotations

import mcd
from mcd.errors import MCDError, StoreError
from mcd.plugins import concepts_of, echo

__all__ = ["vocabulary_of"]


def vocabulary_of(dissection: mcd.Dissection) -> tuple[mcd.Concept, ...]:
    """Return the concepts of a run, in the order of their set; none where they cannot be found again.

    The reason is printed on the terminal only, for it may name files: the set was a Python object, its plugin is
    missing, or it has changed since.
    """
    try:
        return concepts_of(dissection).concepts
    except StoreError:  # labels that no concept has, or a study that is not the run's
        raise
    except MCDError as error:
        advice = f"; {error.hint.splitlines()[0]}" if error.hint else ""
        echo(f"note: the vocabulary is not known: {error.message}{advice}", err=True)
        return ()
