"""Parts of a run at once, beside one process.

The same run by one process and by several at once, a part each, then merged. Every process computes with one thread, so
that one core has one process. Wall seconds, as people wait for them: starts of Python and torch, listing, drawing and
labelling included; the store is off. The ideal is the number of parts; what is missing from it is what every part does
again (imports, trial passes), and the merge, which one process does for all.
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

from benchmarks.report import Cell, Line, Report, Table
from benchmarks.timing import seconds


@dataclass(frozen=True)
class Settings:
    """Patients of four images, the network, its layers, the parts, and how often."""

    patients: int = 500
    model: str = "torchvision:resnet18"
    layers: str = "layer*"
    parts: int = 2
    rounds: int = 3


TOY = Settings(patients=32, model="phantom-mammo", layers="head", rounds=1)


def measure(settings: Settings) -> Report:
    """Return a row for one process, for the parts at once, and for their merge."""
    alone, together, merging = [], [], []
    for _ in range(settings.rounds):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            parts = [folder / str(number) for number in range(1, settings.parts + 1)]
            alone.append(seconds(partial(run, [dissection(settings, folder / "alone")]), time.perf_counter))
            commands = [
                [*dissection(settings, one), "--part", f"{number}/{settings.parts}"]
                for number, one in enumerate(parts, 1)
            ]
            together.append(seconds(partial(run, commands), time.perf_counter))
            merge = ["merge", *map(str, parts), "-o", str(folder / "merged"), "--store", "off"]
            merging.append(seconds(partial(run, [merge]), time.perf_counter))
            tables = [(folder / name / "labels.csv").read_bytes() for name in ("alone", "merged")]
            assert tables[0] == tables[1]
    whole = [one + merge for one, merge in zip(together, merging, strict=True)]
    one, several = statistics.median(alone), statistics.median(whole)
    rows: list[Sequence[Cell]] = [
        ("one process", 4 * settings.patients, one, 1.0),
        (f"{settings.parts} parts at once, and the merge", 4 * settings.patients, several, one / several),
        ("of that, the merge", 4 * settings.patients, statistics.median(merging), None),
    ]
    line = Line(f"{settings.parts} parts at once, and the merge, s", several, "one process", one, several / one)
    return Report([Table("", ("what", "images", "seconds", "times as fast"), rows)], [line])


def dissection(settings: Settings, output: Path) -> list[str]:
    """Return the command of the run."""
    return [
        *(
            "dissect",
            "--model",
            settings.model,
            "--layers",
            settings.layers,
            "--dataset",
            f"phantom:{settings.patients}",
        ),
        *("--dissector", "phantom-clip", "--concepts", "phantom", "--workers", "0", "--store", "off"),
        *("--device", "cpu", "-q", "-o", str(output)),
    ]


def run(commands: Sequence[Sequence[str]]) -> None:
    """Run commands at once, each with one thread, and wait for all."""
    where = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, "-m", "mcd", *one], env=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for one in commands
    ]
    for one in started:
        _, said = one.communicate()
        if one.returncode:
            raise RuntimeError(said.decode())
