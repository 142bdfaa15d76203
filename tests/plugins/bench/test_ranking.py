"""Measures: worked out by hand for a few units, and the order that they put methods in."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from tests.latex import amiss
from tests.plugins.bench.materials import material

from mcd_plugins.bench.contract import Case, Decision, Method
from mcd_plugins.bench.page import page
from mcd_plugins.bench.plants import Planted, Truth
from mcd_plugins.bench.ranking import ALL, Outcome, Row, rows_of, tally
from mcd_plugins.bench.report import Report

LONG = "a method of many words, with the_network's layers.11.mlp/activation_fn as what it explains, and no break" * 2
SINGLE = Truth("single", frozenset({0}), frozenset({0, 1}), 1.0)
TWO = Truth("two", frozenset({2, 3}), frozenset({2, 3}), 0.5)
NOISE, DEAD, CONFOUNDED = Truth("noise"), Truth("dead"), Truth("confounded", snr=2.0)
TRUTHS = (SINGLE, SINGLE, SINGLE, SINGLE, TWO, TWO, *[NOISE] * 6, DEAD, CONFOUNDED, None)
FIRST = [0, 1, 5, 0, 2, 4, 7, 7, 7, -1, -1, -1, -1, 0, 0]
CLAIMED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]
P = [*[0.01] * 6, 0.02, 0.3, 0.5, 0.7, 0.9, 1.0, nan, 0.01, 0.01]


@pytest.fixture(scope="module")
def case() -> Case:
    of = material(4, 1)
    return Case(
        np.zeros((16, len(TRUTHS)), np.float32),
        of.similarity,
        of.images,
        of.texts,
        of.empty,
        of.annotations,
        of.patients,
        of.concepts,
    )


def method(name: str, *made_for: str) -> Method:
    def never(_: Case) -> Decision:
        raise AssertionError

    return Method(name, "Somebody 2020", ("similarity",), made_for or ("single",), never)


@pytest.fixture(scope="module")
def rows(case: Case) -> tuple[Row, ...]:
    more = [() for _ in TRUTHS]
    more[4] = (3, 9)
    decision = Decision(np.array(FIRST), np.ones(len(TRUTHS)), np.array(CLAIMED, bool), np.array(P), tuple(more))
    return rows_of(method("mine"), tally([Planted(case, TRUTHS)], [decision], 1.5))


def row(rows: tuple[Row, ...], plant: str, snr: float = nan) -> Row:
    return next(one for one in rows if one.plant == plant and (one.snr == snr or (isnan(snr) and isnan(one.snr))))


def test_all_plants_together(rows: tuple[Row, ...]) -> None:
    found = row(rows, ALL)
    assert found.units == 14  # one is the layer's own
    assert found.claimed == pytest.approx(6 / 14)
    assert found.precision == pytest.approx(4 / 6)  # three single, one two; beside them noise and the confounded
    assert found.recall == pytest.approx(4 / 6)
    assert found.fdr == pytest.approx(3 / 6)  # noise, confounded, and the single unit that is called 5
    assert found.name == pytest.approx(2 / 4)
    assert found.cluster == pytest.approx(3 / 4)
    assert found.said == pytest.approx((1 + 0 + 0 + 1) / 4)  # the unit of two concepts is said to follow both
    assert found.p_below == pytest.approx(1 / 6)
    assert found.seconds == 1.5


def test_a_plant_is_judged_among_units_that_follow_nothing(rows: tuple[Row, ...]) -> None:
    found = row(rows, "single")
    assert (found.units, found.made_for) == (4, True)
    assert found.precision == pytest.approx(3 / 4)  # one noise unit is claimed; the confounded is no part of this
    assert found.recall == pytest.approx(3 / 4)
    assert found.fdr == pytest.approx(2 / 4)
    assert found.name == pytest.approx(1 / 3)
    assert found.cluster == pytest.approx(2 / 3)
    assert row(rows, "two", 0.5).said == 1.0
    assert not row(rows, "two").made_for


def test_units_of_which_no_label_is_right_have_claims_and_nothing_else(rows: tuple[Row, ...]) -> None:
    found = row(rows, "confounded")
    assert (found.claimed, found.fdr) == (1.0, pytest.approx(1.0))
    assert all(isnan(one) for one in (found.precision, found.recall, found.name, found.cluster))
    assert row(rows, "dead").claimed == 0.0
    assert row(rows, "noise").claimed == pytest.approx(1 / 6)


def test_distance_from_uniform_is_that_of_kolmogorov(rows: tuple[Row, ...]) -> None:
    from scipy.stats import kstest

    assert row(rows, "noise").ks == pytest.approx(kstest(P[6:12], "uniform").statistic)
    assert isnan(row(rows, "single").ks)


def test_a_method_without_p_has_no_calibration(case: Case) -> None:
    decision = Decision(np.array(FIRST), np.ones(len(TRUTHS)), np.array(CLAIMED, bool))
    found = rows_of(method("mine"), tally([Planted(case, TRUTHS)], [decision], 1.0))
    assert isnan(row(found, ALL).p_below)
    assert isnan(row(found, ALL).ks)


def test_a_method_that_claims_nothing_has_no_precision_and_stands_last(rows: tuple[Row, ...], case: Case) -> None:
    silent = Decision(np.full(len(TRUTHS), -1), np.full(len(TRUTHS), nan), np.zeros(len(TRUTHS), bool))
    none = rows_of(method("none"), tally([Planted(case, TRUTHS)], [silent], 1.0))
    assert isnan(row(none, ALL).precision)
    assert row(none, ALL).recall == 0.0
    report = Report(
        "drawn", "annotations", {"repeats": 1}, (Outcome(method("none"), none), Outcome(method("mine"), rows))
    )
    assert [one.method.name for one in report.sorted_by("precision").outcomes] == ["mine", "none"]
    assert report.ranks("precision") == {"mine": 1}


def test_smaller_is_better_for_false_discoveries_and_nearer_to_five_percent_for_p(rows: tuple[Row, ...]) -> None:
    first = rows[0]
    made = {
        "careful": replace(first, method="careful", fdr=0.1, p_below=0.0, ks=0.3),
        "exact": replace(first, method="exact", fdr=0.2, p_below=0.06, ks=0.1),
        "loose": replace(first, method="loose", fdr=0.3, p_below=0.4, ks=0.4),
    }
    report = Report("x", "annotations", {}, tuple(Outcome(method(name), (one,)) for name, one in made.items()))
    assert report.ranks("fdr") == {"careful": 1, "exact": 2, "loose": 3}
    assert report.ranks("p_below") == {"careful": 2, "exact": 1, "loose": 3}
    assert [one.method.name for one in report.sorted_by("calibration").outcomes] == ["exact", "careful", "loose"]


def test_names_of_a_received_run_are_no_commands(rows: tuple[Row, ...]) -> None:
    hostile = "a\n\\input{secret}<script>alert(1)</script>"
    report = Report(hostile, "similarity", {"repeats": 1}, (Outcome(method("mine"), rows),))
    tex = report.latex().decode()
    assert [line for line in tex.splitlines() if "input{" in line and not line.startswith("%")] == []
    wide = [replace(one, method=LONG) for one in rows]
    full = Report(LONG, "similarity", {"repeats": 1}, (*report.outcomes, Outcome(method(LONG), tuple(wide))))
    assert amiss(tex, full.latex().decode()) == []
    html = page(report).decode()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert json.loads(report.json())["material"] == hostile
