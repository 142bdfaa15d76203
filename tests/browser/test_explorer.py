"""The page as people use it, in Chromium, opened from a file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tests.browser.conftest import Opened, saved
from tests.plugins.explorer.conftest import page_of, phantom_run

import mcd
from mcd.scoring.verdicts import SIGNIFICANT

with contextlib.suppress(ImportError):  # every test here asks for the browser, which then says so
    from playwright.sync_api import expect
if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., Opened]


def shown(page: Page, view: str = "neurons") -> int:
    """Return how many rows the page says that it shows."""
    text = page.locator(f"#{view} .counted").inner_text()
    return int(re.match(r"[\d,]+", text)[0].replace(",", ""))


def kept(dissection: mcd.Dissection, words: str) -> set[tuple[str, int]]:
    """Return the neurons that keep a concept with these words at any rank."""
    rows = dissection.labels[dissection.labels["concept"].str.contains(words)]
    return set(zip(rows["layer"], rows["neuron"], strict=True))


def test_the_overview_shows_every_layer_with_counts_and_shares(
    opened: Open, single: Path, phantom: mcd.Dissection
) -> None:
    page = opened(single).at()
    assert page.title().startswith("Overview – phantom-mammo")
    rows = page.locator("table.layers tbody tr").all()
    assert len(rows) == 5
    for row, summary in zip(rows, phantom.manifest.summary, strict=True):
        cells = row.locator("th, td").all_inner_texts()
        assert cells[:3] == [summary.layer, str(summary.neurons), str(summary.significant)]
        assert cells[3] == f"{summary.significant / summary.neurons:.0%}"
    rows[2].get_by_role("link").click()
    expect(page.locator("#neurons .counted")).to_have_text("96 of 307 neurons")
    assert page.get_by_label("Layer", exact=True).input_value() == "stages.2"


def test_controls_are_shown_and_can_be_downloaded(
    opened: Open, controlled: mcd.Dissection, axe: str, tmp_path: Path
) -> None:
    page = opened(page_of(controlled, tmp_path)).at()
    controls, table = page.locator(".controls"), controlled.results.controls
    totals = table.groupby("control", sort=False)[["neurons", "significant", "mammographic"]].sum()
    for row, (_, known) in zip(controls.locator("tbody").first.locator("tr").all(), totals.iterrows(), strict=True):
        cells = row.locator("td").all_inner_texts()
        share = f"{known['significant'] / known['neurons']:.0%}"
        assert cells[:4] == [str(known["neurons"]), str(known["significant"]), share, str(known["mammographic"])]
    assert not controls.locator(".by-layer").is_visible()
    controls.get_by_text("Layer by layer", exact=True).click()
    assert controls.locator(".by-layer tbody tr").count() == len(table)
    page.evaluate(axe)
    assert page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"] == []
    rows = pd.DataFrame(saved(page, "Download controls as CSV, layer by layer"))
    ordered = table.set_index("layer").loc[controlled.layers].reset_index()
    assert rows["Layer"].tolist() == ordered["layer"].tolist()
    assert rows["Labelled"].replace("this run", "none").tolist() == ordered["control"].tolist()
    assert rows["Significant"].astype(int).tolist() == ordered["significant"].tolist()
    np.testing.assert_allclose(rows["Mean z"].astype(float), ordered["mean_z"], rtol=1e-5)


def test_a_search_finds_all_neurons_that_keep_a_concept_with_its_rank(
    opened: Open, single: Path, phantom: mcd.Dissection
) -> None:
    page = opened(single).at("neurons")
    assert shown(page) == 307
    page.get_by_label("Which neurons see").fill("Spiculated  margins")  # plural, other case: the concept is "margin"
    found = saved(page, "Download as CSV")
    assert {(row["layer"], int(row["neuron"])) for row in found} == kept(phantom, "spiculated margin")
    assert shown(page) == len(found)
    labels = phantom.labels.set_index(["layer", "neuron", "concept"])
    for row in found:
        own = labels.loc[row["layer"], int(row["neuron"]), row["concept"]]
        assert int(row["rank"]) == own["rank"]
        np.testing.assert_allclose(
            [float(row[name]) for name in ("score", "z", "p", "q")],
            own[["score", "z", "p", "q"]].astype(float),
            rtol=1e-5,
        )
    page.get_by_label("first concept only").check()
    first = phantom.labels[(phantom.labels["rank"] == 1) & (phantom.labels["concept"] == "spiculated margin")]
    assert shown(page) == len(first)


def test_filters_narrow_together_and_can_be_kept_as_a_link(opened: Open, single: Path, phantom: mcd.Dissection) -> None:
    tab = opened(single)
    page = tab.at("neurons")
    page.get_by_label("Layer", exact=True).select_option("stages.3")
    page.get_by_label("Broad category", exact=True).select_option("Findings and characterisation")
    page.get_by_label("q at most", exact=True).select_option("0.01")
    page.get_by_label("Verdict", exact=True).select_option("multiple categories")
    page.get_by_label("first concept only").check()
    first = phantom.labels[phantom.labels["rank"] == 1]
    wanted = first[
        (first["layer"] == "stages.3")
        & (first["broad_category"] == "Findings and characterisation")
        & (first["q"] <= 0.01)
        & (first["verdict"] == "multiple categories")
    ]
    assert 0 < len(wanted) < 128
    assert shown(page) == len(wanted)
    again = tab.at(page.url.partition("#")[2])
    assert shown(again) == len(wanted)
    again.get_by_role("button", name="Clear filters").click()
    expect(again.locator("#neurons .counted")).to_have_text("307 of 307 neurons")


def test_neurons_are_filtered_by_how_far_their_label_gets(opened: Open, single: Path, phantom: mcd.Dissection) -> None:
    first = phantom.labels[phantom.labels["rank"] == 1].set_index(["layer", "neuron"])
    page = opened(single).at("overview")
    row = page.locator("table.climb tr", has_text="beyond nuisances")
    beyond = int((first["q_nuisance"] <= 0.05).sum())
    assert row.locator("td").all_inner_texts()[0] == str(beyond)
    page = opened(single).at("neurons")
    page.get_by_label("Rung, at least", exact=True).select_option("depends on the image")
    assert shown(page) == (first["rung"] != "").sum()
    page.get_by_label("Rung, at least", exact=True).select_option("beyond nuisances")
    wanted = first.index[~first["rung"].isin(["", "depends on the image"])]
    assert shown(page) == len(wanted)
    assert {(one["layer"], int(one["neuron"])) for one in saved(page, "Download as CSV")} == set(wanted)
    page.get_by_label("Rung, at least", exact=True).select_option("depends on the image")
    page.locator("#neurons tbody a").first.click()
    expect(page.locator("#neuron .rungs .passed", has_text="depends on the image")).to_have_count(1)


def test_concepts_say_by_which_rung_the_model_has_learned_them(
    opened: Open, single: Path, phantom: mcd.Dissection
) -> None:
    page = opened(single).at("concepts")
    rungs = {one["concept"]: one["rung"] for one in saved(page, "Download as CSV")}
    learned = phantom.results.learned.set_index("concept")["rung"]
    assert any(learned)
    assert {term: rungs[term] for term in learned.index} == learned.to_dict()


def test_neurons_that_never_respond_are_found_by_their_status(opened: Open, tmp_path: Path) -> None:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Conv2d(1, 5, 3))
    with torch.no_grad():
        net[0].weight[3:] = 0
        net[0].bias[3:] = torch.tensor([0.0, 1.0])
    found = mcd.dissect(
        net.eval(),
        dissector="phantom-clip",
        layers="*",
        dataset={"plugin": "phantom", "options": {"patients": 10}},
        concepts="phantom",
        scorer="cosine",
        output=tmp_path / "run",
        progress=False,
        workers=0,
    )
    page = opened(page_of(found, tmp_path)).at("neurons?status=dead")
    assert shown(page) == 1
    page.get_by_role("link", name="0, neuron 3").click()
    expect(page.locator("#neuron")).to_contain_text("it never responds")
    page.get_by_role("link", name="Next in layer").click()
    expect(page.locator("#neuron")).to_contain_text("its activation is the same for every image")


def test_a_neuron_is_opened_by_keyboard_alone(opened: Open, single: Path, phantom: mcd.Dissection) -> None:
    page = opened(single).at("neurons")
    page.get_by_label("Which neurons see").focus()
    page.keyboard.type("breast implant")
    for _ in range(60):
        if page.evaluate("document.activeElement.matches('#neurons tbody a')"):
            break
        page.keyboard.press("Tab")
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Enter")
    layer, _, neuron = name.partition(", neuron ")
    expect(page.locator("#neuron h1")).to_have_text(f"{layer} neuron {neuron}")
    assert page.evaluate("document.activeElement.id") == "neuron-title"  # a screen reader goes on from there
    best = phantom.labels[(phantom.labels["layer"] == layer) & (phantom.labels["neuron"] == int(neuron))]
    shown = page.locator("#neuron .concepts th[scope=row]").all_inner_texts()
    assert sorted(shown) == sorted(best["concept"])
    page.go_back()
    expect(page.locator("#neurons")).to_be_visible()
    assert page.get_by_label("Which neurons see").input_value() == "breast implant"


def test_the_concepts_of_a_neuron_stand_by_what_decides_with_a_line_below_those_above_chance(
    opened: Open, single: Path, phantom: mcd.Dissection
) -> None:
    tab = opened(single)
    labels = phantom.labels
    crossed = labels[(labels["rank"] > 1) & labels["verdict"].isin(SIGNIFICANT)].groupby(["layer", "neuron"])["q"].min()
    unnamed = labels[labels["verdict"] == "not significant"].groupby(["layer", "neuron"])["q"].min()
    best = labels[labels["rank"] == 1].set_index(["layer", "neuron"])["q"]
    reordered = (crossed < best.loc[crossed.index]).idxmax()  # another concept than the first has the lowest q
    for layer, neuron in (reordered, unnamed.idxmin()):
        page = tab.at(f"neuron/0/{phantom.layers.index(layer)}/{neuron}")
        rows = labels[(labels["layer"] == layer) & (labels["neuron"] == neuron)]
        rows = rows.assign(less=-rows["z"]).sort_values(["q", "less", "rank"])
        names = page.locator("#neuron .concepts th[scope=row]").all_inner_texts()
        assert names == rows["concept"].tolist()
        places = page.locator("#neuron .concepts td:first-child").all_inner_texts()
        assert places == rows["rank"].astype(str).tolist()  # the rank stays the one by score
        above = rows[rows["verdict"].isin(SIGNIFICANT) & (rows["q"] <= 0.05)]["concept"].tolist()
        first, *line = page.locator("#neuron .concepts th[scope=rowgroup]").all_inner_texts()
        assert first == f"{'Above chance' if above else 'None is above chance'} (significant at q ≤ 0.05)"
        below = page.locator("#neuron .concepts .below th[scope=row]").all_inner_texts()
        assert (len(line), names[: len(above)], names[len(above) :]) == (1, above, below)


def test_a_neuron_shows_chance_activations_and_its_top_images(
    opened: Open, single: Path, phantom: mcd.Dissection
) -> None:
    page = opened(single).at("neuron/0/2/63")
    best = phantom.top_images("stages.2", 63, 6)
    assert page.locator(".image code").all_inner_texts() == best["image"].tolist()
    assert page.locator(".image img").count() == 6
    assert page.evaluate(
        "[...document.querySelectorAll('.image img')].every((one) => one.complete && one.naturalWidth > 0)"
    )
    entry = next(one for one in phantom.probe_map if one["id"] == best["image"].iloc[0])
    assert (
        f"{entry['laterality']} · {entry['view']} · density {entry['density']}"
        in page.locator(".image").first.inner_text()
    )
    chance, activations = (page.locator("#neuron .plot").nth(at).get_attribute("aria-label") for at in (0, 1))
    row = phantom.labels[(phantom.labels["layer"] == "stages.2") & (phantom.labels["neuron"] == 63)].iloc[0]
    assert f"{row['concept']} has z {row['z']:.1f}" in chance
    assert "100 images between" in activations
    rows = phantom.labels[(phantom.labels["layer"] == "stages.2") & (phantom.labels["neuron"] == 63)]
    assert page.locator("#neuron .null").count() > 5
    assert page.locator("#neuron rect.bar").count() == 24
    # the neuron's own threshold separates what passes q from what does not, on the plot as in the table
    limit = float(page.locator("#neuron .limit line").get_attribute("x1"))
    pins = page.locator("#neuron .mine circle").evaluate_all("all => all.map((one) => one.cx.baseVal.value)")
    assert sum(pin > limit for pin in pins) == (rows["q"] <= 0.05).sum()
    assert "95 % of the null lies below" in chance


def test_where_a_neuron_responds_is_laid_over_what_the_network_saw(
    opened: Open, mapped: mcd.Dissection, mapped_page: Path, axe: str
) -> None:
    page = opened(mapped_page).at("neuron/0/0/7")
    toggles = page.get_by_role("button", name="Show where")
    assert toggles.count() == 3  # of six images
    maps = mapped.maps("stages.3")
    assert maps is not None
    toggles.nth(1).focus()
    page.keyboard.press("Space")
    assert toggles.nth(1).get_attribute("aria-pressed") == "true"
    assert toggles.nth(0).get_attribute("aria-pressed") == "false"
    overlay = page.locator("#neuron svg.seen")
    assert overlay.count() == 1
    described = page.locator("img:visible, [role=img]:visible").evaluate_all(
        "all => all.map((one) => one.alt ?? one.getAttribute('aria-label'))"
    )
    assert len(described) == 5 + 2 + 1  # top images, plots, the map in the place of one
    assert all(re.fullmatch(r"(The|Image) .{20,}\.", one) for one in described), described
    assert any(
        one.endswith("is number 3 of the images that neuron 7 of stages.3 responds to most.") for one in described
    )
    values = maps.values[7, 1]
    fills = overlay.locator(".map rect").evaluate_all("cells => cells.map((one) => one.getAttribute('fill'))")
    at = values.flatten().tolist()
    assert len(fills) == len(at)
    assert fills[at.index(255)] == "rgb(253 231 37)"
    assert fills[at.index(0)] == "rgb(68 1 84)"
    column = at.index(255) % values.shape[1]
    assert f"highest at {100 * (column + 0.5) / values.shape[1]:.0f} %" in (overlay.get_attribute("aria-label") or "")
    shown = page.locator("#neuron .scale:visible span").all_inner_texts()
    limits = [float(one.replace("−", "-")) for one in shown]
    np.testing.assert_allclose(limits, maps.range[7, 1], rtol=5e-3)
    page.evaluate(axe)
    assert page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"] == []
    page.keyboard.press("Enter")
    assert overlay.count() == 0
    assert page.locator("#neuron .image img").count() == 6
    head = opened(mapped_page).at("neuron/0/1/0")
    expect(head.locator("#neuron")).to_contain_text("this layer has no maps")
    assert head.get_by_role("button", name="Show where").count() == 0


def test_explanations_in_several_concepts_stand_with_their_neuron(
    opened: Open, phantom: mcd.Dissection, tmp_path: Path
) -> None:
    told = pd.DataFrame(
        {
            "layer": ["stages.1"],
            "neuron": [3],
            "explanation": ["mass and not <b>implant"],
            "concepts": ["mass|implant"],
            "fit": [0.5],
            "held_out": [0.41],
            "p": [0.001],
            "q": [0.0123],
        }
    )
    found = mcd.Dissection(phantom.folder, phantom.manifest, replace(phantom.results, explanations=told))
    path = page_of(found, tmp_path)
    text = opened(path).at("neuron/0/1/3").locator("#neuron").inner_text()
    assert "mass and not <b>implant" in text
    assert "0.41, q = 0.012" in text
    assert "<b>" not in opened(path).at("neuron/0/1/4").locator("#neuron").inner_text()


def test_a_neuron_that_is_not_there_is_said(opened: Open, single: Path) -> None:
    for address in ("neuron/0/2/96", "neuron/7/0/0", "neuron/0/x/1", "neuron/"):
        assert "There is no such neuron" in opened(single).at(address).locator("#neuron").inner_text()


def test_an_address_of_no_view_shows_the_overview(opened: Open, single: Path) -> None:
    for view in ("nowhere", "constructor"):
        expect(opened(single).at(view).get_by_role("heading", level=1)).to_be_visible()


def test_concepts_say_how_many_neurons_carry_them(opened: Open, single: Path, phantom: mcd.Dissection) -> None:
    page = opened(single).at("concepts")
    page.get_by_label("Concept", exact=True).fill("left breast")
    (row,) = saved(page, "Download as CSV")
    labels = phantom.labels[phantom.labels["concept"] == "left breast"]
    first = labels[labels["rank"] == 1]
    assert [int(row[name]) for name in ("significant", "first", "kept")] == [
        int(first["verdict"].isin(SIGNIFICANT).sum()),
        len(first),
        len(labels),
    ]
    np.testing.assert_allclose(float(row["highest_z"]), labels["z"].max(), rtol=1e-5)


def test_a_search_goes_over_both_runs(opened: Open, double: Path, phantom: mcd.Dissection) -> None:
    page = opened(double).at("neurons?text=biopsy+clip")
    rows = saved(page, "Download as CSV")
    assert {row["run"] for row in rows} == {"A", "B"}
    assert {(row["layer"], int(row["neuron"])) for row in rows if row["run"] == "A"} == kept(phantom, "biopsy clip")
    page.get_by_label("Run", exact=True).select_option(index=2)
    assert {row["run"] for row in saved(page, "Download as CSV")} == {"B"}


def test_runs_of_other_layers_are_compared_by_layer_only(opened: Open, phantom: mcd.Dissection, tmp_path: Path) -> None:
    other = phantom_run(tmp_path / "run", layers="head", scorer="cosine")
    page = opened(page_of([phantom, other], tmp_path)).at("compare")
    text = page.locator("#compare").inner_text()
    assert "Neurons cannot be compared one by one" in text
    assert "scores are on different scales" in text


def test_hostile_names_stay_text(opened: Open, hostile: mcd.Dissection, tmp_path: Path) -> None:
    tab = opened(page_of(hostile, tmp_path, thumbnails="true"))
    for view in ("overview", "neurons", "neuron/0/1/2", "concepts"):
        page = tab.at(view)
        assert page.evaluate("window.broken") is None
    layers = tab.at("overview").locator("table.layers tbody th").all_inner_texts()
    assert layers == hostile.layers
    page = tab.at("neurons")
    assert page.locator("#neurons img, #neurons b").count() == 0
    assert {row["layer"] for row in saved(page, "Download as CSV")} == set(hostile.layers)
    page.get_by_label("Which neurons see").fill("=1+1")
    # what starts like a formula is none to a spreadsheet
    assert {row["concept"] for row in saved(page, "Download as CSV")} == {"'=1+1"}
    tab.at("overview").get_by_role("link", name="</script>").click()
    expect(tab.page.locator("#neurons .counted")).to_have_text("4 of 10 neurons")
