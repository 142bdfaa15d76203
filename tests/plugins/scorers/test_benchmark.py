"""The benchmark of scorers runs, at toy size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_benchmark_of_scorers_runs() -> None:
    toy = ("--images", "200", "--concepts", "5", "--neurons", "8", "--rounds", "1", "--draws", "40")
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/scorers.py", *toy], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()[-8:]]
    names = ("cosine", "pearson", "soft-wpmi", "wpmi")
    assert [row[:2] for row in rows] == [[name, unit] for name in names for unit in ("image", "patient")]
    for _, _, without, with_it, null in rows:
        assert float(null) == pytest.approx(float(with_it) - float(without), abs=0.011)
