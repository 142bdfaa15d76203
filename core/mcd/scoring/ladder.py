"""The rungs above the first: what each is tested with, and how far the first labels of a layer get."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from mcd.api.scorer import Scorer
from mcd.scoring.activations import Activations
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.calibration.nuisances import Nuisances
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.held_fixed import HeldFixed
from mcd.scoring.held_out import HeldOut
from mcd.scoring.rungs import IMAGE, NUISANCE, RIGHT, UNTRAINED, Rungs, Values, climbed
from mcd.scoring.similarity import Similarity
from mcd.scoring.untrained import Beside, UntrainedNetworks
from mcd.study.calibration import Calibration

__all__ = ["Ladder", "RungData"]


@dataclass(frozen=True)
class RungData:
    """What the rungs above the first are tested with: each is called once, and only where its rung is asked for.

    Parameters
    ----------
    nuisances
        Returns what is held fixed at the second rung, or why nothing can be.
    untrained
        Returns A of a layer, by name, in each network that has not been trained; or why there is none. None where the
        third rung is not asked for.
    held_out
        Returns the patients of the fourth rung, or why there are none.
    """

    nuisances: Callable[[], Nuisances | str] = lambda: "nothing is known of the images"
    untrained: Callable[[str], Iterable[torch.Tensor | Activations]] | str | None = None
    held_out: Callable[[], HeldOut | str] = lambda: "nothing is annotated"


class Ladder:
    """Tests how far labels get.

    Parameters
    ----------
    data
        What the rungs are tested with.
    all_z
        Returns z of all concepts, ``(live units, concepts)``, and the first label of each live unit, given A.

    Attributes
    ----------
    problems
        The rungs above the first that were asked for, each with the reason where it is not available.
    """

    def __init__(
        self,
        scorer: Scorer,
        similarity: Similarity,
        units: PermutationUnits,
        calibration: Calibration,
        data: RungData,
        all_z: Callable[[torch.Tensor | Activations], tuple[Values, Rows]],
    ) -> None:
        self._calibration = calibration
        self._fixed: HeldFixed | None = None
        self._untrained: UntrainedNetworks | None = None
        self._out: HeldOut | None = None
        self.problems: dict[str, str] = {}
        if not calibration.draws:
            return
        if calibration.nuisances:
            nuisances = data.nuisances()
            if not isinstance(nuisances, str):
                self._fixed = HeldFixed(scorer, similarity, units, nuisances, calibration.null_seed)
                nuisances = self._fixed.problem
            self.problems[NUISANCE] = nuisances
            self._fixed = None if nuisances else self._fixed
        if data.untrained is not None:
            self.problems[UNTRAINED] = data.untrained if isinstance(data.untrained, str) else ""
            if not isinstance(data.untrained, str):
                self._untrained = UntrainedNetworks(data.untrained, all_z)
        if calibration.right:
            held_out = data.held_out()
            if not isinstance(held_out, str):
                self._out, held_out = held_out, held_out.problem
            self.problems[RIGHT] = held_out
            self._out = None if held_out else self._out

    @property
    def caution(self) -> str:
        """What is to be said of the rungs; mostly nothing: an empty text."""
        return "; ".join(one.caution for one in (self._fixed, self._out) if one is not None and one.caution)

    def beside(self, layer: str, judged: Judged, order: torch.Tensor) -> Beside | None:
        """Return how a layer compares with networks that have not been trained; None where there are none."""
        return self._untrained.beside(layer, judged.z[:, 0], order[:, 0].numpy()) if self._untrained else None

    def climb(
        self,
        judged: Judged,
        live: Activations,
        order: torch.Tensor,
        beside: Beside | None,
    ) -> Rungs:
        """Return how far the first labels of a layer get; a rung is tested of those that are significant below it.

        Parameters
        ----------
        judged
            The first rung.
        live
            A of the live neurons of the layer.
        order
            ``(live neurons, labels)``: their concepts, best first.
        beside
            As `beside` returns it.
        """
        p = {IMAGE: judged.p[:, 0]}
        chosen = np.flatnonzero(judged.q[:, 0] <= self._calibration.q)
        first = order[torch.from_numpy(chosen), 0]

        def of_all(found: Values) -> Values:
            everything = np.ones(len(order))
            everything[chosen] = found
            return everything

        if self._fixed is not None:
            p[NUISANCE] = of_all(self._fixed.test(live, chosen, first)[1])
        if beside is not None:
            p[UNTRAINED] = beside.p
        if self._out is not None:
            p[RIGHT] = of_all(self._out.test(live, chosen, first))
        return climbed(p, self._calibration)
