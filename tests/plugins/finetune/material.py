"""Samples with labels, and a data set of noise in which a bright square is the label."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import mcd

__all__ = ["Drawn", "sample"]


def sample(at: int, **known: object) -> mcd.Sample:
    """Return a sample of its own patient, unless another is given."""
    return mcd.Sample(**{"id": f"i{at}", "digest": f"{at:064x}", "patient": f"p{at}", **known})


class Drawn(mcd.Dataset):
    """Noise, two images a patient; those of every second patient have a bright square: a mass.

    Where the file ``stop`` exists, reading more than ``after`` images is interrupted, as by Ctrl-C; where it says
    ``kill``, the process is killed.
    """

    class Options(mcd.Options):
        """Settings."""

        patients: int = 24
        stop: Path = Path("stop")
        after: int = 0

    options: Options
    ids_are_public = True
    licence = "CC0"
    _read = 0

    def __len__(self) -> int:
        return 2 * self.options.patients

    def scan(self) -> Iterator[mcd.Sample]:
        for at in range(len(self)):
            bright = at // 2 % 2 == 0
            yield mcd.Sample(
                id=f"i{at}",
                digest=f"{at:064x}",
                patient=f"p{at // 2}",
                density="abcd"[at // 4 % 4],
                findings={"mass": bright},
            )

    def read(self, sample: mcd.Sample) -> mcd.Image:
        self._read += 1
        if self._read > self.options.after and self.options.stop.exists():
            if self.options.stop.read_text() == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyboardInterrupt
        at = int(sample.id[1:])
        pixels = np.random.default_rng(at).integers(0, 120, (32, 32), dtype=np.uint8)
        if sample.findings["mass"]:
            pixels[8:20, 8:20] += 100
        return mcd.Image(pixels, 255.0)
