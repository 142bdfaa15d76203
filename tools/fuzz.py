"""Let mcd read hostile files, thousands of them, and count what becomes of them.

    python tools/fuzz.py                                     # the slice of CI
    python tools/fuzz.py --inputs 10000 --table benchmarks/fuzz.md
    python tools/fuzz.py --family pickles --only 4711 --keep kept   # one input again, and the file itself

An input is decided by the seed, its family and its number. Every family is read in processes of its own, with a limit
on time and memory; none of them may run what a file names, change a file, hang or show a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.hostile.families import FAMILIES, family  # noqa: E402  # found only now
from tests.hostile.watching import BAD, OUTCOMES  # noqa: E402  # as above

WALL_SECONDS = 180
"""Without a word from a process, after which it counts as stuck: it waits for something that takes no CPU time."""
AT_ONCE = 500
"""How many inputs a process reads at most before the next takes over."""


@dataclass
class Tally:
    """What became of the inputs of one family."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, number: int, outcome: str, reason: str) -> None:
        """Count an input."""
        self.outcomes[outcome] += 1
        if outcome in BAD:
            self.faults.append(f"input {number}: {outcome}: {reason}")


_OWN = {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg", "MCD_STORE": "off", "MCD_DIGESTS": "off"}
"""What readers are run with: nothing of this user is read, and nothing is kept for this user."""


def main() -> int:
    """Run the command; 1 where there is a fault."""
    own = _arguments()
    tallies: dict[str, Tally] = {}
    for name in own.family or FAMILIES:
        tally = tallies[name] = Tally()
        count = own.inputs or family(name).slice
        ranges = [(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]
        if own.only is not None:
            ranges = [(own.only, own.only + 1)]
        elif len(ranges) < own.jobs:
            ranges = [(count * part // own.jobs, count * (part + 1) // own.jobs) for part in range(own.jobs)]
        started = time.monotonic()
        with ThreadPoolExecutor(own.jobs) as pool:
            for part in pool.map(lambda one, name=name: list(_read(name, own.seed, *one, own.keep)), ranges):
                for number, outcome, reason in part:
                    tally.add(number, outcome, reason)
        tally.seconds = time.monotonic() - started
        print(_row(name, tally), flush=True)
        print(*tally.faults[:50], sep="\n", end="\n" * bool(tally.faults), flush=True)
    if own.table:
        _write(own.table, tallies)
    return int(any(tally.faults for tally in tallies.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, help="of each family; without it the slice of CI")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--family", action="append", help="may be given again; without it all")
    parser.add_argument("--only", type=int, help="the number of one input")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that are faults")
    parser.add_argument("--table", type=Path, help="a page whose rows are replaced")
    return parser.parse_args()


def _read(name: str, seed: int, first: int, last: int, keep: Path | None) -> Iterator[tuple[int, str, str]]:
    """Yield number, outcome and reason of every input of a range; a process that dies is followed by another."""
    while first < last:
        with tempfile.TemporaryDirectory(prefix="mcd-fuzz-") as folder:
            place = Path(folder)
            (place / "lines").touch()
            code, said = _process(name, seed, first, last, place, keep)
            begun = first
            for line in (place / "lines").read_text(encoding="utf-8").splitlines():
                number, *result = json.loads(line)
                if result:
                    yield (number, *result)
                begun = number + bool(result)
            if code == 0:
                return
            lines = (place / "lines").read_text(encoding="utf-8").splitlines()
            if not lines or len(json.loads(lines[-1])) > 1:
                raise SystemExit(f"{name}: input {begun} cannot be made:\n{said[-3000:]}")
            with contextlib.suppress(ValueError):
                said = f"{signal.Signals(-code).name} {said[-1500:]}"
            yield begun, "hang" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "crash", said
            first = begun + 1


def _process(name: str, seed: int, first: int, last: int, place: Path, keep: Path | None) -> tuple[int, str]:
    """Return the exit status of a worker, and what it said at its end."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # more would only wait for each other
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    given = [name, str(seed), str(first), str(last), str(place), str(keep.resolve() if keep else "")]
    with (place / "said").open("w+", encoding="utf-8", errors="replace") as said:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.worker", *given],
            cwd=ROOT,
            env=os.environ | threads | _OWN | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        while worker.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(1)
            if time.time() - (place / "lines").stat().st_mtime > WALL_SECONDS:
                worker.kill()
        said.seek(0)
        return worker.returncode, said.read()


def _row(name: str, tally: Tally) -> str:
    cells = [name, sum(tally.outcomes.values()), *(tally.outcomes[one] for one in OUTCOMES), f"{tally.seconds:,.0f} s"]
    return "| " + " | ".join(f"{one:,}" if isinstance(one, int) else str(one) for one in cells) + " |"


def _write(page: Path, tallies: dict[str, Tally]) -> None:
    """Replace the rows of a page; one of a family that is new comes last."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for name, tally in tallies.items():
        places = [at for at, line in enumerate(lines) if line.startswith(f"| {name} |")]
        last = max(at for at, line in enumerate(lines) if line.startswith("|"))
        at, until = (places[0], places[0] + 1) if places else (last + 1, last + 1)
        lines[at:until] = [_row(name, tally)]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
