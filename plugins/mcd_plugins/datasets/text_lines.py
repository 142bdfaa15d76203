"""Text files that list images, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mcd.errors import DataError

__all__ = ["text_lines"]


def text_lines(
    path: Path, kind: str = "table", hint: str = "give the folder that holds the release as root=DIR"
) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file with their numbers.

    Parameters
    ----------
    kind, hint
        What messages call the file, and the advice where there is none.

    Raises
    ------
    DataError
        When there is no such file, or a line is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no {kind} {path}", hint) from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}", "check the path, and that you may read it: ls -l FILE"
        ) from None
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            yield number, line.decode()
        except UnicodeDecodeError:
            raise DataError(f"{path}, row {number}: it is not UTF-8", f"save the {kind} as UTF-8") from None
