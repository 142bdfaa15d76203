"""The record of a run: what went in, what came out. Written first, closed at the end."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from mcd.api.schema import Schema, read_record
from mcd.errors import StoreError
from mcd.files import MANIFEST, check_run_folder, write_atomically
from mcd.networks.layers import Layout
from mcd.options import Record
from mcd.scoring.older import renamed_summary
from mcd.scoring.results import LayerSummary
from mcd.version import versions

__all__ = ["LayerRecord", "Manifest", "StoreRecord", "machine"]

SCHEMA = Schema("manifest", 2, {1: renamed_summary}, remedy="run it again into another --output")
"""That of the whole run folder: manifest, tables and shards."""


Key = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]*$")]
"""A digest. Folders are called after it: it has no separator and no dot."""


class LayerRecord(Record):
    """A dissected layer."""

    name: str
    type: str
    layout: Layout
    neurons: int


class StoreRecord(Record):
    """Where the shards of a run are: relative folder, keys, how many shards.

    ``texts`` are the keys of the embedded texts; ``maps`` is empty where none are kept.
    """

    folder: str = "."
    activations: Key
    embeddings: Key
    embedding_width: int
    shards: int = 0
    texts: list[str] = pydantic.Field(default_factory=list)
    maps: Key = ""


class Manifest(Record):
    """The record of one dissection, ``manifest.json`` of a run folder."""

    schema_: Literal["mcd.manifest/2"] = pydantic.Field(default="mcd.manifest/2", alias="schema")
    status: Literal["running", "finished", "interrupted", "failed"] = "running"
    target: str
    dissector: str
    scorer: str
    control: str = ""
    study: dict[str, pydantic.JsonValue]
    plugins: dict[str, str] = pydantic.Field(default_factory=dict)
    versions: dict[str, str] = pydantic.Field(default_factory=versions)
    machine: dict[str, str] = pydantic.Field(default_factory=dict)
    fingerprints: dict[str, str]
    revisions: dict[str, str] = pydantic.Field(default_factory=dict)
    preprocessing: dict[str, pydantic.JsonValue]
    layers: list[LayerRecord]
    store: StoreRecord
    images: int = 0
    summary: list[LayerSummary] = pydantic.Field(default_factory=list)
    left_out: dict[str, int] = pydantic.Field(default_factory=dict)
    warnings: list[str] = pydantic.Field(default_factory=list)
    seconds: dict[str, float] = pydantic.Field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the manifest into a run folder."""
        data = json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / MANIFEST, data.encode())

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a run folder.

        Raises
        ------
        StoreError
            When the folder is no run folder, or its manifest is of another version or damaged.
        """
        path = folder / MANIFEST
        check_run_folder(folder)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None
        return read_record(data, SCHEMA, cls, str(path))


def machine(device: str) -> dict[str, str]:
    """Return what of the machine decides bits and speed; no host name, no user."""
    return {"device": device, "platform": platform.platform(), "cpus": str(os.cpu_count())}
