"""The concept set of a run, kept in its folder: whoever has the folder needs neither the file nor the plugin."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mcd.api.concepts import SCHEMA, ConceptFile, ConceptSet
from mcd.api.schema import read_record
from mcd.errors import StoreError
from mcd.files import write_atomically

__all__ = ["CONCEPTS", "kept_concepts", "write_concepts"]

CONCEPTS = "concepts.json"

_AGAIN = "run it again into another --output"


def write_concepts(folder: Path, concepts: ConceptSet) -> None:
    """Write the concept set into a run folder; `kept_concepts` reads it."""
    settings = {"schema": str(SCHEMA), **concepts.model_dump(mode="json", exclude_defaults=True)}
    write_atomically(folder / CONCEPTS, (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode())


def kept_concepts(folder: Path, fingerprint: str) -> ConceptSet | None:
    """Return the concept set that a run folder keeps; None where an older version of mcd made it.

    Parameters
    ----------
    fingerprint
        What the manifest says.

    Raises
    ------
    StoreError
        When it is damaged, or not the set of the manifest.
    """
    path = folder / CONCEPTS
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    written = read_record(data, replace(SCHEMA, remedy=_AGAIN), ConceptFile, str(path))
    if written.includes or not written.broad_categories:
        raise StoreError(f"{path} is damaged: it is no whole concept set", _AGAIN)
    found = ConceptSet.model_construct(**{name: getattr(written, name) for name in ConceptSet.model_fields})
    if found.fingerprint() != fingerprint:
        raise StoreError(f"{path} is damaged: it is not the concept set that the manifest says", _AGAIN)
    return found
