"""The fourth rung: labels tested with annotations of patients that were not used to name the unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.errors import MCDError
from mcd.scoring.activations import Activations, split
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.calibration.right import FEWEST_PATIENTS, agreement, split_halves

__all__ = ["HeldOut", "Naming", "halved"]

Values = NDArray[np.float64]
Naming = Callable[[Activations], torch.Tensor]
"""From activations to the first concept of each neuron; see `HeldOut`."""

_COPIES = 4
"""How many copies of columns there are at once."""


def halved(
    units: PermutationUnits,
    annotated: torch.Tensor,
    seed: int,
    named_by: Callable[[Sequence[int]], Naming],
    caution: str = "",
    columns: Rows | None = None,
) -> HeldOut | str:
    """Hold half of the patients out, or return why the other half cannot name neurons.

    Parameters
    ----------
    units, annotated, seed, caution, columns
        See `HeldOut`.
    named_by
        Returns what names neurons by the images of these row numbers; it raises an `MCDError` where they cannot.
    """
    held_out = split_halves(units, seed)
    try:
        naming = named_by(np.flatnonzero(~held_out).tolist())
    except MCDError as error:
        return f"half of the images cannot name neurons: {error.message}"
    return HeldOut(held_out, annotated, units, naming, seed, caution, columns)


@dataclass(frozen=True)
class HeldOut:
    """Half of the patients, held out from naming, and what is annotated of all images.

    Parameters
    ----------
    rows
        ``(images,)``: which images are of held-out patients.
    annotated
        ``(images, columns)`` float32: 1 present, 0 absent, NaN not known.
    units
        What is held out together, and permuted: patients; where they are not known images, equal ones together.
    naming
        Returns the first concept of each neuron of a layer, ``(neurons,)``, -1 where it has none, by the activations
        of the other half.
    seed
        Of the draws.
    caution
        What is to be said of the split; mostly nothing: an empty text.
    columns
        ``(concepts,)``: which column each concept has, -1 where it has none; by default the concepts are the columns.
    """

    rows: NDArray[np.bool_]
    annotated: torch.Tensor
    units: PermutationUnits
    naming: Naming
    seed: int
    caution: str = ""
    columns: Rows | None = None

    @cached_property
    def assessable(self) -> NDArray[np.bool_]:
        """Which concepts enough held-out patients have, and enough lack, ``(concepts,)``."""
        unit = self.units.patient[self.rows]
        state = self.annotated[torch.from_numpy(self.rows)].numpy()
        with_it, without = (PermutationUnits.renumbered(unit).having(state == value) for value in (1, 0))
        found: NDArray[np.bool_] = (with_it >= FEWEST_PATIENTS) & (without >= FEWEST_PATIENTS)
        if self.columns is None:
            return found
        return np.append(found, False)[self.columns]  # -1 is the last

    @property
    def problem(self) -> str:
        """Why nothing can be assessed, or an empty text."""
        if self.assessable.any():
            return ""
        if not self.annotated.shape[1] or bool(self.annotated.isnan().all()):
            return "the data set annotates no concept of the vocabulary"
        return f"no annotated concept has {FEWEST_PATIENTS} held-out patients with it and as many without"

    def test(self, activations: Activations, chosen: Rows, first: torch.Tensor) -> Values:
        """Return the p of the labels of some neurons, ``(chosen,)``.

        1 where the other half of the patients names the neuron otherwise; NaN where the concept is not assessable.

        Parameters
        ----------
        activations
            Of all neurons of the layer that respond.
        chosen, first
            ``(chosen,)``: which of the neurons, and the concept of each.
        """
        named = self.naming(activations.at(np.flatnonzero(~self.rows)))[torch.from_numpy(chosen)]
        p = np.where(self.assessable[first.numpy()], 1.0, np.nan)
        agreed = np.flatnonzero((named == first).numpy() & self.assessable[first.numpy()])
        held_out = self.units.order[self.rows[self.units.order]]  # draws do not depend on where images stand
        for at in split(activations.images, len(agreed), _COPIES):
            some = agreed[at]
            columns, concepts = activations.columns(chosen[some]), first.numpy()[some]
            for concept in np.unique(concepts).tolist():
                said = self.annotated[:, concept if self.columns is None else int(self.columns[concept])]
                rows = held_out[~said[torch.from_numpy(held_out)].isnan().numpy()]
                own = PermutationUnits.renumbered(self.units.patient[rows])
                values = columns[:, torch.from_numpy(concepts == concept)][torch.from_numpy(rows)]
                p[some[concepts == concept]] = agreement(values, said[torch.from_numpy(rows)], own, self.seed).p
        return p
