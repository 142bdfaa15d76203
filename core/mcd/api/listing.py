"""Files of a data set, listed in a fixed order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mcd.api.dataset import Sample, Unreadable
from mcd.errors import DataError

__all__ = ["files_below", "said_beside", "samples_of"]

_LONGEST_SUFFIX = 5
_KINDS_SHOWN = 3
_PACKED = frozenset(("001", "7Z", "BZ2", "GZ", "RAR", "TAR", "TBZ", "TGZ", "XZ", "ZIP", "ZST"))
_CONVERTIBLE = frozenset(
    ("AVIF", "GIF", "HDR", "HEIC", "HEIF", "IMG", "J2K", "JP2", "JPX", "JXL", "LJPEG", "MAT", "MHA", "MHD", "NII")
) | {
    "H5",
    "HDF5",
    "LMDB",
    "MDB",
    "NPY",
    "NPZ",
    "NRRD",
    "PBM",
    "PKL",
    "PNM",
    "PPM",
    "RAW",
    "SVS",
    "TFREC",
    "TFRECORD",
    "WEBP",
}
_TABLES = frozenset(("CSV", "JSON", "PARQUET", "TSV", "TXT", "XLS", "XLSX", "XML"))
"""Kinds of files that no data set of files reads, by what is to be done with them."""
_READ = frozenset(("BMP", "DCM", "DICOM", "JPEG", "JPG", "PGM", "PNG", "TIF", "TIFF"))
"""Kinds that one data set of files or another reads."""


def files_below(
    path: Path,
    keep: Callable[[Path], bool],
    kind: str = "image",
    otherwise: str = "",
    beside: Counter[str] | None = None,
) -> list[Path]:
    """Return the files below a folder that ``keep`` takes, sorted by their path in it; or the one file itself.

    Symbolic links are followed, and each folder is searched once, by its real path if that is below the folder too.
    Links to nothing that may have been an image or a folder, and folders that may not be read, are among what is
    returned: `samples_of` reports them.

    Parameters
    ----------
    kind
        What ``keep`` takes, as in "no DICOM file in …".
    otherwise
        The hint where there are files of other kinds only: what reads those. Archives, pictures of formats that are not
        read and tables have hints of their own.
    beside
        Counts, by kind, the files that may hold images and are not taken: archives, pictures of other formats.

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
        raise DataError(
            f"{path} cannot be read: {error.strerror}", "check the path, and that you may read it: ls -l FILE"
        ) from None
    if path.is_file():
        if _kind_of(path) in _PACKED and not keep(path):
            raise DataError(f"{path} is no {kind} file", _UNPACK)
        return [path]
    files, lost = _below(path)
    found = [one for one in files if keep(one)] + [one for one in lost if keep(one) or _may_be_folder(one)]
    if beside is not None:
        kinds = Counter(_kind_of(one) for one in set(files).difference(found))
        beside.update({name: count for name, count in kinds.items() if name in _PACKED | _CONVERTIBLE | _READ})
    if not found:
        raise _none(path, files, kind, otherwise)
    found.sort(key=lambda one: one.relative_to(path).as_posix())
    return found


def _below(root: Path) -> tuple[list[Path], list[Path]]:
    """Return all files below a folder, and what cannot be followed: links to nothing, folders that may not be read."""
    files: list[Path] = []
    lost: list[Path] = []
    seen: set[str] = set()
    starts = [root]
    while starts:
        # Links wait until all folders have been seen by their own paths: those stay the paths of their files.
        links: list[Path] = []
        waiting = sorted(starts, reverse=True)
        while waiting:
            folder = waiting.pop()
            real = os.path.realpath(folder)
            if real in seen:
                continue
            seen.add(real)
            inside = _entries(folder)
            for one in inside or ():
                if one.is_file():
                    files.append(one)
                elif one.is_dir():
                    (links if one.is_symlink() else waiting).append(one)
                elif one.is_symlink():
                    lost.append(one)
            lost += [folder] if inside is None else []
        starts = [one for one in links if not _leads_up(one)]
    return files, lost


def _leads_up(link: Path) -> bool:
    """Whether a link leads to a folder that it lies in, however deep."""
    return Path(os.path.realpath(link.parent)).is_relative_to(os.path.realpath(link))


def _entries(folder: Path) -> list[Path] | None:
    try:
        return list(folder.iterdir())
    except OSError:
        return None


def _may_be_folder(path: Path) -> bool:
    """Whether a name is not plainly that of a file of some other kind."""
    ending = path.suffix[1:]
    return not (ending.isalpha() and len(ending) <= _LONGEST_SUFFIX)


_CONVERT = "unpack them, save them in a format that is read, or read them with --dataset combine"
_UNPACK = "unpack them first: what is in archives is not searched"


def _kind_of(path: Path) -> str:
    """Return the type that a file's suffix names, in capitals; NII of ``.nii.gz``."""
    name, ending = path.name.upper(), path.suffix[1:].upper()
    if name.endswith(".NII.GZ"):
        return "NII"
    # What stands after the last dot of a longer name, such as a UID, is no kind of file.
    known = ending.isalpha() and len(ending) <= _LONGEST_SUFFIX
    return ending if known or ending in _PACKED | _CONVERTIBLE | _TABLES else "other"


def _hint_for(kind: str, otherwise: str) -> str:
    if kind in _PACKED:
        return _UNPACK
    if kind in _CONVERTIBLE:
        return f"save the {kind} files as PNG or TIFF first, with 16 bits where they have more than 8"
    if kind in _TABLES:
        return "give the folder that holds the images; those that a table names are read by --dataset csv"
    return otherwise or "give the folder that holds the images"


def _none(path: Path, files: Sequence[Path], kind: str, otherwise: str) -> DataError:
    """Say what a folder holds instead: names of kinds only, since those of files may be names of people."""
    kinds = Counter(_kind_of(one) for one in files)
    if not kinds:
        return DataError(f"no {kind} file in {path}: it holds no files", "give the folder that holds the images")
    most = _ranked(kinds)
    hints = dict.fromkeys(_hint_for(name, otherwise) for name in most)
    if len(hints) > 1:  # a table or two beside archives are not what was meant
        hints.pop(_hint_for("CSV", otherwise), None)
    return DataError(f"no {kind} file in {path}, but {', '.join(most.values())}", "; ".join(hints))


def _ranked(kinds: Counter[str]) -> dict[str, str]:
    """Return the most frequent kinds, each with how many files are of it, in words."""
    ranked = sorted(kinds.items(), key=lambda one: (-one[1], one[0]))[:_KINDS_SHOWN]
    return {name: f"{count} {name} file{'s' if count > 1 else ''}" for name, count in ranked}


def said_beside(kinds: Counter[str]) -> list[str]:
    """Return the remark on files that lie beside the images and are not read; none where there are none."""
    said = ", ".join(_ranked(kinds).values())
    return (
        [f"beside the images are files that are not read: {said}; if they hold images too, {_CONVERT}"] if said else []
    )


def samples_of(paths: Sequence[Path], root: Path) -> Iterator[Sample | Unreadable]:
    """Yield a sample for each file; its id is its path below ``root``, with forward slashes everywhere.

    What `files_below` returned and cannot be followed is `Unreadable`.
    """
    for path in paths:
        if path.is_symlink() and not path.exists():
            yield Unreadable(str(path), "it is a symbolic link to something that is not there")
        elif path.is_dir():
            yield Unreadable(str(path), "the folder cannot be read")
        else:
            yield Sample(path.name if path == root else path.relative_to(root).as_posix(), source=str(path))
