"""Runs side by side on the page: the numbers of mcd compare, with their intervals, and what they support."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.browser.test_explorer import Open, saved
from tests.plugins.explorer.conftest import page_of

import mcd
from mcd.plugins import CHANGES, SIGNIFICANT

with contextlib.suppress(ImportError):  # every test here asks for the browser, which then says so
    from playwright.sync_api import expect


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> list[mcd.Dissection]:
    """A model and one that was fine-tuned from it."""
    place = tmp_path_factory.mktemp("tuned")
    return [
        mcd.dissect(
            target,
            dataset={"plugin": "phantom", "options": {"patients": 25}},
            dissector="phantom-clip",
            layers=["stages.2", "stages.3"],
            concepts="phantom",
            scorer="cosine",
            output=place / target,
            progress=False,
            workers=0,
        )
        for target in ("phantom-mammo", "phantom-calc")
    ]


@pytest.fixture(scope="module")
def compared(tuned: list[mcd.Dissection]) -> mcd.Comparison:
    return mcd.compare(tuned, resamples=50)


@pytest.fixture(scope="module")
def side_by_side(tuned: list[mcd.Dissection], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(tuned, tmp_path_factory.mktemp("page"), bootstrap=50)


def same(rows: list[dict[str, str]], table: pd.DataFrame, key: str, value: str = "share") -> None:
    """Check that rows that were saved are those of a table of differences, intervals too."""
    known = table.set_index(key).loc[[row[key] for row in rows]]
    for column, name in ((f"A_{value}", "reference"), (f"B_{value}", "other"), ("difference", "difference")):
        np.testing.assert_allclose([float(row[column]) for row in rows], known[name], atol=1e-5)
    for side in ("low", "high"):
        np.testing.assert_allclose(
            [float(row[f"difference_{side}"]) for row in rows], known[f"difference_{side}"], atol=1e-5
        )


def decided(rows: list[dict[str, str]]) -> list[tuple[bool, float]]:
    return [
        (not (float(row["difference_low"]) > 0 or float(row["difference_high"]) < 0), -abs(float(row["difference"])))
        for row in rows
    ]


def test_layers_and_concepts_have_the_numbers_of_mcd_compare_and_what_decides_first(
    opened: Open, side_by_side: Path, compared: mcd.Comparison
) -> None:
    page = opened(side_by_side).at("compare")
    table = compared.differences.assign(layer=compared.differences["place"].replace("(all)", "all layers"))
    layers = saved(page, "Download layers as CSV")
    same(layers, table[(table["level"] == "layer") & (table["name"] == "significant")], "layer")
    assert len(layers) == 3
    concepts = saved(page, "Download concepts as CSV")
    whole = table[(table["place"] == "(all)") & (table["level"] == "concept")].rename(columns={"name": "concept"})
    assert len(concepts) == ((whole["reference"] > 0) | (whole["other"] > 0)).sum()
    same(concepts, whole, "concept")
    for rows in (layers, concepts):
        assert decided(rows) == sorted(decided(rows))
    page.get_by_label("Measure", exact=True).select_option("mean z")
    layers = saved(page, "Download layers as CSV")
    same(layers, table[(table["level"] == "layer") & (table["name"] == "mean z")], "layer", "mean_z")
    assert {row["measure"] for row in layers} == {"mean z"}
    page.get_by_label("Level", exact=True).select_option("broad category")
    broad = table[(table["place"] == "(all)") & (table["level"] == "broad_category")]
    same(saved(page, "Download concepts as CSV"), broad.rename(columns={"name": "broad_category"}), "broad_category")
    first = broad.loc[(broad["reference"] > 0) | (broad["other"] > 0), "name"].iloc[0]
    page.get_by_label("Which neurons see").fill(f" {first.upper()} ")  # categories are searched as concepts are
    assert first in [row["broad_category"] for row in saved(page, "Download concepts as CSV")]


def test_the_headline_says_the_largest_difference_that_its_interval_supports(
    opened: Open, side_by_side: Path, compared: mcd.Comparison
) -> None:
    page = opened(side_by_side).at("compare")
    table = compared.differences
    whole = table[(table["place"] == "(all)") & (table["level"] == "concept")]
    supported = whole[(whole["difference_low"] > 0) | (whole["difference_high"] < 0)]
    said = page.locator("#compare .headline").nth(1).inner_text()
    if len(supported):
        best = supported.loc[supported["difference"].abs().idxmax()]
        assert (
            f"supports is {best['name']}: {100 * best['reference']:.1f}% in A, {100 * best['other']:.1f}% in B" in said
        )
        assert (
            f"({100 * best['difference_low']:+.1f} to {100 * best['difference_high']:+.1f})".replace("-", "−") in said
        )
    else:
        assert said.startswith("No difference")
    text = page.locator("#compare").inner_text()
    assert "95 % intervals over patients" in text
    # every number in a table has its interval and its unit
    cells = page.locator("#compare section").nth(0).locator("tbody td.number").all_inner_texts()
    assert cells
    assert all(" to " in cell and ("%" in cell or "points" in cell) for cell in cells)


def test_changes_of_neurons_are_counted_as_mcd_compare_counts_them(
    opened: Open, side_by_side: Path, compared: mcd.Comparison
) -> None:
    page = opened(side_by_side).at("compare")
    (change,) = compared.changes
    whole = change.layers[change.layers["place"] == "(all)"].set_index("change")
    said = page.locator("#compare .changes li").all_inner_texts()
    for text, kind in zip(said, CHANGES, strict=True):
        row = whole.loc[kind]
        assert text.startswith(f"{kind}: {row['neurons']} of {row['pairs']} neurons")
        if kind != "neither":
            assert f"({row['low']:.0f} to {row['high']:.0f})" in text
        page.get_by_label("Change", exact=True).select_option(kind)
        rows = saved(page, "Download neurons as CSV")
        assert len(rows) == row["neurons"]
        assert all(
            (one["A_verdict"] in SIGNIFICANT, one["B_verdict"] in SIGNIFICANT)
            == {"gained": (False, True), "lost": (True, False), "neither": (False, False)}.get(kind, (True, True))
            for one in rows
        )
    page.get_by_label("Change", exact=True).select_option("")
    first = saved(page, "Download concepts as CSV")[0]["concept"]
    page.get_by_label("Which neurons see").fill(first)
    assert first in [row["concept"] for row in saved(page, "Download concepts as CSV")]
    page.get_by_label("Which neurons see").fill("no such concept")
    assert saved(page, "Download concepts as CSV") == []


def test_runs_without_differences_show_shares_and_say_so(
    opened: Open, double: Path, axe: str, phantom: mcd.Dissection
) -> None:
    page = opened(double).at("compare")
    rows = saved(page, "Download layers as CSV")
    shares = {one.layer: one.significant / one.neurons for one in phantom.manifest.summary}
    for row in rows:
        assert float(row["A_share"]) == pytest.approx(shares[row["layer"]], abs=1e-4)
    expect(page.locator("#compare .headline").first).to_contain_text("Shares only: these runs have no differences")
    assert not any("ifference" in one for one in page.locator("#compare th").all_inner_texts())
    assert "false" not in page.locator("#compare").inner_text().splitlines()
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate(axe)
    assert page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"] == []
