"""Maps of merged parts: made of the strongest images of all parts, which a merge therefore opens, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.errors import MCDError, UsageError
from mcd.events import Event, Warned
from mcd.extraction.machine import deciding
from mcd.files import MANIFEST, write_atomically
from mcd.networks.running import pick_device
from mcd.runs.dissection import Dissection
from mcd.runs.partial import Partial
from mcd.runs.prepared import prepare
from mcd.version import versions

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["add_maps"]

_LATER = "the command of the parts without --part, and with --output RUN, adds them"


def add_maps(
    found: Sequence[Dissection], parts: Mapping[Path, Sequence[Partial]], host: PluginHost, *, trust: bool
) -> None:
    """Add the maps that a study asks for to its merged runs, as the run in one process keeps them.

    Where they cannot be to a bit those of one process, or the runs are not trusted, they stay without, which is said.

    Parameters
    ----------
    found
        The merged runs proper.
    parts
        The parts of each, by its folder.
    """
    from mcd.runs.run import keep_maps

    def quietly(event: Event) -> None:
        if not isinstance(event, Warned):  # the parts have said it
            host.emit(event)

    for one in found:
        first = parts[one.folder][0]
        if not first.study.maps:
            continue
        if reason := _why_not(parts[one.folder], trust=trust):
            host.emit(Warned(f"{one.folder} has no maps yet: {reason}; {_LATER}"))
            continue
        before = one.manifest
        records = {path: path.read_bytes() for path in one.folder.rglob(MANIFEST)}  # of its controls too
        try:
            (kept,) = keep_maps(replace(prepare(host, first.study, one.folder), reporters=()), quietly)
        except MCDError as error:
            host.emit(Warned(f"{one.folder} has no maps yet: {error.summary}; {_LATER}"))
            continue
        finally:
            for path, data in records.items():
                write_atomically(path, data)
        if kept.store is not None:
            before.store.maps = kept.store.key
            before.store.digests = {**(before.store.digests or {}), kept.store.path.name: kept.store.digest}
        for text in kept.said:
            host.emit(Warned(text))
        before.warnings = list(dict.fromkeys([*before.warnings, *kept.said]))
        before.write(one.folder)


def _why_not(parts: Sequence[Partial], *, trust: bool) -> str:
    """Return why a merge cannot keep maps; empty where it can."""
    if not trust:
        return "they are made of images, which a merge opens with --trust only"
    if len({tuple(part.how().items()) for part in parts}) > 1:
        return "the parts were computed differently"
    try:
        device = pick_device(parts[0].study.device)
    except UsageError as error:
        return error.summary
    how = parts[0].how()
    here = {"device type": device.type, **deciding(device)}
    here |= {f"version of {name}": one for name, one in versions().items()}
    apart = [name for name, one in how.items() if here.get(name, one) != one]
    return f"the parts were computed with other {' and '.join(apart)} than this process has" if apart else ""
