"""The check of scorers: what it lets pass, and what it refuses with what to change."""

from __future__ import annotations

import pytest
import torch
from tests.testing.refusing import refused

import mcd
from mcd.testing import check_scorer


class _Product(mcd.Scorer):
    name = "product"
    depends_on = "pair"

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return activations.T @ (similarity - similarity.mean(dim=0))


class _Noisy(_Product):
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return super().score(activations, similarity) + torch.rand(1)


class _OfConcepts(_Product):
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return super().score(activations, similarity).softmax(dim=1)


class _OfTheLayer(_Product):
    depends_on = "neuron"

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return super().score(activations, similarity).softmax(dim=0)


class _OfRows(_Product):
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return super().score(activations[:40], similarity[:40])


class _Backwards(_Product):
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return -super().score(activations, similarity)


class _OutOfRange(_Product):
    score_range = (-0.01, 0.01)


class _Writes(_Product):
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        similarity -= similarity.mean(dim=0)
        return activations.T @ similarity


class _Turned(_Product):
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return super().score(activations, similarity).T


class _Annotated(_Product):
    takes_annotations = True


class _FillsIn(_Product):
    takes_annotations = True

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return super().score(activations, similarity.nan_to_num())


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        (_Noisy, "other scores the second time"),
        (_OfConcepts, 'depends_on = "pair", and its scores change with the other concepts'),
        (_OfTheLayer, 'depends_on = "neuron", and its scores change with the other neurons'),
        (_OfRows, "depends on the order of the images"),
        (_Backwards, "a worse score than"),
        (_OutOfRange, "outside score_range"),
        (_Writes, "writes to what it is given"),
        (_Turned, "returned 9×12, not 12×9"),
        (_Annotated, "declares takes_annotations, and scores none"),
        (_FillsIn, "lets images count of which a concept is not known"),
        (lambda a, p: 3, "returned an int, not a tensor"),
        (lambda a, p: a @ p, "raised RuntimeError"),
    ],
)
def test_a_scorer_that_breaks_its_contract_isrefused(scorer: type[mcd.Scorer], said: str) -> None:
    assert said in refused(check_scorer, scorer)


def test_a_scorer_that_keeps_it_passes() -> None:
    check_scorer(_Product)


def test_what_a_function_could_declare_is_said() -> None:
    def product(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return activations.T @ (similarity - similarity.mean(dim=0))

    with pytest.warns(UserWarning, match=r'product could declare @mcd.depends_on\("pair"\)'):
        check_scorer(product)
    check_scorer(mcd.depends_on("pair")(product))  # warnings are errors here
