"""Which patients a dictionary is fitted on, and positions drawn from their images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

import mcd
from mcd.errors import DataError, amount
from mcd.plugins import digest, rows_fitted_on

if TYPE_CHECKING:
    from mcd.plugins import Positions, TargetImages

__all__ = ["MOST_BYTES", "TESTED", "Division", "Sampled", "divided", "halves", "most_positions", "quotas", "sampled"]

MOST_BYTES = 16 * 10**9
"""Of the positions that are kept in memory, at most."""
TESTED = 500
"""Patients on whom a dictionary is measured that it was not fitted on, at most."""


@dataclass(frozen=True)
class Division:
    """Which images a dictionary is fitted on, and on which it is measured.

    Parameters
    ----------
    fitted, tested
        Rows of images, by patient; an image whose patient is not known stands for itself. They share no patient and
        no image.
    unknown
        Of how many images the patient is not known.
    """

    fitted: Mapping[str, tuple[int, ...]]
    tested: Mapping[str, tuple[int, ...]]
    unknown: int


def divided(samples: Sequence[mcd.Sample], share: float, seed: int) -> Division:
    """Return images divided by patient; where a patient goes does not depend on the order of images.

    Parameters
    ----------
    share
        Of patients that are fitted on, above 0 and at most 1.

    Raises
    ------
    DataError
        When no patient would be left to be measured on although a share below 1 was asked for.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(samples):
        own = ("patient", one.collection, one.patient) if one.patient else ("image", one.digest or one.id)
        rows[digest(*own)].append(row)
    order = sorted(rows, key=lambda one: digest("dictionary", str(seed), one))
    count = max(1, min(len(order) - (share < 1), round(share * len(order))))
    fitted = {one: tuple(rows[one]) for one in order[:count]}
    taken = [row for own in fitted.values() for row in own]
    seen = {*taken, *rows_fitted_on(samples, {samples[row].digest for row in taken})}
    others = {one: tuple(rows[one]) for one in order[count:] if not seen & set(rows[one])}
    if share < 1 and not others:
        raise DataError(
            f"{amount(len(samples), 'image')} of one patient, or of patients who share images: none is left to test on",
            "take more patients; --share 1 fits on all of them",
        )
    unknown = sum(not one.patient for one in samples)
    return Division(fitted, dict(list(others.items())[:TESTED]), unknown)


def halves(patients: Iterable[str], seed: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return two halves of patients, drawn by what they are called here.

    Raises
    ------
    DataError
        When there are fewer than two.
    """
    order = sorted(patients, key=lambda one: digest("halves", str(seed), one))
    if len(order) < 2:
        raise DataError(
            "it was fitted on one patient: there are no halves to compare", "train it again on more patients"
        )
    middle = len(order) // 2
    return frozenset(order[:middle]), frozenset(order[middle:])


def quotas(
    patients: Mapping[str, Sequence[int]], samples: Sequence[mcd.Sample], positions: int, seed: int
) -> dict[int, int]:
    """Return how many positions each image gives, so that each patient gives as many; images that give none are out."""
    found: dict[int, int] = {}
    for own in patients.values():
        drawn = sorted(own, key=lambda row: _key(samples[row], seed))
        each, more = divmod(positions, len(own))
        found |= {row: each + (at < more) for at, row in enumerate(drawn)}
    return {row: found[row] for row in sorted(found) if found[row]}


def _key(sample: mcd.Sample, seed: int) -> str:
    return digest("positions", str(seed), sample.digest or sample.id)


@dataclass(frozen=True, eq=False)
class Sampled:
    """Positions drawn from images.

    Parameters
    ----------
    values
        ``(n, neurons)`` float32 on the CPU, in the order of images and positions.
    rows
        ``(n,)`` int64: the image of each.
    framed
        In how many images no breast was found, or it fills all that the network sees: their positions are of the
        whole image.
    """

    values: torch.Tensor
    rows: torch.Tensor
    framed: int

    @property
    def images(self) -> int:
        """How many images they are of."""
        return len({*self.rows.tolist()})

    def of(self, patients: Mapping[str, Sequence[int]]) -> Sampled:
        """Return those of some patients."""
        kept = torch.isin(self.rows, torch.tensor([row for own in patients.values() for row in own]))
        return Sampled(self.values[kept], self.rows[kept], 0)


def sampled(
    images: TargetImages,
    layer: str,
    wanted: Mapping[int, int],
    seed: int,
    *,
    skip: bool = False,
    most: int = MOST_BYTES,
) -> Sampled:
    """Draw positions inside the breasts of images, without keeping any map.

    A position counts as inside where at least half of it is breast. Which positions are drawn follows from seed and
    image alone. An image has no more positions than there are.

    Parameters
    ----------
    images
        The target and its images.
    layer
        Of the target.
    wanted
        How many positions of each image, by row.
    skip
        Whether images that turn out to be unreadable are left out.
    most
        Bytes that they may take.

    Raises
    ------
    DataError
        When they would take more, or there are none.
    mcd.errors.MCDError
        As `mcd.plugins.TargetImages.positions`.
    """
    read = images.layer(layer)
    room = most_positions(images, layer, wanted)
    _check_memory(room, read.neurons, most)
    values = torch.empty(room, read.neurons)
    rows = torch.empty(room, dtype=torch.int64)
    filled, framed = 0, 0

    def draw(found: Positions) -> None:
        nonlocal filled, framed
        framed += sum(found.framed)
        for at, row in enumerate(found.rows):
            generator = torch.Generator().manual_seed(int(_key(images.samples[row], seed)[:15], 16))
            inside = _inside(None if found.breast is None else found.breast[at], found.values.shape[1])
            chosen = inside[torch.randperm(len(inside), generator=generator)[: min(wanted[row], room - filled)]]
            end = filled + len(chosen)
            values[filled:end] = found.values[at, chosen.sort().values.to(found.values.device)].cpu()
            rows[filled:end] = row
            filled = end

    images.positions(read, draw, rows=list(wanted), masked=images.images.has_masks, skip=skip)
    if not filled:
        raise DataError("no image could be read, so there are no positions", "see why with: mcd data check DIR")
    order = rows[:filled].argsort(stable=True)
    return Sampled(values[order], rows[order], framed)


def most_positions(images: TargetImages, layer: str, wanted: Mapping[int, int]) -> int:
    """Return how many positions of images there can be, known before one is read; arguments as of `sampled`."""
    read, recipe = images.layer(layer), images.target.preprocessing
    # The size of an output is that of the trial pass where all images have one size.
    known = read.layout == "flat" or (recipe.height and recipe.width)
    places = _places(read.layout, read.shape) if known else 0
    return sum(min(count, places) if places else count for count in wanted.values())


def _inside(breast: torch.Tensor | None, positions: int) -> torch.Tensor:
    """Return which positions lie inside the breast; where it is too small for one, those that hold most of it."""
    if breast is None:
        return torch.arange(positions)
    share = breast.cpu()
    return (share >= share.amax().clamp_max(0.5)).nonzero().flatten()


def _places(layout: str | None, shape: Sequence[int]) -> int:
    """Return how many positions an output of this shape has, without the batch; 0 where that is not known."""
    if layout == "flat":
        return 1
    sizes = {"NCHW": shape[1:], "NHWC": shape[:2], "NCL": shape[1:], "tokens": shape[:1]}.get(layout or "", ())
    found = 1 if sizes else 0
    for size in sizes:
        found *= size
    return found


def _check_memory(positions: int, neurons: int, most: int) -> None:
    size = 4 * positions * neurons
    if size > most:
        fewer = max(1, int(most / size * 100))
        raise DataError(
            f"{positions:,} positions of {amount(neurons, 'neuron')} take {size / 1e9:,.3g} GB; at most "
            f"{most / 1e9:g} GB are kept in memory",
            f"take fewer of each patient (--positions, {fewer} % at most), or fewer images (--limit)",
        )
