"""Killed at any rename, or out of disk at any write, a command ends with the same bytes when it is given again.

The quick suite tries one event, the slow one a few of some commands, the nightly one all of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.command_line import ROOT

SMALL = ("--model-plugin", "phantom-mammo", "--layers", "head", "--dataset", "phantom:3", "--dissector", "phantom-clip")
QUICK = ("--concepts", "phantom", "--scorer", "soft-wpmi", "--scorer-arg", "top_k=3", "--device", "cpu")
DRAWS = ("--draws", "20", "--most-draws", "20", "--workers", "0")
DISSECT = ("dissect", *SMALL, *QUICK, *DRAWS, "-o", "WORK/run")
SIX = tuple("phantom:6" if part == "phantom:3" else part for part in DISSECT)
SCORE = ("score", "WORK/run", "--scorer", "cosine", "--device", "cpu")

COMMANDS: dict[str, tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]] = {
    "dissect": ((), (*DISSECT, "--maps", "2", "--reporter", "csv")),
    "dissect with controls": ((), (*DISSECT, "--controls")),
    "dissect again": (((*DISSECT, "--reporter", "csv"),), (*DISSECT, "--reporter", "csv")),
    "cache": ((), (*DISSECT, "--cache", "WORK/cache")),
    "store": ((), (*DISSECT, "--store", "WORK/store")),
    "score": ((DISSECT,), (*SCORE, "--concepts", "birads", "--reporter", "csv")),
    "score again": ((DISSECT, SCORE), SCORE),
    "report": ((DISSECT,), ("report", "WORK/run", "--reporter", "html", "--reporter", "csv", "--reporter", "markdown")),
    "report elsewhere": ((DISSECT,), ("report", "WORK/run", "--reporter", "json", "-o", "WORK/report")),
    "evaluate": ((SIX,), ("evaluate", "WORK/run", "--against", "held-out", "--draws", "3")),
    "figures": ((DISSECT,), ("figures", "WORK/run", "-o", "WORK/figures", "--bootstrap", "0", "--only", "depth")),
    "preprocess": (
        (),
        ("preprocess", "WORK/images", "WORK/out", "--dataset", "images", "--recipe", "mammo-clip", "--workers", "0"),
    ),
    "embed": ((), ("embed", *SMALL[4:], "--device", "cpu", "--workers", "0", "-o", "WORK/vectors.safetensors")),
}


KILLED, FULL = ("dissect",), ("report",)
"""What continuous integration kills here and there, and gives a full disk; the nightly run tries all everywhere."""


def run(tmp_path: Path, name: str, how: str, at: Sequence[int]) -> None:
    """Run a job in a process of its own, where forks are safe."""
    work = tmp_path / "work"
    prepare, command = COMMANDS[name]
    (work / "images").mkdir(parents=True)
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 48), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(work / "images" / f"{number}.png")
    job = {
        "prepare": [[part.replace("WORK", str(work)) for part in one] for one in prepare],
        "command": [part.replace("WORK", str(work)) for part in command],
        "work": str(work),
        "how": how,
        "at": list(at),
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.killing", str(tmp_path / "job.json")],
        cwd=ROOT,
        env={
            **os.environ,
            "MCD_STORE": "off",
            "MCD_SALT": "a salt that is the same in every child",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == {}, done.stderr[-3000:]
    assert found["tried"] > 0


def test_killed_between_tables_a_scoring_ends_with_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path, "score again", "kill", (4,))


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_killed_here_and_there_it_ends_with_the_same_bytes(tmp_path: Path, name: str) -> None:
    run(tmp_path, name, "kill", (1, 8))


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_out_of_disk_here_and_there_it_ends_with_the_same_bytes(tmp_path: Path, name: str) -> None:
    run(tmp_path, name, "full", (2, 9))


@pytest.mark.nightly
@pytest.mark.parametrize("how", ["kill", "full"])
@pytest.mark.parametrize("name", COMMANDS)
def test_at_any_event_it_ends_with_the_same_bytes(tmp_path: Path, name: str, how: str) -> None:
    run(tmp_path, name, how, ())
