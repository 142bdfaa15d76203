"""A dictionary trained in one call: positions are drawn, it is fitted, measured on other patients, and written."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcd import events
from mcd.errors import UsageError, amount
from mcd.plugins import TargetImages, digest
from mcd_plugins.dictionary.factors import check_installed
from mcd_plugins.dictionary.fitting import fit
from mcd_plugins.dictionary.kinds import AUTOENCODERS, SEEDS, Fitted, Recipe
from mcd_plugins.dictionary.measuring import Measures, measured
from mcd_plugins.dictionary.record import MOST_POSITIONS, Training, check_output, write_dictionary
from mcd_plugins.dictionary.sampling import (
    MOST_BYTES,
    TESTED,
    Division,
    Sampled,
    divided,
    most_positions,
    quotas,
    sampled,
)

__all__ = [
    "UNMEASURED",
    "WEAKER",
    "Trained",
    "decimal",
    "fit_watched",
    "prepared_by",
    "shown_images",
    "train",
    "units_of",
    "watched",
]

UNMEASURED = "not measured"
"""What is said of stability before it is."""
WEAKER = "train it again with more --steps, or with a smaller --sparsity"
"""The way out where no latent responds."""


@dataclass(frozen=True)
class Trained:
    """A dictionary that was written.

    Parameters
    ----------
    path
        The file.
    layer, neurons
        What it is a dictionary of.
    facts
        What is known of it, in the order shown; the file holds the same.
    remarks
        What a reader must know of the images.
    """

    path: Path
    layer: str
    neurons: int
    facts: Mapping[str, str]
    remarks: tuple[str, ...]


def units_of(path: Path) -> str:
    """Return what ``--units`` takes: with a name, where what the file is called can be none."""
    name = "" if re.fullmatch(r"[^\s/@:=]+", path.stem) else "sae="
    return f"{name}dictionary:{path}"


def train(
    images: TargetImages,
    output: str | Path,
    recipe: Recipe,
    *,
    layer: str | None = None,
    positions: int = 100,
    share: float = 0.5,
    seed: int = 0,
    skip: bool = False,
) -> Trained:
    """Train a dictionary of a layer on positions of images, and write it.

    It is fitted on some of the patients and measured on others. The same images, settings, torch and threads on the
    same kind of device make the same bytes.

    Parameters
    ----------
    images
        The target and its images.
    output
        The file, ``.safetensors``.
    recipe
        What it is fitted by.
    layer
        Of the target; by default the one that a run dissected.
    positions
        How many are drawn of each patient, inside the breast, or of each image where patients are not known.
    share
        Of patients it is fitted on, above 0 and at most 1.
    seed
        Decides patients, positions and the fit.
    skip
        Whether images that turn out to be unreadable are left out.

    Raises
    ------
    mcd.errors.MCDError
        When anything does not fit, before images are read where that can be known; when an image cannot be read.
    """
    path = Path(output).expanduser()
    check_output(path)
    check_installed(recipe.kind)
    _check_draws(positions, share, seed)
    read = images.layer(layer)
    division = divided(images.samples, share, seed)
    wanted = quotas(division.fitted, images.samples, positions, seed)
    _check_enough(most_positions(images, read.name, wanted), recipe, read.neurons)
    with watched(images, f"a dictionary of layer {read.name} of {images.target.name}"):
        own = sampled(images, read.name, wanted, seed, skip=skip)
        others = None
        if division.tested:
            others = sampled(
                images, read.name, quotas(division.tested, images.samples, positions, seed), seed, skip=skip
            )
        fitted = fit_watched(images, own, recipe, seed)
    found = measured(fitted, (others or own).values)
    facts = _facts(fitted, recipe, found, own, others, division, seed)
    if images.target.licence:
        facts["licence of the weights"] = images.target.licence
    training = Training(
        layer=read.name,
        network=images.network,
        images=shown_images(images),
        preparation=prepared_by(images),
        model=dict(images.model),
        dataset=dict(images.dataset),
        recipe=recipe,
        positions=positions,
        share=share,
        seed=seed,
    )
    digests = [images.digests[row] for rows in division.fitted.values() for row in rows]
    write_dictionary(path, fitted, training, facts, digests)
    remarks = tuple(_remarks(images, division, own, others, found, digests, wanted))
    return Trained(path, read.name, read.neurons, facts, remarks)


def shown_images(images: TargetImages) -> str:
    """Return a digest of images in order: of their bytes, or of their ids where these have no digest."""
    return digest(*(one.digest or one.id for one in images.samples))


def prepared_by(images: TargetImages) -> str:
    """Return a digest of the recipe that prepares images; empty where there is none."""
    recipe = images.through.reader.recipe
    return "" if recipe is None else recipe.fingerprint()


def fit_watched(images: TargetImages, samples: Sampled, recipe: Recipe, seed: int, name: str = "fit") -> Fitted:
    """Return a dictionary fitted where the target runs, with a progress bar of that name."""
    with _steps(images, name, recipe) as advanced:
        return fit(samples.values, recipe, seed, device=str(images.device), advanced=advanced)


@contextmanager
def watched(images: TargetImages, title: str) -> Iterator[None]:
    """Show progress of what is done inside under a title."""
    start = time.perf_counter()
    with events.Clock(images.host.emit).run(title):
        yield
    images.host.emit(events.RunFinished("", time.perf_counter() - start))


@contextmanager
def _steps(images: TargetImages, name: str, recipe: Recipe) -> Iterator[Callable[[int], None]]:
    total, done = recipe.steps if recipe.kind in AUTOENCODERS else 1, 0
    with events.Clock(images.host.emit).stage(name, total, "steps") as advanced:

        def through(now: int) -> None:
            nonlocal done
            if recipe.kind in AUTOENCODERS:
                advanced(now - done)
            done = now

        yield through
        if recipe.kind not in AUTOENCODERS:
            advanced(1)


def _check_draws(positions: int, share: float, seed: int) -> None:
    if not 1 <= positions <= MOST_POSITIONS:
        raise UsageError(f"{positions:,} positions of a patient", f"take 1 to {MOST_POSITIONS:,}")
    if not 0 < share <= 1:
        raise UsageError(f"a share of {share:g} of the patients", "it is above 0, and at most 1")
    if not 0 <= seed < SEEDS:
        raise UsageError(f"seed {seed}", f"a seed is a whole number from 0 to {SEEDS - 1}")


def _check_enough(positions: int, recipe: Recipe, neurons: int) -> None:
    # Two matrices with gradients and two moments of each, and a few values of each latent at each position of a batch.
    size = 4 * recipe.latents * (8 * neurons + 4 * recipe.batch)
    if size > MOST_BYTES:
        raise UsageError(
            f"{recipe.latents:,} latents of {neurons:,} neurons take {size / 1e9:,.3g} GB to be fitted; at most "
            f"{MOST_BYTES / 1e9:g} GB are taken",
            f"take fewer: --latents {int(recipe.latents * MOST_BYTES / size)}",
        )
    if positions < recipe.latents:
        raise UsageError(
            f"at most {amount(positions, 'position')} for {recipe.latents:,} latents",
            f"take more (--positions), more images, or fewer latents: --latents {max(2, positions // 10)}",
        )


def _facts(
    fitted: Fitted,
    recipe: Recipe,
    found: Measures,
    own: Sampled,
    others: Sampled | None,
    division: Division,
    seed: int,
) -> dict[str, str]:
    """Return what is known of a dictionary, in the order shown."""
    k = f", k {recipe.k}" if recipe.kind in ("topk", "batchtopk") else ""
    penalty = f", sparsity {recipe.sparsity:g}" if recipe.kind == "relu" else ""
    tested = "its own positions: it was fitted on all patients"
    if others is not None:
        tested = _counted(others, division.tested, "other ", division)
    return {
        "kind": f"{fitted.method}{k}{penalty}",
        "latents": f"{recipe.latents:,}",
        "L0": f"{found.l0:.1f}",
        "dead": f"{100 * found.dead:.1f} %",
        "R²": decimal(found.r2),
        "measured on": tested,
        "stability": UNMEASURED,
        "fitted on": f"{_counted(own, division.fitted, '', division)}, seed {seed}",
    }


def _counted(samples: Sampled, patients: Mapping[str, Sequence[int]], other: str, division: Division) -> str:
    """Return how many positions of how many images, and of how many patients where all of them are known."""
    positions = amount(len(samples.values), "position")
    if division.unknown:
        return f"{positions} of {amount(samples.images, f'{other}image')}"
    read = {*samples.rows.tolist()}
    people = sum(not read.isdisjoint(rows) for rows in patients.values())
    return f"{positions} of {amount(samples.images, 'image')} of {amount(people, f'{other}patient')}"


def decimal(value: float) -> str:
    """Return a share or a correlation in three decimals, without a zero before the point."""
    return "undefined" if math.isnan(value) else re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}")


def _remarks(
    images: TargetImages,
    division: Division,
    own: Sampled,
    others: Sampled | None,
    found: Measures,
    digests: Sequence[str],
    wanted: Mapping[int, int],
) -> Iterator[str]:
    """Yield what a reader must know of the images, and of a dictionary that is none."""
    if found.dead == 1:
        yield f"none of its latents responds: {WEAKER}"
    both = [own, *([others] if others is not None else [])]
    lost, framed = len(wanted) - own.images, sum(one.framed for one in both)
    if division.unknown:
        yield (
            f"{division.unknown:,} of {len(images.samples):,} images do not say whose they are: each counts as a "
            "patient of its own, and patients may be on both sides"
        )
    if not images.images.has_masks:
        yield "the data set knows no breasts: positions are of whole images"
    if framed:
        yield f"in {amount(framed, 'image')} no breast was found, or it fills the input: positions are of all of it"
    if lost:
        yield f"{amount(lost, 'image')} to fit on could not be read, and {'is' if lost == 1 else 'are'} left out"
    if not all(digests):
        yield (
            f"without a digest: {amount(sum(not one for one in digests), 'image')}, which a run cannot leave out, so "
            "choose other patients for it"
        )
    if others is not None and len(division.tested) == TESTED:
        yield f"it was measured on {TESTED} of the patients that it was not fitted on"
