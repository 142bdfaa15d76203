"""One process of the fuzzing job: it reads a range of inputs and writes a line when each begins and ends.

It may die at any of them; whoever started it sees by the lines which one that was. See ``tools/fuzz.py``.
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path
from random import Random

from tests.hostile.families import family
from tests.hostile.watching import BAD, Canary, Watch

__all__ = ["main"]


def main(name: str, seed: str, first: str, last: str, folder: str, kept: str) -> None:
    """Read inputs ``first`` to ``last`` of a family; those that are faults are kept in a folder, if one is given."""
    import cv2  # noqa: F401 -- it changes LD_LIBRARY_PATH when it is imported, which no input is to be blamed for

    warnings.simplefilter("ignore")
    place = Path(folder)
    canary = Canary(place / "canary")
    kind = family(name)
    (place / "parts").mkdir(exist_ok=True)
    inputs = kind(place / "parts", canary)
    watch = Watch(canary, seconds=kind.seconds, starts_processes=kind.starts_processes)
    given, out = place / "input", place / "out"
    ready = False
    with (place / "lines").open("a", encoding="utf-8") as lines:
        for number in range(int(first), int(last)):
            shutil.rmtree(given, ignore_errors=True)
            shutil.rmtree(out, ignore_errors=True)
            given.mkdir()
            path = inputs.write(Random(f"{seed}/{name}/{number}"), given)
            if not ready:
                watch.limit()
                ready = True
            print(json.dumps([number]), file=lines, flush=True)
            outcome, reason = watch.outcome(lambda path=path: inputs.read(path, out), _size(given), out)
            if outcome in BAD and kept:
                shutil.copytree(given, Path(kept) / f"{name}-{number}", symlinks=True, dirs_exist_ok=True)
            print(json.dumps([number, outcome, reason]), file=lines, flush=True)


def _size(folder: Path) -> int:
    return sum(one.lstat().st_size for one in folder.rglob("*"))


if __name__ == "__main__":
    main(*sys.argv[1:])
