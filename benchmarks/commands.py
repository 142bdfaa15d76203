"""Commands.

Wall seconds of commands as people type them, in a process of their own, medians; and how fast phantoms are drawn on one
core. `mcd demo` dissects three networks with 200 phantoms, compares them twice and writes a page and figures.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mcd
from benchmarks.report import Cell, Report, Table
from benchmarks.timing import seconds
from mcd_plugins.phantom.dataset import PhantomDataset


@dataclass(frozen=True)
class Settings:
    """Rounds of short commands, whether the demo runs, and how many phantoms are drawn."""

    rounds: int = 3
    demo: bool = True
    phantoms: int = 400


TOY = Settings(rounds=1, demo=False, phantoms=4)


def measure(settings: Settings) -> Report:
    """Return a row for each command."""
    rows: list[tuple[str, Cell]] = []
    for command in (["--help"], ["plugins", "list"]):
        times = [seconds(partial(run, command), time.perf_counter) for _ in range(settings.rounds)]
        rows.append((f"`mcd {' '.join(command)}`, s", statistics.median(times)))
    rows.append(("`mcd demo`, s", seconds(partial(run, ["demo"]), time.perf_counter) if settings.demo else None))
    images = PhantomDataset(PhantomDataset.Options(patients=(settings.phantoms + 3) // 4))
    samples = [one for one in images.scan() if isinstance(one, mcd.Sample)][: settings.phantoms]
    spent = seconds(lambda: [images.read(one) for one in samples])
    rows.append(("drawing phantoms, images/s", len(samples) / spent))
    return Report([Table("", ("what", "figure"), rows)])


def run(arguments: Sequence[str]) -> None:
    """Run a command in an empty folder, with a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        where = {**os.environ, "MCD_STORE": str(Path(folder, "store"))}
        command = [sys.executable, "-m", "mcd", *arguments]
        subprocess.run(command, cwd=folder, env=where, capture_output=True, check=True)
