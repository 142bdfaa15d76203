"""Files of a data set, listed in a fixed order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mcd.api.dataset import Sample
from mcd.errors import DataError

__all__ = ["files_below", "samples_of"]

_LONGEST_SUFFIX = 5
_KINDS_SHOWN = 3


def files_below(path: Path, keep: Callable[[Path], bool], kind: str = "image", otherwise: str = "") -> list[Path]:
    """Return the files below a folder that ``keep`` takes, sorted by their path in it; or the one file itself.

    Parameters
    ----------
    kind
        What ``keep`` takes, as in "no DICOM file in …".
    otherwise
        The hint where there are files of other kinds only: what reads those.

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
        raise _none(path, kind, otherwise)
    found.sort(key=lambda one: one.relative_to(path).as_posix())
    return found


def _none(path: Path, kind: str, otherwise: str) -> DataError:
    """Say what a folder holds instead: names of kinds only, since those of files may be names of people."""
    suffixes = Counter(one.suffix[1:].upper() for one in path.rglob("*") if one.is_file())
    # What stands after the last dot of a longer name, such as a UID, is no kind of file.
    kinds: Counter[str] = Counter()
    for name, count in suffixes.items():
        kinds[name if name.isalpha() and len(name) <= _LONGEST_SUFFIX else "other"] += count
    if not kinds:
        return DataError(f"no {kind} file in {path}: it holds no files", "give the folder that holds the images")
    most = [f"{count} {name} file{'s' if count > 1 else ''}" for name, count in kinds.most_common(_KINDS_SHOWN)]
    hint = otherwise or "give the folder that holds the images"
    return DataError(f"no {kind} file in {path}, but {', '.join(most)}", hint)


def samples_of(paths: Sequence[Path], root: Path) -> Iterator[Sample]:
    """Yield a sample for each file; its id is its path below ``root``, with forward slashes everywhere."""
    for path in paths:
        yield Sample(path.name if path == root else path.relative_to(root).as_posix(), source=str(path))
