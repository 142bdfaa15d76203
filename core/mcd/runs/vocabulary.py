"""The concept set of a run, kept in its folder: whoever has the folder needs neither the file nor the plugin."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mcd.api.concepts import SCHEMA, ConceptFile, ConceptSet
from mcd.api.schema import read_record
from mcd.errors import StoreError
from mcd.files import digest_of, write_atomically
from mcd.runs.manifest import Manifest
from mcd.study.digests import CheckedFiles

__all__ = ["kept_concepts", "write_concepts"]

_FILE = "concepts.json"
_LARGEST = 64 * 2**20

_AGAIN = "run it again into another --output"


def write_concepts(folder: Path, concepts: ConceptSet) -> dict[str, str]:
    """Write the concept set into a run folder, where `kept_concepts` reads it; return its digest by its name."""
    settings = {"schema": str(SCHEMA), **concepts.model_dump(mode="json", exclude_defaults=True)}
    data = (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()
    write_atomically(folder / _FILE, data)
    return {_FILE: digest_of(data)}


def kept_concepts(folder: Path, manifest: Manifest) -> ConceptSet | None:
    """Return the concept set that a run folder keeps; None where an older version of mcd made it.

    Raises
    ------
    StoreError
        When it is damaged, or not the set of the manifest.
    """
    path = folder / _FILE
    try:
        data = CheckedFiles(folder, manifest.digests or {}).read(_FILE, _LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", _AGAIN) from None
    written = read_record(data, replace(SCHEMA, remedy=_AGAIN), ConceptFile, str(path))
    if written.includes or not written.broad_categories:
        raise StoreError(f"{path} is damaged: it is no whole concept set", _AGAIN)
    found = ConceptSet.model_construct(**{name: getattr(written, name) for name in ConceptSet.model_fields})
    if found.fingerprint() != manifest.fingerprints["concepts"]:
        raise StoreError(f"{path} is damaged: it is not the concept set that the manifest says", _AGAIN)
    return found
