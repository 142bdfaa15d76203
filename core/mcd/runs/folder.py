"""Before anything is computed: whether we may write there, it is ours, and there is room."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.errors import StoreError, UsageError
from mcd.events import Event, Warned
from mcd.extraction.jobs import Job
from mcd.extraction.maps import map_bytes
from mcd.extraction.parts import Part
from mcd.extraction.probe import ProbeSet
from mcd.extraction.probe_map import PRIVATE
from mcd.files import MANIFEST, check_folder, size_text
from mcd.runs.dissection import read_study, write_study
from mcd.runs.manifest import Inputs, Manifest
from mcd.scoring.results import LABELS
from mcd.study.outputs import clear_leftovers, try_writing
from mcd.study.resolve import with_defaults
from mcd.study.study import Choice, Study

if TYPE_CHECKING:
    from mcd.host import PluginHost
    from mcd.runs.opening import OpenRun

__all__ = [
    "check_objects",
    "check_output_folder",
    "check_room",
    "check_study_folder",
    "differences",
    "other_objects",
    "start_folder",
]

_FREE_TO_CHANGE = ("controls", "reporters", "workers", "verify", "cache", "cache_size", "store", "maps", "untrained")
"""Settings that change no label of a run, but what is said besides: it continues although they changed."""


def check_output_folder(folder: Path, study: Study, host: PluginHost, part: Part | None = None) -> None:
    """Make sure that a run folder can be made, or holds the same run; `start_folder` makes it.

    What the record of an older version does not have was at its default.

    Raises
    ------
    UsageError
        When it holds something else.
    StoreError
        When it cannot be made or written, or the run in it cannot be read.
    """
    check_folder(folder / PRIVATE)
    try_writing(folder)
    strangers = [path.name for path in folder.glob("*") if not path.name.startswith(".")]
    if (folder / MANIFEST).exists():
        manifest = Manifest.read(folder, checked=False)
        if manifest.imported is not None:
            raise UsageError(f"{folder} holds labels that were imported", "choose another --output")
        if manifest.store.folder != ".":
            raise UsageError(f"{folder} holds labels of a run that was scored anew", "choose another --output")
        held = manifest.part.part if manifest.part else None
        if held != part:
            what = f"part {held} of a run" if held else "a run, no part of one"
            raise UsageError(f"{folder} holds {what}", "each part has a folder of its own: choose another --output")
        differing = differences(with_defaults(host, read_study(folder, manifest, checked=False)), study)
        if differing:
            raise UsageError(
                f"{folder} holds another run; it differs in {', '.join(differing)}",
                "choose another --output, or remove that folder",
            )
    elif set(strangers) - {"controls", "embeddings", PRIVATE}:  # what a run leaves that is killed before its manifest
        raise UsageError(f"{folder} is not empty and holds no run of mcd", "choose another --output")


def start_folder(folder: Path, study: Study, inputs: Inputs, emit: Callable[[Event], None]) -> None:
    """Write the study into an opened run folder, unless its labels are of other objects that are called the same.

    Parts that are named by a plugin or a file may have changed: then the labels are replaced, which is said.

    Raises
    ------
    UsageError
        When they are.
    """
    if (folder / MANIFEST).exists() and (folder / LABELS).exists():
        before = Manifest.read(folder, checked=False).inputs
        check_objects(folder, study, before, inputs)
        changed = [what for what, one in inputs.fingerprints.items() if before.fingerprints.get(what, one) != one]
        changed = [what for what in changed if what != "prompts"]  # which follow from the concepts
        if changed:
            emit(Warned(f"{' and '.join(changed)} changed since the run in {folder}: its labels are replaced"))
    clear_leftovers(folder, deep=True)
    write_study(folder, study)


def check_objects(folder: Path, study: Study, before: Inputs, now: Inputs) -> None:
    """Refuse to replace labels of a Python object by those of another: a study knows of both only what they are called.

    Raises
    ------
    UsageError
        Naming the parts of the run that are others.
    """
    other = other_objects(study, before, now)
    if other:
        raise UsageError(
            f"{folder} holds another run; another object was its {' and '.join(other)}",
            "choose another --output, or remove that folder",
        )


def other_objects(study: Study, before: Inputs, now: Inputs) -> list[str]:
    """Return which parts of a run are Python objects, and others than before, as a manifest calls them."""
    chosen: dict[str, Sequence[Choice]] = {
        "target": study.models,
        "dissector": study.dissectors,
        "probe set": [study.dataset],
        "concepts": study.concepts,
        "scorer": [study.scorer],
        "units": [one for model in study.models for one in model.units],
    }
    objects = [what for what, choices in chosen.items() if any(one.plugin == "object" for one in choices)]
    pairs = (before.fingerprints, now.fingerprints), (before.preprocessing, now.preprocessing)
    return [what for what in objects if any(one.get(what) != then.get(what) for then, one in pairs)]


def check_study_folder(output: Path, folders: Sequence[Path]) -> None:
    """Make sure that the folder of a study of several runs holds nothing but runs, and what mcd writes beside them.

    Raises
    ------
    UsageError
        Naming what else it holds.
    """
    check_folder(output)
    if output in folders or not output.is_dir():
        return
    planned = {one.relative_to(output).parts[0] for one in folders if one.is_relative_to(output)}
    for path in sorted(output.iterdir()):
        if path.name.startswith(".") or path.name in {*planned, "report"} or (path / MANIFEST).exists():
            continue
        raise UsageError(f"{output} is not empty and holds no study of mcd: {path.name}", "choose another --output")


def differences(before: Study, now: Study) -> list[str]:
    """Return the settings that make labels and differ."""
    one, other = before.settings(), now.settings()
    return [key for key in sorted(set(one) - set(_FREE_TO_CHANGE)) if one[key] != other[key]]


def check_room(runs: Sequence[OpenRun], jobs: Sequence[Job], probe: ProbeSet, study: Study) -> None:
    """Refuse a study whose shards and maps would not fit on the disk. What is stored already needs no room.

    Raises
    ------
    StoreError
        Saying how much is needed and how much is free.
    """
    needed = _missing_bytes(jobs, probe, study.batch_size)
    for run in runs:
        if study.maps and probe.part is None and not run.planned.control and not run.maps(study.maps).whole():
            needed += map_bytes(run.job.layers, min(study.maps, len(probe.rows)))
    folder = runs[0].folder
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"the run needs about {size_text(needed)} more in {folder}, and {size_text(free)} are free: "
            f"{size_text(needed - free)} too few",
            "free space, choose another --output or fewer layers",
        )


def _missing_bytes(jobs: Sequence[Job], probe: ProbeSet, batch_size: int) -> int:
    """Return how much a sweep would add to the disk: float32 shards that are stored nowhere yet.

    What goes to several places counts once, for one file has several names there.
    """
    rows = {number: sum(map(len, group)) for number, group in probe.shards(batch_size).items()}
    return sum(
        4 * count * column.width
        for job in jobs
        for column in job.columns
        for number, count in rows.items()
        if not column.at_hand(number)
    )
