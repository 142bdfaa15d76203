"""The numbers of a comparison, on runs small enough to reckon by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.api.concepts import Concept
from mcd.comparison.changes import KINDS, Pairing, changes, pair_neurons
from mcd.comparison.layers import (
    ALL,
    AlignedLayer,
    category_table,
    difference_table,
    emergence,
    joined,
    layer_table,
    threshold_table,
)
from mcd.comparison.outcomes import NOTHING, Outcome, Vocabulary
from mcd.comparison.resampling import Replicated
from mcd.scoring.calibration.thresholds import global_threshold, local_threshold, reaches

NAN = float("nan")
WORDS = Vocabulary(
    (
        Concept("round", "shape", "finding"),
        Concept("oval", "shape", "finding"),
        Concept("dense", "density", "anatomy"),
        Concept("sky", "nature", "control", mammographic=False),
    )
)
ROUND, OVAL, DENSE, SKY = range(4)


def outcome(
    layer: str, first: list[int], above: list[bool], z: list[float], score: list[float] | None = None
) -> Outcome:
    return Outcome(layer, np.array(first), np.array(above), np.array(z), np.array(score or z))


def seen(
    run: str, layer: str, above: list[int], replicated: list[list[int]] | None = None, depth: float = 0.0
) -> AlignedLayer:
    """Return a layer whose neurons have these significant concepts; z is 5 there and 1 elsewhere."""
    z = [1.0 if at == NOTHING else 5.0 for at in above]
    first = [ROUND if at == NOTHING else at for at in above]
    again = None
    if replicated is not None:
        codes = np.array(replicated)
        again = Replicated(codes, np.where(codes == NOTHING, 1.0, 5.0), 1.0)
    return AlignedLayer(run, layer, depth, outcome(layer, first, [at != NOTHING for at in above], z), again)


def test_a_layer_is_counted_by_what_is_significant() -> None:
    one = AlignedLayer(
        "net",
        "l",
        0.0,
        outcome("l", [ROUND, OVAL, SKY, DENSE, NOTHING], [True, True, True, False, False], [4.0, 6.0, 5.0, 1.0, NAN]),
    )
    row = layer_table([one], WORDS, scores_comparable=False).iloc[0]
    counts = row[["neurons", "labelled", "significant", "mammographic", "other", "concepts"]]
    assert counts.tolist() == [5, 4, 3, 2, 1, 3]
    assert row["mean_z"] == 4.0  # of all first labels, significant or not
    assert row[["share", "mammographic_share", "other_share"]].tolist() == [0.6, 0.4, 0.2]
    assert row["vocabulary_mammographic"] == 0.75
    assert np.isnan(row["mean_score"])
    assert np.isnan(row["share_low"])
    comparable = layer_table([one], WORDS, scores_comparable=True).iloc[0]
    assert comparable["mean_score"] == 4.0


def test_categories_stand_beside_their_share_of_the_vocabulary() -> None:
    table = category_table([seen("net", "l", [ROUND, OVAL, SKY, NOTHING])], WORDS).set_index(["level", "name"])
    shape = table.loc[("category", "shape")]
    assert shape[["neurons", "share", "concepts", "share_of_vocabulary"]].tolist() == [2, 0.5, 2, 0.5]
    assert shape["share_of_above"] == pytest.approx(2 / 3)
    assert table.loc[("category", "density"), "neurons"] == 0
    assert table.loc[("broad_category", "finding"), "neurons"] == 2
    assert table.loc[("concept", "sky"), "neurons"] == 1


def test_intervals_are_so_many_deviations_of_the_resamples_around_the_estimate() -> None:
    one = seen(
        "net", "l", [ROUND, OVAL, NOTHING, NOTHING], [[ROUND, NOTHING, NOTHING, NOTHING], [ROUND, OVAL, DENSE, NOTHING]]
    )
    row = layer_table([one], WORDS, scores_comparable=False).iloc[0]
    spread = np.std([0.25, 0.75], ddof=1)
    assert row["share_low"] == pytest.approx(max(0, 0.5 - 1.959964 * spread), abs=1e-6)
    assert row["share_high"] == 1.0  # no share passes it


def test_differences_are_of_pairs() -> None:
    """Both runs go up and down together: each is uncertain, their difference is not."""
    both = [[ROUND, NOTHING, NOTHING, NOTHING], [ROUND, OVAL, DENSE, NOTHING], [ROUND, OVAL, NOTHING, NOTHING]]
    one = seen("a", "l", [ROUND, OVAL, NOTHING, NOTHING], both)
    more = [[*row[:3], SKY] for row in both]
    other = seen("b", "l", [ROUND, OVAL, NOTHING, SKY], more)
    table = difference_table([one], [other], WORDS).set_index(["level", "name"])
    above = table.loc[("layer", "significant")]
    assert above[["reference", "other", "difference", "difference_low", "difference_high"]].tolist() == [
        0.5,
        0.75,
        0.25,
        0.25,
        0.25,
    ]
    assert table.loc[("layer", "not mammographic"), "difference"] == 0.25
    assert table.loc[("category", "shape"), "difference"] == 0.0
    assert table.loc[("layer", "mean z"), "difference"] == 1.0


def test_layers_of_different_widths_are_shares_of_their_own() -> None:
    wider = replace(seen("b", "m", [ROUND, ROUND, OVAL, NOTHING]), place="l")
    table = difference_table([seen("a", "l", [ROUND, NOTHING])], [wider], WORDS)
    shape = table[table["name"] == "shape"].iloc[0]
    assert shape[["place", "layer", "reference", "other", "difference"]].tolist() == ["l", "m", 0.5, 0.75, 0.25]
    whole = joined([seen("a", "l", [ROUND, NOTHING]), seen("a", "m", [SKY])])
    assert (whole.place, whole.outcome.neurons, whole.outcome.significant.sum()) == (ALL, 3, 2)


def test_emergence_is_a_row_a_layer() -> None:
    rows = [
        seen("net", "early", [DENSE, DENSE], depth=0.0),
        seen("net", "late", [ROUND, OVAL, SKY, NOTHING], depth=1.0),
    ]
    rows.append(joined(rows))
    table = emergence(layer_table(rows, WORDS, scores_comparable=False), category_table(rows, WORDS))
    assert table["layer"].tolist() == ["early", "late"]
    assert table["concepts"].tolist() == [1, 3]
    assert table["finding"].tolist() == [0.0, 0.5]
    assert table["anatomy"].tolist() == [1.0, 0.0]


def test_the_mean_score_threshold_takes_its_own_mean_or_the_higher_one() -> None:
    one = AlignedLayer("a", "l", 0.0, outcome("l", [ROUND, SKY, OVAL], [False] * 3, [0.0] * 3, [1.0, 2.0, 3.0]))
    other = AlignedLayer("b", "l", 0.0, outcome("l", [ROUND, ROUND, NOTHING], [False] * 3, [0.0] * 3, [3.0, 4.0, NAN]))
    local = threshold_table([[one, other]], WORDS, "local")
    assert local["threshold"].tolist() == [2.0, 3.5]
    assert local["kept"].tolist() == [2, 1]
    assert local[["kept_mammographic", "kept_other"]].values.tolist() == [[1, 1], [1, 0]]
    globally = threshold_table([[one, other]], WORDS, "global")
    assert globally["threshold"].tolist() == [3.5, 3.5]
    assert globally["kept"].tolist() == [0, 1]
    assert globally["mean_score"].tolist() == [2.0, 3.5]
    lower = threshold_table([[one, other]], WORDS, "global", higher_is_better=False)
    assert lower["threshold"].tolist() == [2.0, 2.0]
    assert lower["kept"].tolist() == [2, 0]


def test_thresholds_leave_out_what_has_no_score() -> None:
    assert local_threshold(np.array([1.0, NAN, 3.0])) == 2.0
    assert np.isnan(local_threshold(np.array([NAN])))
    assert global_threshold(np.array([NAN]), np.array([1.0])) == 1.0
    assert np.isnan(global_threshold(np.array([NAN])))
    assert reaches(np.array([1.0, NAN, 2.0]), 2.0).tolist() == [False, False, True]


BEFORE = [ROUND, ROUND, ROUND, ROUND, NOTHING, NOTHING]
AFTER = [ROUND, OVAL, DENSE, NOTHING, SKY, NOTHING]


def pairing(count: int) -> Pairing:
    return Pairing.unseen(count)


def test_every_neuron_has_one_fate() -> None:
    found = changes([seen("a", "l", BEFORE)], [seen("b", "l", AFTER)], [pairing(6)], WORDS)
    assert found.neurons["change"].tolist() == [*KINDS[:3], "lost", "gained", "neither"]
    assert found.neurons.loc[2, ["concept_before", "concept_after"]].tolist() == ["round", "dense"]
    assert found.neurons.loc[4, ["concept_before", "category_after"]].tolist() == ["", "nature"]
    whole = found.layers[found.layers["place"] == ALL].set_index("change")["neurons"]
    assert whole.to_dict() == dict.fromkeys(KINDS, 1)
    shape = found.categories.set_index("name").loc["shape"]
    assert shape[["before", "after", "kept", "gained", "lost", "came", "left", "change"]].tolist() == [
        4,
        2,
        2,
        0,
        1,
        0,
        1,
        -2,
    ]
    assert found.concepts["name"].tolist() == ["oval", "dense", "sky", "round"]
    assert found.concepts["change"].tolist() == [1, 1, 1, -3]
    assert found.categories["name"].tolist()[-1] == "shape"  # what fades comes last


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=1, max_size=30))
def test_flows_add_up(pairs: list[tuple[int, int]]) -> None:
    before, after = [one for one, _ in pairs], [other for _, other in pairs]
    found = changes([seen("a", "l", before)], [seen("b", "l", after)], [pairing(len(pairs))], WORDS)
    for table in (found.categories, found.concepts):
        assert (table["before"] == table["kept"] + table["lost"] + table["left"]).all()
        assert (table["after"] == table["kept"] + table["gained"] + table["came"]).all()
        assert table["came"].sum() == table["left"].sum()
    whole = found.layers[found.layers["place"] == ALL].set_index("change")["neurons"]
    assert whole.sum() == len(pairs)
    assert found.concepts["kept"].sum() == whole["kept concept"]
    assert found.categories["kept"].sum() == whole["kept concept"] + whole["kept category"]


def test_changes_have_intervals_of_their_own() -> None:
    before = seen("a", "l", [ROUND, NOTHING], [[ROUND, NOTHING], [NOTHING, NOTHING]])
    after = seen("b", "l", [ROUND, OVAL], [[ROUND, OVAL], [NOTHING, OVAL]])
    found = changes([before], [after], [pairing(2)], WORDS)
    concepts = found.concepts.set_index("name")
    assert concepts.loc["round", ["change", "low", "high"]].tolist() == [0, 0.0, 0.0]  # both lose it together
    assert concepts.loc["oval", ["change", "low", "high"]].tolist() == [1, 1.0, 1.0]
    kept = found.layers[(found.layers["place"] == ALL) & (found.layers["change"] == "kept concept")].iloc[0]
    assert (kept["low"], kept["neurons"], kept["high"]) == (0.0, 1, 2.0)


def test_hungarian_matching_finds_permuted_neurons() -> None:
    import torch

    rng = np.random.default_rng(3)
    one = rng.standard_normal((60, 8)).astype(np.float32)
    order = rng.permutation(8)
    other = (2 * one[:, order] + 1 + 0.01 * rng.standard_normal((60, 8))).astype(np.float32)
    found = pair_neurons(torch.from_numpy(one), torch.from_numpy(other), "hungarian")
    assert order[found.other].tolist() == found.reference.tolist()
    assert (found.correlation > 0.99).all()
    by_number = pair_neurons(torch.from_numpy(one), torch.from_numpy(other), "identity")
    assert by_number.other.tolist() == list(range(8))
    expected = [np.corrcoef(one[:, at], other[:, at])[0, 1] for at in range(8)]
    assert by_number.correlation.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_mirrored_neuron_is_no_match() -> None:
    import torch

    rng = np.random.default_rng(4)
    one = rng.standard_normal((200, 2)).astype(np.float32)
    other = np.stack([-one[:, 0], one[:, 0] + rng.standard_normal(200)], axis=1).astype(np.float32)
    found = pair_neurons(torch.from_numpy(one), torch.from_numpy(other), "hungarian")
    assert found.other.tolist() == [1, 0]
    dead = np.zeros((200, 1), dtype=np.float32)
    found = pair_neurons(torch.from_numpy(np.hstack([dead, one[:, :1]])), torch.from_numpy(one), "hungarian")
    assert found.other.tolist() == [1, 0]
    assert np.isnan(found.correlation[0])


def test_tables_without_rows_do_not_break() -> None:
    found = changes([seen("a", "l", [NOTHING])], [seen("b", "l", [NOTHING])], [pairing(1)], WORDS)
    assert found.concepts.empty
    assert isinstance(found.layers, pd.DataFrame)
