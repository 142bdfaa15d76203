"""The vocabulary that a stored run was labelled with."""

from __future__ import annotations

import click

import mcd
from mcd.errors import MCDError
from mcd.runs.dissection import read_study
from mcd.runs.revived import found_again

__all__ = ["vocabulary_of"]


def vocabulary_of(dissection: mcd.Dissection) -> tuple[mcd.Concept, ...]:
    """Return the concepts of a run, in the order of their set; none where they cannot be found again.

    Why not goes to the terminal, for it may name files: the set was a Python object, its plugin is not there, or it has
    changed since.
    """
    study = read_study(dissection.folder, dissection.manifest)
    if any(one.plugin == "object" for one in study.concepts):
        click.echo("note: the vocabulary is not known: it was given in Python", err=True)
        return ()
    try:
        with found_again(dissection) as preparer:
            found = preparer.concepts(study.concepts)[0]
    except MCDError as error:
        advice = f"; {error.hint.splitlines()[0]}" if error.hint else ""
        click.echo(f"note: the vocabulary is not known: {error.message}{advice}", err=True)
        return ()
    if found.fingerprint() != dissection.manifest.fingerprints["concepts"]:
        click.echo("note: the vocabulary is not known: it has changed since the run was made", err=True)
        return ()
    return found.concepts
