"""Image files examined before anything is computed: in worker processes, and not again while they are unchanged."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample, Unreadable, examine_file
from mcd.api.remark import Remark
from mcd.extraction.file_memory import FileMemory, FileStatus, digests_folder, status_of
from mcd.extraction.parallel import Pool, cores
from mcd.extraction.seen import result_of, sample_text, text_of
from mcd.networks.distributions import installed_version

__all__ = ["Examination", "each_file", "examination", "examine_each"]

SettingsT = TypeVar("SettingsT")
Found = Sample | Unreadable
Examine = Callable[[Sample, SettingsT], Found]

_TOGETHER = 256
"""Files whose rows are asked for at once."""
_CHUNK = 8
"""Files that a process is given at once: a large one takes tenths of a second."""
_FEW, _SMALL = 64, 256 << 20
"""Files, and bytes, that one process has examined before others have started."""


@dataclass
class Examination:
    """How files are examined, and what came of it.

    Parameters
    ----------
    workers
        Processes; None takes one a core, 0 works in this one.
    memory
        What is known of files from before, if anything.
    verify
        Whether all are examined anew all the same, and the results compared.

    Attributes
    ----------
    remembered
        How many results the memory had.
    differing
        How many of them were found to be others.
    listing
        Both, of the headers that listing read: of all images, whichever are examined.
    """

    workers: int | None = 0
    memory: FileMemory | None = None
    verify: bool = False
    process: int = field(default_factory=os.getpid, init=False)
    remembered: int = field(default=0, init=False)
    differing: int = field(default=0, init=False)
    listing: tuple[int, int] = field(default=(0, 0), init=False)

    def listed(self) -> None:
        """Count from now on what is examined, and no longer what is listed."""
        self.listing, self.remembered, self.differing = (self.differing, self.remembered), 0, 0

    def remarks(self) -> list[str]:
        """Return what a reader must know: what was verified, and why nothing is remembered."""
        found: list[str] = []
        if self.verify:
            again = "all image files were read and hashed again: {count} of {of} remembered results differ"
            unchanged = "the disk may fail: the bytes of {count:file} changed, though neither size nor times did"
            differing, remembered = self.listing
            if remembered:
                found.append(f"all headers were read again: {differing} of {remembered} remembered results differ")
            found += [Remark(again, self.differing, of=self.remembered, least=0), Remark(unchanged, self.differing)]
        if self.memory is not None and self.memory.problem:
            found.append(
                f"what is known of image files cannot be kept, all are read at every start: {self.memory.problem}"
            )
        return found


_how: ContextVar[Examination | None] = ContextVar("examination", default=None)


@contextlib.contextmanager
def examination(*, workers: int | None, verify: bool = False) -> Iterator[Examination]:
    """Within it, `each_file` works in processes, and remembers for this user what it finds.

    Parameters
    ----------
    workers
        Processes; None takes one a core, 0 works in this one.
    verify
        Examine all files anew, and compare.

    Raises
    ------
    UsageError
        When ``MCD_DIGESTS`` names what cannot be a folder.
    """
    folder = digests_folder()
    how = Examination(workers, None if folder is None else FileMemory(folder), verify)
    before = _how.set(how)
    try:
        yield how
    finally:
        _how.reset(before)
        if how.memory is not None:
            how.memory.close()


def each_file(
    examine: Examine[SettingsT],
    samples: Iterable[Found],
    settings: SettingsT,
    *,
    decoders: Sequence[str] = (),
    kinds: Sequence[type[Unreadable]] = (),
) -> Iterator[Found]:
    """Yield ``examine(sample, settings)`` for each sample, in order; what is `Unreadable` already, as it is.

    In a run it is called in worker processes, and not at all for a file that has not changed since it was examined.
    A file counts as the same while path, device, inode, size, time of modification and time of change are.

    Parameters
    ----------
    examine
        A function of a module. Its result depends on the sample, the settings and the bytes of the file at the
        sample's source, on nothing else; it changes nothing.
    settings
        What it needs besides: options, numbers, texts, tuples of them.
    decoders
        Distributions whose versions decide the result too.
    kinds
        Subclasses of `Unreadable`, with fields that are texts and truth values, that are remembered too. Others are
        not: a file that cannot be read today may be readable tomorrow.
    """
    how = _how.get()
    if how is None or how.process != os.getpid():  # nothing that is open may be used by a forked process
        how = Examination()
    items = iter(samples)
    with _Walk(how, examine, settings, _context(how, examine, settings, decoders), kinds) as walk:
        while group := list(itertools.islice(items, _TOGETHER)):
            walk.begin(group)
            while walk.is_full:
                yield from walk.finish()
        while walk.groups:
            yield from walk.finish()


def examine_each(dataset: Dataset, samples: Sequence[Sample]) -> Iterator[Found]:
    """Yield what `Dataset.examine` returns for each sample, in order."""
    alone, together = (_owner(type(dataset), name) for name in ("examine", "examine_each"))
    if alone is Dataset and together is Dataset:
        return iter(samples) if all(one.digest for one in samples) else each_file(_examined, samples, None)
    if alone is not together and issubclass(alone, together):  # a subclass that knows better, one by one
        return map(dataset.examine, samples)
    return dataset.examine_each(samples)


def _owner(kind: type[Dataset], name: str) -> type:
    return next(one for one in kind.__mro__ if name in vars(one))


def _examined(sample: Sample, _settings: None) -> Found:
    return sample if sample.digest else examine_file(sample)


def _context(how: Examination, examine: Examine[SettingsT], settings: SettingsT, decoders: Sequence[str]) -> str:
    """Return a digest of what decides results besides file and sample; empty where nothing is remembered."""
    if how.memory is None:
        return ""
    from mcd.networks.identity import identity_of  # torch is not needed for a list of files

    found = identity_of(examine, settings)
    versions = (part for name in sorted(decoders) for part in (name, installed_version(name)))
    return "" if found.unknown else digest("look/1", found.key, *versions)


@dataclass
class _Step:
    """A file on its way: what was remembered of it, and which call examines it."""

    sample: Found
    status: FileStatus | None = None
    key: bytes = b""
    known: Found | None = None


Seen = tuple[Found, FileStatus | None]
_Group = tuple[list[_Step], Iterator["Seen | None"]]


class _Walk(contextlib.AbstractContextManager["_Walk"]):
    """Examines files group by group: some are under way in processes while earlier ones are handed on."""

    def __init__(
        self,
        how: Examination,
        examine: Examine[SettingsT],
        settings: SettingsT,
        context: str,
        kinds: Sequence[type[Unreadable]],
    ) -> None:
        self._how, self._context = how, context
        self._kinds = {one.__name__: one for one in kinds}
        self._examine: Callable[[Sample], Found] = lambda sample: examine(sample, settings)
        self._pool = Pool(_examined_in_order, (examine, settings), cores() if how.workers is None else how.workers)
        self.groups: list[_Group] = []

    def __exit__(self, *_error: object) -> None:
        self._pool.close()

    @property
    def is_full(self) -> bool:
        """Whether enough is under way."""
        return bool(self.groups) and (not self._pool.is_busy or len(self.groups) > 1 + self._pool.size)

    def begin(self, group: Sequence[Found]) -> None:
        """Ask what is known of some files, and have the others examined."""
        steps = [self._step(one) for one in group]
        self._recall(steps)
        fresh = [one.sample for one in steps if isinstance(one.sample, Sample) and self._is_fresh(one)]
        sizes = sum(one.status.size for one in steps if one.status is not None and self._is_fresh(one))
        if self._pool.size and (self._pool.is_busy or len(fresh) >= _FEW or sizes >= _SMALL):
            chunks = [fresh[at : at + _CHUNK] for at in range(0, len(fresh), _CHUNK)]
            self.groups.append((steps, itertools.chain.from_iterable(self._pool.results(chunks))))
        else:
            self.groups.append((steps, map(self._here, fresh)))

    def finish(self) -> Iterator[Found]:
        """Yield the results of the group that began first; remember them."""
        steps, seen = self.groups.pop(0)
        facts: list[tuple[bytes, bytes]] = []
        try:
            for step in steps:
                if not isinstance(step.sample, Sample):
                    yield step.sample
                    continue
                self._how.remembered += step.known is not None
                if not self._is_fresh(step) and step.known is not None:
                    yield step.known
                    continue
                found, status = next(seen) or self._here(step.sample)  # raised there, it is raised here
                self._how.differing += step.known is not None and step.known != found
                if step.key and status is not None:
                    said = text_of(found, step.sample, self._kinds)
                    facts += [(self._key(step.sample, status), said)] if said is not None else []
                yield found
        finally:
            if facts and self._how.memory is not None:
                self._how.memory.keep(facts)

    def _is_fresh(self, step: _Step) -> bool:
        return isinstance(step.sample, Sample) and (step.known is None or self._how.verify)

    def _here(self, sample: Sample) -> Seen:
        return _seen(self._examine, sample)

    def _step(self, sample: Found) -> _Step:
        if not self._context or not isinstance(sample, Sample):
            return _Step(sample)
        status = status_of(sample.source)
        return _Step(sample, status, b"" if status is None else self._key(sample, status))

    def _recall(self, steps: Sequence[_Step]) -> None:
        asked = [one for one in steps if one.key]
        if not asked or self._how.memory is None:
            return
        for step, said in zip(asked, self._how.memory.recall([one.key for one in asked]), strict=True):
            if said is not None and isinstance(step.sample, Sample):
                step.known = result_of(said, step.sample, self._kinds)

    def _key(self, sample: Sample, status: FileStatus) -> bytes:
        known = sample_text(sample)
        return bytes.fromhex(digest(self._context, known, repr(status))) if known else b""


def _examined_in_order(shared: tuple[Examine[SettingsT], SettingsT], chunk: Sequence[Sample]) -> list[Seen | None]:
    examine, settings = shared
    found: list[Seen | None] = []
    for sample in chunk:
        try:
            found.append(_seen(lambda one: examine(one, settings), sample))
        except Exception:  # a plugin may raise anything; the first process examines it again and says so
            found.append(None)
    return found


def _seen(examine: Callable[[Sample], Found], sample: Sample) -> Seen:
    """Return what was found, and of which file: None where another change of it might not show."""
    before, now = status_of(sample.source), time.time_ns()
    found = examine(sample)
    still = before is not None and before.is_still(now) and status_of(sample.source) == before
    return found, before if still else None
