"""Files: found in a fixed order, known by their content, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mcd.errors import StoreError, UsageError

__all__ = ["MANIFEST", "check_folder", "check_run_folder", "expanded", "write_atomically"]

MANIFEST = "manifest.json"
"""The file that makes a folder that of a run."""


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder in the place of ``~``; as it is where there is no such home.

    Every path that a user gives comes through here: flags, keywords, settings, studies, cells of tables.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_folder(path: Path, flag: str = "--output") -> None:
    """Make sure that a path can be a folder: neither it nor a folder above it is a file.

    Raises
    ------
    UsageError
        When one is.
    """
    for one in (path, *path.parents):
        if one.exists():
            if not one.is_dir():
                raise UsageError(f"{one} is a file", f"choose another {flag}")
            return


def check_run_folder(folder: Path) -> None:
    """Make sure that a folder is that of a run.

    Raises
    ------
    StoreError
        When it has no manifest.
    """
    if not (folder / MANIFEST).exists():
        raise StoreError(f"{folder} is not a run folder: it has no {MANIFEST}", "give the --output of a run")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is either wholly there or not at all.

    Raises
    ------
    StoreError
        When the disk is full or may not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"cannot write {path}: {error.strerror}", "free space or choose another --output") from None
