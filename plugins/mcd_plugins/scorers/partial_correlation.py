"""Partial correlation given confounders."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import combinations, product

import pandas as pd
import pydantic
import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import products, refuse_unpaired, responds
from mcd_plugins.scorers.pearson import standardised

__all__ = ["CONFOUNDERS", "PartialCorrelation", "basis", "residual"]

CONFOUNDERS = ("view", "laterality", "vendor", "implant", "side marker", "view marker")
"""What is taken where nothing is asked for: facts, and findings of the side marker by the names data sets give it.

Density is not among them: it is clinical, and a neuron that follows it has learned something.
"""

_LEVELS = 6
"""A confounder of more different numbers is a number, one of fewer has levels."""

_FEWEST = 3
"""Images for each column of what is held fixed: with fewer, interactions are left out."""

_INTERACTIONS = ("all interactions", "interactions of two", "no interactions, for which there are too few images")
"""What is held fixed besides the confounders one by one: as much as there are images for."""

_CHUNK = 2**24
"""Numbers that are held in float64 at once: 128 MiB."""

_EXPLAINED = 1e-5
"""Share of its length that is left of a column which confounders explain: what float32 leaves of nothing."""


class PartialCorrelation(mcd.Scorer):
    """The correlation of activations and similarity beyond what view, side, scanner and implant explain.

    With Z a column for each combination of levels that the confounders take, "not known" being a level of its own::

        S = Pearson of (a - Z Z⁺ a) and (p - Z Z⁺ p)

    So a neuron that follows left MLO views alone is explained too. Where there are fewer than three images a column,
    the combinations are those of two confounders, or the levels alone; which it is, is said. A confounder of more than
    six different numbers (age, compressed thickness) is a number: Z has it, its square, and its products with each
    level and each other number. Z⁺ is the pseudo-inverse, so levels that imply one another do no harm.

    Without ``confounders``, those of `CONFOUNDERS` are used that the probe set records and that differ between images;
    `confounders` of the scorer that `for_probe` returns says which. A neuron or concept that they explain to the
    rounding of float32, or that is the same on every image, has no score (NaN). Source: Yule 1907, Proc. R.
    Soc. A 79; Anderson 2003, An Introduction to Multivariate Statistical Analysis, 4.3.

    Between -1 and 1, higher is better; neither scale nor offset of the activations matters. Comparable across layers on
    the same images with the same confounders: by chance its mean is 0 and its variance 1/(n - rank of Z), as for
    `Pearson`, of which it passes the sanity checks where labels do not depend on the confounders. The null permutes
    residuals, not activations (Freedman & Lane 1983): permuted activations would carry what confounders explain to
    other images, and noise that follows a confounder would look like discoveries. A concept that *is* a confounder
    ("left breast") keeps only what of its similarity does not follow it.

    Examples
    --------
    A neuron that follows the view, and the mass a little.

    >>> import pandas as pd
    >>> facts = pd.DataFrame({"view": ["CC", "CC", "MLO", "MLO"]})
    >>> probe = mcd.Probe([mcd.Concept("mass", "", "")], torch.eye(4), torch.eye(1, 4), lambda: facts, None)
    >>> scorer = PartialCorrelation().for_probe(probe)
    >>> scorer.confounders
    ('view',)
    >>> scorer.score(torch.tensor([[1.0], [1.1], [5.0], [5.1]]), torch.tensor([[0.1], [0.2], [0.1], [0.2]]))
    tensor([[1.]])
    """

    class Options(mcd.Options):
        """Settings of the partial correlation."""

        confounders: tuple[str, ...] = pydantic.Field(
            default=(),
            description="facts and findings of the probe set that are held fixed; by default those of "
            f"{', '.join(CONFOUNDERS)} that it records",
        )

        @pydantic.field_validator("confounders", mode="before")
        @classmethod
        def _one_by_name(cls, value: object) -> object:
            """Take ``view,vendor`` from the command line for two names."""
            return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    options: Options
    name = "partial-correlation"
    depends_on = "pair"
    score_range = (-1.0, 1.0)
    comparable_across_layers = True
    confounders: tuple[str, ...] = ()
    """Those that are held fixed, once a probe set is known."""
    _basis: torch.Tensor | None = None

    def for_probe(self, probe: mcd.Probe) -> PartialCorrelation:
        """Return this scorer with the confounders of a probe set.

        Raises
        ------
        mcd.errors.DataError
            When the probe set does not record a requested confounder, or records none of the usual ones; or when their
            levels differ between nearly all images.
        """
        made = copy.copy(self)
        known = {name: probe.known(name) for name in self.options.confounders} or _usual(probe)
        if not known:
            raise mcd.errors.DataError(
                f"{self.name} holds confounders fixed, but the probe set records none of {', '.join(CONFOUNDERS)}",
                "name one that it records with --scorer-arg confounders=NAME, or use --scorer pearson",
            )
        made.confounders = tuple(known)
        made._basis, interactions = basis(list(known.values()))
        with_them = f", with {interactions}" if len(known) > 1 else ""
        made.caution = f"{self.name} holds fixed: {', '.join(known)}{with_them}"
        images, rank = made._basis.shape
        if images - rank < 2:
            raise mcd.errors.DataError(
                f"{self.name}: {', '.join(known)} have as many levels as there are images ({images})",
                "give fewer with --scorer-arg confounders=NAME",
            )
        return made

    def permuted(self, activations: torch.Tensor) -> torch.Tensor:
        """Return the residuals of activations on the confounders: permuting them leaves the explained part in place.

        Source: Freedman & Lane 1983, Journal of Business & Economic Statistics 1(4).
        """
        return activations if self._basis is None else residual(activations, self._basis.to(activations.device))

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        if self._basis is None:
            raise mcd.errors.UsageError(
                f"{self.name} needs the facts of a probe set", "call scorer.for_probe(probe) first"
            )
        basis = self._basis.to(activations.device)
        # By the tensor that the scorer keeps: a copy for a device is another one each time.
        right = made_of(similarity, ("residual", self._basis), lambda: standardised(residual(similarity, basis)))
        return products(standardised(residual(activations, basis)), right).clamp(-1, 1)  # rounding may pass 1


def _usual(probe: mcd.Probe) -> dict[str, list[str]]:
    found = {name: [str(one) for one in probe.facts[name]] for name in CONFOUNDERS if name in probe.facts}
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def basis(confounders: Sequence[Sequence[str]]) -> tuple[torch.Tensor, str]:
    """Return an orthonormal basis of what confounders explain, and with which of `_INTERACTIONS`.

    The basis is ``(images, rank)`` float64, the constant included.

    Parameters
    ----------
    confounders
        Of each confounder its value on every image, as a text.
    """
    images, numbers = len(confounders[0]), [_number(values) for values in confounders]
    levels = [values for values, number in zip(confounders, numbers, strict=True) if number is None]
    values = [number for number in numbers if number is not None]
    for size, interactions in zip((len(levels), 2, 1), _INTERACTIONS, strict=True):
        last = interactions == _INTERACTIONS[-1]
        columns = [torch.ones(images, 1, dtype=torch.float64), *values]
        together = combinations(levels, min(size, len(levels))) if levels else ()
        columns += [_indicators(list(zip(*some, strict=True))) for some in together]
        if not last:
            columns += [number[:, :1] * _indicators(one) for number, one in product(values, levels)]
            columns += [one[:, :1] * other[:, :1] for one, other in combinations(values, 2)]
        design = torch.cat(columns, dim=1)
        if last or design.shape[1] <= images:
            left, width, _ = torch.linalg.svd(design, full_matrices=False)
            found: torch.Tensor = left[:, width > width[0] * images * torch.finfo(torch.float64).eps]
            if last or images >= _FEWEST * found.shape[1]:
                return found, interactions
    raise AssertionError


def _number(values: Sequence[str]) -> torch.Tensor | None:
    """Return columns of a confounder that is a number, ``(images, 2 or 3)``; None for one that has levels.

    They are the number, standardised, its square, and whether it is known, where it is not known of all.
    """
    try:
        known = torch.tensor([float(value) if value else float("nan") for value in values], dtype=torch.float64)
    except ValueError:
        return None
    there = ~known.isnan()
    if known.isinf().any() or len(set(known[there].tolist())) <= _LEVELS:
        return None
    standard = torch.where(there, (known - known[there].mean()) / known[there].std(), 0.0)
    columns = [standard, standard**2]
    return torch.stack(columns if there.all() else [*columns, there.double()], dim=1)


def _indicators(values: Sequence[object]) -> torch.Tensor:
    """Return 1 where an image has a value, one column for each, ``(images, values)`` float64."""
    which = torch.tensor(pd.factorize(pd.Series(list(values), dtype=object), sort=True)[0])
    return torch.nn.functional.one_hot(which).double()


def residual(columns: torch.Tensor, explained: torch.Tensor) -> torch.Tensor:
    """Return what a basis does not explain of columns, ``(images, columns)`` float32; 0 where it explains all.

    Parameters
    ----------
    columns
        ``(images, columns)`` float32, of any scale and offset.
    explained
        ``(images, rank)`` float64, orthonormal, the constant within.
    """
    rest = torch.empty_like(columns)
    step = max(1, _CHUNK // max(1, len(columns)))
    for part, place in zip(torch.split(columns, step, dim=1), torch.split(rest, step, dim=1), strict=True):
        exact = part.double()
        scale = exact.abs().amax(dim=0)
        exact = exact / scale  # squares of float32 stay within float64, but not their fourth powers
        centred = exact - exact.mean(dim=0)
        left = centred - explained @ (explained.T @ centred)
        # What rounding to float32 put in stands at one unit in the last place of the largest value, on every image.
        rounding = torch.finfo(torch.float32).eps * len(part) ** 0.5
        floor = (_EXPLAINED * centred.square().sum(dim=0).sqrt()).clamp_min(rounding)
        gone = (left.square().sum(dim=0).sqrt() <= floor) | ~responds(part)
        place.copy_(left.masked_fill_(gone, 0))
    return rest.masked_fill_(columns.isnan().any(dim=0), float("nan"))
