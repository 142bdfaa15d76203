"""The contract of scorers: what follows from the class cannot be declared otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import mcd
from mcd.components import Kind
from mcd.errors import PluginLoadError
from mcd.host import PluginHost


class Product(mcd.Scorer):
    name = "product"

    def __init__(self) -> None:
        super().__init__()
        self.widths: set[int] = set()

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        self.widths.add(activations.shape[1])
        return activations.T @ similarity


class ByNeuron(Product):
    depends_on = "neuron"


class First(mcd.TopKScorer):
    name = "first"
    top_k = 1  # type: ignore[assignment]  # a plain attribute does for a property

    def evidence(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return similarity[ranked[0]]


def test_the_null_follows_from_the_base_class() -> None:
    assert Product().null == "permutation"
    assert First().null == "top-k"
    with pytest.raises(AttributeError):
        Product().null = "top-k"


def test_built_in_scorers_are_compared_with_the_null_that_they_tell() -> None:
    host = PluginHost.discover([], {})
    for offer in host.offers(Kind.SCORER):
        made = host.load(Kind.SCORER, offer.component.name)
        assert isinstance(made, type)
        scorer = made()
        assert isinstance(scorer, mcd.Scorer)
        assert (scorer.null == "top-k") is isinstance(scorer, mcd.TopKScorer), offer.component.name


@pytest.mark.parametrize("base", ["Scorer", "TopKScorer"])
@pytest.mark.parametrize("null", ["top-k", "permutation"])
def test_a_class_that_sets_its_null_is_refused(base: str, null: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"import mcd\n\nclass Mine(mcd.{base}):\n    null = '{null}'\n")
    with pytest.raises(PluginLoadError) as caught:
        PluginHost.discover([file])
    said = "scorer class Mine sets null, which follows from its base class"
    assert caught.value.message == f"plugin file {file}, line 3: {said}"


def test_a_null_that_comes_with_another_base_is_refused_too() -> None:
    class Other:
        null = "top-k"

    with pytest.raises(PluginLoadError, match="Mine sets null"):
        type("Mine", (Other, Product), {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pairwise", 'depends_on = "pair"'),
        ("neuronwise", 'depends_on = "neuron"'),
        ("reads", "needs"),
        ("on", "for_probe"),
        ("exchanged", "permuted"),
        ("unlabelled", "layer_problem"),
    ],
)
def test_a_name_of_an_earlier_version_is_not_ignored(old: str, new: str) -> None:
    with pytest.raises(PluginLoadError) as caught:
        type("Mine", (Product,), {old: True})
    assert str(caught.value) == f"scorer class Mine defines {old}\nhint: write {new} instead"


@pytest.mark.parametrize(("name", "value"), [("depends_on", "pairs"), ("needs", "images")])
def test_a_declaration_that_means_nothing_is_refused(name: str, value: str) -> None:
    with pytest.raises(PluginLoadError, match=f"scorer class Mine: {name} is '{value}'"):
        type("Mine", (Product,), {name: value})


def test_permuted_neurons_are_scored_in_larger_groups_only_where_neurons_do_not_depend_on_each_other() -> None:
    rng = np.random.default_rng(0)
    activations, similarity = rng.random((40, 5)), rng.random((40, 3))
    layer, neuron = Product(), ByNeuron()
    settings = {"draws": 100, "most_draws": 100}
    found = [
        mcd.label(activations, similarity, list("abc"), scorer=one, calibration=settings) for one in (layer, neuron)
    ]
    assert layer.widths == {5}
    assert max(neuron.widths) == 100
    assert found[0]["p"].tolist() == found[1]["p"].tolist()
