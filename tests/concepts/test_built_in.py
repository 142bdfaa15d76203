"""The built-in vocabularies, and the page that describes the format."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import mcd_concepts
from mcd.api.concepts import ConceptSet, join
from mcd.components import Kind
from mcd.errors import ConfigError
from mcd.host import PluginHost
from mcd.vocabulary import load_concepts

FOLDER = Path(mcd_concepts.__file__).parent
PAGE = Path(__file__).parents[2] / "docs/reference/concept-sets.md"


@pytest.fixture(scope="module")
def birads() -> ConceptSet:
    return ConceptSet.from_file(FOLDER / "birads.yaml")


@pytest.fixture(scope="module")
def technical() -> ConceptSet:
    return ConceptSet.from_file(FOLDER / "technical.yaml")


def test_both_are_offered_and_no_file_is_left_out() -> None:
    offered = mcd_concepts.mcd_register_concept_sets()
    assert [(one.name, one.target) for one in offered] == [
        ("birads", "mcd_concepts:birads.yaml"),
        ("technical", "mcd_concepts:technical.yaml"),
    ]
    assert {one.target.partition(":")[2] for one in offered} == {file.name for file in FOLDER.glob("*.yaml")}


def test_the_package_is_light() -> None:
    code = "import sys, mcd_concepts; print([m for m in ('torch', 'pydantic', 'yaml', 'click') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_birads_follows_the_order_in_which_a_mammogram_is_read(birads: ConceptSet) -> None:
    assert list(birads.broad_categories) == [
        "Acquisition and quality",
        "Anatomy and composition",
        "Location",
        "Findings and characterisation",
        "Comparison with priors",
        "Interpretation",
        "Action or follow-up",
    ]
    assert len(birads.concepts) >= 180
    assert all(concept.mammographic for concept in birads.concepts)


def test_birads_has_the_lexicon(birads: ConceptSet) -> None:
    sizes = {name: len(entries) for parts in birads.broad_categories.values() for name, entries in parts.items()}
    assert sizes["Breast composition"] == 4
    assert (sizes["Mass shape"], sizes["Mass margin"], sizes["Mass density"]) == (3, 5, 4)
    assert sizes["Calcification distribution"] == 5
    words = {word for concept in birads.concepts for word in (concept.term, *concept.synonyms)}
    assert {f"BI-RADS {grade}" for grade in ("0", "1", "2", "3", "4", "4A", "4B", "4C", "5", "6")} <= words
    assert {f"breast composition {letter}" for letter in "abcd"} <= words
    sides = ("left", "right")
    assert {f"{side} {view} view" for side in sides for view in ("craniocaudal", "mediolateral oblique")} <= words


def test_technical_says_nothing_about_the_breast(technical: ConceptSet) -> None:
    assert 20 <= len(technical.concepts) <= 35
    assert not any(concept.mammographic for concept in technical.concepts)


@pytest.mark.parametrize("name", ["birads", "technical"])
def test_each_states_version_licence_and_sources(name: str) -> None:
    found = ConceptSet.from_file(FOLDER / f"{name}.yaml")
    assert (found.name, found.version, found.licence, found.language) == (name, "0.1", "Apache-2.0", "en")
    assert found.sources
    assert found.description
    if name == "birads":
        assert "BI-RADS is a registered trademark of the American College of Radiology" in found.description
        assert "neither reviewed nor endorsed" in found.description


def test_no_word_means_two_concepts(birads: ConceptSet, technical: ConceptSet) -> None:
    concepts = join([birads, technical]).concepts
    assert len(concepts) == len(birads.concepts) + len(technical.concepts)
    words = Counter(word.casefold() for concept in concepts for word in {concept.term, *concept.synonyms})
    assert [word for word, count in words.items() if count > 1] == []
    assert [prompt for prompt, count in Counter(concept.prompt for concept in concepts).items() if count > 1] == []


def test_no_two_terms_differ_only_in_number_or_small_words(birads: ConceptSet, technical: ConceptSet) -> None:
    def core(term: str) -> frozenset[str]:
        return frozenset(re.sub(r"(?<!s)s$", "", word) for word in re.split(r"[\s-]+", term.lower())) - {"a", "the"}

    found = Counter(core(concept.term) for one in (birads, technical) for concept in one.concepts)
    assert [set(words) for words, count in found.items() if count > 1] == []


def test_terms_are_short_plain_and_without_stray_marks(birads: ConceptSet, technical: ConceptSet) -> None:
    for concept in (*birads.concepts, *technical.concepts):
        assert len(concept.term) <= 40
        assert re.fullmatch(r"[A-Za-z]+(?:[ '-][A-Za-z]+)*", concept.term)
        assert concept.term not in concept.synonyms


def test_the_page_gives_the_right_numbers(birads: ConceptSet, technical: ConceptSet) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"| `birads` | {len(birads.concepts)} |" in text
    assert f"| `technical` | {len(technical.concepts)} |" in text


def block(language: str, containing: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(found for found in blocks if containing in found)


def test_the_pages_example_is_valid_and_its_error_is_what_is_said(tmp_path: Path) -> None:
    file = tmp_path / "my-words.yaml"
    file.write_text(block("yaml", "my-words"), encoding="utf-8")
    found = ConceptSet.from_file(file)
    assert [concept.term for concept in found.concepts] == ["mass", "spiculated margin", "oval shape", "side marker"]
    assert [concept.mammographic for concept in found.concepts] == [True, True, True, False]
    file.write_text(file.read_text().replace("synonyms:", "synonym:"))
    with pytest.raises(ConfigError) as caught:
        ConceptSet.from_file(file)
    assert caught.value.message.replace(f"{tmp_path}/", "") + "\n" == block("text", "unknown setting")


def test_the_pages_settings_are_the_settings() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = {name for row in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    entry = {"term", "prompt", "synonyms", "mammographic"}
    assert rows - {"birads", "technical"} == set(ConceptSet.model_fields) | entry


def test_the_pages_plugins_work(tmp_path: Path) -> None:
    package = tmp_path / "mcd_acme_words.py"
    package.write_text(block("python", "mcd_acme_words"))
    (tmp_path / "words.yaml").write_text(block("yaml", "my-words"), encoding="utf-8")
    source = tmp_path / "column.py"
    source.write_text(
        block("python", "FromColumn")
        + "\n@mcd.hookimpl\ndef mcd_register_concept_sets():\n"
        + "    return [mcd.Component('from-column', 'column:FromColumn')]\n"
    )
    host = PluginHost.discover([package, source], {"MCD_LOAD_PLUGINS": ""})
    assert len(host.offers(Kind.CONCEPTS)) == 2
    assert load_concepts(host, "acme-words").name == "my-words"
    found = load_concepts(host, "from-column:mass,asymmetry")
    assert [concept.term for concept in found.concepts] == ["mass", "asymmetry"]
