"""How much of a dictionary another one has: of another seed, of other patients, and of none."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mcd.errors import DataError
from mcd.plugins import TargetImages
from mcd_plugins.dictionary.factors import check_installed
from mcd_plugins.dictionary.kinds import Fitted
from mcd_plugins.dictionary.matching import matched
from mcd_plugins.dictionary.measuring import codes
from mcd_plugins.dictionary.record import Stored
from mcd_plugins.dictionary.sampling import MOST_BYTES, Sampled, divided, halves, most_positions, quotas, sampled
from mcd_plugins.dictionary.training import decimal, fit_watched, prepared_by, shown_images, watched

__all__ = ["HIGH", "Agreement", "stability", "with_stability"]

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
    mean, median
        Of the cosines of matched decoder rows; a latent without a partner counts 0.
    high
        The share of latents whose cosine is at least `HIGH`.
    latents
        How many there are in the larger one; dead ones do not count.
    """

    what: str
    mean: float
    median: float
    high: float
    latents: int


def stability(stored: Stored, images: TargetImages, *, skip: bool = False) -> tuple[Agreement, Agreement, Agreement]:
    """Return how alike a dictionary is to one of another seed, those of two halves of its patients, and random ones.

    All are fitted on the positions that it was fitted on. In random dictionaries the values of each channel are dealt
    anew among the latents: they keep the size and what channels have in common.

    Parameters
    ----------
    images
        The same target and images.
    skip
        Whether images that turn out to be unreadable are left out.

    Raises
    ------
    DataError
        When target, layer or images are not those that it was trained on, or it was fitted on one patient.
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
        own = _alive(stored.fitted, samples)
        again = _alive(fit_watched(images, samples, training.recipe, training.seed + 1, "another seed"), samples)
        # Other seeds, too: two fits from one start could agree because of it.
        first, second = (
            _alive(
                fit_watched(images, half, training.recipe, training.seed + 2 + at, f"half {at + 1} of patients"),
                samples,
            )
            for at, half in enumerate(each)
        )
    return (
        _agreement("another seed", [(own, again)]),
        _agreement("two halves of its patients", [(first, second)]),
        _agreement("random dictionaries", [(dealt(own, 2 * at), dealt(own, 2 * at + 1)) for at in range(_DRAWS)]),
    )


def with_stability(facts: Mapping[str, str], found: Sequence[Agreement]) -> dict[str, str]:
    """Return what is known of a dictionary with its stability beside that of random ones, in the order shown."""
    seeds, patients, chance = found
    said = {
        f"stability of {what}": f"{decimal(one.mean)}; {100 * one.high:.0f} % of {one.latents:,} at least "
        f"{decimal(HIGH)[:2]}; by chance {decimal(chance.mean)}"
        for what, one in (("seeds", seeds), ("patients", patients))
    }
    known: dict[str, str] = {}
    for name, text in facts.items():
        if name == "stability" or name in said:
            known |= said
        else:
            known[name] = text
    return known


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


def _alive(fitted: Fitted, samples: Sampled) -> torch.Tensor:
    """Return the decoder rows of latents that respond to some of the samples; centroids from the mean of these."""
    alive = torch.zeros(len(fitted.decoder), dtype=torch.bool)
    for some in torch.split(samples.values, _AT_ONCE):
        alive |= (codes(fitted, some) > 0).any(dim=0)
    found = fitted.decoder[alive]
    if fitted.activation == "nearest" and fitted.decoder_bias is not None:  # the file has them from a mean of each fit
        return found + (fitted.decoder_bias - samples.values.mean(dim=0))
    return found


def dealt(rows: torch.Tensor, seed: int) -> torch.Tensor:
    """Return rows ``(latents, channels)`` in which the values of each channel are dealt anew among the latents."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(rows.shape, generator=generator).argsort(dim=0)
    return rows.gather(0, order)


def _agreement(what: str, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> Agreement:
    found = []
    for one, other in pairs:
        cosines = matched(one, other)
        found.append(torch.cat([cosines, cosines.new_zeros(max(len(one), len(other)) - len(cosines))]))
    whole = torch.cat(found)
    return Agreement(
        what,
        float(whole.mean()),
        float(whole.median()),
        float((whole >= HIGH).float().mean()),
        max(len(one) for pair in pairs for one in pair),
    )
