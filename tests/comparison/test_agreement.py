"""Two dissections of the same neurons: where they agree, by hand and from the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Outcome

from mcd.api.concepts import Concept
from mcd.comparison.agreement import agreement, rank_correlation

CONCEPTS = [Concept(f"c{at}", f"category {at // 2}", f"broad {at // 4}") for at in range(6)]
NAN = float("nan")


def test_agreement_by_hand() -> None:
    a = torch.tensor([[6.0, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6], [NAN] * 6, [1, 0, 0, 0, 0, 0]])
    b = torch.tensor([[6.0, 4, 5, 3, 2, 1], [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6], [NAN] * 6])
    found = agreement([("layer", a, b)], CONCEPTS, top=2)
    assert (found.only_a, found.only_b) == (1, 1)
    table = found.neurons
    assert table["neuron"].tolist() == [0, 1]
    assert table["same"].tolist() == [True, False]
    assert table["overlap"].tolist() == [0.5, 0.0]
    assert table["correlation"].round(6).tolist() == [round(1 - 6 * 2 / 210, 6), -1.0]
    assert table.loc[1, ["concept_a", "concept_b"]].tolist() == ["c5", "c0"]
    moves = found.moves()
    assert moves.values.tolist() == [["category 2", "category 0", 1]]
    assert found.by("layer")[["neurons", "same", "overlap"]].values.tolist() == [[2, 0.5, 0.25]]


def test_overlap_is_of_sets_whatever_their_order() -> None:
    a = torch.tensor([[6.0, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1]])
    b = torch.tensor([[4.0, 6, 5, 3, 2, 1], [1, 6, 2, 5, 3, 4]])  # first three: c1 c2 c0, and c1 c3 c5
    found = agreement([("layer", a, b)], CONCEPTS, top=3).neurons
    assert found["overlap"].tolist() == pytest.approx([1, 1 / 3])


def test_nothing_in_common_is_an_empty_table() -> None:
    found = agreement([("layer", torch.full((2, 6), NAN), torch.rand(2, 6))], CONCEPTS)
    assert (len(found.neurons), found.only_a, found.only_b) == (0, 0, 2)
    assert found.moves().empty


@given(st.integers(0, 10_000), st.integers(3, 12))
def test_rank_correlation_is_pearsons_of_the_ranks(seed: int, concepts: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 5, (2, 4, concepts)).astype(np.float32)  # ties are common
    found = rank_correlation(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    for row in range(4):
        if len(set(a[row])) > 1 and len(set(b[row])) > 1:
            expected = np.corrcoef(pd.Series(a[row]).rank(), pd.Series(b[row]).rank())[0, 1]
            assert found[row] == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(found[row])


MODEL = (
    "--model-plugin",
    "phantom-mammo",
    "--layers",
    "stages.3",
    "--dataset",
    "phantom:25",
    "--concepts",
    "phantom",
    "--dissector",
    "phantom-clip",
    "--device",
    "cpu",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., Outcome]) -> Path:
    """Three runs: soft-WPMI, the same scored with cosine-cubed, and one on other images."""
    place: Path = tmp_path_factory.mktemp("runs")
    done = mcd_command("dissect", *MODEL, "-o", place / "a")
    assert done.code == 0, done.err
    done = mcd_command("score", place / "a", "--scorer", "cosine-cubed", "-o", place / "b")
    assert done.code == 0, done.err
    done = mcd_command("dissect", *MODEL, "--dataset-arg", "seed=8", "-o", place / "c")
    assert done.code == 0, done.err
    return place


def test_scorers_side_by_side(runs: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command("compare", runs / "a", runs / "b", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "a: phantom-clip with soft-wpmi" in done.out
    assert "b: phantom-clip with cosine-cubed" in done.out
    assert "scores may not be compared across layers or models" in done.out
    assert max(len(line) for line in done.out.splitlines() if "all tables" not in line) <= 80
    table = pd.read_csv(tmp_path / "out" / "agreement_neurons.csv")
    first = {
        name: pd.read_parquet(runs / name / "labels.parquet").query("rank == 1").set_index("neuron")["concept"]
        for name in "ab"
    }
    for _, row in table.iterrows():
        assert (row["concept_a"], row["concept_b"]) == (first["a"][row["neuron"]], first["b"][row["neuron"]])
    assert not table["same"].iloc[0]  # those that differ come first
    layers = pd.read_csv(tmp_path / "out" / "agreement_layers.csv")
    assert layers["same"].item() == pytest.approx(table["same"].mean())


def test_a_run_agrees_with_its_copy(runs: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    shutil.copytree(runs / "a", tmp_path / "copy")
    done = mcd_command("compare", runs / "a", tmp_path / "copy")
    assert done.code == 0, done.err
    assert "100.0%" in done.out
    assert "different categories" not in done.out


def test_what_cannot_be_compared_is_refused(runs: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command("compare", runs / "a", runs / "c")
    assert done.code == 2
    assert "they differ in probe set" in done.err
    alone = mcd_command("compare", runs / "a")
    assert (alone.code, "at least two runs" in alone.err) == (2, True)
    missing = mcd_command("compare", runs / "a", runs / "nothing")
    assert (missing.code, "not a run folder" in missing.err) == (4, True)
