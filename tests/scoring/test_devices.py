"""Scores and nulls on another device: pieces of A and P are copied there, and the numbers come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.elsewhere import THERE, Device

import mcd
from mcd.api.ranking import Ties
from mcd.errors import UsageError
from mcd.scoring.activations import as_activations
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.nulls import Nulls
from mcd.scoring.scores import all_scores, evidence, score_layer
from mcd.scoring.similarity import Matrix, Part
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

_DRAW = torch.Generator().manual_seed(0)
A, P = torch.randn(90, 6, generator=_DRAW), torch.randn(90, 5, generator=_DRAW) / 4
_SETTINGS = Calibration(draws=100, most_draws=100)


def _matrix(device: torch.device) -> Matrix:
    made = Matrix(P)
    made.device = device
    return made


def _nulls(scorer: mcd.Scorer, device: torch.device) -> Nulls:
    ties = Ties.of([str(row) for row in range(len(P))], 0)
    units = PermutationUnits.of([f"p{row // 3}" for row in range(len(P))], "patient", ties.order)
    return Nulls(scorer.breaking_ties(ties), _matrix(device), units, ties, _SETTINGS)


def test_scores_of_another_device_are_the_same_and_come_back() -> None:
    here, ranked = torch.device("cpu"), torch.randint(90, (7, 6), generator=_DRAW)
    wpmi = SoftWPMI(SoftWPMI.Options(top_k=7))
    expected = all_scores(Cosine(), A, _matrix(here)), evidence(wpmi, ranked, _matrix(here))
    with Device():
        found = all_scores(Cosine(), A, _matrix(THERE)), evidence(wpmi, ranked, _matrix(THERE))
    for one, other in zip(found, expected, strict=True):
        assert type(one) is torch.Tensor
        assert torch.equal(one, other)


def test_a_part_of_the_images_is_scored_where_all_are() -> None:
    rows = torch.arange(40)
    assert Part(_matrix(THERE), rows).device == THERE
    expected = all_scores(Cosine(), A[:40], Matrix(P[:40]))
    with Device():
        assert torch.equal(all_scores(Cosine(), A[:40], Part(_matrix(THERE), rows)), expected)


@pytest.mark.parametrize("scorer", [Cosine(), SoftWPMI(SoftWPMI.Options(top_k=7))], ids=lambda one: one.name)
def test_so_is_the_null(scorer: mcd.Scorer) -> None:
    def z(device: torch.device) -> torch.Tensor:
        nulls, stratum = _nulls(scorer, device), np.zeros(6, dtype=np.int64)
        if scorer.null == "top-k":
            top = scorer.top_images(A, 7).numpy()
            null = next(iter(nulls.of_rankings(top, stratum).values()))
        else:
            null = next(iter(nulls.of_columns(as_activations(A), stratum).values()))
        return torch.cat([null.mean, null.sd, torch.from_numpy(null.highest(100))])

    with Device():
        found = z(THERE)
    assert torch.equal(found, z(torch.device("cpu")))


def test_a_device_that_there_is_not_is_refused_before_the_sweep(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="device 'cuda:99' cannot be used"):
        mcd.dissect(
            "phantom-mammo",
            layers="head",
            dissector="phantom-clip",
            dataset="phantom:4",
            scoring_device="cuda:99",
            output=tmp_path / "run",
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_too_little_memory_there_is_one_message() -> None:
    class Greedy(mcd.Scorer):
        name = "greedy"

        def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with Device(), pytest.raises(UsageError, match="has too little memory for the scores") as caught:
        score_layer(Greedy(), A, _matrix(THERE))
    assert "--scoring-device cpu" in caught.value.hint
    with pytest.raises(torch.OutOfMemoryError):  # the CPU is no advice there
        score_layer(Greedy(), A, _matrix(torch.device("cpu")))
