"""Families of hostile inputs: what each is made of, and what of mcd reads it.

A new family is a module in this folder with a subclass of `Family`, and a line in ``FAMILIES``.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import ClassVar

from tests.hostile.watching import Canary

__all__ = ["FAMILIES", "Family", "Generator", "family", "mutated"]

FAMILIES = {
    "run-folders": "tests.hostile.run_folders:RunFolders",
    "pickles": "tests.hostile.pickles:Pickles",
    "programs": "tests.hostile.programs:Programs",
    "codestreams": "tests.hostile.codestreams:Codestreams",
    "tensors": "tests.hostile.tensors:Tensors",
    "dictionaries": "tests.hostile.dictionaries:Dictionaries",
}
_OF_THE_FRAME = {"faults": "tests.hostile.faults:Faults"}

Generator = Callable[[Random, Path], Path]
"""Writes one input into an empty folder and returns the path to give to `Family.read`."""


class Family(abc.ABC):
    """Inputs of one kind.

    Parameters
    ----------
    folder
        A folder for what inputs are made of; made once a process.
    canary
        What the payloads aim at.
    """

    slice: ClassVar[int] = 100
    """How many inputs CI tries; those of all families together take three minutes at most."""
    spoilt: ClassVar[float] = 2 / 3
    """How many have bytes changed after they are made."""
    seconds: ClassVar[int] = 20
    """Of CPU time that an input may take."""
    starts_processes: ClassVar[bool] = False
    """Whether reading may start processes of mcd's own."""

    def __init__(self, folder: Path, canary: Canary) -> None:
        self.folder, self.canary = folder, canary

    @property
    @abc.abstractmethod
    def generators(self) -> Mapping[str, Generator]:
        """Every way to make an input, by name. Inputs that are as they should be are called ``whole…``."""

    @abc.abstractmethod
    def read(self, path: Path, out: Path) -> object:
        """Let mcd read an input. Files may be written below ``out``, a folder that is not there yet, only."""

    def write(self, random: Random, folder: Path) -> Path:
        """Write one input into an empty folder: what a generator makes, often with bytes changed.

        Generators whose names have the same start before a colon are one kind; each kind is as likely.
        """
        kinds: dict[str, list[str]] = {}
        for name in sorted(self.generators):
            kinds.setdefault(name.partition(":")[0], []).append(name)
        path = self.generators[random.choice(kinds[random.choice(sorted(kinds))])](random, folder)
        if random.random() < self.spoilt and path.is_file():
            path.write_bytes(mutated(path.read_bytes(), random))
        return path


def family(name: str) -> type[Family]:
    """Return the class of a family."""
    module, _, cls = (FAMILIES | _OF_THE_FRAME)[name].partition(":")
    found = getattr(importlib.import_module(module), cls)
    assert issubclass(found, Family)
    return found


def mutated(data: bytes, random: Random) -> bytes:
    """Return bytes with a few places changed: flipped, overwritten, cut, doubled, moved or filled."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        if not changed:
            break
        at = random.randrange(len(changed))
        length = min(random.choice((1, 2, 4, 8, 64, 1024)), len(changed) - at)
        match random.randrange(7):
            case 0:
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                to = random.randrange(len(changed))
                changed[to : to + length] = changed[at : at + length]
            case 5:
                changed[at : at + length] = random.randbytes(length)
            case 6 if random.random() < 0.2:
                del changed[at:]
    return bytes(changed)
