"""What a user asked for: written beside and moved into place, and never over somebody else's."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mcd.errors import StoreError, UsageError
from mcd.files import (
    PRIVATE,
    TEMPORARY,
    check_folder,
    check_name,
    digest_of,
    lock,
    make_folder,
    temporary_file,
    temporary_in,
    unwritable,
    write_atomically,
)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # its name stands for a module above

__all__ = ["WRITTEN", "check_writable", "clear_leftovers", "outputs", "scratch_folder", "try_writing", "write_output"]

WRITTEN = ".mcd-written"
"""Beside what mcd wrote: a digest a line, of the name and content of each file that it may replace."""
_ABANDONED = 24 * 3600
"""Seconds after which a temporary file is a killed writer's, on file systems without locks."""
_SCRATCH = "mcd-scratch-"


@contextlib.contextmanager
def outputs(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write into; at the end its files are moved into ``folder``.

    Nothing of somebody else's is replaced: of the files that are there, only those that mcd wrote and nobody has
    changed since. Where one is in the way, or anything fails, all stay as they were.

    Raises
    ------
    UsageError
        When something is in the way, saying what.
    StoreError
        When the disk is full or may not be written.
    """
    check_folder(folder)
    with _temporary_folder(folder) as fresh:
        yield fresh
        _move(fresh, folder)


def _move(fresh: Path, folder: Path) -> None:
    found = sorted(path for path in fresh.rglob("*") if not path.is_dir())
    made = {path.relative_to(fresh).as_posix(): _digest_of(path.relative_to(fresh).as_posix(), path) for path in found}
    _check(folder, made)
    try:
        _claim(folder, made)
        for above in sorted(path for path in fresh.rglob("*") if path.is_dir()):
            target = folder / above.relative_to(fresh)
            target.mkdir(exist_ok=True)
            shutil.copymode(above, target)
        for path in found:
            path.replace(folder / path.relative_to(fresh))
    except OSError as error:
        raise unwritable(folder, error) from None


def write_output(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file that a user asked for, unless one is in the way that mcd did not write; see `outputs`.

    Raises
    ------
    UsageError
        When one is in the way.
    StoreError
        When the disk is full or may not be written.
    """
    made = {path.name: _digest(path.name, data)}
    _check(path.parent, made)
    try:
        make_folder(path.parent)
        _claim(path.parent, made)
    except OSError as error:
        raise unwritable(path, error) from None
    write_atomically(path, data, mode=mode)


def check_writable(path: Path, *, within: Path | None = None, overwrite: bool = False) -> None:
    """Make sure that `write_output` can write a file, before anything is computed for it; nothing is made.

    Parameters
    ----------
    within
        The folder of `outputs`, where the file goes into a folder below it; by default that of the file.
    overwrite
        Allows to replace whatever is there.

    Raises
    ------
    UsageError
        When a name is too long, or something is in the way that mcd did not write.
    StoreError
        When the disk is full or may not be written.
    """
    folder = path.parent if within is None else within
    check_name(path)
    check_folder(path.parent)
    if not overwrite:
        _check(folder, {path.relative_to(folder).as_posix(): ""})
    try_writing(folder)


def _check(folder: Path, made: Mapping[str, str]) -> None:
    """Refuse to replace what mcd did not write: names → digests of what comes in their places."""
    claimed = _claims(folder)
    for name, digest in made.items():
        path = folder / name
        if not os.path.lexists(path):
            continue
        ours = stat.S_ISREG(path.lstat().st_mode)
        if not (ours and _digest_of(name, path) in {digest, *claimed}):
            what = "mcd did not write it, or it was changed since" if ours else "it is no file"
            raise UsageError(f"{path} is in the way: {what}", "move it away, or choose another --output")


def _claims(folder: Path) -> set[str]:
    try:
        return set((folder / WRITTEN).read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return set()


def _claim(folder: Path, made: Mapping[str, str]) -> None:
    """Note what is about to be written: noted later, it would be nobody's after a kill."""
    mode = 0o600 if folder.name == PRIVATE else 0o666
    new = [digest for digest in made.values() if digest not in _claims(folder)]
    if new:
        number = os.open(folder / WRITTEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
        with os.fdopen(number, "a", encoding="ascii") as file:
            file.write("".join(f"\n{one}" for one in new) + "\n")  # a line that a full disk cut short stays by itself


def _digest(name: str, data: bytes) -> str:
    return digest_of(name.encode("utf-8", "surrogateescape") + b"\0" + data)


def _digest_of(name: str, path: Path) -> str:
    try:
        return _digest(name, path.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", "choose another --output") from None


def clear_leftovers(folder: Path, *, deep: bool = False) -> None:
    """Remove the temporary files and folders that killed writers of mcd left in a folder.

    A writer that lives holds a lock on its own, on whatever machine it runs. Links are not followed.

    Parameters
    ----------
    deep
        Look into all folders below too.
    """
    for place_, folders, files in os.walk(folder):
        for name in (*files, *folders):
            if TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(Path(place_, name))
        if not deep:
            break
        folders[:] = [name for name in folders if not TEMPORARY.fullmatch(name)]


def _remove_if_abandoned(path: Path, *, by_age: bool = True) -> None:
    status = path.lstat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return
    is_folder = stat.S_ISDIR(status.st_mode)
    number = None
    try:
        if fcntl:
            number = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        if _abandoned(number, status.st_mtime, by_age=by_age):
            if is_folder:
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    finally:
        if number is not None:
            os.close(number)


def _abandoned(number: int | None, changed: float, *, by_age: bool) -> bool:
    if fcntl and number is not None:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without locks
        else:
            return True
    return by_age and time.time() - changed > _ABANDONED


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give an empty folder among the temporary files of this machine, for this user only, and remove it.

    Those of killed processes are removed first: nobody holds their locks. On file systems without locks they stay, for
    a session may need its own for days.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            _remove_if_abandoned(path, by_age=False)
    with _held(*_locked(lambda: Path(tempfile.mkdtemp(prefix=_SCRATCH)))) as fresh:
        yield fresh


@contextlib.contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder inside a folder, and remove it; what killed writers left there is removed first.

    Folders that are made for it do not stay where nothing is written into them.

    Raises
    ------
    StoreError
        When the disk is full or may not be written.
    """

    def make() -> Path:
        fresh = temporary_in(folder)
        fresh.mkdir()
        return fresh

    new = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        fresh, number = _locked(make)
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        with _held(fresh, number):
            yield fresh
    except BaseException:  # an interrupt leaves nothing either
        with contextlib.suppress(OSError):  # somebody else has written into one
            for one in new:
                one.rmdir()
        raise


def _locked(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """Return a new folder and its descriptor, which holds a lock as long as its writer lives."""
    while True:
        fresh = make()
        if not fcntl:
            return fresh, None
        with contextlib.suppress(FileNotFoundError):
            number = os.open(fresh, os.O_RDONLY)
            lock(number)
            if fresh.exists():
                return fresh, number
            os.close(number)  # taken for a killed writer's before it had its lock


@contextlib.contextmanager
def _held(fresh: Path, number: int | None) -> Iterator[Path]:
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if number is not None:
            os.close(number)


def try_writing(folder: Path) -> None:
    """Make sure that files can be written into a folder, or into the one in which it would be made; none is made.

    What killed writers left in it is removed.

    Raises
    ------
    StoreError
        When they cannot.
    """
    there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    try:
        clear_leftovers(folder)
        temporary, number = temporary_file(there, 0o600)
        temporary.unlink()
        os.close(number)
    except OSError as error:
        raise unwritable(folder, error) from None
