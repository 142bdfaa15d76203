"""Partial correlation given confounders."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import products, refuse_unpaired, responds
from mcd_plugins.scorers.pearson import standardised

__all__ = ["CONFOUNDERS", "PartialCorrelation", "basis", "residual"]

CONFOUNDERS = ("view", "laterality", "vendor", "implant", "density", "side marker", "view marker")
"""What is taken where nothing is asked for: facts, and findings of the side marker by the names data sets give it."""

_CHUNK = 2**24
"""Numbers that are held in float64 at once: 128 MiB."""

_EXPLAINED = 1e-5
"""Share of its length that is left of a column which confounders explain: what float32 leaves of nothing."""


class PartialCorrelation(mcd.Scorer):
    """The correlation of activations and similarity beyond what view, side, scanner, implant and density explain.

    With Z a column of ones and one for each level of each confounder, "not known" being a level of its own::

        S = Pearson of (a - Z Z⁺ a) and (p - Z Z⁺ p)

    Z⁺ is the pseudo-inverse, so levels that imply one another do no harm. Without ``confounders``, those of
    `CONFOUNDERS` are used that the probe set records and that differ between images; `confounders` of the scorer that
    `on` returns says which. A neuron or concept that they explain to the rounding of float32, or that is the same on
    every image, has no score (NaN). Source: Yule 1907, Proc. R. Soc. A 79; Anderson 2003, An Introduction to
    Multivariate Statistical Analysis, 4.3.

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
            f"{', '.join(CONFOUNDERS)} that it tells",
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
        made.caution = f"{self.name} holds fixed: {', '.join(known)}"
        made.confounders, made._basis = tuple(known), basis(list(known.values()))
        images, rank = made._basis.shape
        if images - rank < 2:
            raise mcd.errors.DataError(
                f"{self.name}: {', '.join(known)} have as many combinations of levels as there are images ({images})",
                "give fewer with --scorer-arg confounders=NAME",
            )
        return made

    def permuted(self, activations: torch.Tensor) -> torch.Tensor:
        """Return the residuals of activations on the confounders: permuting them leaves the explained part in place.

        Source: Freedman & Lane 1983, Journal of Business & Economic Statistics 1(4).
        """
        return activations if self._basis is None else residual(activations, self._basis)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        if self._basis is None:
            raise mcd.errors.UsageError(
                f"{self.name} needs the facts of a probe set", "call scorer.for_probe(probe) first"
            )
        left, right = (standardised(residual(columns, self._basis)) for columns in (activations, similarity))
        return products(left, right).clamp(-1, 1)  # rounding may pass 1


def _usual(probe: mcd.Probe) -> dict[str, list[str]]:
    found = {name: [str(one) for one in probe.facts[name]] for name in CONFOUNDERS if name in probe.facts}
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def basis(confounders: Sequence[Sequence[str]]) -> torch.Tensor:
    """Return an orthonormal basis of what confounders explain, the constant included, ``(images, rank)`` float64.

    Parameters
    ----------
    confounders
        Of each confounder its level on every image, as a text.
    """
    columns = [torch.ones(len(confounders[0]), dtype=torch.float64)]
    for values in confounders:
        levels = {level: number for number, level in enumerate(sorted(set(values)))}
        which = torch.tensor([levels[value] for value in values])
        columns += list(torch.nn.functional.one_hot(which, len(levels)).double().T)
    left, size, _ = torch.linalg.svd(torch.stack(columns, dim=1), full_matrices=False)
    found: torch.Tensor = left[:, size > size[0] * len(left) * torch.finfo(torch.float64).eps]
    return found


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
