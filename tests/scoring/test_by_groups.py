"""A layer that is too large to be held is read a group of neurons at a time: its labels are those of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mcd
from mcd.api.concepts import Concept
from mcd.api.scorer import Scorer
from mcd.errors import PluginLoadError
from mcd.scoring.activations import Read, split
from mcd.scoring.calibration.nuisances import nuisances_of
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.scoring.scores import score_layer
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers import mcd_register_scorers
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

IMAGES, NEURONS, WORDS = 120, 18, 5
BUDGET = 7 * IMAGES
"""Activations that are held: of seven neurons."""

EMBEDDINGS = {"embedding", "contrastive"}  # what these read of the dissector, arrays do not have
SLOW = {"normalised-wpmi", "adaptive-cosine"}
RANKED = {"soft-wpmi", "wpmi"}  # all that decides is which images are on top


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Return A, with a dead, a constant and a tied neuron, and P: most neurons follow a concept, some two."""
    rng = np.random.default_rng(0)
    concepts = rng.normal(size=(IMAGES, WORDS))
    a = concepts[:, np.arange(NEURONS) % WORDS] + 0.5 * rng.normal(size=(IMAGES, NEURONS))
    a[:, 5] += concepts[:, 1]
    a[:, 2], a[:, 8], a[:, 9] = 0, 3, np.round(a[:, 9])
    a[:, 15:] = rng.normal(size=(IMAGES, 3))
    return a.astype(np.float32), (concepts / 4).astype(np.float32)


def labels(scorer: str) -> pd.DataFrame:
    a, p = arrays()
    rng = np.random.default_rng(1)
    facts = pd.DataFrame(
        {"patient": [f"p{row // 2}" for row in range(IMAGES)], "view": ["CC", "MLO", "MLO", "CC"] * (IMAGES // 4)}
    )
    top = {"top_k": 20} if scorer in RANKED else {}
    return mcd.label(
        a,
        p,
        [Concept(f"c{at}", f"category {at % 3}", "broad") for at in range(WORDS)],
        scorer={"plugin": scorer, "options": top},
        facts=facts,
        calibration={"draws": 60, "most_draws": 60},
        nuisances=rng.normal(size=(IMAGES, 2)),
        untrained=[rng.normal(size=(IMAGES, 10)) for _ in range(2)],
        annotations=(p > np.quantile(p, 0.6, axis=0)).astype(np.float32),
    )


@pytest.mark.parametrize(
    "scorer",
    [
        pytest.param(one.name, marks=pytest.mark.slow if one.name in SLOW else ())
        for one in mcd_register_scorers()
        if one.name not in EMBEDDINGS
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_groups_give_the_labels_of_the_whole(scorer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = labels(scorer)
    monkeypatch.setattr("mcd.scoring.activations.FLOATS", BUDGET)
    groups = labels(scorer)
    if scorer in RANKED:
        pd.testing.assert_frame_equal(groups, whole)
    said = ["neuron", "status", "verdict", "rank", "concept", "rung"]
    pd.testing.assert_frame_equal(groups[said], whole[said])
    numbers = [name for name in whole if whole[name].dtype == np.float64]
    pd.testing.assert_frame_equal(groups[numbers], whole[numbers], rtol=1e-4, atol=1e-5)


class Bounded:
    """Activations that are refused where more are asked for at once than the budget allows."""

    def __init__(self) -> None:
        self.values, self.asked = torch.from_numpy(arrays()[0]), 0

    def __call__(self, rows: torch.Tensor | None, columns: torch.Tensor) -> torch.Tensor:
        some = self.values if rows is None else self.values[rows]
        assert some[:, columns].numel() <= BUDGET
        self.asked += 1
        return some[:, columns]

    def layer(self) -> Read:
        return Read(IMAGES, NEURONS, self)


@pytest.mark.parametrize("scorer", [SoftWPMI(SoftWPMI.Options(top_k=20)), Cosine()], ids=lambda one: one.name)
def test_no_more_than_the_budget_is_read_at_once(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcd.scoring.activations.FLOATS", BUDGET)
    monkeypatch.setattr("mcd.scoring.nulls.FLOATS", BUDGET)
    similarity = Matrix(torch.from_numpy(arrays()[1]))
    stored = Bounded()
    fixed = nuisances_of({"view": ["CC", "MLO"] * (IMAGES // 2)}, None)
    labeller = Labeller(
        scorer,
        similarity,
        [Concept(f"c{at}", f"category {at % 3}", "broad") for at in range(WORDS)],
        Calibration(draws=60, most_draws=60),
        [""] * IMAGES,
        2,
        rungs=RungData(lambda: fixed, lambda _layer: iter([stored.layer()])),
    )
    (found,) = labeller.scored({"layer": stored.layer})
    assert found.judged is not None
    assert found.judged.significant >= NEURONS // 2
    assert found.rungs is not None
    assert stored.asked > NEURONS // 7


def test_what_is_read_whole_all_the_same_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Compared(mcd.Scorer):
        name = "compared"

        def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
            scores = activations.T @ similarity
            return scores - scores.mean(dim=0)

    monkeypatch.setattr("mcd.scoring.activations.FLOATS", BUDGET)
    a, p = arrays()
    read: list[int] = []

    def values(rows: torch.Tensor | None, columns: torch.Tensor) -> torch.Tensor:
        read.append(len(columns))
        return torch.from_numpy(a)[:, columns]

    words = [Concept(f"c{at}", "", "") for at in range(WORDS)]
    labeller = Labeller(Compared(), Matrix(torch.from_numpy(p)), words, Calibration(draws=0), [""] * IMAGES, 1)
    said: list[tuple[str, int]] = []
    (found,) = labeller.scored(
        {"wide": lambda: Read(IMAGES, NEURONS, values)}, lambda text: said.append((text, len(read)))
    )
    ((text, before),) = said
    assert before == 0
    assert "compared compares the neurons of a layer" in text
    assert "18 × 120" in text
    assert max(read) == NEURONS - 2
    whole = score_layer(labeller.scorer, torch.from_numpy(a[:, [0, 2, 8]]), Matrix(torch.from_numpy(p)))
    assert whole.status == ("labelled", "dead", "constant")
    assert found.scores.status.count("labelled") == NEURONS - 2


def tables(folder: Path) -> Iterator[tuple[str, bytes]]:
    run = mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="stages.3",
        dataset="phantom:16",
        concepts="phantom",
        scorer={"plugin": "soft-wpmi", "options": {"top_k": 12}},
        calibration={"draws": 60, "most_draws": 60},
        controls=True,
        untrained=10,
        maps=2,
        device="cpu",
        output=folder,
        progress=False,
    )
    again = mcd.score(run, scorer="cosine", progress=False)
    for path in (run.folder / "labels.csv", run.folder / "controls.csv", again.folder / "labels.csv"):
        yield path.name, path.read_bytes()


@pytest.mark.slow
def test_a_run_with_controls_rungs_and_maps_reads_groups_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(tables(tmp_path / "whole"))
    monkeypatch.setattr("mcd.scoring.activations.FLOATS", 64 * 16)
    groups = list(tables(tmp_path / "groups"))
    assert groups[0] == whole[0]  # top images are the same, whatever the groups
    for (_, one), (_, other) in zip(groups[1:], whole[1:], strict=True):
        pd.testing.assert_frame_equal(*(pd.read_csv(BytesIO(data)) for data in (one, other)), rtol=1e-3, atol=1e-4)


def test_what_a_scorer_raises_of_a_group_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Cosine):
        def permuted(self, activations: torch.Tensor) -> torch.Tensor:
            raise IndexError("no such row")

    monkeypatch.setattr("mcd.scoring.activations.FLOATS", BUDGET)
    a, p = (torch.from_numpy(one) for one in arrays())
    concepts = [Concept(f"c{at}", "", "") for at in range(WORDS)]
    labeller = Labeller(Broken(), Matrix(p), concepts, Calibration(draws=20, most_draws=20), [""] * IMAGES, 1)
    with pytest.raises(PluginLoadError, match="scorer cosine failed: IndexError: no such row"):
        list(labeller.scored({"layer": lambda: a}))


def test_more_images_than_are_held_are_read_a_neuron_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcd.scoring.activations.FLOATS", 7)
    assert split(8, 3) == split(4, 3, copies=2) == [slice(0, 1), slice(1, 2), slice(2, 3)]
