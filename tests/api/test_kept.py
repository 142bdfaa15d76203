"""What scorers make of the similarity: once where the engine holds it, anew wherever it may have been written to."""

from __future__ import annotations

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
    similarity = before.clone()
    scorer.score(activations, similarity)
    score_layer(scorer, activations, Matrix(similarity))
    similarity.numpy()[:] = after.numpy()  # what torch cannot count
    fresh = scorer.score(activations, after.clone())
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
