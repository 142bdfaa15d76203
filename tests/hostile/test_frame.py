"""The fuzzing job notices every fault that it is there for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.hostile import faults
from tests.hostile.watching import BAD, OUTCOMES

ROOT = Path(__file__).parents[2]
SEED = 19_855
"""With it the first twelve inputs are one of each fault."""


@pytest.mark.slow
def test_every_fault_is_noticed_and_what_comes_after_it_is_read(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    table.write_text("| family |\n|---|\n\nThe end.\n")
    names = [Random(f"{SEED}/faults/{number}").choice(list(faults.OUTCOMES)) for number in range(12)]
    assert set(names) == set(faults.OUTCOMES)
    options = [
        "--family",
        "faults",
        "--seed",
        str(SEED),
        "--inputs",
        "12",
        "--jobs",
        "1",
        "--table",
        str(table),
        "--keep",
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "fuzz.py", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    found = dict(line.removeprefix("input ").split(": ")[:2] for line in done.stdout.splitlines() if "input " in line)
    expected = {str(at): faults.OUTCOMES[name] for at, name in enumerate(names) if faults.OUTCOMES[name] in BAD}
    assert found == expected, done.stdout
    counts = " | ".join(str([faults.OUTCOMES[name] for name in names].count(one)) for one in OUTCOMES)
    assert table.read_text().splitlines()[2].startswith(f"| faults | 12 | {counts} |")
    assert (tmp_path / f"faults-{names.index('fails')}" / "input").read_text() == "fails"
