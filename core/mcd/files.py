"""Files: found in a fixed order, known by their content, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from mcd.errors import StoreError, UsageError

__all__ = ["MANIFEST", "check_folder", "check_run_folder", "check_tree", "expanded", "write_atomically"]

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


def check_tree(folder: Path, *, links: bool) -> None:
    """Make sure that below a folder there are only folders and regular files.

    Opening anything else, a pipe or a device, may never end; a link may lead to what is not of the folder.

    Parameters
    ----------
    links
        Whether links may lead out of the folder.

    Raises
    ------
    StoreError
        Naming the first that is neither, or the first link that leads out of the folder.
    """
    inside = folder.resolve()
    for place, folders, files in os.walk(inside):
        for name in sorted([*folders, *files]):
            path = Path(place, name)
            shown = folder / path.relative_to(inside)
            try:
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    if not links and not path.resolve().is_relative_to(inside):
                        raise StoreError(
                            f"{shown} is a link that leads out of the folder", "if you trust this folder: --trust"
                        )
                    mode = path.stat().st_mode
            except (OSError, RuntimeError):
                continue  # it leads nowhere: who reads it says so
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise StoreError(f"{shown} is neither a file nor a folder", "remove it: a run has no such files")


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
