"""Paths for libraries that are not written in Python: torch and safetensors open names in UTF-8 only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["native_path"]


@contextlib.contextmanager
def native_path(path: Path) -> Iterator[str]:
    """Give a name that such a library opens a file by: its path, or where that is not UTF-8, that of a descriptor.

    Raises
    ------
    OSError
        When the file cannot be opened.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        number = os.open(path, os.O_RDONLY)
        try:
            yield f"/dev/fd/{number}"
        finally:
            os.close(number)
    else:
        yield os.fspath(path)
