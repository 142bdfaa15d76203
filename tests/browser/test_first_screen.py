"""The first screen: cautions before anything else, three answers with numbers, none of it below the fold."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.browser.conftest import Opened
from tests.plugins.explorer.conftest import page_of, phantom_run

import mcd

Open = Callable[..., Opened]
SIZES = ((1280, 800), (390, 844))
ALONE = ("What has it learned?", "What is missing?", "Can I trust it?")
TOGETHER = ("How do they differ?", "What did training change?", "What is missing?")
PHANTOMS = "has seen drawn phantoms only"


def first_screen(tab: Opened, questions: tuple[str, ...]) -> dict[str, str]:
    """Return the answers by their questions, and make sure that they are seen at once, in a window and on a phone."""
    page = tab.at()
    answers: dict[str, str] = {}
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        caution = page.get_by_role("note", name="Cautions").locator("p").first
        boxes = {"caution": caution.bounding_box()}
        assert PHANTOMS in caution.inner_text()
        for question in questions:
            answer = page.get_by_role("region", name=question, exact=True)
            boxes[question] = answer.locator("p").first.bounding_box()
            answers[question] = answer.locator("p").first.inner_text()
        for name, box in boxes.items():
            assert box is not None
            assert box["y"] >= 0, name
            assert box["y"] + box["height"] <= height, (name, width)
            assert 0 <= box["x"] <= box["x"] + box["width"] <= width, (name, width)
        tops = [box["y"] for box in boxes.values() if box is not None]
        assert tops[0] < min(tops[1:]), "cautions come first"
    for question, text in answers.items():
        assert len(text) > 20, question
        assert not re.search(r"\b(NaN|nan|None|undefined|inf)\b", text), text
    return answers


def significant(run: mcd.Dissection) -> pd.DataFrame:
    first = run.labels[run.labels["rank"] == 1]
    return first[first["verdict"].isin(["significant", "multiple categories", "not mammographic"])]


def test_a_run_answers_with_its_own_numbers(opened: Open, single: Path, phantom: mcd.Dissection) -> None:
    answers = first_screen(opened(single), ALONE)
    first = significant(phantom)
    learned, missing, trust = (answers[one] for one in ALONE)
    assert f"{len(first)} of {phantom.labels.drop_duplicates(['layer', 'neuron']).shape[0]} neurons" in learned
    concept, count = next(iter(first["concept"].value_counts().sort_index(kind="stable").sort_values().tail(1).items()))
    assert f"{concept} ({count} neurons)" in learned
    assert "chance explains" in learned
    found = mcd.figures.collect([phantom], mcd.ComparisonSettings(resamples=0)).comparison.concepts
    under = found[found["answer"] == "under-represented"].sort_values("positives", ascending=False, kind="stable")
    assert f"{len(under)} of {len(found)} mammographic concepts" in missing
    assert f"{under['concept'].iloc[0]} ({under['positives'].iloc[0]} images" in missing
    assert f"Of {len(first)} significant labels" in trust
    assert "100 images, 25 patients" in trust


def test_what_was_not_checked_names_the_command(opened: Open, single: Path) -> None:
    page = opened(single).at()
    said = page.get_by_role("region", name="Can I trust it?").inner_text()
    assert "Not checked" in said
    assert {"mcd evaluate RUN", "mcd dissect … --untrained 10 --controls"} <= {
        " ".join(one.split()) for one in page.locator(".answer code").all_inner_texts()
    }


def test_without_scripts_the_answers_are_the_same(opened: Open, single: Path) -> None:
    plain = first_screen(opened(single, scripts=False), ALONE)
    scripted = first_screen(opened(single), ALONE)
    for question in ALONE:
        assert scripted[question].startswith(plain[question].strip())


def test_an_evaluated_run_says_what_the_evaluation_found(opened: Open, judged: mcd.Dissection, tmp_path: Path) -> None:
    answers = first_screen(opened(page_of(judged, tmp_path)), ALONE)
    assert "agree better than random labels of the same category" in answers["Can I trust it?"]
    assert "12 held-out patients" in answers["Can I trust it?"]


def test_several_runs_answer_the_questions_of_a_comparison(opened: Open, double: Path) -> None:
    answers = first_screen(opened(double), TOGETHER)
    assert all(re.search(r"\d", answers[one]) for one in TOGETHER[::2])


@pytest.mark.slow
def test_a_run_by_annotations_answers_too(opened: Open, tmp_path: Path) -> None:
    run = phantom_run(tmp_path / "run", dissector="annotations", layers=["head"])
    page = opened(page_of(run, tmp_path)).at()
    for question in ALONE:
        assert re.search(r"\d", page.get_by_role("region", name=question, exact=True).inner_text())


def test_concepts_that_no_neuron_carries_are_listed_with_the_reason(
    opened: Open, single: Path, phantom: mcd.Dissection
) -> None:
    page = opened(single).at()
    page.get_by_role("link", name="Show all, and why").click()
    found = mcd.figures.collect([phantom], mcd.ComparisonSettings(resamples=0)).comparison.concepts
    missing = found[found["answer"] != "carried"]
    rows = page.locator("#concepts tbody tr")
    assert rows.count() == len(missing)
    assert {one.inner_text() for one in page.locator("#concepts tbody th").all()} == set(missing["concept"])
    under = found[found["answer"] == "under-represented"]
    page.get_by_role("combobox", name="Represented").select_option("under-represented")
    assert rows.count() == len(under)
    for text, images in zip(rows.all_inner_texts(), sorted(under["positives"], reverse=True), strict=True):
        assert f"\t{images}\t" in text
        assert "would be significant in" in text
    page.get_by_role("combobox", name="Concept", exact=True).fill("no such concept")
    assert rows.count() == 0
    assert "No concept fits" in page.locator("#concepts").inner_text()
