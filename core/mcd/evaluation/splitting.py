"""The two halves of a run's patients: one names neurons anew, the other judges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.api.scorer import Scorer
from mcd.errors import DataError
from mcd.runs.dissection import Dissection
from mcd.runs.halves import annotated_of, naming_half, scorer_for, units_of
from mcd.runs.material import Material
from mcd.runs.revived import StoredScores
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.calibration.right import split_halves
from mcd.scoring.labelling import Labeller

__all__ = ["Split"]

Flags = NDArray[np.bool_]

_FEWEST_IMAGES = 5
"""Images of each half."""


@dataclass(frozen=True)
class Split:
    """A stored run, and which of its images are held out.

    Parameters
    ----------
    run
        The run.
    scores
        Its scorer and concepts.
    draws
        Resamples of patients.
    seed
        What decides halves and resamples.
    """

    run: Dissection
    scores: StoredScores
    draws: int
    seed: int

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """Those of the run."""
        return tuple(self.scores.concepts.concepts)

    @property
    def by_patient(self) -> bool:
        """Whether patients are held out; images where none is known."""
        return any(self.run.patients)

    @property
    def of(self) -> str:
        """What is held out, in words."""
        return "patients" if self.by_patient else "images"

    @cached_property
    def material(self) -> Material:
        """P, and what else is known."""
        return self.scores.material()

    @cached_property
    def annotated(self) -> torch.Tensor:
        """What is annotated of all images, ``(images, concepts)``: 1, 0, NaN where not known."""
        return annotated_of(self.run, self.material, self.concepts)

    @cached_property
    def units(self) -> PermutationUnits:
        """Patients; where they are not known images, equal ones together."""
        return units_of(self.run, self.run.image_statistics())

    @cached_property
    def held_out(self) -> Flags:
        """Which images judge, ``(images,)``."""
        return split_halves(self.units, self.seed)

    @cached_property
    def own_units(self) -> PermutationUnits:
        """Those of the held-out images, in an order that does not depend on where these stand."""
        rows = self.units.order[self.held_out[self.units.order]]
        place = np.cumsum(self.held_out) - 1
        own = PermutationUnits.renumbered(self.units.patient[self.held_out])
        return PermutationUnits(own.patient, place[rows])

    def resampled(self, units: PermutationUnits) -> Resamples:
        """Draw resamples of the patients of some images."""
        return Resamples.of(units, "patient" if self.by_patient else "image", self.draws, self.seed)

    @property
    def naming_images(self) -> int:
        """How many images name neurons."""
        return int((~self.held_out).sum())

    @cached_property
    def naming_scorer(self) -> Scorer:
        """The run's scorer for the images that are not held out; see `mcd.runs.halves.scorer_for`."""
        return self.scorer_for(self.naming_images)

    def scorer_for(self, images: int) -> Scorer:
        """Return the run's scorer for so many of its images."""
        return scorer_for(self.scores.scorer, images, len(self.held_out))

    def note(self, images: int, who: str) -> str:
        """Return what is to be said of the scorer for so few images, which name neurons; mostly nothing."""
        own, whole = self.scorer_for(images), self.scores.scorer
        if own is whole:
            return ""
        few, many = (getattr(one.options, "top_k", 0) for one in (own, whole))
        return f"{who} has fewer images than the top {many} of the scorer: of its images it takes the same share, {few}"

    @property
    def repeated(self) -> str:
        """What is to be said of held-out images that equal images of the naming half; mostly nothing.

        Equal statistics, thumbnails among them, stand for equal images, as in `mcd.runs.halves.units_of`.
        """
        statistics = self.run.image_statistics()
        if statistics is None:
            return ""
        keys = [row.tobytes() for row in statistics.numpy()]
        named = {key for key, judges in zip(keys, self.held_out, strict=True) if not judges}
        count = sum(key in named for key, judges in zip(keys, self.held_out, strict=True) if judges)
        if not count:
            return ""
        of = f"{count} of {int(self.held_out.sum())} held-out images"
        return f"{of} are equal to images of the naming half, of other patients: they judge what they named"

    @cached_property
    def labeller(self) -> Labeller:
        """What names neurons by the images that are not held out; two concepts each.

        Raises
        ------
        DataError
            When these images are too few.
        """
        if min(int(self.held_out.sum()), int((~self.held_out).sum())) < _FEWEST_IMAGES:
            raise DataError(
                f"{self.run.folder} has too few images to hold out half of its {self.of}: {len(self.held_out)}",
                f"evaluate a run with at least {_FEWEST_IMAGES} images in each half",
            )
        wording, rows = self.scores.study.prompts, np.flatnonzero(~self.held_out).tolist()
        try:
            return naming_half(self.run, self.material, self.naming_scorer, self.concepts, wording, rows, count=2)
        except DataError as error:
            raise DataError(
                f"half of the images of {self.run.folder} cannot name neurons: {error.message}",
                "use more images, or score the run with a setting that needs fewer (mcd score) and evaluate that",
            ) from None
