"""Readers that do what mcd must not, one a fault, to see that the fuzzing job notices."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import Random

from tests.hostile.families import Family, Generator

from mcd.errors import CheckpointError

__all__ = ["OUTCOMES", "Faults"]

OUTCOMES = {
    "reads": "read",
    "refuses": "refused",
    "runs": "executed",
    "overwrites": "executed",
    "writes": "executed",
    "imports": "executed",
    "spins": "hang",
    "grows": "greedy",
    "fails": "traceback",
    "exits": "traceback",
    "advises": "traceback",
    "dies": "crash",
}
"""What the readers do, and what that counts as."""


class Faults(Family):
    """Each input names what its reader does."""

    seconds = 2

    @property
    def generators(self) -> Mapping[str, Generator]:
        """Return one for each fault."""
        return {name: partial(self._named, name) for name in OUTCOMES}

    def write(self, random: Random, folder: Path) -> Path:
        """Write any of them, and leave it as it is."""
        return self._named(random.choice(list(OUTCOMES)), random, folder)

    def read(self, path: Path, out: Path) -> object:
        """Do what the input says."""
        return getattr(self, f"_{path.read_text()}")(out)

    def _named(self, name: str, _random: Random, folder: Path) -> Path:
        (folder / "input").write_text(name)
        return folder / "input"

    def _reads(self, out: Path) -> None:
        out.mkdir()
        (out / "result").write_text("allowed")

    def _refuses(self, _out: Path) -> None:
        raise CheckpointError("it is refused")

    def _runs(self, _out: Path) -> None:
        os.system(self.canary.command)

    def _overwrites(self, _out: Path) -> None:
        descriptor = os.open(self.canary.victim, os.O_RDWR)
        os.write(descriptor, b"x")
        os.close(descriptor)

    def _writes(self, out: Path) -> None:
        out.with_name("beside").write_text("x")

    def _imports(self, _out: Path) -> None:
        __import__(self.canary.module)

    def _spins(self, _out: Path) -> None:
        while True:
            pass

    def _grows(self, _out: Path) -> None:
        self.grown = len(b"x" * (600 << 20))

    def _fails(self, _out: Path) -> None:
        raise KeyError("weight")

    def _exits(self, _out: Path) -> None:
        raise SystemExit(1)

    def _advises(self, _out: Path) -> None:
        raise CheckpointError("\x1b[31mset weights_only=False")

    def _dies(self, _out: Path) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)
