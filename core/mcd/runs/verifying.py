"""Whether a run folder is what the run wrote: every file against its digest, then its content as commands read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcd.errors import DamagedError, DataError
from mcd.extraction.probe_map import PRIVATE, PROBE_MAP
from mcd.files import MANIFEST, check_tree
from mcd.runs.dissection import Dissection, read_study, store_of
from mcd.runs.evaluated import EVALUATION, digests_of
from mcd.runs.loading import finished_manifest, load
from mcd.study.digests import CheckedFiles, Sums

__all__ = ["Verified", "verify"]

SOUND = "as written"


@dataclass(frozen=True)
class Verified:
    """What was found in a run folder.

    Parameters
    ----------
    folder
        The run folder.
    files
        What became of each file by its path in the folder: ``as written``, ``differs``, ``missing``, or why it cannot
        be read.
    problems
        What is wrong besides, a sentence each.
    complete
        Whether the run wrote digests of all its files. Where an older version made it, only contents were checked.
    """

    folder: Path
    files: Mapping[str, str]
    problems: tuple[str, ...]
    complete: bool

    @property
    def wrong(self) -> dict[str, str]:
        """The files that are not as they were written."""
        return {name: state for name, state in self.files.items() if state != SOUND}

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong and not self.problems


def verify(folder: Path, *, trust: bool = False) -> list[Verified]:
    """Verify a finished run, or a part of one, with its evaluation, then its controls and scorings.

    ``trust`` is that of `mcd.load`: a scoring may refer to another folder.

    Raises
    ------
    DataError
        When the folder holds no run, or one that has not finished, or what is verified would lie outside of it.
    """
    check_tree(folder, links=trust)
    inside = sorted([*folder.glob(f"controls/*/{MANIFEST}"), *folder.glob(f"scored/*/{MANIFEST}")])
    return [_verified(folder, trust=trust), *(_verified(one.parent, trust=trust) for one in inside)]


def _verified(folder: Path, *, trust: bool) -> Verified:
    try:
        record = finished_manifest(folder, parts=True)
    except DamagedError:
        return Verified(folder, {MANIFEST: "differs"}, (), complete=True)
    store = record.store.folder
    place_of_store = store_of(folder, record, trust=trust)
    files = {MANIFEST: SOUND, **_states(CheckedFiles(folder, record.digests or {}))}
    for name, state in _states(CheckedFiles(place_of_store, record.store.digests or {})).items():
        files[name if store == "." else f"{store}/{name}"] = state
    for place in dict.fromkeys((PRIVATE, PRIVATE if store == "." else f"{store}/{PRIVATE}")):
        if (folder / place).is_dir():  # it may have been taken away
            states = _states(CheckedFiles(folder / place, Sums(folder / place).read()))
            files |= {f"{place}/{name}": state for name, state in states.items()}
    evaluation = _states(CheckedFiles(folder / EVALUATION, digests_of(folder / EVALUATION)))
    files |= {f"{EVALUATION}/{name}": state for name, state in evaluation.items()}
    sound = all(state == SOUND for state in files.values())
    # digests say all of a part: what it holds is read when the parts are merged
    problems = tuple(_problems(folder, trust=trust)) if sound and record.part is None else ()
    return Verified(folder, files, problems, record.digests is not None)


def _states(files: CheckedFiles) -> dict[str, str]:
    found = {}
    for name in sorted(files.digests):
        try:
            files.check(name)
            found[name] = SOUND
        except DamagedError:
            found[name] = "differs"
        except FileNotFoundError:
            found[name] = "missing"
        except OSError as error:
            found[name] = error.strerror or str(error)
    return found


def _problems(folder: Path, *, trust: bool) -> Iterator[str]:
    """Yield what commands would refuse: tables, shards and ids that do not belong together."""
    try:
        run = load(folder, trust=trust)
        _ = run.evaluation
        if run.manifest.imported is None:
            read_study(folder, run.manifest)
            _read(run)
    except DataError as error:
        yield error.message


def _read(run: Dissection) -> None:
    """Read all that a run stores.

    Raises
    ------
    StoreError
        When something of it cannot be read.
    """
    for layer in run.layers:
        run.activations(layer)
        run.maps(layer)
        for _ in run.untrained(layer):
            pass
    if not run.manifest.store.annotations:
        run.image_embeddings()
    run.image_statistics()
    if (run.store_folder / PROBE_MAP).exists():
        _ = run.image_ids
