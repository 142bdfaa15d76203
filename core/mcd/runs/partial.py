"""Parts of a run as somebody gives them: read, and refused by name where they do not make one run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.errors import DataError, StoreError, UsageError, amount
from mcd.extraction.image_statistics import STATISTICS
from mcd.extraction.jobs import IMAGES
from mcd.extraction.parts import shard_size
from mcd.extraction.store import Shards
from mcd.files import MANIFEST, check_tree
from mcd.runs.checking import check_manifest
from mcd.runs.dissection import read_study
from mcd.runs.finding import check_run_folder
from mcd.runs.folder import differences
from mcd.runs.manifest import Manifest, StoreRecord
from mcd.runs.parts import PartImages, kept_images
from mcd.runs.recorded import UNTRAINED
from mcd.runs.records import PartRecord
from mcd.study.digests import CheckedFiles
from mcd.study.resolve import with_defaults
from mcd.study.study import Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Partial", "columns", "partial_runs", "shown_differences"]

_HOW = ("batch_size", "precision", "tf32", "autotune")
"""Settings that decide last bits, and no more."""
_FREE = (*_HOW, "device")

_RESTORE = "compute that part again by its command, or restore it from a copy"
_APART = "compute all parts by the same command, but for --part and --output"


def columns(record: Manifest, store: StoreRecord) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Yield the folder, the key and the widths of each kind of shards of a run; ``store`` has the keys."""
    for layer in record.layers:
        yield "activations", store.key_of(store.activations, layer), {layer.name: layer.neurons}
    if not store.annotations:
        yield "embeddings", store.embeddings, {IMAGES: store.embedding_width}
    yield "statistics", store.statistics, {IMAGES: STATISTICS}
    for key in store.untrained:
        for layer in record.layers:
            yield UNTRAINED, store.key_of(key, layer), {layer.name: layer.neurons}


@dataclass(frozen=True)
class Partial:
    """A run folder that holds a part of a run.

    Parameters
    ----------
    folder, manifest, record, study
        The folder, its manifest, the manifest's entry of the part, and the study of the run.
    """

    folder: Path
    manifest: Manifest
    record: PartRecord
    study: Study

    @classmethod
    def read(cls, folder: Path, host: PluginHost) -> Partial:
        """Return the part in a run folder.

        Raises
        ------
        StoreError
            When the folder holds no run, or what it holds is damaged.
        DataError
            When it holds no part, or one that is not finished.
        """
        manifest = Manifest.read(folder)
        if manifest.part is None:
            raise DataError(f"{folder} holds no part of a run", "give the folders that mcd dissect … --part wrote")
        if manifest.status != "partial":
            raise DataError(
                f"part {manifest.part.part} in {folder} is not finished ({manifest.status})",
                "run its command again: what it has computed is kept",
            )
        check_manifest(folder, manifest)
        if manifest.store.folder != ".":
            raise StoreError(f"{folder / MANIFEST} is damaged: a part keeps its shards in its own folder", _RESTORE)
        return cls(folder, manifest, manifest.part, with_defaults(host, read_study(folder, manifest)))

    def __str__(self) -> str:
        return f"{self.folder} (part {self.record.part})"

    @cached_property
    def images(self) -> PartImages:
        """What the part keeps of its images."""
        return kept_images(self.folder)

    def shards(self) -> list[Shards]:
        """Return where each kind of its shards lies."""
        store = self.manifest.store
        files = CheckedFiles(self.folder, store.digests or {})
        return [
            Shards(self.folder / kind, key, widths, files, images=store.images, first=store.first)
            for kind, key, widths in columns(self.manifest, store)
        ]

    def keys(self) -> tuple[str, ...]:
        """Return the keys of its shards, which hold the code that computed them too."""
        store = self.manifest.store
        units = (one.units for one in self.manifest.layers)
        return store.activations, store.embeddings, store.statistics, *store.untrained, *units

    def how(self) -> dict[str, str]:
        """Return what decides the last bits of its numbers, by name; of the salt what shows a difference."""
        settings, machine = self.study.settings(), self.manifest.machine
        found = {name.replace("_", " "): str(settings[name]) for name in _HOW}
        found["device type"] = machine.get("device", "").partition(":")[0]
        found |= {name: machine.get(name, "") for name in ("GPU", "instruction set", "threads", "variables")}
        found |= {f"version of {name}": one for name, one in self.manifest.versions.items()}
        return found | {"salt": self.record.ids}


def partial_runs(folders: Sequence[Path], host: PluginHost, *, trust: bool = False) -> dict[str, list[Partial]]:
    """Return the parts of each run of a study, in order, by the path of the run in the folder of the study.

    Controls are runs too, and stand before the runs that they are of.

    Raises
    ------
    DataError
        Naming what does not belong together: parts that are foreign, twice there or missing.
    """
    for folder in folders:
        check_tree(folder, links=trust)
    found = [{name: Partial.read(folder / name, host) for name in _runs_in(folder)} for folder in folders]
    first = found[0]
    for folder, runs in zip(folders, found, strict=True):
        if runs.keys() != first.keys():
            other = sorted(runs.keys() ^ first.keys())[0]
            raise DataError(f"{folder} and {folders[0]} hold other runs: only one of them has {other}", _APART)
    if all(one.manifest.control for one in first.values()):
        raise DataError(f"{folders[0]} holds controls alone", "give the folder of the part that they lie in")
    made = {}
    for name in sorted(first, key=lambda one: (not first[one].manifest.control, first[one].record.place)):
        parts = [runs[name] for runs in found]
        _check_of_one_run(parts)
        _check_complete(parts)
        made[name] = sorted(parts, key=lambda one: one.record.number)
        _check_whole(made[name])
    return made


def _runs_in(folder: Path) -> list[str]:
    """Return the paths of the run folders in a folder, controls too, by name; ``.`` is the folder itself."""
    found = []
    for where, inner, files in os.walk(folder):
        inner.sort()
        if MANIFEST in files:
            found.append(Path(where).relative_to(folder).as_posix())
            inner[:] = [one for one in inner if one == "controls"]  # in a run folder lie no other runs of it
    if not found:
        check_run_folder(folder)
    return found


def _check_of_one_run(parts: Sequence[Partial]) -> None:
    first, *others = parts
    for one in others:
        apart = [name for name in differences(first.study, one.study) if name not in _FREE]
        named = bool(first.study.concepts)
        kinds = ("target", "units", "dissector", "scorer", *(("concepts", "prompts") if named else ()))
        prints = first.manifest.fingerprints, one.manifest.fingerprints
        apart += [what for what in kinds if prints[0].get(what) != prints[1].get(what) and what not in apart]
        layers = ([(at.place, at.through) for at in each.manifest.layers] for each in (first, one))
        if next(layers) != next(layers):
            apart.append("layers")
        if len(first.manifest.store.untrained) != len(one.manifest.store.untrained):
            apart.append("untrained")  # which may be changed afterwards, but for one part alone
        if first.record.reading != one.record.reading and not {"dataset", "recipe"} & set(apart):
            apart.append("code or settings of the data set or the recipe")
        if first.manifest.store.embedding_width != one.manifest.store.embedding_width:
            apart.append("embeddings")
        if first.manifest.preprocessing != one.manifest.preprocessing:
            apart.append("preprocessing")
        if (first.record.images, first.images.listing) != (one.record.images, one.images.listing):
            apart.append("the images that are chosen, their order, or their metadata")
        if apart:
            raise DataError(f"{one} is of another run than {first}: they differ in {', '.join(apart)}", _APART)
        sizes = [shard_size(each.record.images, each.study.batch_size) for each in (first, one)]
        if first.record.of != one.record.of or sizes[0] != sizes[1]:
            raise DataError(f"{one} and {first} divide the run at other images: {_divided([first, one])}", _APART)


def _divided(parts: Iterable[Partial]) -> str:
    return ", ".join(f"{amount(one.record.of, 'part')}, batches of {one.study.batch_size}" for one in parts)


def _check_complete(parts: Sequence[Partial]) -> None:
    by_number: dict[int, Partial] = {}
    for one in parts:
        other = by_number.setdefault(one.record.number, one)
        if other is not one:
            raise DataError(f"{other.folder} and {one.folder} are both part {one.record.part}", "give each part once")
    of = parts[0].record.of
    missing = [f"{number}/{of}" for number in range(1, of + 1) if number not in by_number]
    if missing:
        some = f"{', '.join(missing[:10])}{' …' if len(missing) > 10 else ''}"
        raise DataError(
            f"{len(missing)} of {of} parts {'is' if len(missing) == 1 else 'are'} missing: {some}", "give all parts"
        )


def _check_whole(parts: Sequence[Partial]) -> None:
    """Make sure that parts, in order, hold the shards that they say: a folder may be damaged, or made by hand."""
    at = 0
    for one in parts:
        store = one.manifest.store
        if store.first != at or len(store.images) != store.shards:
            raise DataError(f"{one} is damaged: it holds other shards than the part does", "compute it again")
        at += store.shards
        for shards in one.shards():
            lost = next((each for each in shards.numbers(store.shards) if not shards.exists(each)), None)
            if lost is not None:
                raise DataError(f"{one} is damaged: {shards.place(lost)} is missing", _RESTORE)
    first = parts[0]
    if at != -(-first.record.images // shard_size(first.record.images, first.study.batch_size)):
        raise DataError(f"{first} is damaged: its run has another number of shards", "compute it again")


def shown_differences(parts: Sequence[Partial], *, allowed: bool) -> list[str]:
    """Return in what the parts were computed differently, a text each; a salt is not shown.

    Raises
    ------
    UsageError
        When they were, and that is not allowed.
    """
    each = [one.how() for one in parts]
    found = [_shown(name, parts, each) for name in each[0] if len({how.get(name, "") for how in each}) > 1]
    if not found and len({one.keys() for one in parts}) > 1:
        found = ["code of mcd, or the version of what a component is made of"]
    if found and not allowed:
        raise UsageError(
            f"the parts were computed differently, and last bits need not be those of one process: {'; '.join(found)}",
            "compute them alike, or merge them all the same: --allow-different",
        )
    return found


def _shown(name: str, parts: Sequence[Partial], each: Sequence[Mapping[str, str]]) -> str:
    if name == "salt":
        return "salt (ids are of several)"
    values: dict[str, list[str]] = {}
    for one, how in zip(parts, each, strict=True):
        values.setdefault(how.get(name, "") or "none", []).append(str(one.record.number))
    return f"{name} ({', '.join(f'{value} in part {_numbers(at)}' for value, at in values.items())})"


def _numbers(at: Sequence[str]) -> str:
    return at[0] if len(at) == 1 else f"{at[0]} and {len(at) - 1} others"
