"""The built-in vocabularies."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from pydicom.sr.codedict import codes
from tests.study.vocabularies.conftest import NAMES, PAGE

import mcd_concepts
from mcd.api.concepts import Concept, ConceptSet, join
from mcd_plugins.cohorts.vocabulary import FINDINGS

FOLDER = Path(mcd_concepts.__file__).parent
AUTHORED = ("birads", "everyday", "technical")
WORKFLOW = {
    "Acquisition and quality": "Breast_locations",
    "Anatomy and composition": "Breast_anatomy_or_structure",
    "Location": "Breast_locations",
    "Findings and characterisation": "Findings and characterizations",
    "Comparison with priors": "Interpretations",
    "Interpretation": "Interpretations",
    "Action or follow-up": "Action or follow up",
}
"""Our broad categories in reading order, each with that of the published set which it is drawn as."""

# An everyday control must not be one: each has a second meaning in the reading room.
READING_ROOM = frozenset(
    {
        "air",
        "angle",
        "arrow",
        "band",
        "bed",
        "bone",
        "border",
        "branch",
        "breast",
        "bulb",
        "calf",
        "chest",
        "clip",
        "clock",
        "cloud",
        "coil",
        "coin",
        "comet",
        "cone",
        "contrast",
        "cotton",
        "crab",
        "cup",
        "cyst",
        "dark",
        "dense",
        "density",
        "dot",
        "duct",
        "egg",
        "fat",
        "fibre",
        "field",
        "film",
        "fog",
        "frame",
        "gas",
        "grid",
        "hair",
        "halo",
        "hand",
        "head",
        "heart",
        "leaf",
        "lens",
        "line",
        "lobe",
        "lump",
        "marker",
        "mass",
        "mesh",
        "milk",
        "mirror",
        "mole",
        "nail",
        "needle",
        "nest",
        "net",
        "nipple",
        "node",
        "nose",
        "onion",
        "orange",
        "palm",
        "patch",
        "pattern",
        "pearl",
        "pin",
        "plaque",
        "plate",
        "popcorn",
        "port",
        "powder",
        "ray",
        "ribbon",
        "ring",
        "rod",
        "root",
        "salt",
        "sand",
        "scar",
        "screen",
        "seed",
        "shadow",
        "shell",
        "skin",
        "snow",
        "spiculated",
        "spot",
        "star",
        "stem",
        "stone",
        "stroma",
        "table",
        "tail",
        "tent",
        "tissue",
        "vein",
        "vessel",
        "view",
        "wart",
        "wave",
        "window",
        "wire",
    }
)
SMALL_WORDS = frozenset(
    {
        "a",
        "an",
        "and",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "is",
        "it",
        "of",
        "on",
        "only",
        "or",
        "than",
        "that",
        "the",
        "to",
        "with",
    }
)
BRITISH = re.compile(
    r"arte(?=fact)|centre|tumour|oedema|haem|gynaec|[lnrt]is(?:ed|ation)\b|jewell|grey|colour|counsell|rrhoe|naevus"
)


@pytest.fixture(scope="module")
def sets() -> dict[str, ConceptSet]:
    return {name: ConceptSet.from_file(FOLDER / f"{name}.yaml") for name in NAMES}


@pytest.fixture(scope="module")
def birads(sets: Mapping[str, ConceptSet]) -> ConceptSet:
    return sets["birads"]


def every(sets: Mapping[str, ConceptSet], names: Iterable[str] = AUTHORED) -> list[Concept]:
    return [concept for name in names for concept in sets[name].concepts]


def words(concept: Concept) -> tuple[str, ...]:
    return (concept.term, *concept.synonyms)


def core(text: str) -> frozenset[str]:
    """Return its words without their order, number and small words."""
    split = re.split(r"[^a-z0-9]+", re.sub(r"'s\b", "", text.lower()))
    return frozenset(re.sub(r"(?:(?<=s)e|(?<!s))s$", "", word) for word in split) - SMALL_WORDS - {""}


def doubles(pairs: Iterable[tuple[object, str]]) -> list[set[str]]:
    """Return the terms of each group of (what makes them the same, term) that has several."""
    found: dict[object, set[str]] = {}
    for same, term in pairs:
        found.setdefault(same, set()).add(term)
    return [terms for terms in found.values() if len(terms) > 1]


def test_all_are_offered_and_no_file_is_left_out() -> None:
    offered = mcd_concepts.mcd_register_concept_sets()
    assert [(one.name, one.target) for one in offered] == [(name, f"mcd_concepts:{name}.yaml") for name in NAMES]
    assert {f"{name}.yaml" for name in NAMES} == {file.name for file in FOLDER.glob("*.yaml")}


def test_the_package_is_light() -> None:
    code = "import sys, mcd_concepts; print([m for m in ('torch', 'pydantic', 'yaml', 'click') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("birads", 350, 550), ("birads-core", 55, 70), ("everyday", 350, 550), ("technical", 40, 60)],
)
def test_each_has_the_size_that_is_promised(sets: Mapping[str, ConceptSet], name: str, least: int, most: int) -> None:
    assert least <= len(sets[name].concepts) <= most
    assert {concept.mammographic for concept in sets[name].concepts} == {name.startswith("birads")}


@pytest.mark.parametrize("name", ["birads", "birads-core"])
def test_birads_follows_the_order_in_which_a_mammogram_is_read(sets: Mapping[str, ConceptSet], name: str) -> None:
    assert list(sets[name].broad_categories) == list(WORKFLOW)
    assert sets[name].counterparts == WORKFLOW


@pytest.mark.parametrize("name", NAMES)
def test_every_broad_category_has_its_counterpart_in_the_published_six(
    sets: Mapping[str, ConceptSet], name: str
) -> None:
    assert set(sets[name].counterparts) == set(sets[name].broad_categories)
    assert set(sets[name].counterparts.values()) <= {*WORKFLOW.values(), "Environmental_and_Natural"}
    if name in ("everyday", "technical"):
        assert set(sets[name].counterparts.values()) == {"Environmental_and_Natural"}


def test_birads_has_the_lexicon(birads: ConceptSet) -> None:
    sizes = {name: len(entries) for parts in birads.broad_categories.values() for name, entries in parts.items()}
    assert sizes["Breast composition"] == 4
    assert (sizes["Mass shape"], sizes["Mass margin"], sizes["Mass density"]) == (3, 5, 4)
    assert (sizes["Typically benign calcifications"], sizes["Suspicious calcification morphology"]) == (10, 5)
    assert sizes["Calcification distribution"] == 5
    assert sizes["Clock position"] == 12
    said = {word for concept in birads.concepts for word in words(concept)}
    assert {f"BI-RADS {grade}" for grade in ("0", "1", "2", "3", "4", "4A", "4B", "4C", "5", "6")} <= said
    assert {f"breast composition {letter}" for letter in "abcd"} <= said
    sides = ("left", "right")
    assert {f"{side} {view} view" for side in sides for view in ("craniocaudal", "mediolateral oblique")} <= said
    assert {f"{height} {side} quadrant" for height in ("upper", "lower") for side in ("inner", "outer")} <= said
    assert {"asymmetry", "focal asymmetry", "global asymmetry", "developing asymmetry"} <= said


def test_birads_has_a_term_for_every_finding_that_a_data_set_tells(birads: ConceptSet) -> None:
    assert FINDINGS - {word for concept in birads.concepts for word in words(concept)} == set()


def test_the_main_findings_can_be_told_to_be_absent(birads: ConceptSet) -> None:
    opposites = {concept.term: concept.opposite for concept in birads.concepts if concept.opposite}
    assert {
        "mass",
        "calcifications",
        "suspicious calcifications",
        "architectural distortion",
        "asymmetry",
        "skin thickening",
        "nipple retraction",
        "axillary lymphadenopathy",
        "implant rupture",
        "breast cancer",
    } <= set(opposites)
    said = {word for concept in birads.concepts for word in (*words(concept), *concept.prompts)}
    assert said & set(opposites.values()) == set()
    assert len(set(opposites.values())) == len(opposites)


@pytest.mark.parametrize("name", NAMES)
def test_each_states_version_licence_and_sources(sets: Mapping[str, ConceptSet], name: str) -> None:
    found = sets[name]
    assert (found.name, found.licence, found.language) == (name, "Apache-2.0", "en")
    assert re.fullmatch(r"0\.\d", found.version)
    assert found.sources
    assert found.description
    if name.startswith("birads"):
        assert "BI-RADS is a registered trademark of the American College of Radiology" in found.description
        assert "neither reviewed nor endorsed" in found.description


@pytest.mark.parametrize("name", AUTHORED)
def test_the_source_of_a_category_is_one_of_the_set(sets: Mapping[str, ConceptSet], name: str) -> None:
    known = {source.partition(":")[0] for source in sets[name].sources}
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    named = [one for line in lines if line.strip().startswith("# source: ") for one in line.split(": ")[1].split("; ")]
    assert {re.sub(r" CID .*", "", one) for one in named} <= known
    if name == "birads":
        assert known == {"lexicon", *(re.sub(r" CID .*", "", one) for one in named)}


def test_no_word_means_two_concepts(sets: Mapping[str, ConceptSet]) -> None:
    concepts = every(sets)
    assert len(join([sets[name] for name in AUTHORED]).concepts) == len(concepts)
    assert doubles((word.casefold(), one.term) for one in concepts for word in (*words(one), *one.prompts)) == []


def test_no_two_words_differ_only_in_number_order_or_small_words(sets: Mapping[str, ConceptSet]) -> None:
    assert doubles((core(word), one.term) for one in every(sets) for word in words(one)) == []


def test_terms_are_short_plain_and_without_stray_marks(sets: Mapping[str, ConceptSet]) -> None:
    for concept in every(sets):
        assert len(concept.term) <= 40
        assert re.fullmatch(r"[A-Za-z]+(?:[ '-][A-Za-z]+)*", concept.term)
        assert concept.term not in concept.synonyms


def test_what_dissectors_read_is_spelt_as_in_american_reports(sets: Mapping[str, ConceptSet]) -> None:
    prompts = [prompt for concept in every(sets) for prompt in concept.prompts]
    assert [prompt for prompt in prompts if BRITISH.search(prompt)] == []
    respelt = {concept.term: concept.prompt for concept in every(sets) if BRITISH.search(concept.term)}
    assert respelt["haematoma"] == "hematoma"
    assert respelt["phyllodes tumour"] == "phyllodes tumor"


def test_codes_are_those_of_the_dicom_tables(sets: Mapping[str, ConceptSet]) -> None:
    tables = (codes.SCT, codes.DCM, codes.NCIt)
    known = {(code.scheme_designator, code.value) for table in tables for code in table.concepts.values()}
    given = [(pair, concept.term) for concept in every(sets) for pair in concept.codes.items()]
    assert {pair for pair, _ in given} <= known
    assert doubles(given) == []
    assert len(given) >= 150


def test_everyday_words_have_nothing_to_do_with_mammograms(sets: Mapping[str, ConceptSet]) -> None:
    medical = {
        word
        for concept in every(sets, ("birads", "technical"))
        for text in (*words(concept), *concept.prompts, concept.opposite)
        for word in core(text)
    }
    everyday = {word: concept.term for concept in sets["everyday"].concepts for word in core(concept.term)}
    assert {term for word, term in everyday.items() if word in medical | READING_ROOM} == set()


def test_everyday_groups_have_one_size(sets: Mapping[str, ConceptSet]) -> None:
    sizes = [len(entries) for parts in sets["everyday"].broad_categories.values() for entries in parts.values()]
    assert len(sizes) >= 18
    assert len(set(sizes)) == 1


def test_birads_everyday_is_birads_and_then_everyday_in_equal_shares(sets: Mapping[str, ConceptSet]) -> None:
    both = sets["birads-everyday"]
    assert both.concepts == (*sets["birads"].concepts, *sets["everyday"].concepts)
    share = sum(concept.mammographic for concept in both.concepts) / len(both.concepts)
    assert share == pytest.approx(0.5, abs=0.02)


def test_birads_core_is_a_part_of_birads_in_its_order(sets: Mapping[str, ConceptSet]) -> None:
    picked: Iterator[Concept] = iter(sets["birads"].concepts)
    for concept in sets["birads-core"].concepts:
        assert concept in picked  # goes on from where the last one was found


def test_the_page_gives_the_right_numbers(sets: Mapping[str, ConceptSet]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in NAMES:
        assert f"| `{name}` | {len(sets[name].concepts)} |" in text
