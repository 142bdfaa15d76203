"""Files and folders: paths are checked, only regular files are read, a file is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import stat
import sys
from pathlib import Path
from typing import Literal

from mcd.errors import StoreError, UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # its name stands for a module above

__all__ = [
    "MANIFEST",
    "PRIVATE",
    "TEMPORARY",
    "as_argument",
    "check_folder",
    "check_name",
    "check_tree",
    "digest_of",
    "expanded",
    "kind_of",
    "link",
    "linked_or_copied",
    "lock",
    "make_folder",
    "open_regular",
    "place",
    "read_regular",
    "size_text",
    "temporary_file",
    "temporary_in",
    "unwritable",
    "user_cache",
    "write_atomically",
]

MANIFEST = "manifest.json"
"""The file that makes a folder that of a run."""

PRIVATE = "private"
"""The folder of what ties a run to files and people. It is not for sharing: labels and reports are whole without it,
scoring anew and naming images are not possible."""

TEMPORARY = re.compile(r"\.mcd-[0-9a-f]{16}\.tmp")
"""What files and folders are called until they are whole."""
_LONGEST = 255
"""Bytes in the name of a file, on every file system in use."""
_LARGEST = 64 * 2**20
"""Bytes of the largest document that is read as a whole."""


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder in the place of ``~``; as it is where there is no such home.

    Every path that a user gives comes through here: flags, keywords, settings, studies, cells of tables.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def as_argument(path: Path) -> str:
    """Return a path as a word that no command takes for a flag."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def kind_of(path: Path) -> Literal["file", "folder", ""]:
    """Return what lies at a path; empty where nothing does, or can.

    `Path.is_file` and its like raise for a name that is too long.
    """
    try:
        return "folder" if stat.S_ISDIR(path.stat().st_mode) else "file"
    except (OSError, ValueError):
        return ""


def user_cache(name: str) -> Path | None:
    """Return the folder in which mcd keeps something for this user that can be made again; None without a home."""
    own = {"win32": ("LOCALAPPDATA", "~/AppData/Local"), "darwin": ("", "~/Library/Caches")}
    variable, folder = own.get(sys.platform, ("XDG_CACHE_HOME", "~/.cache"))
    base = expanded(os.environ.get(variable) or folder)
    return base / "mcd" / name if base.is_absolute() else None


def check_name(path: Path, flag: str = "--output") -> None:
    """Make sure that a path can exist: no part of it is longer than file systems take.

    Raises
    ------
    UsageError
        When it cannot.
    """
    for part in path.parts:
        size = len(os.fsencode(part))
        if size > _LONGEST:
            raise UsageError(
                f"the name {part[:40]}… has {size} bytes; a file system takes {_LONGEST}", f"choose a shorter {flag}"
            )
    if len(os.fsencode(path)) > 4000 or "\0" in str(path):
        raise UsageError(f"{str(path)[:40]!r}… cannot be the path of a file", f"choose another {flag}")


def check_folder(path: Path, flag: str = "--output") -> None:
    """Make sure that a path can be a folder: neither it nor a folder above it is a file, and its name is no problem.

    Raises
    ------
    UsageError
        When it cannot.
    """
    check_name(path, flag)
    for one in (path, *path.parents):
        if one.exists():
            if not one.is_dir():
                raise UsageError(f"{one} is a file", f"choose another {flag}")
            return


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
    for where, folders, files in os.walk(inside):
        for name in sorted([*folders, *files]):
            path = Path(where, name)
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


def write_atomically(path: Path, data: bytes, *, mode: int = 0o666, flushed: bool = True) -> None:
    """Write a file so that it is either wholly there or not at all; a file that is there is replaced.

    Parameters
    ----------
    mode
        Its permissions, before the user's mask.
    flushed
        Whether to wait until it is on the disk.

    Raises
    ------
    StoreError
        When the disk is full or may not be written.
    """
    try:
        place(path, data, mode=mode, flushed=flushed)
    except OSError as error:
        raise unwritable(path, error) from None


def make_folder(folder: Path) -> None:
    """Make a folder; one called `PRIVATE` for this user only, from the beginning.

    Raises
    ------
    OSError
        As the file system raises it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700 if folder.name == PRIVATE else 0o777, exist_ok=True)


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return the error about a file that cannot be written."""
    return StoreError(f"cannot write {path}: {error.strerror}", "free space or choose another --output")


def place(path: Path, data: bytes, *, mode: int = 0o666, flushed: bool = True) -> None:
    """Write a file as `write_atomically` does; what the file system refuses is its own error.

    Parameters
    ----------
    mode
        Permissions, less those that the process's mask takes away.
    flushed
        Wait until the file is on the disk: it is whole even after a loss of power.

    Raises
    ------
    OSError
        As the file system raises it.
    """
    make_folder(path.parent)
    temporary, number = temporary_file(path.parent, mode)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            if flushed:
                os.fsync(number)
            if fcntl:  # while the lock is held: nobody takes it for a killed writer's
                temporary.replace(path)
        if not fcntl:  # an open file cannot be renamed there
            temporary.replace(path)
    except BaseException:  # an interrupt leaves nothing either
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def link(source: Path, path: Path) -> None:
    """Give a file a second name, wholly or not at all.

    Raises
    ------
    OSError
        Where the file system cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_in(path.parent)
    try:
        temporary.hardlink_to(source)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # renaming a file to its own second name leaves both


def linked_or_copied(source: Path, path: Path) -> bool:
    """Give a file a second name, or copy it where the file system cannot: between two disks, or without links.

    Returns
    -------
    bool
        Whether it is the same file.

    Raises
    ------
    FileNotFoundError
        When it is not there any more.
    OSError
        As the file system raises it.
    """
    with contextlib.suppress(OSError):
        link(source, path)
        return True
    place(path, source.read_bytes(), flushed=False)
    return False


def temporary_in(folder: Path) -> Path:
    """Return a name for what is not whole yet; see `TEMPORARY`."""
    return folder / f".mcd-{secrets.token_hex(8)}.tmp"


def temporary_file(folder: Path, mode: int) -> tuple[Path, int]:
    """Return a new file and its descriptor, which holds a lock as long as its writer lives."""
    while True:
        path = temporary_in(folder)
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        lock(number)
        if os.fstat(number).st_nlink:
            return path, number
        os.close(number)  # taken for a killed writer's before it had its lock


def lock(number: int) -> None:
    """Hold a lock on an open file or folder until it is closed: its writer lives."""
    if fcntl:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(number, fcntl.LOCK_EX)


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading; what is no file is refused, for a pipe would wait for a writer forever.

    Raises
    ------
    OSError
        When it cannot be read, or is a folder, a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:  # an interrupt leaves nothing open either
        os.close(descriptor)
        raise


def read_regular(path: Path, most: int = _LARGEST) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    OSError
        As `open_regular`, or when there are more than ``most``.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most} bytes")
        return file.read(size)  # memory for so many bytes is taken at once


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def size_text(count: int) -> str:
    """Return a number of bytes in the largest unit of which there is one.

    >>> size_text(0), size_text(1023), size_text(1536), size_text(5 * 2**20)
    ('0 B', '1023 B', '1.5 KiB', '5.0 MiB')
    """
    if count < 1024:
        return f"{count} B"
    power = min(4, (count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.1f} {' KMGT'[power]}iB"
