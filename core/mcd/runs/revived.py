"""All scores of a stored run, not only those of its labels; nothing is loaded but what the run left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Never

import torch

from mcd.api.concepts import ConceptSet
from mcd.api.ranking import Ties
from mcd.api.scorer import Scorer
from mcd.components import Kind
from mcd.errors import DataError, StoreError, UnknownNameError, UsageError
from mcd.extraction.texts import TextEncoder
from mcd.networks.hub import cache_only
from mcd.runs.annotations import AnnotationReader
from mcd.runs.checking import check_terms
from mcd.runs.dissection import Dissection, read_study
from mcd.runs.given import not_at_hand, own_scorer
from mcd.runs.manifest import ScoreRecord
from mcd.runs.material import Material, bound, gather
from mcd.runs.vocabulary import kept_concepts
from mcd.scoring.scores import score_layer
from mcd.study.preparer import Preparer
from mcd.study.reach import reaches
from mcd.study.study import Choice

__all__ = ["StoredScores", "concepts_of", "found_again"]


class StoredScores:
    """The scores of a stored run by its own scorer and concepts.

    Parameters
    ----------
    dissection
        The run.
    scored
        Whether scores are needed: a run whose scorer is not at hand can still be described.

    Raises
    ------
    UsageError, DataError
        As `scorer`; and when the concepts are no longer those of the run.
    """

    def __init__(self, dissection: Dissection, *, scored: bool = True) -> None:
        self.dissection = dissection
        self.study = study = read_study(dissection.folder, dissection.manifest)
        self.wording = study.prompts
        if scored or not self.without:
            _ = self.scorer  # what keeps it from being found again is said before anything is computed
        self.concepts: ConceptSet = concepts_of(dissection)

    @property
    def without(self) -> bool:
        """Whether the run can be described, but not scored: its scorer was given in Python and is not at hand."""
        nameless = self.study.scorer.plugin == "object" and self.dissection.given.scorer is None
        return nameless and self.dissection.manifest.scores is not None

    @property
    def reading(self) -> ScoreRecord:
        """How the scores are to be read."""
        kept = self.dissection.manifest.scores
        return kept if self.without and kept is not None else ScoreRecord.of(self.scorer)

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer of the run.

        Raises
        ------
        UsageError
            When it was given in Python and is not at hand, or its plugin is missing.
        DataError
            When it is code that the user has not asked for, or an object that is another one.
        """
        given, choice = self.dissection.given.scorer, self.study.scorer
        if given is not None:
            return own_scorer(self.dissection, given)
        if choice.plugin == "object":
            raise not_at_hand(self.dissection, "scorer", "scorer", "a function of a file has one: FILE.py:FUNCTION")
        with found_again(self.dissection, Kind.SCORER, [choice]) as preparer:
            return preparer.scorer(choice)[0]

    def material(self) -> Material:
        """Return P and what else its scorer is given."""
        found, record = self.dissection, self.dissection.manifest
        store = found.store_folder

        def gone() -> Never:
            raise StoreError(f"{store}: the embeddings of the concepts are missing", "run mcd score on it")

        digests, known = record.store.digests or {}, record.store.texts
        encoder: TextEncoder | AnnotationReader = AnnotationReader(store, known, gone)
        if not record.store.annotations:
            encoder = TextEncoder(store, known, gone, torch.device("cpu"), digests=digests)
        return gather(found, self.concepts, self.wording, encoder)

    def layers(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every layer with its scores ``(neurons, concepts)``, best the highest; NaN where there is none."""
        material = self.material()
        ties = Ties.of(self.dissection.image_ids, self.study.calibration.null_seed)
        scorer = bound(self.scorer, material, self.wording).breaking_ties(ties)
        for layer in self.dissection.layers:
            found = score_layer(scorer, self.dissection.by_neurons(layer), material.similarity).scores
            yield layer, found if scorer.higher_is_better else -found


def concepts_of(dissection: Dissection) -> ConceptSet:
    """Return the concepts that a stored run was labelled with.

    They lie in its folder. Where an older version made it they are found again by their names in its study.

    Raises
    ------
    StoreError
        When those in the folder are damaged.
    UsageError
        When they were given as Python objects.
    UnknownNameError
        When their plugin is missing.
    DataError
        When they have changed since, or are a file and the run is not trusted.
    """
    kept = kept_concepts(dissection.folder, dissection.manifest)
    if kept is not None:
        return kept
    study = read_study(dissection.folder, dissection.manifest)
    if any(one.plugin == "object" for one in study.concepts):
        raise UsageError(
            f"the concepts of {dissection.folder} were given in Python; they have no name",
            "give them again: --concepts NAME, or a file",
        )
    with found_again(dissection, Kind.CONCEPTS, study.concepts) as preparer:
        found = preparer.concepts(study.concepts)[0]
    if found.fingerprint() != dissection.manifest.fingerprints["concepts"]:
        raise DataError(f"the concepts of {dissection.folder} have changed since it was made", "run it again")
    check_terms(dissection.folder, dissection.results, found.concepts)
    return found


@contextmanager
def found_again(
    run: Dissection, kind: Kind, choices: Sequence[Choice], preparer: Preparer | None = None
) -> Iterator[Preparer]:
    """Give what makes parts of a stored run again, by the names in its study.

    Parameters
    ----------
    kind, choices
        The parts. Of a run that is not trusted they may be no code, no files and nothing that is fetched.
    preparer
        One that is used for other parts as well.

    Raises
    ------
    DataError
        When a part needs what the user must ask for.
    UnknownNameError
        When a part is not found; the hint says which plugin the run took it from, as far as its manifest records it.
    """
    try:
        if not run.trust:
            for choice in choices:
                _refuse(run, kind, choice)
        with nullcontext() if run.trust or kind not in (Kind.MODEL, Kind.DISSECTOR) else cache_only():
            yield preparer or Preparer(run.host)
    except UnknownNameError as error:
        offered = {f"{kind.label} {offer.component.name}" for kind in Kind for offer in run.host.offers(kind)}
        gone = {origin or "a plugin file" for part, origin in run.manifest.plugins.items() if part not in offered}
        if not gone:
            raise
        hint = f"the run took it from {' or '.join(sorted(gone))}: install it, or give --plugin-file FILE.py"
        rest = error.hint.splitlines()[1:]  # what names are near is left out: the study has the right one
        raise UnknownNameError(error.summary, "\n".join([hint, *rest])) from None


def _refuse(run: Dissection, kind: Kind, choice: Choice) -> None:
    reach = next(reaches(run.host, kind, choice), None)
    if reach is not None:
        raise DataError(
            f"{run.folder} was made with what lies outside of it, and may come from somebody else; {reach}",
            "if you trust this run: --trust (in Python trust=True)",
        )
