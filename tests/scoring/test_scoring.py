"""From scores to labels: who gets one, in which order, and what is said about those who get none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from mcd.api.concepts import ConceptSet
from mcd.api.ranking import ordered_top_k
from mcd.errors import DataError, PluginLoadError
from mcd.host.importing import import_function
from mcd.scoring.scores import best, score_layer
from mcd.scoring.similarity import Cosines, Matrix, Part, Pooled
from mcd.scoring.tables import COLUMNS, label_table
from mcd.study.adapters import FunctionScorer

CONCEPTS = ConceptSet.from_words(["mass", "clip", "fat"]).concepts


def product(activations: torch.Tensor, cosine: torch.Tensor) -> torch.Tensor:
    return activations.T @ cosine


def table(activations: torch.Tensor, cosine: torch.Tensor, count: int = 2) -> pd.DataFrame:
    scored = score_layer(FunctionScorer(product), activations, Matrix(cosine))
    live = [at for at, state in enumerate(scored.status) if state not in ("dead", "constant")]
    order = best(scored.scores[live], count, higher_is_better=True)
    return label_table("net", "layer", scored, CONCEPTS, order, live)


def test_neurons_without_response_are_unlabelled_with_the_reason() -> None:
    activations = torch.tensor([[0.0, 3.0, 1.0], [0.0, 3.0, 2.0], [0.0, 3.0 + 2e-7, 4.0]])
    labels = table(activations, torch.eye(3))
    assert list(labels.columns) == list(COLUMNS)
    assert labels.groupby("neuron")["status"].first().tolist() == ["dead", "constant", "labelled"]
    silent = labels[labels["neuron"] < 2]
    assert len(silent) == 2
    assert silent["rank"].isna().all()
    assert silent["concept"].eq("").all()
    assert labels[labels["neuron"] == 2]["concept"].tolist() == ["fat", "clip"]


def test_equal_scores_keep_the_order_of_the_concepts() -> None:
    labels = table(torch.tensor([[1.0], [2.0]]), torch.ones(2, 3), count=3)
    assert labels["concept"].tolist() == ["mass", "clip", "fat"]
    assert labels["rank"].tolist() == [1, 2, 3]


def test_an_undefined_score_never_becomes_a_label() -> None:
    cosine = torch.tensor([[float("nan"), 0.1, 0.2], [float("nan"), 0.1, 0.3]])
    labels = table(torch.tensor([[1.0], [2.0]]), cosine, count=3)
    assert labels["concept"].tolist() == ["fat", "clip"]
    nothing = table(torch.tensor([[1.0], [2.0]]), torch.full((2, 3), float("nan")))
    assert nothing["status"].tolist() == ["unscored"]


def test_activations_and_similarity_of_different_images_are_refused() -> None:
    with pytest.raises(DataError, match="activations hold 3 images, similarity 2"):
        table(torch.rand(3, 1), torch.rand(2, 3))
    with pytest.raises(DataError, match="NaN"):
        table(torch.full((2, 1), float("nan")), torch.rand(2, 3))


def test_a_scorer_of_the_wrong_shape_is_named() -> None:
    def transposed(a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return p.T @ a

    with pytest.raises(PluginLoadError, match=r"transposed returned shape \(3, 5\)"):
        score_layer(FunctionScorer(transposed), torch.rand(4, 5), Matrix(torch.rand(4, 3)))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", r"scorer score failed: ZeroDivisionError: division by zero \(f\.py, line 2\)"),
        ("return [1, 2]", "scorer score returned list, not a tensor"),
        ("return A @ P", r"scorer score failed: RuntimeError: mat1 and mat2.*\(f\.py, line 2\)"),
    ],
)
def test_a_function_that_fails_is_named_with_its_line(body: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(f"def score(A, P):\n    {body}\n")
    with pytest.raises(PluginLoadError, match=said):
        score_layer(
            FunctionScorer(import_function(f"{tmp_path / 'f.py'}:score")), torch.rand(4, 5), Matrix(torch.rand(4, 3))
        )


def test_a_function_may_return_an_array() -> None:
    scorer = FunctionScorer(lambda a, p: (a.T @ p).numpy())
    activations, cosine = torch.rand(4, 5), torch.rand(4, 3)
    assert torch.equal(score_layer(scorer, activations, Matrix(cosine)).scores, activations.T @ cosine)


def test_a_scorer_that_writes_to_what_others_are_given_is_named() -> None:
    def centred(a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        p -= p.mean(dim=0)
        return a.T @ p

    def through_numpy(a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        values = p.numpy()
        values -= values.mean(axis=0)
        return a.T @ p

    for scorer in (centred, through_numpy):
        with pytest.raises(PluginLoadError, match=f"{scorer.__name__} writes to the similarity"):
            score_layer(FunctionScorer(scorer), torch.rand(4, 5), Matrix(torch.rand(4, 3)))


def test_similarity_is_the_cosine_and_names_what_is_broken() -> None:
    images, texts = torch.rand(4, 6) + 0.1, torch.rand(3, 6) + 0.1
    expected = torch.stack([torch.nn.functional.cosine_similarity(images, text[None]) for text in texts], dim=1)
    found = Cosines(images, texts, "abcd", ["x", "y", "z"])
    torch.testing.assert_close(found.whole(), expected)
    torch.testing.assert_close(found.of(torch.tensor([2, 0])), expected[[2, 0]])
    torch.testing.assert_close(found.to(slice(1, 3)), expected[:, 1:])
    torch.testing.assert_close(found.columns([2, 0, 2]), expected[:, [2, 0, 2]])
    images[2] = 0
    with pytest.raises(DataError, match="embedding of image 'c'"):
        Cosines(images, texts, "abcd", ["x", "y", "z"])
    texts[1, 0] = float("nan")
    with pytest.raises(DataError, match="embedding of concept 'y'"):
        Cosines(torch.rand(4, 6), texts, "abcd", ["x", "y", "z"])


@pytest.mark.parametrize("count", [1, 511, 1023, 1025, 1600])
def test_cosines_with_some_concepts_are_those_of_each_by_itself(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    images, texts = torch.randn(count, 48, generator=generator), torch.randn(9, 48, generator=generator)
    found = Cosines(images, texts, [""] * count, [""] * 9, reference=texts[0])
    alone = torch.cat([found.to(slice(at, at + 1)) for at in (7, 2, 7)], dim=1)
    torch.testing.assert_close(found.columns([7, 2, 7]), alone, atol=1e-6, rtol=0)
    rows = torch.randperm(count, generator=generator)[: count // 2]
    assert torch.equal(Part(found, rows).columns([7, 2, 7]), found.columns([7, 2, 7])[rows])


def test_a_scorer_is_given_the_same_similarity_every_time_where_it_is_held() -> None:
    cosines = Cosines(torch.rand(4, 6) + 0.1, torch.rand(3, 6) + 0.1, "abcd", ["x", "y", "z"])
    for one in (
        cosines,
        Matrix(torch.rand(4, 3)),
        Part(cosines, torch.tensor([1, 3])),
        Pooled(cosines, [0, 0, 1], "max", 1),
    ):
        ((where, whole),) = one.pieces()
        assert where == slice(0, one.concepts)
        assert whole is one.whole() is one.kept
        torch.testing.assert_close(whole, one.to(where))


def test_ties_go_to_the_earlier_image() -> None:
    activations = torch.tensor([[1.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    assert ordered_top_k(activations, 3).T.tolist() == [[1, 2, 0], [0, 1, 2]]
