"""What a benchmark found, as records that are stored and rendered."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pydicom")

Cell = str | int | float | None
"""A number is rendered with three significant digits; None was not measured."""


@dataclass(frozen=True)
class Table:
    """Rows that were measured in one way; the first cell of a row is its name."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {row} is not a row of {list(self.columns)}")


@dataclass(frozen=True)
class Line:
    """A line of the summary: what was measured, beside a peer or a limit, and the goal."""

    what: str
    ours: Cell
    beside: str
    theirs: Cell
    ratio: Cell
    goal: str = ""
    holds: bool | None = None


@dataclass(frozen=True)
class Report:
    """What a benchmark returns: tables, its lines of the summary, and sentences that hold measured numbers."""

    tables: Sequence[Table]
    lines: Sequence[Line] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Stored:
    """A report, and how it came about."""

    report: Report
    command: str
    date: str
    machine: str
    load: str
    versions: Mapping[str, str] = field(default_factory=dict)


def stored(report: Report, command: str, load: str) -> Stored:
    """Return a report with today's date, this machine and its versions."""
    found = {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    return Stored(report, command, datetime.datetime.now(datetime.UTC).date().isoformat(), machine(), load, found)


def machine() -> str:
    """Return the processors, and the GPU where there is one."""
    import torch  # takes seconds

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", facts.read_text() if facts.exists() else "", re.MULTILINE)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{cores} cores of {names[0] if names else platform.machine()}, {gpu}"


def path_of(name: str) -> Path:
    return RESULTS / f"{name}.json"


def write(name: str, result: Stored) -> None:
    path_of(name).write_text(json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(name: str) -> Stored | None:
    """Return the stored result of a benchmark; None where it was never measured."""
    if not path_of(name).exists():
        return None
    found = json.loads(path_of(name).read_text(encoding="utf-8"))
    report = found.pop("report")
    tables = [Table(**one) for one in report["tables"]]
    return Stored(Report(tables, [Line(**one) for one in report["lines"]], report["notes"]), **found)
