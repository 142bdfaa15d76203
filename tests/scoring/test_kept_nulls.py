"""A null is drawn once for all that need the same, and sharing it never changes a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mcd
from mcd.api.concepts import ConceptSet
from mcd.extraction.shared_store import SharedStore
from mcd.runs.stored_nulls import kept_nulls
from mcd.scoring.calibration.null import Drawn
from mcd.scoring.kept_nulls import KeptNulls
from mcd.scoring.labelling import Labeller, Scored
from mcd.scoring.similarity import Cosines, Part, Similarity
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.contrastive import Contrastive
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

IMAGES, CONCEPTS = 48, ConceptSet.from_words(["mass", "clip", "fat"]).concepts
PATIENTS = [f"p{at // 2}" for at in range(IMAGES)]
LAYER, OTHER = (torch.rand(IMAGES, 6, generator=torch.Generator().manual_seed(at)) for at in (1, 2))


class Weighted(mcd.Scorer):
    """Says by itself what decides it, and says too little: it was given weights since."""

    name = "weighted"
    weights = torch.ones(IMAGES)
    columns = 0

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        Weighted.columns += activations.shape[1]
        return (activations * self.weights[:, None]).T @ similarity

    def fingerprint(self) -> str:
        return "weighted"


class Counted(SoftWPMI):
    """Counts the rankings that it is asked for."""

    rankings = 0

    def evidence(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        Counted.rankings += ranked.shape[1]
        return super().evidence(ranked, similarity)


def cosines(seed: int = 0) -> Similarity:
    generator = torch.Generator().manual_seed(seed)
    images, texts = torch.randn(IMAGES, 8, generator=generator), torch.randn(3, 8, generator=generator)
    return Cosines(images, texts, [str(at) for at in range(IMAGES)], ["mass", "clip", "fat"])


def labelled(
    nulls: KeptNulls | None,
    layer: torch.Tensor = LAYER,
    scorer: mcd.Scorer | None = None,
    similarity: Similarity | None = None,
    patients: Sequence[str] = ("",) * IMAGES,
    ids: Sequence[str] | None = None,
    **settings: int,
) -> Scored:
    Weighted.columns = 0  # it is part of the class, and so of what is kept
    calibration = Calibration.model_validate({"draws": 200, "most_draws": 800, **settings})
    similarity = similarity or cosines()
    labeller = Labeller(scorer or Pearson(), similarity, CONCEPTS, calibration, list(patients), 3, ids, nulls=nulls)
    (found,) = labeller.scored({"layer": lambda: layer})
    return found


def equal(one: Scored, other: Scored) -> bool:
    assert one.judged is not None
    assert other.judged is not None
    pairs = ((getattr(one.judged, name), getattr(other.judged, name)) for name in ("z", "p", "q", "p_any"))
    return all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in pairs)


def weighted(value: float) -> Weighted:
    made = Weighted()
    made.weights = torch.linspace(1, value, IMAGES)
    return made


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"layer": OTHER},
        {"similarity": cosines(1)},
        {"scorer": SoftWPMI(SoftWPMI.Options(top_k=5))},
        {"scorer": SoftWPMI(SoftWPMI.Options(top_k=6))},
        {"scorer": weighted(2)},
        {"patients": PATIENTS},
        {"ids": [f"id{at}" for at in range(IMAGES)]},
        {"null_seed": 5},
        {"draws": 100},
        {"most_draws": 200},
    ],
    ids=lambda changed: "-".join(changed) or "nothing",
)
def test_numbers_are_the_same_whoever_else_uses_what_is_kept(changed: dict[str, object]) -> None:
    nulls = KeptNulls()
    for scorer in (Pearson(), SoftWPMI(SoftWPMI.Options(top_k=5)), weighted(5)):
        labelled(nulls, scorer=scorer)
    alone = labelled(None, **changed)  # type: ignore[arg-type]  # each argument is of its own type
    for _ in range(2):
        assert equal(labelled(nulls, **changed), alone)  # type: ignore[arg-type]  # as above


def test_a_second_target_of_the_same_dissector_needs_no_rankings_but_its_own() -> None:
    nulls, scorer = KeptNulls(), Counted(Counted.Options(top_k=5))
    labelled(nulls, scorer=scorer)
    Counted.rankings = 0
    labelled(nulls, OTHER, scorer=scorer, similarity=cosines())
    assert Counted.rankings == OTHER.shape[1]


def test_a_layer_that_is_scored_again_is_not_permuted_again() -> None:
    nulls = KeptNulls()
    for columns in (LAYER.shape[1] * 51, LAYER.shape[1]):  # 300 draws in groups of 6, and the layer
        labelled(nulls, scorer=weighted(2))
        assert Weighted.columns == columns


def test_halves_of_a_probe_set_have_nulls_of_their_own() -> None:
    nulls, rows = KeptNulls(), torch.arange(IMAGES // 2)
    for at in (rows, rows + IMAGES // 2, rows):
        half = Part(cosines(), at)
        assert equal(
            labelled(nulls, LAYER[at], similarity=half, patients=[""] * len(at)),
            labelled(None, LAYER[at], similarity=half, patients=[""] * len(at)),
        )


def test_what_was_not_used_for_longest_goes_first() -> None:
    nulls = KeptNulls(most_bytes=100)
    for name in "abc":
        nulls.put(name, Drawn(torch.zeros(3), torch.ones(3), np.zeros(2)))  # 40 bytes
        nulls.find("a")
    assert nulls.find("a") is not None
    assert nulls.find("b") is None
    assert nulls.find("c") is not None


def test_another_process_takes_what_the_store_has_and_draws_what_is_damaged_again(tmp_path: Path) -> None:
    store, said = SharedStore(tmp_path / "store"), list[str]()
    alone = labelled(None)
    assert equal(labelled(kept_nulls(store, said.append)), alone)
    assert (store.added, store.taken) == (1, 0)
    assert equal(labelled(kept_nulls(store, said.append)), alone)
    assert (store.added, store.taken, said) == (1, 1, [])
    newest = max(store.files(), key=lambda file: file.number)
    newest.path.write_bytes(newest.path.read_bytes()[:-1] + b"x")
    assert equal(labelled(kept_nulls(store, said.append)), alone)
    assert said == ["a file of the store was damaged and is removed; its null is drawn again"]
    assert equal(labelled(kept_nulls(store, said.append)), alone)
    assert (store.added, store.taken, len(said)) == (2, 2, 1)


def test_without_a_store_nulls_are_kept_for_the_run_alone() -> None:
    assert kept_nulls(None, print).find("any") is None


def test_a_scorer_that_cannot_be_identified_shares_nothing(tmp_path: Path) -> None:
    def numbers() -> object:
        yield 1

    store, scorer = SharedStore(tmp_path), weighted(2)
    vars(scorer)["generator"] = numbers()
    labelled(kept_nulls(store, print), scorer=scorer)
    assert list(store.files()) == []


def test_what_decides_a_null_of_look_alikes_is_the_same_each_time() -> None:
    unit = torch.nn.functional.normalize(torch.rand(IMAGES, 8, generator=torch.Generator().manual_seed(3)))
    probe = mcd.Probe(CONCEPTS, unit, unit[:3], pd.DataFrame, None)
    nulls, found = KeptNulls(), []
    for size in (40, 200):
        torch.full((IMAGES, size), 7)  # what memory holds before plays no part
        labelled(nulls, scorer=Contrastive(Contrastive.Options(top_k=5)).for_probe(probe))
        found.append(len(nulls._drawn._kept))
    assert found == [1, 1]
