"""The rung beyond untrained: what passes it, what does not, and what may not change it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mcd
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.scoring.results import LayerSummary
from mcd.scoring.rungs import IMAGE, UNTRAINED
from mcd.scoring.scored import Scored
from mcd.scoring.similarity import Matrix
from mcd.scoring.untrained import UntrainedNetworks
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

IMAGES, UNITS, NETWORKS = 300, 40, 10
CONCEPTS = tuple(mcd.Concept(name, name, "x", (name,)) for name in ("brightness", "view", "mass", "a", "b", "c"))
SCORERS = {"all activations": Pearson, "top images": lambda: SoftWPMI(SoftWPMI.Options(top_k=30))}


def network(rng: np.random.Generator, causes: np.ndarray) -> np.ndarray:
    """Return units that follow, each in its own way, what the random weights of one network make of the images."""
    shared = rng.normal(size=(2, 4)) * [[1], [0.7]]
    mixed = causes[:, :2] @ shared  # the units of a network are not independent
    return mixed @ rng.normal(size=(4, UNITS)) + rng.normal(size=(IMAGES, UNITS)) * 5


def labelled(
    scorer: mcd.Scorer,
    seed: int,
    planted: int = 0,
    *,
    images: np.ndarray | None = None,
    units: np.ndarray | None = None,
    names: tuple[str, ...] = ("x",),
) -> list[Scored]:
    """Label one more untrained network, the first units of which follow a mass, beside ten others."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(IMAGES, 3))
    similarity = np.concatenate([causes + 0.4 * rng.normal(size=causes.shape), rng.normal(size=(IMAGES, 3))], axis=1)
    layers = [network(rng, causes) for _ in range(NETWORKS + 1)]
    layers[0][:, :planted] = causes[:, 2:] + 0.3 * rng.normal(size=(IMAGES, planted))
    images = np.arange(IMAGES) if images is None else images
    units = np.arange(UNITS) if units is None else units
    tensors = [torch.from_numpy(one[images].astype(np.float32)) for one in layers]
    labeller = Labeller(
        scorer,
        Matrix(torch.from_numpy(0.1 * similarity[images].astype(np.float32))),
        CONCEPTS,
        Calibration(draws=200, most_draws=800, nuisances=False, right=False),
        [""] * IMAGES,
        2,
        [f"image {row}" for row in images],
        RungData(untrained=lambda layer: [one[:, torch.from_numpy(units)] for one in tensors[1:]]),
    )
    assert labeller.ladder.problems == {UNTRAINED: ""}
    return list(labeller.scored({name: lambda: tensors[0][:, torch.from_numpy(units)] for name in names}))


@pytest.mark.parametrize("scorer", SCORERS)
def test_units_of_a_network_with_random_weights_do_not_pass(scorer: str) -> None:
    passed, significant, layers = [], [], []
    for seed in range(20):
        (found,) = labelled(SCORERS[scorer](), seed)
        assert found.rungs is not None
        assert found.beside is not None
        passed.append((found.rungs.q[UNTRAINED] <= 0.05).mean())
        significant.append((found.rungs.q[IMAGE] <= 0.05).mean())
        layers.append(found.beside.p_layer)
    assert np.mean(significant) >= 0.1  # the image alone explains them
    assert np.mean(passed) <= 0.05
    assert 0.25 <= np.mean(layers) <= 0.8
    assert np.mean(np.array(layers) <= 0.1) <= 0.3


@pytest.mark.parametrize("scorer", SCORERS)
def test_what_was_learned_passes_and_so_does_its_layer(scorer: str) -> None:
    (found,) = labelled(SCORERS[scorer](), 0, planted=20)
    assert found.rungs is not None
    passed = found.rungs.q[UNTRAINED] <= 0.05
    assert passed[:20].mean() >= 0.9
    assert passed[20:].mean() <= 0.1
    assert found.beside is not None
    assert (found.beside.networks, found.beside.reached, found.beside.p_layer) == (NETWORKS, 0, 1 / (NETWORKS + 1))


@pytest.mark.parametrize("scorer", SCORERS)
def test_the_order_of_images_units_and_layers_changes_nothing(scorer: str) -> None:
    rng = np.random.default_rng(5)
    images, units = rng.permutation(IMAGES), rng.permutation(UNITS)
    (plain,) = labelled(SCORERS[scorer](), 3, planted=10)
    moved = labelled(SCORERS[scorer](), 3, planted=10, images=images, units=units, names=("z", "x"))
    for found in moved:
        assert plain.rungs is not None
        assert found.rungs is not None
        assert np.allclose(found.rungs.p[UNTRAINED], plain.rungs.p[UNTRAINED][units], atol=5 / (NETWORKS * UNITS))
        assert plain.beside is not None
        assert found.beside is not None
        assert found.beside.reached == plain.beside.reached


def test_a_layer_has_a_p_where_it_can_be_small_and_a_rank_where_not() -> None:
    few, many, none = (
        LayerSummary(
            layer="x", neurons=3, labelled=3, untrained=count, untrained_reached=2, p_untrained=3 / (count + 1)
        )
        if count
        else LayerSummary(layer="x", neurons=3, labelled=3)
        for count in (10, 59, 0)
    )
    assert few.beside_untrained == "larger than in 8 of 10"
    assert many.beside_untrained == "p = 0.05"
    assert none.beside_untrained == ""


def test_a_z_counts_by_how_far_it_lies_above_those_of_its_concept() -> None:
    easy, hard = 0, 1
    z = {number: np.array([[10.0, 0], [10, 2], [10, -2], [10, 0]]) for number in range(10)}
    first = np.array([easy, hard, easy, easy])
    networks = UntrainedNetworks(lambda layer: z, lambda number: (z[number], first))  # type: ignore[arg-type,index]  # numbers stand for activations
    found = networks.beside("x", np.array([10.0, 9, 6, np.nan, 2]), np.array([easy, easy, hard, hard, hard]))
    assert found.p.tolist()[:3] == [1, 1, 1 / 41]  # equal ones count as reached
    assert np.isnan(found.p[3])
    assert found.p[4] == 11 / 41
    assert (found.networks, found.reached) == (10, 0)


def test_the_p_is_the_share_of_untrained_units_and_networks() -> None:
    (found,) = labelled(Pearson(), 1, planted=1)
    assert found.beside is not None
    assert found.beside.p[0] == 1 / (NETWORKS * UNITS + 1)
    assert found.beside.p.min() >= 1 / (NETWORKS * UNITS + 1)
