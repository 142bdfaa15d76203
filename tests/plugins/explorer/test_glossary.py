"""The terms of the page: each is explained once, in the page and in the documentation."""

from __future__ import annotations

import runpy
from pathlib import Path

from tests.plugins.explorer.conftest import Parsed, page_of

import mcd
from mcd.plugins import AGAINST, BASELINES, MEASURES, RUNGS, VERDICTS
from mcd_plugins.explorer.glossary import entry_of, glossary

ROOT = Path(__file__).parents[3]


def test_every_term_has_one_entry() -> None:
    entries = [entry for group in glossary().values() for entry in group]
    words = [word.lower() for entry in entries for word in (entry.term, *entry.also)]
    assert sorted(words) == sorted(set(words))
    assert len({entry.key for entry in entries}) == len(entries)
    assert all(entry.says[0].isupper() and entry.says.endswith(".") for entry in entries)


def test_what_the_engine_declares_is_explained_in_its_words() -> None:
    for word, meaning in {**VERDICTS, **RUNGS}.items():
        entry = entry_of(word)
        assert entry is not None
        assert entry.says == f"{meaning[:1].upper()}{meaning[1:]}."
    for word in (*MEASURES.values(), *(f"{one} label" for one in BASELINES), *(f"against {one}" for one in AGAINST)):
        assert entry_of(word), word
    for word in ("dead", "constant", "unscored", "tied", "labelled", "permutation unit", "purity", "above chance"):
        assert entry_of(word), word


def test_the_documentation_has_the_same_glossary() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "glossary_reference.py"))["page"]()
    published = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
    assert published == made, "python tools/glossary_reference.py > docs/reference/glossary.md"


def test_what_explains_a_term_is_there(judged: mcd.Dissection, tmp_path: Path) -> None:
    parsed = Parsed(page_of(judged, tmp_path))
    there = {attributes["id"] for _, attributes in parsed.elements if "popover" in attributes}
    assert there == {f"about-{entry.key}" for group in glossary().values() for entry in group}
    asked = {attributes["popovertarget"] for _, attributes in parsed.elements if "popovertarget" in attributes}
    assert asked
    assert asked <= there
    assert {f"about-{key}" for key in parsed.content["glossary"].values()} == there
