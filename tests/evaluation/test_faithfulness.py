"""Groups of neurons ablated: a planted one is found, one that does nothing is not, and by chance p is uniform."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest
from tests.runs.test_dissect import Patches
from torch import nn

import mcd
from mcd.api.ranking import Ties
from mcd.errors import UnknownNameError, UsageError
from mcd.evaluation.ablation import Group, groups_of, possible, random_groups, strata_of
from mcd.evaluation.faithfulness import COLUMNS, Ablation, HeldOutImages, faithfulness
from mcd.events import Clock
from mcd.extraction.target_pass import Wanted
from mcd.host import PluginHost
from mcd.networks.pooling import Pooling
from mcd.runs.run_target import passed
from mcd.runs.runnable import How, Runnable, runnable
from mcd.scoring.verdicts import SIGNIFICANT
from mcd.study.preparer import Preparer
from mcd.study.selection import Selection

IMAGES, CHANNELS, SEED = 40, 64, 3
TERMS = ["bright", "dark", "left"]


class Planted(nn.Module):
    """Channels at random. The first output reads two that rise with brightness, the second all; or both read all."""

    def __init__(self, planted: tuple[int, ...] = (5, 42)) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act, self.head = nn.Conv2d(1, CHANNELS, 3), nn.ReLU(), nn.Linear(CHANNELS, 2)
        assert self.conv.bias is not None
        nn.init.uniform_(self.conv.bias, 0.0, 1.0)
        if planted:
            nn.init.zeros_(self.head.weight)
            with torch.no_grad():
                self.head.weight[0, list(planted)] = 1.0
                self.head.weight[1] = 0.01

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.act(self.conv(x)).mean((2, 3)))
        return out


def ready(module: nn.Module, outputs: tuple[str, ...] = ()) -> Runnable:
    made = runnable(
        Preparer(PluginHost.discover([], {**os.environ, "MCD_DISABLE_PLUGINS": "progress"})),
        mcd.Target("planted", module, outputs=outputs),
        Patches(IMAGES),
        How(device="cpu", batch_size=20, workers=0),
        selection=Selection(),
        pooling=Pooling("avg"),
    )
    return replace(made, dissected=made.picked(["act"]))


def activations_of(one: Runnable) -> torch.Tensor:
    return passed(one, Wanted(one.dissected), clock=Clock(lambda event: None)).activations["act"]


def labels_of(groups: dict[str, list[int]]) -> pd.DataFrame:
    rows = [("act", neuron, 1.0, concept, SIGNIFICANT[0]) for concept, some in groups.items() for neuron in some]
    return pd.DataFrame(rows, columns=["layer", "neuron", "rank", "concept", "verdict"])


def judging(annotated: torch.Tensor | None = None, weightings: int = 30) -> HeldOutImages:
    """Every second image is held out, each of a patient of its own."""
    held_out = np.arange(IMAGES) % 2 == 1
    rng = np.random.default_rng(0)
    weights = np.ones((weightings + 1, IMAGES // 2))
    for one in weights[1:]:
        one[rng.choice(IMAGES // 2, 7, replace=False)] = 0
    if annotated is None:
        annotated = torch.full((IMAGES, 3), float("nan"))
    assessable = (~annotated.isnan()).any(dim=0).numpy()
    return HeldOutImages(held_out, IMAGES // 2, weights, 1.0, TERMS, annotated, assessable)


def ablated(
    one: Runnable, groups: dict[str, list[int]], settings: Ablation, judges: HeldOutImages | None = None
) -> tuple[pd.DataFrame, list[str]]:
    found = activations_of(one)
    ties = Ties.of([str(row) for row in range(IMAGES)], 0)
    clock = Clock(lambda event: None)
    return faithfulness(one, labels_of(groups), lambda _: found, judges or judging(), settings, ties, SEED, clock)


def changed(settings: Ablation, **values: object) -> Ablation:
    return Ablation.model_validate({**settings.model_dump(), **values})


def value(table: pd.DataFrame, measure: str, output: str, concept: str = "planted", column: str = "value") -> float:
    rows = (table.measure == measure) & (table.output == output) & (table.concept == concept)
    (found,) = table.loc[rows, column]
    return float(found)


@pytest.mark.parametrize("to", ["mean", "zero"])
def test_a_planted_group_moves_its_output_and_idle_ones_do_not(to: Literal["mean", "zero"]) -> None:
    one = ready(Planted())
    table, problems = ablated(one, {"planted": [5, 42], "idle": [3, 50]}, Ablation(to=to, least=2))
    assert problems == []
    assert list(table.columns) == list(COLUMNS)
    assert value(table, "moved", "0", column="p") == 1 / 21
    low, high = (value(table, "moved", "0", column=name) for name in ("low", "high"))
    assert low < value(table, "moved", "0") < high
    assert low > value(table, "moved", "0", column="random_most") > value(table, "moved", "0", column="random")
    assert value(table, "moved", "0", "idle") == 0
    assert value(table, "moved", "0", "idle", "p") == 1
    assert value(table, "moved, all outputs", "", column="p") == 1 / 21
    assert value(table, "moved, all outputs", "", column="q") == 2 / 21  # of two groups, the other has p 1
    assert np.isnan(value(table, "change", "0", column="p"))


def test_values_are_those_of_a_network_changed_by_hand() -> None:
    net = Planted()
    one = ready(net)
    table, _ = ablated(one, {"planted": [5, 42]}, Ablation(to="zero", least=2))
    images = Patches(IMAGES).images[1::2]
    with torch.no_grad():
        channels = net.act(net.conv(images)).mean((2, 3)).double()
        before = net.head(channels.float()).double()
        channels[:, [5, 42]] = 0
        apart = net.head(channels.float()).double() - before
    for at in (0, 1):
        assert value(table, "moved", str(at)) == pytest.approx(float(apart[:, at].abs().mean()), rel=1e-4)
        assert value(table, "change", str(at)) == pytest.approx(float(apart[:, at].mean()), rel=1e-4)
    overall = (apart.abs().mean(0) / before.std(0, correction=0)).mean()
    assert value(table, "moved, all outputs", "") == pytest.approx(float(overall), rel=1e-4)
    means, _ = ablated(one, {"planted": [5, 42]}, Ablation(to="mean", least=2))
    assert value(means, "change", "0") == pytest.approx(0, abs=1e-5)  # the head is linear
    with torch.no_grad():
        spread = net.act(net.conv(images)).mean((2, 3)) @ net.head.weight[0]
    assert value(means, "moved", "0") == pytest.approx(float((spread - spread.mean()).abs().mean()), rel=1e-3)


def test_named_at_random_p_is_uniform() -> None:
    one = ready(Planted(()))
    found = []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(CHANNELS)
        groups = {f"{at}": sorted(order[at : at + 3].tolist()) for at in range(0, 60, 3)}
        table, _ = ablated(one, groups, Ablation(groups=20, random=19))
        found += table.loc[(table.measure == "moved") & (table.output == "0"), "p"].tolist()
    assert len(found) == 40
    assert kstest(np.array(found) - 1 / 40, "uniform").pvalue > 0.05
    assert np.mean(np.array(found) <= 0.1) < 0.25


def test_the_outcome_that_is_named_loses_what_it_does() -> None:
    images = Patches(IMAGES).images
    shows = (images[:, 0, :, :6].mean((1, 2)) > 0.5).float()
    annotated = torch.stack([shows, torch.full((IMAGES,), float("nan")), 1 - shows], dim=1)
    annotated[1, 0] = float("nan")  # unknown is neither present nor absent
    net = Planted()
    settings = Ablation(to="zero", least=2, outcomes={"1": "left"})
    table, problems = ablated(ready(net, ("bright", "other")), {"planted": [5, 42]}, settings, judging(annotated))
    assert problems == []
    rows = table[table.measure == "auroc lost"]
    assert list(zip(rows.output, rows.finding, strict=True)) == [("bright", "bright"), ("other", "left")]
    with torch.no_grad():
        before = net.head(net.act(net.conv(images)).mean((2, 3)))[1::2, 0]
    state = annotated[1::2, 0]
    there, lacking = before[state == 1], before[state == 0]
    pairs = there[:, None] - lacking[None]
    auroc = float(((pairs > 0).float() + (pairs == 0).float() / 2).mean())
    assert value(rows, "auroc lost", "bright") == pytest.approx(auroc - 0.5)  # nothing is left to tell images apart
    assert value(rows, "auroc lost", "bright", column="p") == 1 / 21
    plain, _ = ablated(ready(net), {"planted": [5, 42]}, changed(settings, outcomes={}), judging(annotated))
    assert "auroc lost" not in set(plain.measure)  # no output is chosen by its AUROC


def test_what_cannot_be_tested_is_said() -> None:
    one = ready(Planted())
    settings = Ablation(least=2)
    for outcomes, said in (({"0": "brihgt"}, "no concept 'brihgt'"), ({"2": "bright"}, "no output '2'")):
        with pytest.raises(UnknownNameError, match=said):
            ablated(one, {"planted": [5, 42]}, changed(settings, outcomes=outcomes))
    _, problems = ablated(one, {"planted": [5, 42]}, changed(settings, outcomes={"0": "dark"}))
    assert problems == ["no AUROC for 'dark': too few held-out patients are annotated with or without it"]
    table, problems = ablated(one, {"planted": [7]}, settings)
    assert table.empty
    assert problems == ["nothing is ablated: no concept names 2 significant neurons of a layer by half of the patients"]
    table, problems = ablated(one, {"all": list(range(CHANNELS))}, settings)
    assert table.empty
    assert "so much of their layer" in problems[0]
    _, problems = ablated(one, {"a": [1, 2], "b": [3, 4, 5]}, changed(settings, groups=1))
    assert problems == ["of 2 groups the 1 largest are ablated"]

    class Maps(Planted):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.act(self.conv(x))
            return out

    with pytest.raises(UsageError, match="not one row of numbers an image"):
        ablated(ready(Maps()), {"planted": [5, 42]}, settings)


def test_groups_are_significant_first_labels_the_largest_first() -> None:
    labels = labels_of({"b": [0, 1, 2], "a": [3, 4, 5], "c": [6, 7, 8, 9]})
    labels.loc[labels.neuron == 9, "verdict"] = "not significant"
    second = labels.assign(rank=2.0, concept="d")
    found = groups_of(pd.concat([labels, second]), 3, 0)
    assert {one.concept for one in found} == {"a", "b", "c"}
    assert {one.neurons for one in found} == {(0, 1, 2), (3, 4, 5), (6, 7, 8)}
    assert groups_of(labels.sample(frac=1, random_state=1), 3, 0) == groups_of(labels, 3, 0)
    assert groups_of(labels, 4, 0) == []
    assert groups_of(labels, 4, 0, significant=False) == [Group("act", "c", (6, 7, 8, 9))]


def test_random_groups_are_of_like_activation_and_live() -> None:
    rng = torch.Generator().manual_seed(0)
    activations = torch.rand(50, 100, generator=rng) * torch.linspace(0.1, 3, 100)
    activations[:, 90:] = 0
    strata = strata_of(activations, Ties.of([str(row) for row in range(50)], 0))
    assert set(strata[90:]) == {-1}
    assert np.bincount(strata[:90]).min() >= 16
    group = Group("act", "x", (0, 1, 80))
    drawn = random_groups(group, strata, 50, 0)
    assert all(sorted(strata[list(one.neurons)]) == sorted(strata[list(group.neurons)]) for one in drawn)
    assert all(len(set(one.neurons)) == 3 and max(one.neurons) < 90 for one in drawn)
    assert drawn == random_groups(group, strata, 50, 0) != random_groups(group, strata, 50, 1)
    assert possible(group, strata) >= len({one.neurons for one in drawn}) > 30
    low, high = activations[:, :90].mean(0).numpy(), strata[:90]
    means = [low[high == one].mean() for one in range(high.max() + 1)]
    assert max(means[:2]) < min(means[-2:])
