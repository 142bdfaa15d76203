"""The probe map: which id is which file and patient."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from mcd.extraction.probe import ProbeSet
from mcd.files import write_atomically

__all__ = ["PRIVATE", "PROBE_MAP", "write_probe_map"]

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

PRIVATE = "private"
"""The folder of what ties a run to files and people. It is not for sharing: labels and reports are whole without it,
scoring anew and naming images are not possible."""

PROBE_MAP = f"{PRIVATE}/probe_map.csv"


def write_probe_map(path: Path, probe: ProbeSet, failed: Mapping[int, str]) -> None:
    """Write a probe map: the one file that ties ids to files and patients. It is not for sharing.

    Columns: ``id`` as outputs show it, ``own_id`` the data set's, what else `mcd.Sample` knows, and why an image is
    left out. ``findings`` and ``absent`` are joined by ``|``; ``boxes`` and ``labels`` are JSON.
    """
    out = io.StringIO()
    table = csv.DictWriter(
        out,
        ["id", "own_id", *_KNOWN, "findings", "absent", "boxes", "labels", "left_out"],
        restval="",
        lineterminator="\n",
    )
    table.writeheader()
    for row, (name, one) in enumerate(zip(probe.ids, probe.samples, strict=True)):
        table.writerow(
            {
                "id": name,
                "own_id": one.id,
                **{field: getattr(one, field) for field in _KNOWN},
                "implant": "" if one.implant is None else "yes" if one.implant else "no",
                "findings": "|".join(name for name, present in one.findings.items() if present),
                "absent": "|".join(name for name, present in one.findings.items() if not present),
                "boxes": json.dumps([vars(box) for box in one.boxes]) if one.boxes else "",
                "labels": json.dumps(dict(one.labels), ensure_ascii=False) if one.labels else "",
                "left_out": failed.get(row, ""),
            }
        )
    for bad in probe.unreadable:
        table.writerow({"source": bad.source, "left_out": bad.reason})
    _write_private(path, out.getvalue())


def _write_private(path: Path, text: str) -> None:
    write_atomically(path, text.encode())
    path.chmod(0o600)  # other users of the machine have no business with patients
    if path.parent.name == PRIVATE:
        path.parent.chmod(0o700)
