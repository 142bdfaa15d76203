"""What scorers make of the similarity: once where the engine holds it, anew wherever it may have been written to."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

import mcd
from mcd.api.concepts import ConceptSet
from mcd.plugins import made_of
from mcd.scoring.labelling import Labeller
from mcd.scoring.scores import score_layer
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.adaptive_cosine import AdaptiveCosine
from mcd_plugins.scorers.auroc import AUROC
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.normalised_wpmi import NormalisedWPMI
from mcd_plugins.scorers.overlap import F1
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI
from mcd_plugins.scorers.sparse import Sparse
from mcd_plugins.scorers.spearman import Spearman

CONCEPTS = ConceptSet.from_words(["mass", "clip", "fat"]).concepts
SCORERS = (
    AdaptiveCosine(),
    AUROC(),
    Cosine(),
    F1(),
    NormalisedWPMI(),
    Pearson(),
    SoftWPMI(SoftWPMI.Options(top_k=5)),
    Sparse(),
    Spearman(),
)


class _Centred(mcd.Scorer):
    name = "centred"
    depends_on = "pair"
    made = 0

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return activations.T @ made_of(similarity, "centred", lambda: self._centred(similarity))

    def _centred(self, similarity: torch.Tensor) -> torch.Tensor:
        _Centred.made += 1
        return similarity - similarity.mean(dim=0)


def test_it_is_made_once_for_all_layers_and_draws_of_a_run() -> None:
    _Centred.made = 0
    settings = Calibration(draws=1000, most_draws=1000)
    labeller = Labeller(_Centred(), Matrix(torch.rand(60, 3)), CONCEPTS, settings, [""] * 60, 1)
    assert len(list(labeller.scored({name: lambda: torch.rand(60, 4) for name in "abc"}))) == 3
    assert _Centred.made == 1


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
def test_a_similarity_that_its_owner_has_changed_is_scored_as_it_is(scorer: mcd.Scorer) -> None:
    generator = torch.Generator().manual_seed(0)
    activations, before, after = (torch.rand(80, 4, generator=generator) for _ in range(3))
    fresh, similarity = scorer.score(activations, after.clone()), before.clone()
    scorer.score(activations, similarity)
    score_layer(scorer, activations, Matrix(similarity))
    similarity.numpy()[:] = after.numpy()  # what torch cannot count
    assert torch.equal(scorer.score(activations, similarity), fresh)
    assert torch.equal(score_layer(scorer, activations, Matrix(similarity)).scores, fresh)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
def test_what_is_kept_does_not_change_a_score(scorer: mcd.Scorer) -> None:
    generator = torch.Generator().manual_seed(1)
    held = Matrix(torch.rand(80, 5, generator=generator))
    for _ in range(3):
        activations = torch.rand(80, 4, generator=generator)
        found = score_layer(scorer, activations, held).scores
        assert torch.equal(found, score_layer(scorer, activations, Matrix(held.whole().clone())).scores)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_may_be_written_to_and_is_scored_as_it_is(copied: Callable[[torch.Tensor], torch.Tensor]) -> None:
    class Altering(mcd.Scorer):
        name = "altering"
        depends_on = "pair"

        def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
            Pearson().score(activations, similarity)
            mine = copied(similarity)
            mine.data = similarity**2
            return Pearson().score(activations, mine)

    generator = torch.Generator().manual_seed(2)
    activations, similarity = (torch.rand(80, 4, generator=generator) for _ in range(2))
    found = score_layer(Altering(), activations, Matrix(similarity)).scores
    assert torch.equal(found, Pearson().score(activations, similarity**2))


def test_scorers_of_two_modules_may_keep_something_by_the_same_name() -> None:
    class Both(mcd.Scorer):
        name = "both"
        depends_on = "neuron"

        def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
            mean = made_of(similarity, "mean", lambda: similarity.mean(dim=0))
            return AdaptiveCosine().score(activations, similarity) - mean

    generator = torch.Generator().manual_seed(3)
    activations, similarity = (torch.rand(80, 4, generator=generator) for _ in range(2))
    found = score_layer(Both(), activations, Matrix(similarity)).scores
    assert torch.equal(found, AdaptiveCosine().score(activations, similarity) - similarity.mean(dim=0))
