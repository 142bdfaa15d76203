"""What results show of themselves in a notebook: short, escaped, what to beware of first."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch
from tests.runs.test_dissect import dissect
from tests.runs.test_given import Plain

import mcd
from mcd.runs.shown import ReportPath

_VOID = {"br", "img"}


class _Nesting(HTMLParser):
    """Follows open elements, and collects what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.read: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.read.append(data)


def read(result: object) -> str:
    """Return the words of what a result shows, having made sure that it is well formed and nothing in it runs."""
    page = result._repr_html_()  # type: ignore[attr-defined]  # what is asked here
    assert len(page) < 10_000
    parser = _Nesting()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert not parser.tags & {"script", "style", "link", "iframe", "object"}
    assert not [one for one in parser.attributes if one.startswith("on")]
    for declaration in re.findall(r"(?<![-\w])(?:color|background):([^;\"]+)", page):
        assert declaration in ("inherit", "transparent")  # those of the page, light or dark
    return " ".join(" ".join(parser.read).split())


@pytest.fixture(scope="module")
def run() -> mcd.Dissection:
    return dissect(model=Plain(), scorer="pearson")


def test_a_dissection_says_what_was_dissected_by_what_on_what(run: mcd.Dissection) -> None:
    said = read(run)
    assert said.startswith("Plain dissected by brightness 40 images · 4 concepts of words · scorer pearson")
    counts = [one.significant or 0 for one in run.manifest.summary]
    assert (
        f"{sum(counts)} of 9 neurons ({sum(counts) / 9:.0%}) carry a concept above chance; chance explains fewer than 1"
        in said
    )
    for one in run.manifest.summary:
        assert f"{one.layer} {one.neurons} {one.significant}" in said
    assert '.figure("depth")' in said
    assert repr(run) == "<Dissection of Plain by brightness: 2 layers, 9 neurons, 40 images>"


def test_what_to_beware_of_comes_before_numbers(run: mcd.Dissection) -> None:
    record = run.manifest.model_copy(update={"warnings": ["the images are of one vendor"]})
    said = read(mcd.Dissection(run.folder, record, run.results))
    beware = ("40 images are few", "patients are not known", "the images are of one vendor")
    places = [said.index(one) for one in (*beware, "a concept above chance")]
    assert places == sorted(places)


def test_where_nothing_is_significant_it_says_so() -> None:
    found = dissect(scorer="pearson", dataset=[torch.rand(1, 12, 12) for _ in range(24)], calibration={"q": 0.0001})
    assert not any(one.significant for one in found.manifest.summary)
    said = read(found)
    assert "Nothing above chance: none of 9 neurons has a significant concept (q ≤ 0.0001)." in said
    assert '.figure("null")' in said


def test_without_significance_it_shows_labels_and_says_so() -> None:
    said = read(dissect(calibration={"draws": 0}))
    assert "have a label, but no label was tested against chance" in said
    assert "labelled" in said


def test_names_are_text(run: mcd.Dissection) -> None:
    record = run.manifest.model_copy(update={"target": "<script>alert(1)</script>\x1b[2J", "warnings": ["<img src=x>"]})
    said = read(mcd.Dissection(run.folder, record, run.results))
    assert said.startswith("<script>alert(1)</script>\\u001b[2J dissected by")
    assert "<img src=x>" in said


def test_a_comparison_shows_its_runs_and_notes(run: mcd.Dissection, tmp_path: Path) -> None:
    spearman = mcd.score(run, scorer="spearman", output=tmp_path / "other", progress=False)
    compared = run.compare(spearman)
    said = read(compared)
    assert "how far they agree" in said
    assert all(note in said for note in compared.notes)
    assert "conv 5 1.00" in said  # of which one does not respond
    assert repr(compared) == "<Comparison of brightness with pearson, brightness with spearman: 40 images>"


def test_an_evaluation_shows_each_measure_beside_chance(run: mcd.Dissection, tmp_path: Path) -> None:
    found = run.evaluate("held-out", draws=0, output=tmp_path)
    said = read(found)
    assert said.startswith("Labels evaluated against held-out")
    assert "AUPRC" in said
    assert all(problem in said for problem in found.problems)


def test_a_pass_shows_layers_and_outputs(run: mcd.Dissection) -> None:
    found = mcd.run_target(run, progress=False, workers=0)
    assert "40 images · 3 outputs an image" in read(found)
    assert "conv 6" in read(found)
    assert repr(found) == "<Passed: 40 images, layers conv, head>"


def test_a_concept_set_shows_its_categories() -> None:
    found = mcd.ConceptSet.from_categories({"masses": ["mass", "cyst"], "<b>": ["clip"]}, name="mine")
    said = read(found)
    assert said.startswith("mine: 3 concepts")
    assert "masses 2 mass, cyst" in said
    assert "<b> 1 clip" in said
    assert repr(found) == "<ConceptSet mine: 3 concepts>"


def test_a_report_is_a_link_and_a_path(run: mcd.Dissection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = run.report("markdown", output="shown")
    assert written == Path("shown/summary.md")
    assert written.is_file()
    assert 'href="shown/summary.md"' in written._repr_html_()
    assert read(written) == "summary.md in shown"


@pytest.mark.parametrize("name", ["50% of a#1?", "javascript:alert(1)"])
def test_the_link_of_a_report_leads_to_its_file_whatever_its_folder_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.search('href="([^"]*)"', ReportPath(name, "index.html")._repr_html_())
    assert found is not None
    assert urlsplit(found[1])[:2] == ("", "")
    assert unquote(urlsplit(found[1]).path) == f"{name}/index.html"


def test_images_that_may_not_leave_are_said_to_be_copies(run: mcd.Dissection) -> None:
    shown = run.top_images("conv", 0, 2, show=True)
    pictures = replace(shown, thumbnails=dict.fromkeys(shown.table["image"], b""))._repr_html_()
    assert "is number 2 of the images that neuron 0 of conv responds to most." in pictures
    said = read(replace(shown, thumbnails={}))
    assert "This notebook holds copies of images, and they may show patients" in said
    assert said.count("activation") == 2
    assert "it cannot be read any more" in said
    assert shown.table.equals(run.top_images("conv", 0, 2))
