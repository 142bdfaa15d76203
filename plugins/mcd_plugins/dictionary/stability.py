"""How much of a dictionary another one has: of another seed, of other patients, and of none."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mcd.errors import DataError
from mcd.plugins import TargetImages
from mcd_plugins.dictionary.factors import check_installed
from mcd_plugins.dictionary.kinds import SEEDS, Fitted
from mcd_plugins.dictionary.matching import paired
from mcd_plugins.dictionary.measuring import codes
from mcd_plugins.dictionary.record import Stored
from mcd_plugins.dictionary.sampling import MOST_BYTES, divided, halves, most_positions, quotas, sampled
from mcd_plugins.dictionary.training import WEAKER, decimal, fit_watched, prepared_by, shown_images, watched

__all__ = ["HIGH", "Agreement", "Alive", "agreement", "other_seeds", "stability", "with_stability"]

HIGH = 0.9
"""A latent counts as found again from this cosine on."""
_DRAWS = 3
"""Pairs of random dictionaries."""
_AT_ONCE = 4096


@dataclass(frozen=True)
class Agreement:
    """How alike two dictionaries are.

    Parameters
    ----------
    what
        Which they are.
    weighted
        The mean cosine of matched decoder rows, each latent weighted by its share of what the dictionary rebuilds: the
        sum over positions of its squared code times the squared length of its row; the mean of both dictionaries.
    mean, median
        Of the cosines alone, in which latents that hardly respond count as much as any. A latent without a partner
        counts 0 in all three.
    high
        The share of latents whose cosine is at least `HIGH`.
    latents
        How many there are in the larger one; dead ones do not count.
    """

    what: str
    weighted: float
    mean: float
    median: float
    high: float
    latents: int


def stability(stored: Stored, images: TargetImages, *, skip: bool = False) -> tuple[Agreement, Agreement, Agreement]:
    """Return how alike a dictionary is to one of another seed, those of two halves of its patients, and random ones.

    All are fitted on the positions that it was fitted on. In random dictionaries the values of each channel are
    shuffled among the latents: they keep the size and what channels have in common.

    Parameters
    ----------
    images
        The same target and images.
    skip
        Whether images that turn out to be unreadable are left out.

    Raises
    ------
    DataError
        When target, layer or images are not those that it was trained on, it was fitted on one patient, or none of its
        latents responds.
    """
    training = stored.training
    check_installed(training.recipe.kind)
    _check_same(stored, images)
    division = divided(images.samples, training.share, training.seed)
    wanted = quotas(division.fitted, images.samples, training.positions, training.seed)
    _check_memory(training.recipe.latents)
    parts = [{one: division.fitted[one] for one in sorted(half)} for half in halves(division.fitted, training.seed)]
    for half in parts:
        theirs = {row for own in half.values() for row in own}
        room = most_positions(images, training.layer, {row: wanted[row] for row in sorted(theirs & wanted.keys())})
        if room < training.recipe.latents:
            raise DataError(
                f"half of the patients have at most {room:,} positions, for {training.recipe.latents:,} latents",
                "train it again with more positions or patients, or fewer latents",
            )
    with watched(images, f"stability of {stored.path.name}"):
        samples = sampled(images, training.layer, wanted, training.seed, skip=skip)
        each = [samples.of(one) for one in parts]
        own = Alive.of(stored.fitted, samples.values)
        if not len(own.rows):
            raise DataError(f"none of the latents of {stored.path} responds: there is nothing to compare", WEAKER)
        one_more, *others = other_seeds(training.seed)
        again = fit_watched(images, samples, training.recipe, one_more, "another seed")
        # Other seeds, too: two fits from one start could agree because of it.
        first, second = (
            fit_watched(images, half, training.recipe, seed, f"half {number} of patients")
            for number, (half, seed) in enumerate(zip(each, others, strict=True), 1)
        )
    return (
        agreement("another seed", [(own, Alive.of(again, samples.values))]),
        agreement("two halves of its patients", [(Alive.of(first, samples.values), Alive.of(second, samples.values))]),
        agreement("random dictionaries", [(own.shuffled(2 * at), own.shuffled(2 * at + 1)) for at in range(_DRAWS)]),
    )


def other_seeds(seed: int) -> tuple[int, int, int]:
    """Return the seeds of the other fits: on the same positions, and on two halves of the patients."""
    return (seed + 1) % SEEDS, (seed + 2) % SEEDS, (seed + 3) % SEEDS


def with_stability(facts: Mapping[str, str], found: Sequence[Agreement]) -> dict[str, str]:
    """Return what is known of a dictionary with its stability beside that of random ones, in the order shown."""
    seeds, patients, chance = found
    said = {
        f"stability of {what}": f"{decimal(one.weighted)} weighted, {decimal(one.mean)} of all; {100 * one.high:.0f} % "
        f"of {one.latents:,} at least {decimal(HIGH)[:2]}; by chance {decimal(chance.mean)}"
        for what, one in (("seeds", seeds), ("patients", patients))
    }
    known: dict[str, str] = {}
    for name, text in facts.items():
        if name == "stability" or name in said:
            known |= said
        else:
            known[name] = text
    return known | said


def _check_same(stored: Stored, images: TargetImages) -> None:
    training, path = stored.training, stored.path
    if images.network != training.network:
        raise DataError(
            f"{path} was trained on another model, or on other weights of it",
            f"give the one that it was trained on: {training.model.get('plugin')}",
        )
    if shown_images(images) != training.images:
        chosen = [name for name in ("where", "limit", "per_patient") if name in training.dataset]
        flags = "".join(f" --{name.replace('_', '-')} {_typed(training.dataset[name])}" for name in chosen)
        options = training.dataset.get("options")
        if isinstance(options, dict):  # texts may be folders, which are not recorded as they were
            numbers = {name: value for name, value in options.items() if isinstance(value, int | float)}
            flags += "".join(f" --dataset-arg {name}={value}" for name, value in numbers.items())
        raise DataError(
            f"{path} was trained on other images",
            f"give those that it was trained on: --dataset {training.dataset.get('plugin')}{flags}",
        )
    if prepared_by(images) != training.preparation:
        raise DataError(
            f"{path} was trained on images that were prepared otherwise",
            "give the same --recipe, or none if it had none",
        )


def _typed(value: object) -> str:
    """Return a value of a flag as it is typed; a condition on people is not recorded."""
    return "…" if str(value).startswith("hidden:") else shlex.quote(str(value))


def _check_memory(latents: int) -> None:
    size = 2 * 8 * latents**2  # cosines of all pairs, and what the matching keeps
    if size > MOST_BYTES:
        raise DataError(
            f"matching {latents:,} latents takes {size / 1e9:,.3g} GB; at most {MOST_BYTES / 1e9:g} GB are taken",
            f"train one of at most {int((MOST_BYTES / 16) ** 0.5):,} latents",
        )


@dataclass(frozen=True, eq=False)
class Alive:
    """The latents of a dictionary that respond to some of the samples.

    Parameters
    ----------
    rows
        Their decoder rows, ``(latents, channels)``; of centroids, from the mean of the samples.
    energy
        How much of what the dictionary rebuilds is theirs, ``(latents,)`` float64: the sum over samples of squared
        codes times the squared length of the row.
    """

    rows: torch.Tensor
    energy: torch.Tensor

    @classmethod
    def of(cls, fitted: Fitted, samples: torch.Tensor) -> Alive:
        """Return those that respond to samples ``(n, channels)``."""
        energy = torch.zeros(len(fitted.decoder), dtype=torch.float64)
        alive = torch.zeros(len(fitted.decoder), dtype=torch.bool)
        for some in torch.split(samples, _AT_ONCE):
            found = codes(fitted, some)
            alive |= (found > 0).any(dim=0)
            energy += found.double().square().sum(dim=0)
        rows = fitted.decoder[alive]
        if fitted.activation == "nearest" and fitted.decoder_bias is not None:  # it counts from a mean of each fit
            rows = rows + (fitted.decoder_bias - samples.mean(dim=0))
        return cls(rows, energy[alive] * rows.double().square().sum(dim=1))

    def shuffled(self, seed: int) -> Alive:
        """Return random latents, of as much energy: the values of each channel are shuffled among the latents."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.rand(self.rows.shape, generator=generator).argsort(dim=0)
        return Alive(self.rows.gather(0, order), self.energy)


def agreement(what: str, pairs: Sequence[tuple[Alive, Alive]]) -> Agreement:
    """Return how alike dictionaries are, of one pair or several."""
    found, weighted = [], []
    for one, other in pairs:
        rows, columns, cosines = paired(one.rows, other.rows)
        found.append(torch.cat([cosines, cosines.new_zeros(max(len(one.rows), len(other.rows)) - len(cosines))]))
        weighted += [_weighted(cosines, one.energy, rows), _weighted(cosines, other.energy, columns)]
    whole = torch.cat(found)
    if not len(whole):  # in none does a latent respond: nothing is found again
        whole = whole.new_zeros(1)
    return Agreement(
        what,
        sum(weighted) / len(weighted),
        float(whole.mean()),
        float(whole.median()),
        float((whole >= HIGH).float().mean()),
        max(len(one.rows) for pair in pairs for one in pair),
    )


def _weighted(cosines: torch.Tensor, energy: torch.Tensor, at: torch.Tensor) -> float:
    return float((cosines * energy[at]).sum() / energy.sum()) if len(energy) else 0.0
