"""Parts of a run brought together: shards, embedded texts and probe maps, to a bit those of one process."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mcd.api.base import digest
from mcd.errors import DamagedError, StoreError
from mcd.extraction.fitted import OUT
from mcd.extraction.map_store import MapStore
from mcd.extraction.probe_map import PROBE_MAP, join_probe_maps, read_private
from mcd.extraction.shared_store import SharedStore
from mcd.extraction.store import Shards, whole_key
from mcd.extraction.texts import EMBEDDINGS
from mcd.files import linked_or_copied, unwritable
from mcd.runs.dissection import Dissection
from mcd.runs.folder import start_folder
from mcd.runs.manifest import superseded
from mcd.runs.partial import Partial, columns
from mcd.scoring.results import Results
from mcd.study.digests import SUMS, CheckedFiles, Sums, damaged

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Joined"]

_AGAIN = "compute that part again, or restore it from a copy"
_TEXTS = re.compile(rf"{EMBEDDINGS}/[^/]+")
_NOTHING = Results(pd.DataFrame())


class Joined:
    """One run whose parts are brought together in a run folder, without labels.

    Parameters
    ----------
    parts
        In order, all of one run; see `mcd.runs.partial.partial_runs`.
    folder
        The run folder.
    host, trust
        As in `mcd.load`.
    different
        In what the parts were computed differently.

    Attributes
    ----------
    manifest
        The record of the run so far.
    failed, little_range, unreadable
        How many images could not be decoded, use little of the range from black to white, cannot be used.
    """

    def __init__(
        self, parts: Sequence[Partial], folder: Path, host: PluginHost, different: Sequence[str], *, trust: bool
    ) -> None:
        self.parts, self.folder, self.host, self.different, self.trust = parts, folder, host, different, trust
        self.study = parts[0].study
        self.failed = self.little_range = self.unreadable = 0
        self.stores: list[Shards] = []
        first = parts[0].manifest
        keys: dict[str, object] = {
            "images": [one for part in parts for one in part.manifest.store.images],
            "first": 0,
            "shards": sum(len(part.manifest.store.images) for part in parts),
            "superseded": [],
        }
        seconds: Counter[str] = Counter()
        for part in parts:
            seconds.update(part.manifest.seconds)
        self.manifest = first.model_copy(
            deep=True,
            update={
                "status": "running",
                "part": None,
                "images": sum(part.manifest.images for part in parts),
                "left_out": {what: count for what, count in first.left_out.items() if what == OUT},  # of all parts
                "store": first.store.model_copy(deep=True, update=keys | (self._other_keys() if different else {})),
                "fingerprints": {**first.fingerprints, "probe set": digest(*self.digests)},
                "seconds": dict(seconds),
                "digests": None,
            },
        )

    @property
    def digests(self) -> list[str]:
        """Of the bytes of each image that is shown, in order."""
        return [one for part in self.parts for one in part.images.digests]

    def _other_keys(self) -> dict[str, object]:
        """Return keys that no run in one process has: what was computed differently is never taken for its numbers."""

        def joined(of: Callable[[Partial], str]) -> str:
            each = [of(part) for part in self.parts]
            return digest("different parts", *self.different, *each) if any(each) else ""

        store = self.parts[0].manifest.store
        return {
            "activations": joined(lambda part: part.manifest.store.activations),
            "embeddings": joined(lambda part: part.manifest.store.embeddings),
            "statistics": joined(lambda part: part.manifest.store.statistics),
            "untrained": [
                digest("different parts", joined(lambda part: part.manifest.store.activations), str(at))
                for at in range(len(store.untrained))
            ],
        }

    @cached_property
    def first(self) -> Dissection:
        """The first part, as what finds the components of the run again takes it."""
        part = self.parts[0]
        return Dissection(part.folder, part.manifest, _NOTHING, self.host, trust=self.trust)

    def recorded(self) -> Dissection:
        """Return the run, once it is joined; what it reads, which may be much, goes with it."""
        return Dissection(self.folder, self.manifest, _NOTHING, self.host, trust=self.trust)

    def start(self) -> None:
        """Write the study into the run folder."""
        self.manifest.store.superseded = superseded(self.folder, self.manifest.shard_keys())
        start_folder(self.folder, self.study, self.manifest.inputs, self.host.emit)

    def share(self, shared: SharedStore) -> None:
        """Let a store that has the shards of the parts find them as those of the run; nothing else goes into it."""
        if self.different:
            return
        store = self.manifest.store
        for kind, key, _ in columns(self.manifest, store):
            machine = self.parts[0].record.machine
            whole = shared.entry(kind, whole_key(key, store.images), machine)
            for part in self.parts:
                own = part.manifest.store
                entry = shared.entry(kind, whole_key(key, own.images), machine)
                for number in range(own.first, own.first + own.shards):
                    if found := entry.find(number):
                        whole.put(number, *found)

    def forget(self) -> None:
        """Remove what an earlier merge of other parts, or a run, left in the folder, once this one has its labels."""
        for shards in {one.path.parent: one for one in self.stores}.values():
            shards.forget(self.manifest.store.superseded)
        MapStore(self.folder, "").forget()
        self.manifest.store.superseded = []

    def join(self) -> None:
        """Bring the shards, embedded texts and probe maps of the parts together.

        Raises
        ------
        StoreError
            When something of a part is missing or damaged, or the disk refuses.
        """
        store = self.manifest.store
        sources = zip(*(part.shards() for part in self.parts), strict=True)
        for (kind, key, widths), each in zip(columns(self.manifest, store), sources, strict=True):
            target = Shards(self.folder / kind, key, widths, images=store.images)
            target.clear()
            self._take(target, each)
            self.stores.append(target)
            if kind == "statistics":
                self.little_range = target.little_range(store.shards)
        rows, failed = self.stores[0].rows(store.shards)
        if any(one.rows(store.shards)[0] != rows for one in self.stores):
            raise StoreError(f"{self.folder}: shards of the parts hold different images", _AGAIN)
        self.failed = len(failed)
        self._join_texts()
        self._join_probe_maps()

    def _take(self, target: Shards, each: Sequence[Shards]) -> None:
        files: dict[int, tuple[Path, str]] = {}
        for part, shards in zip(self.parts, each, strict=True):
            for number in shards.numbers(len(part.manifest.store.images)):
                try:
                    shards.part(number)
                except StoreError as error:
                    raise StoreError(error.message, _AGAIN) from None
                if self.different:
                    target.copy(number, shards)
                else:
                    files[number] = shards.file_of(number)
                    if files[number][1] != (part.manifest.store.digests or {}).get(shards.place(number)):
                        raise StoreError(damaged(shards.path / SUMS).message, _AGAIN)
        if lost := target.take_over(files, sound=True):
            raise StoreError(f"{files[lost[0]][0]} vanished or changed while it was joined", _AGAIN)

    def _join_texts(self) -> None:
        """Take the texts that the first part embedded."""
        first = self.parts[0]
        known = {name: one for name, one in (first.manifest.store.digests or {}).items() if _TEXTS.fullmatch(name)}
        files = CheckedFiles(first.folder, known)
        Sums(self.folder / EMBEDDINGS).add_all({Path(name).name: one for name, one in known.items()})
        for name in known:
            try:
                files.check(name)
                linked_or_copied(first.folder / name, self.folder / name)
            except FileNotFoundError:
                raise StoreError(f"{first.folder / name} is missing", _AGAIN) from None
            except DamagedError as error:
                raise StoreError(error.message, _AGAIN) from None
            except OSError as error:
                raise unwritable(self.folder / name, error) from None

    def _join_probe_maps(self) -> None:
        maps = []
        for part in self.parts:
            path = part.folder / PROBE_MAP
            try:
                data, own = read_private(part.folder, PROBE_MAP)
            except OSError as error:
                raise StoreError(f"cannot read {path}: {error.strerror}", _AGAIN) from None
            if not own:
                raise damaged(path)
            maps.append(data)
        try:
            chosen, self.unreadable = join_probe_maps(self.folder / PROBE_MAP, maps)
        except ValueError as error:
            raise StoreError(f"a probe map of the parts is damaged: {error}", _AGAIN) from None
        if chosen != self.parts[0].record.images:
            raise StoreError(f"{self.folder}: the parts hold {chosen} images of {self.parts[0].record.images}", _AGAIN)
        if self.unreadable or self.failed:
            lost = {"unreadable": self.unreadable, "not decoded": self.failed}
            self.manifest.left_out = lost | self.manifest.left_out
