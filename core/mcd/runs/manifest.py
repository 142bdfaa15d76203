"""The record of a run: what went in, what came out. Written first, closed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import torch

from mcd.api.schema import Schema, read_record
from mcd.api.scorer import Scorer, TopKScorer
from mcd.errors import StoreError
from mcd.extraction.machine import deciding
from mcd.extraction.store import layer_key, whole_key
from mcd.files import MANIFEST, digest_of, read_regular, write_atomically
from mcd.networks.layers import Layout
from mcd.options import Record
from mcd.runs.finding import check_run_folder
from mcd.runs.records import MOST, Imported, PartRecord, UnitsRecord
from mcd.scoring.older import renamed_summary
from mcd.scoring.results import LayerSummary, draws_said, more_draws
from mcd.study.calibration import Calibration
from mcd.study.digests import damaged
from mcd.version import versions

__all__ = [
    "Inputs",
    "LayerRecord",
    "Manifest",
    "ScoreRecord",
    "StoreRecord",
    "closing",
    "earlier_digests",
    "machine",
    "superseded",
    "tables_only",
]

SCHEMA = Schema("manifest", 2, {1: renamed_summary}, remedy="run it again into another --output")
"""That of the whole run folder: manifest, tables and shards."""


Key = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]*$")]
"""A digest. Folders are called after it: it has no separator and no dot."""


def _inside(name: str) -> str:
    parts = name.split("/")
    if "" in parts or ".." in parts or any(character in name for character in ":\\\0"):
        raise ValueError(f"{name!r} is no file in the folder")
    return name


Digests = dict[Annotated[str, pydantic.AfterValidator(_inside)], str]
"""SHA-256 by path in the folder."""

_HALF = re.compile("[\ud800-\udfff]")
"""A byte of a name that is not UTF-8, as Python writes it: a manifest shows it as messages do."""


@dataclass(frozen=True)
class Inputs:
    """What went into a run: fingerprints of its parts, and how each of its models is given images."""

    fingerprints: dict[str, str]
    preprocessing: dict[str, pydantic.JsonValue]


class LayerRecord(Record):
    """A dissected layer. ``units`` is a digest of what it is seen through, empty where its neurons are seen.

    ``through`` is what is known of that; None where an older version wrote it.
    """

    name: str
    type: str
    layout: Layout
    neurons: int = pydantic.Field(ge=1, le=MOST)
    units: str = ""
    through: UnitsRecord | None = None

    @property
    def place(self) -> tuple[str, str, str, int, bool]:
        """What two runs that lie side by side share of a layer; what units compute is in their fingerprints."""
        return self.name, self.type, self.layout, self.neurons, bool(self.units)


class StoreRecord(Record):
    """Where the shards of a run are: relative folder, keys, how many shards.

    ``layered`` says that each layer has shards under a key of its own, made of that of the activations
    (`mcd.extraction.store.layer_key`); older versions kept all layers together.
    ``embeddings`` is empty where the dissector reads annotations, ``statistics`` where an older version wrote none.
    Keys hold all that decides the numbers but the images: ``images`` has a digest of those of each shard, none where an
    older version put all of them into the keys. ``first`` is the number of the first shard, 0 but in a part of a run.
    ``untrained`` are the keys of the activations of networks that have not been trained, one each.
    ``texts`` are the keys of the embedded texts, or of the annotations; ``maps`` is empty where none are kept.
    ``digests`` are the SHA-256 of shards, embedded texts and maps by their paths in the folder, None where an older
    version wrote it, and ``ids`` that of the ids of the images in the order of rows. ``superseded`` are the keys of
    shards that this run wrote before its inputs or its code changed, until it has finished and they are removed.
    """

    folder: str = "."
    activations: Key
    layered: bool = False
    embeddings: Key
    embedding_width: int = pydantic.Field(ge=0, le=MOST)
    statistics: Key = ""
    untrained: list[Key] = pydantic.Field(default_factory=list, max_length=100)
    images: list[Key] = pydantic.Field(default_factory=list, max_length=10_000)
    first: int = pydantic.Field(default=0, ge=0, le=MOST)
    shards: int = pydantic.Field(default=0, ge=0, le=MOST)
    texts: list[str] = pydantic.Field(default_factory=list)
    maps: Key = ""
    digests: Digests | None = None
    ids: str = ""
    superseded: list[str] = pydantic.Field(default_factory=list)

    def key_of(self, activations: str, layer: LayerRecord) -> str:
        """Return under which key the shards of a layer lie; ``activations`` is the key of its network's."""
        return layer_key(activations, layer.name, layer.layout, layer.units) if self.layered else activations

    def whole(self, key: str) -> str:
        """Return the key of all shards together, after which their folder is called; ``key`` is one of the record's."""
        return whole_key(key, self.images)

    @property
    def annotations(self) -> bool:
        """Whether the dissector of the run reads annotations."""
        return bool(self.activations) and not self.embeddings

    @property
    def empty(self) -> bool:
        """Whether nothing is stored: labels were imported."""
        return not self.activations


class ScoreRecord(Record):
    """How the scores of a run are to be read, whether or not its scorer can be found again.

    ``top_k`` is how many images a neuron is seen through, None where the scorer looks at all; ``comparable`` says
    whether scores may be compared across layers and targets.
    """

    top_k: int | None = pydantic.Field(default=None, ge=1, le=MOST)
    comparable: bool = False
    higher_is_better: bool = True

    @classmethod
    def of(cls, scorer: Scorer) -> ScoreRecord:
        """Return what a scorer declares."""
        return cls(
            top_k=scorer.top_k if isinstance(scorer, TopKScorer) else None,
            comparable=scorer.comparable_across_layers,
            higher_is_better=scorer.higher_is_better,
        )

    @property
    def null(self) -> str:
        """The null that they are compared with; see `mcd.Scorer.null`."""
        return "permutation" if self.top_k is None else "top-k"


class Manifest(Record):
    """The record of one dissection, ``manifest.json`` of a run folder.

    ``rungs`` names the rungs above the first that were asked for, each with the reason where it is not available.
    ``digests`` are the SHA-256 of the tables, None where an older version wrote it; ``checksum`` is that of the
    record without ``seconds``. They detect accidents: whoever changes a file on purpose can change them too.
    ``scores`` is None where an older version wrote it. ``label_warnings`` are those of ``warnings`` that concern the
    scorer and the words; scoring anew replaces them. ``part`` says which part of a run this is, None where it is all
    of it. ``imported`` is None where mcd made the labels: of imported ones the folder has tables, and nothing that they
    were made of.
    """

    schema_: Literal["mcd.manifest/2"] = pydantic.Field(default="mcd.manifest/2", alias="schema")
    status: Literal["running", "finished", "interrupted", "failed", "partial"] = "running"
    target: str
    dissector: str
    scorer: str
    scores: ScoreRecord | None = None
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
    images: int = pydantic.Field(default=0, ge=0, le=MOST)
    rungs: dict[str, str] = pydantic.Field(default_factory=dict)
    summary: list[LayerSummary] = pydantic.Field(default_factory=list)
    part: PartRecord | None = None
    left_out: dict[str, pydantic.NonNegativeInt] = pydantic.Field(default_factory=dict)
    warnings: list[str] = pydantic.Field(default_factory=list)
    label_warnings: list[str] = pydantic.Field(default_factory=list)
    seconds: dict[str, float] = pydantic.Field(default_factory=dict)
    digests: Digests | None = None
    imported: Imported | None = None
    checksum: str = ""

    @property
    def inputs(self) -> Inputs:
        """What went into the run."""
        return Inputs(self.fingerprints, self.preprocessing)

    @property
    def draws_said(self) -> str:
        """How many draws the nulls of the layers have; see `mcd.scoring.results.draws_said`."""
        return draws_said(self.summary)

    def more_draws(self, run: str = "RUN") -> tuple[str, str]:
        """Return which layers need more draws, and the command for it; see `mcd.scoring.results.more_draws`."""
        most = self._calibration("most_draws")
        return more_draws(self.summary, most if isinstance(most, int) else Calibration().most_draws, run)

    @property
    def higher_is_better(self) -> bool:
        """Whether high scores are good; taken to be so where an older version wrote the record."""
        return self.scores is None or self.scores.higher_is_better

    @property
    def q(self) -> float:
        """The false discovery rate of significant labels."""
        rate = self._calibration("q")
        return float(rate) if isinstance(rate, int | float) else Calibration().q

    @property
    def null_seed(self) -> int:
        """The seed of the draws of nulls, and of random counterparts."""
        seed = self._calibration("null_seed")
        return seed if isinstance(seed, int) else Calibration().null_seed

    def _calibration(self, name: str) -> pydantic.JsonValue:
        """Return a setting of significance; None where an older version recorded none."""
        calibration = self.study.get("calibration")
        return calibration.get(name) if isinstance(calibration, dict) else None

    def unit(self, layer: str, neuron: int) -> str:
        """Return what a unit of a layer is called; empty where units have no names, and where neurons are seen."""
        through = next((one.through for one in self.layers if one.name == layer), None)
        return through.names[neuron] if through is not None and neuron < len(through.names) else ""

    def shard_keys(self) -> set[str]:
        """Return every key under which the run has shards."""
        store = self.store
        recorded = (store.activations, *store.untrained)
        keys = (store.embeddings, store.statistics, *(store.key_of(one, at) for one in recorded for at in self.layers))
        return {store.whole(one) for one in keys}

    def write(self, folder: Path) -> None:
        """Write the manifest into a run folder."""
        values = self.model_dump(mode="json", by_alias=True)
        self.checksum = values["checksum"] = _checksum(values)
        write_atomically(folder / MANIFEST, _json(values))

    @classmethod
    def read(cls, folder: Path, *, checked: bool = True) -> Manifest:
        """Read the manifest of a run folder.

        Parameters
        ----------
        checked
            Whether it must be what the run wrote, to a bit.

        Raises
        ------
        StoreError
            When the folder is no run folder, or its manifest is of another version or damaged.
        """
        path = folder / MANIFEST
        check_run_folder(folder)
        try:
            data = read_regular(path)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}", SCHEMA.remedy) from None
        try:
            found = read_record(data, SCHEMA, cls, str(path))
            own = not found.checksum or found.checksum == _checksum(json.loads(data))
        except RecursionError:
            raise StoreError(f"{path} is damaged: it is nested too deeply", SCHEMA.remedy) from None
        if checked and not own:
            raise damaged(path)
        return found


def _json(values: Mapping[str, object]) -> bytes:
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    return _HALF.sub(lambda one: f"\\\\u{ord(one[0]):04x}", text).encode()


def _checksum(values: Mapping[str, object]) -> str:
    """Return the SHA-256 of a manifest without it, and without times: equal runs have equal ones."""
    return digest_of(_json({name: value for name, value in values.items() if name not in ("checksum", "seconds")}))


@contextlib.contextmanager
def closing(open_runs: Mapping[Path, Manifest]) -> Iterator[None]:
    """Keep the manifests of run folders true: running, then how the run ended if it did not end well.

    Labels are replaced only below a manifest that says so: whatever kills the writer, no finished manifest stands above
    labels of other settings.
    """
    for folder, manifest in open_runs.items():
        manifest.status = "running"
        manifest.write(folder)
    try:
        yield
    except BaseException as error:  # an interrupt is recorded too
        for folder, manifest in open_runs.items():
            if manifest.status in ("finished", "partial"):
                continue
            manifest.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(StoreError):  # the error on its way out matters more
                manifest.write(folder)
        raise


def tables_only(folder: Path) -> StoreError:
    """Return the error about what an imported run does not have."""
    return StoreError(
        f"the labels of {folder} were imported: it has tables, and no images, activations, embeddings or settings",
        "for what needs them, label the model with mcd: mcd dissect --help",
    )


def machine(device: torch.device) -> dict[str, str]:
    """Return what of the machine decides bits and speed; no host name, no user."""
    found = {"device": str(device), "platform": platform.platform(), "cpus": str(os.cpu_count())}
    return found | deciding(device)


def earlier_digests(folder: Path) -> Mapping[str, str]:
    """Return the digests of what the run in a folder stored; none where there is none, or it was interrupted."""
    return Manifest.read(folder, checked=False).store.digests or {} if (folder / MANIFEST).exists() else {}


def superseded(folder: Path, keys: Collection[str]) -> list[str]:
    """Return the keys under which a run has written shards in its folder, except those in use."""
    if not (folder / MANIFEST).exists():
        return []
    before = Manifest.read(folder, checked=False)
    written = {*before.store.superseded, *before.shard_keys()}
    return sorted(written.difference({*keys, ""}))
