"""Files: found in a fixed order, known by their content, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mcd.api.dataset import Sample
from mcd.errors import DataError, StoreError

__all__ = ["files_below", "samples_of", "write_atomically"]


def files_below(path: Path, keep: Callable[[Path], bool]) -> list[Path]:
    """Return the files below a folder that ``keep`` takes, sorted by their path in it; or the one file itself.

    Raises
    ------
    DataError
        When there is no such folder, it may not be read, or holds no such file.
    """
    if not path.exists():
        raise DataError(f"there is no folder {path}", "give the path from the current folder")
    try:
        next(path.iterdir(), None) if path.is_dir() else path.open("rb").close()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    found = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and keep(one)]
    if not found:
        raise DataError(f"{path} holds no images of the kind looked for", "give the folder that holds the images")
    found.sort(key=lambda one: one.relative_to(path).as_posix())
    return found


def samples_of(paths: Sequence[Path], root: Path) -> Iterator[Sample]:
    """Yield a sample for each file; its id is its path below ``root``, with forward slashes everywhere."""
    for path in paths:
        yield Sample(path.name if path == root else path.relative_to(root).as_posix(), source=str(path))


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
