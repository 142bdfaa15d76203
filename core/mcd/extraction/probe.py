"""The probe set: which images are shown, in which order, under which ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.errors import DataError

__all__ = ["ProbeSet", "scan"]


@dataclass(frozen=True)
class ProbeSet:
    """The samples that will be shown, and those left out with the reason."""

    samples: tuple[Sample, ...]
    unreadable: tuple[Unreadable, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the ids and bytes of all images, in order."""
        return digest(*(part for sample in self.samples for part in (sample.id, sample.digest)))

    @property
    def repeats(self) -> int:
        """How many images have the same bytes as an earlier one."""
        return len(self.samples) - len({sample.digest for sample in self.samples})


def scan(dataset: Dataset, on_error: str, advanced: Callable[[int], None]) -> ProbeSet:
    """Look at every image of a data set before anything is computed.

    Raises
    ------
    DataError
        When images are unreadable and ``on_error`` is ``"stop"``, when none is left, or when ids repeat.
    """
    samples: list[Sample] = []
    unreadable: list[Unreadable] = []
    for found in dataset.scan():
        if isinstance(found, Sample):
            samples.append(found)
        else:
            unreadable.append(found)
        advanced(1)
    if unreadable and on_error == "stop":
        raise DataError(
            refusal(unreadable, len(samples) + len(unreadable)), "remove them, or leave them out with --on-error skip"
        )
    if not samples:
        raise DataError("the probe set holds no image that can be read")
    repeated = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if repeated:
        raise DataError(f"the data set gives {len(repeated)} ids to more than one image, first '{repeated[0]}'")
    return ProbeSet(tuple(samples), tuple(unreadable))


def refusal(unreadable: Sequence[Unreadable], total: int) -> str:
    """Return a message that names the unreadable images, the first ten in full."""
    lines = [f"  {bad.source}: {bad.reason}" for bad in unreadable[:10]]
    if len(unreadable) > 10:
        lines.append(f"  … and {len(unreadable) - 10} more")
    return f"{len(unreadable)} of {total} images cannot be used:\n" + "\n".join(lines)
