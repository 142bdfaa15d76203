"""Images that a part of a run sees besides its own: normalisations are estimated from those of the whole run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.errors import PluginError
from mcd.extraction.examining import examine_each
from mcd.networks.foreign import calling

__all__ = ["ESTIMATED_FROM", "examined_beside", "spread"]

ESTIMATED_FROM = 1024
"""Images that the statistics of normalisations are estimated from, at most: those of more differ by little (precise
batch normalisation; Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3), and any part can see them."""


def examined_beside(
    dataset: Dataset, chosen: Sequence[Sample], own: range, known: Mapping[str, Sample | Unreadable]
) -> dict[int, Sample]:
    """Return those images of other parts, by row, that the normalisations of untrained networks see, examined.

    Parameters
    ----------
    chosen, own
        All images that were chosen, and the rows of this process.
    known
        What was examined already, by id.

    Raises
    ------
    PluginError
        When code of the data set fails.
    """
    rows = [row for row in spread(len(chosen)) if row not in own]
    results = examine_each(dataset, [chosen[row] for row in rows if chosen[row].id not in known])
    found: dict[int, Sample] = {}
    for row in rows:
        sample = chosen[row]
        with calling(f"{sample.source or sample.id} cannot be examined", kind=PluginError):
            one = known[sample.id] if sample.id in known else next(results)
        if isinstance(one, Sample):
            found[row] = one
    next(results, None)  # it may still have to put away what it found
    return found


def spread(images: int) -> list[int]:
    """Return rows that are spread evenly over so many: all of them where they are few."""
    count = min(images, ESTIMATED_FROM)
    return [at * images // count for at in range(count)]
