"""An evaluation as people see it: in the overview, beside a neuron's label, on a phone."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.browser.conftest import Opened
from tests.browser.test_explorer import saved
from tests.evaluations import drawn_evaluation, with_evaluation
from tests.plugins.explorer.conftest import page_of

import mcd

with contextlib.suppress(ImportError):  # every test here asks for the browser, which then says so
    from playwright.sync_api import expect

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def path(judged: mcd.Dissection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(judged, tmp_path_factory.mktemp("page"))


def test_measures_stand_beside_their_baselines_and_can_be_downloaded(
    opened: Open, path: Path, judged: mcd.Dissection
) -> None:
    page = opened(path).at()
    found = judged.evaluation
    assert found is not None
    shown = page.locator(".evaluation table").first
    row = shown.get_by_role("row", name="AUPRC").locator("th, td").all_inner_texts()
    whole = found.summary[(found.summary["layer"] == "") & (found.summary["against"] == "annotations")]
    means = whole[whole["measure"] == "auprc"].set_index("labels")["value"]
    kinds = ("first", "runner-up", "random", "constant", "untrained")
    assert [cell.split()[0] for cell in row[1:6]] == [f"{means[kind]:.2f}" for kind in kinds]
    rows = {row["Measure"]: row for row in saved(page, "Download measures against annotations as CSV")}
    assert rows["AUPRC"]["First"].startswith(f"{means['first']:.2f} (")
    held_out = page.locator(".evaluation details").filter(has=page.get_by_text("Against held-out", exact=True))
    assert not held_out.locator("table").first.is_visible()
    held_out.get_by_text("Against held-out", exact=True).click()
    assert held_out.locator("table").first.is_visible()
    held_out.get_by_text("Layer by layer", exact=True).click()
    assert held_out.get_by_role("row", name=re.compile("^stages")).count() == 4


def test_a_neuron_shows_what_was_judged_of_it(opened: Open, path: Path, judged: mcd.Dissection) -> None:
    tab = opened(path)
    page = tab.at("neuron/0/2/63")
    found = judged.evaluation
    assert found is not None
    own = found.neurons[(found.neurons["layer"] == "stages.2") & (found.neurons["neuron"] == 63)]
    values = own.set_index(["against", "measure", "labels"])
    section = page.locator(".judged")
    cells = section.get_by_role("row", name="AUPRC").locator("td").all_inner_texts()
    order = [(against, "auprc", kind) for against in ("annotations", "held-out") for kind in ("first", "runner-up")]
    assert [float(cell) for cell in cells] == pytest.approx([values.loc[at, "value"] for at in order], abs=0.0051)
    concept = values.loc[("annotations", "auprc", "first"), "concept"]
    expect(section).to_contain_text(f"First: {concept}. Runner-up: ")
    stability = found.stability.set_index(["layer", "neuron"]).loc[("stages.2", 63)]
    expect(section).to_contain_text(f"comes first in {stability['share']:.0%} of resamples")
    expect(section).to_contain_text(f"one of these does: {stability['set']}.")
    section.get_by_role("link", name="neuron 0").click()  # the one whose images are most similar
    expect(page.locator("#neuron-title")).to_have_text("stages.2 neuron 0")
    page = tab.at("neurons")
    rows = saved(page, "Download as CSV")
    shares = {(row["layer"], int(row["neuron"])): float(row["stability"]) for row in rows}
    known = found.stability.set_index(["layer", "neuron"])["share"]
    assert shares == pytest.approx(known.to_dict(), rel=1e-5)


@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_accessible_and_fits_a_phone(opened: Open, path: Path, axe: str, width: int) -> None:
    tab = opened(path)
    tab.page.set_viewport_size({"width": width, "height": 844})
    for view in ("overview", "neuron/0/2/63", "neurons"):
        page = tab.at(view)
        page.evaluate("for (const one of document.querySelectorAll('.evaluation details')) one.open = true")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == [], view
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_a_page_without_an_evaluation_says_what_to_type(opened: Open, single: Path) -> None:
    tab = opened(single)
    expect(tab.at().locator(".evaluation")).to_contain_text("mcd evaluate RUN")
    expect(tab.at("neuron/0/2/63").locator(".judged")).to_contain_text("mcd evaluate RUN")
    assert "Comes back" not in tab.at("neurons").locator("#neurons").inner_text()


def test_hostile_names_and_unknown_numbers_are_shown_as_they_are(
    opened: Open, hostile: mcd.Dissection, tmp_path: Path
) -> None:
    run = mcd.load(Path(shutil.copytree(hostile.folder, tmp_path / "run")))
    drawn = drawn_evaluation(run, ["annotations"])
    drawn.neurons.loc[drawn.neurons["neuron"] == 1, "value"] = float("nan")
    run = with_evaluation(run, drawn)
    tab = opened(page_of(run, tmp_path / "page"))
    page = tab.at("neuron/0/0/0")
    concept = run.labels[(run.labels["layer"] == run.layers[0]) & (run.labels["rank"] == 1)].iloc[0]["concept"]
    expect(page.locator(".judged")).to_contain_text(f"First: {concept}.")
    assert page.evaluate("window.broken") is None
    page = tab.at("neuron/0/0/1")
    assert page.locator(".judged table").count() == 0
    expect(page.locator(".judged")).to_contain_text("of resamples of the patients")
