"""Whether a folder is that of a run, and which runs somebody means who gave another path."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from mcd.errors import StoreError
from mcd.files import MANIFEST, as_argument, kind_of

__all__ = ["check_run_folder", "run_of", "runs_below"]

_DEEPEST = 3
"""Folders between what is given and a run."""

_MOST = 6
"""Runs that a hint names."""

Again = Callable[[Sequence[Path]], str]


def check_run_folder(folder: Path, again: Again | None = None) -> None:
    """Make sure that a folder is that of a run.

    Parameters
    ----------
    again
        Returns the hint, given the runs that may be meant; by default it names them.

    Raises
    ------
    StoreError
        When it has no manifest. Says which runs are below it, or which it lies in.
    """
    if _is_run(folder):
        return
    hint = again or (lambda runs: f"give {' or '.join(shlex.quote(as_argument(one)) for one in runs)}")
    if above := run_of(folder):
        raise StoreError(f"{folder} is in the run folder {above}, and is none itself", hint([above]))
    found = runs_below(folder)
    if found:
        count = f"{len(found)}{' or more' if len(found) == _MOST else ''} run{'s' if len(found) > 1 else ''}"
        raise StoreError(f"{folder} is not a run folder, but holds {count}", hint(found))
    if kind_of(folder) == "file":
        raise StoreError(f"{folder} is a file, not a run folder", "give the --output of a run")
    raise StoreError(f"{folder} is not a run folder: it has no {MANIFEST}", "give the --output of a run")


def run_of(path: Path) -> Path | None:
    """Return the run folder that a file or folder lies in; None where it lies in none, or is not there."""
    if not kind_of(path):
        return None
    return next((one for one in islice(path.parents, _DEEPEST) if _is_run(one)), None)


def runs_below(folder: Path) -> list[Path]:
    """Return the first run folders below a folder, by name; those in a run, such as its scorings, are not named."""
    found: list[Path] = []
    for where, inner, _ in os.walk(folder):
        here = Path(where)
        inner.sort()
        if here != folder and _is_run(here):
            found.append(here)
            inner.clear()
        if len(here.parts) - len(folder.parts) >= _DEEPEST:
            inner.clear()
        if len(found) == _MOST:
            break
    return found


def _is_run(folder: Path) -> bool:
    return kind_of(folder / MANIFEST) == "file"
