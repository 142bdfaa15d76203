"""Before anything is computed: whether we may write there, it is ours, and there is room."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.errors import StoreError, UsageError
from mcd.extraction.probe_map import PRIVATE
from mcd.files import check_folder
from mcd.runs.dissection import read_study, write_study
from mcd.runs.manifest import FILE, Manifest
from mcd.study.study import Study

if TYPE_CHECKING:
    from mcd.extraction.sweep import DissectorJob, TargetJob

__all__ = ["check_room", "open_folder"]

_FREE_TO_CHANGE = ("controls", "reporters", "workers", "cache", "cache_size", "maps")
"""Settings that do not decide what a run says: it goes on although they changed."""


def open_folder(folder: Path, study: Study) -> None:
    """Make the run folder, or make sure that it holds the same run.

    Raises
    ------
    UsageError
        When it holds something else.
    StoreError
        When it cannot be made or written.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise StoreError(
            f"cannot make the output folder {folder}: {error.strerror}", "choose another --output"
        ) from None
    if (folder / FILE).exists():
        differing = _differences(read_study(folder, Manifest.read(folder)), study.settings())
        if differing:
            raise UsageError(
                f"{folder} holds another run; it differs in {', '.join(differing)}",
                "choose another --output, or remove that folder",
            )
    elif set(strangers) - {"controls", "embeddings", PRIVATE}:  # what a run leaves that is killed before its manifest
        raise UsageError(f"{folder} is not empty and holds no run of mcd", "choose another --output")
    write_study(folder, study.settings())


def _differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    keys = sorted((set(before) | set(now)) - set(_FREE_TO_CHANGE))
    return [key for key in keys if before.get(key) != now.get(key)]


def check_room(jobs: Sequence[TargetJob | DissectorJob], folder: Path, images: int) -> None:
    """Refuse a run whose shards would not fit on the disk.

    Raises
    ------
    StoreError
        Saying how much is needed and how much is there.
    """
    needed = sum(4 * images * sum(job.stores[0].tensors.values()) for job in jobs)  # float32; one file, several names
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"the run needs about {needed / 2**20:.0f} MiB in {folder}, but {free / 2**20:.0f} MiB are free",
            "free space, choose another --output or fewer layers",
        )
