"""The probe map: which id is which file and patient."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcd.extraction.probe import ProbeSet
from mcd.files import PRIVATE, digest_of, read_regular, write_atomically
from mcd.study.csv_cells import csv_text, unguarded
from mcd.study.digests import Sums
from mcd.study.outputs import write_output

__all__ = [
    "PRIVATE",
    "PROBE_MAP",
    "copy_private",
    "join_probe_maps",
    "parse_probe_map",
    "read_private",
    "write_private",
    "write_probe_map",
]

_KNOWN = (
    "source",
    "patient",
    "exam",
    "view",
    "laterality",
    "density",
    "assessment",
    "vendor",
    "implant",
    "split",
    "collection",
)

_COLUMNS = ("id", "own_id", *_KNOWN, "findings", "absent", "boxes", "labels", "left_out")

_BYTES = "surrogateescape"
"""How the bytes of a file name that is no UTF-8 are written: as they are."""

_LARGEST = 2**31
"""Bytes of the largest private file."""

PROBE_MAP = f"{PRIVATE}/probe_map.csv"


def write_probe_map(path: Path, probe: ProbeSet, failed: Mapping[int, str], *, own: bool = True) -> None:
    """Write a probe map: the one file that ties ids to files and patients. It is not for sharing.

    ``own`` says that it lies in a folder of mcd's own, where what is there may be replaced.

    Columns: ``id`` as outputs show it, ``own_id`` the data set's, what else `mcd.Sample` knows, and why an image is
    left out. ``findings`` and ``absent`` are joined by ``|``; ``boxes`` and ``labels`` are JSON. Images that cannot be
    used have no ``id``, those that the data set could not list no ``own_id`` either and come last: in parts of a run,
    at the end of the last one, so that the maps of all parts make that of the whole.
    """
    rows: list[Mapping[str, object]] = []
    for row in probe.own:
        one, refused = probe.samples[row], probe.refused.get(row)
        cells = {
            "id": "" if refused else probe.ids[row],
            "own_id": one.id,
            **{field: getattr(one, field) for field in _KNOWN},
            "implant": "" if one.implant is None else "yes" if one.implant else "no",
            "findings": "|".join(name for name, present in one.findings.items() if present),
            "absent": "|".join(name for name, present in one.findings.items() if not present),
            "boxes": json.dumps([vars(box) for box in one.boxes]) if one.boxes else "",
            "labels": json.dumps(dict(one.labels), ensure_ascii=False) if one.labels else "",
            "left_out": refused.reason if refused else failed.get(row, ""),
        }
        rows.append(cells)
    for bad in probe.unreadable if probe.own.stop == len(probe.samples) else ():
        rows.append({"source": bad.source, "left_out": bad.reason})
    text = csv_text([_COLUMNS, *([_cell(row.get(name)) for name in _COLUMNS] for row in rows)])
    data = text.encode("utf-8", _BYTES)
    if own:
        write_private(path, data)
    else:
        write_output(path, data, mode=0o600)


def join_probe_maps(path: Path, parts: Sequence[bytes]) -> tuple[int, int]:
    """Write the probe map of a run from those of its parts, in order: the bytes that `write_probe_map` gives it.

    Returns
    -------
    int, int
        How many images were chosen, and how many rows are of images that cannot be used.

    Raises
    ------
    ValueError
        When one is damaged; see `parse_probe_map`.
    """
    rows = [[row[name] for name in _COLUMNS] for data in parts for row in parse_probe_map(data)]
    write_private(path, csv_text([_COLUMNS, *rows]).encode("utf-8", _BYTES))
    return sum(bool(public or own) for public, own, *_ in rows), sum(not public for public, *_ in rows)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def parse_probe_map(data: bytes) -> list[dict[str, str]]:
    """Return the rows of a probe map.

    Raises
    ------
    ValueError
        Saying what is wrong: a column is missing, a row is too long or too short, an id stands there twice.
    """
    table = csv.DictReader(io.StringIO(data.decode("utf-8", _BYTES), newline=""), strict=True)
    try:
        rows = list(table)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise ValueError(f"it has no column {', '.join(missing)}")
    same: dict[str, str] = {}  # most cells are those of other images too
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has more cells or fewer than there are columns")
        row.update({name: same.setdefault(cell, cell) for name, cell in ((n, unguarded(c)) for n, c in row.items())})
        if row["labels"] and not isinstance(_json_of(row["labels"]), dict):
            raise ValueError(f"row {number}: labels are no JSON object")
    ids = [row["id"] for row in rows if not row["left_out"]]
    if len(set(ids)) != len(ids) or "" in ids:
        raise ValueError("an image has no id, or that of another")
    return rows


def _json_of(text: str) -> object:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


def write_private(path: Path, data: bytes) -> None:
    """Write a file for this user only, in ``private`` with its digest beside it: a public one would disclose names.

    Whoever guesses the paths in a study could hold their digest against one in the manifest.
    """
    if path.parent.name != PRIVATE:
        _write_for_us(path, data)
        return
    with Sums(path.parent, _write_for_us).replacing(path.name, digest_of(data)):
        _write_for_us(path, data)


def _write_for_us(path: Path, data: bytes) -> None:
    write_atomically(path, data, mode=0o600)  # other users of the machine have no business with patients


def copy_private(source: Path, folder: Path) -> None:
    """Copy the files of a folder ``private`` into another one.

    Raises
    ------
    OSError
        When one cannot be read.
    StoreError
        When one cannot be written.
    """
    for path in sorted(source.iterdir()):
        if path.is_file():
            _write_for_us(folder / path.name, read_regular(path, _LARGEST))


def read_private(folder: Path, name: str) -> tuple[bytes, bool]:
    """Return the bytes of a private file of a run folder, by its path in it, and whether the run wrote them.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    path = folder / name
    data = read_regular(path, _LARGEST)
    known = Sums(path.parent).of(path.name)
    return data, not known or digest_of(data) in known
