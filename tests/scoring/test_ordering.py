"""The order in which concepts and neurons are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mcd.plugins import above_chance, by_evidence


def table(rows: list[tuple[int, str, float, float, float, int | None]]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["neuron", "verdict", "q", "z", "score", "rank"])
    return found.assign(rank=found["rank"].astype("Int64"))


def test_q_decides_then_z_then_the_place_by_score() -> None:
    labels = table(
        [
            (4, "significant", 0.04, 2.0, 0.9, 1),
            (4, "significant", 0.01, 3.0, 0.8, 2),
            (4, "significant", 0.01, 5.0, 0.7, 3),
            (4, "significant", 0.01, 5.0, 0.7, 4),
            (4, "significant", 0.30, 9.0, 0.6, 5),
            (2, "", np.nan, np.nan, np.nan, None),
            (3, "", np.nan, np.nan, 0.1, 2),
            (3, "", np.nan, np.nan, 0.2, 1),
        ]
    )
    ordered = by_evidence(labels, ["neuron"])
    assert ordered["neuron"].tolist() == [4, 4, 4, 4, 4, 2, 3, 3]
    assert ordered["rank"].fillna(0).tolist() == [3, 4, 2, 1, 5, 0, 1, 2]
    pd.testing.assert_frame_equal(ordered.sort_index(), labels)  # rows are put in order, nothing else


def test_the_neurons_of_a_layer_without_significance_stand_by_score() -> None:
    first = table([(number, "", np.nan, np.nan, score, 1) for number, score in enumerate((0.2, 0.9, 0.5))])
    assert by_evidence(first)["neuron"].tolist() == [1, 2, 0]
    assert by_evidence(first, higher_is_better=False)["neuron"].tolist() == [0, 2, 1]


def test_a_low_q_is_above_chance_only_where_the_first_concept_is_significant() -> None:
    labels = table(
        [
            (0, "multiple categories", 0.05, 4.0, 0.9, 1),
            (0, "multiple categories", 0.06, 3.0, 0.8, 2),
            (1, "not significant", 0.20, 1.0, 0.9, 1),
            (1, "not significant", 0.01, 5.0, 0.8, 2),
            (2, "", np.nan, np.nan, np.nan, None),
        ]
    )
    assert above_chance(labels, 0.05).tolist() == [True, False, False, False, False]
