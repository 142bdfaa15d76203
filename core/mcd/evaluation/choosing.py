"""From what a user asks to be judged against to the references that can judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcd.errors import DataError, UnknownNameError, UsageError, nearest
from mcd.evaluation.references import FEWEST, Reference, by_annotations, by_other, by_similarity, complete
from mcd.evaluation.splitting import Split
from mcd.evaluation.truth import PLACES
from mcd.runs.dissection import Dissection
from mcd.runs.evaluated import AGAINST

__all__ = ["Judges", "chosen"]

_INSTEAD = "use --against held-out, or a data set that annotates the run's concepts"


@dataclass(frozen=True)
class Judges:
    """What labels are judged against.

    Parameters
    ----------
    references
        In the order of `AGAINST`.
    truths
        ``(concepts,)``: of which the truth of every image is known; None where labels are not judged by it.
    problem
        Why annotations, which nobody asked for by name, do not judge; mostly an empty text.
    """

    references: tuple[Reference, ...]
    truths: NDArray[np.bool_] | None
    problem: str

    @property
    def names(self) -> list[str]:
        """Names of `AGAINST`."""
        return [*(one.name for one in self.references), *([] if self.truths is None else ["truth"])]


def chosen(split: Split, against: Sequence[str], other: Dissection | None) -> Judges:
    """Return what labels are judged against.

    Parameters
    ----------
    against
        Names of `AGAINST`; none for annotations, or where these can judge nothing the run's own similarities, with the
        truth and the other dissector where they are there.
    other
        A run by another dissector.

    Raises
    ------
    UnknownNameError
        When a name is none.
    UsageError, DataError
        When something asked for is missing, or can judge nothing.
    """
    for name in against:
        if name not in AGAINST:
            raise UnknownNameError(f"labels cannot be judged against '{name}'", nearest(name, AGAINST))
    if "other-dissector" in against and other is None:
        raise UsageError("the run by another dissector is missing", "add --other RUN (in Python other=RUN)")
    annotations = by_annotations(split.annotated, split.held_out, split.units)
    without = _without(split, annotations)
    wanted = list(against) or ["held-out" if without else "annotations"]
    if other is not None:
        wanted.append("other-dissector")
    if "annotations" in wanted and without:
        raise DataError(f"{split.run.folder} cannot be judged against annotations: {without}", _INSTEAD)
    found = [annotations] if "annotations" in wanted else []
    if "held-out" in wanted:
        if len(split.material.annotations):
            raise UsageError(
                f"the dissector of {split.run.folder} reads annotations: it has no other similarities",
                "use --against annotations",
            )
        found.append(by_similarity(split.material.similarity))
    if other is not None:
        found.append(by_other(split.run, other, split.concepts, split.held_out, split.units))
    problem = f"not judged against annotations: {without}" if without and not against else ""
    return Judges(tuple(found), _truths(split, against), problem)


def _without(split: Split, annotations: Reference) -> str:
    """Return why annotations can judge nothing, or an empty text."""
    if annotations.assessable.any():
        return ""
    if bool(split.annotated.isnan().all()):
        return "the data set annotates no concept of the vocabulary"
    return f"no annotated concept has {FEWEST} held-out {split.of} with it and as many without"


def _truths(split: Split, against: Sequence[str]) -> NDArray[np.bool_] | None:
    if against and "truth" not in against:
        return None
    found = complete(split.annotated, split.held_out, split.units)
    if found.sum() > PLACES:  # of fewer, every one that a neuron separates would be recovered
        return found
    if "truth" in against:
        what = f"the truth of every image is known of {int(found.sum())} concepts, and more than {PLACES} are needed"
        raise DataError(f"{split.run.folder} cannot be judged against the truth: {what}", _INSTEAD)
    return None
