"""Concept sets: what is read, kept in order, refused, joined."""

from __future__ import annotations

from pathlib import Path

import pydantic
import pytest

from mcd.api.concepts import Concept, ConceptSet, join
from mcd.errors import ConfigError

MINIMAL = {"name": "x", "broad_categories": {"Findings": {"Mass": ["mass", "cyst"]}}}


def concept_set(**changes: object) -> ConceptSet:
    return ConceptSet.model_validate({**MINIMAL, **changes})


def written(folder: Path, text: str, name: str = "set.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        ConceptSet.from_file(file)
    return caught.value.message.replace(f"{file.parent}/", "")


def test_concepts_come_flattened_in_order_and_a_prompt_is_the_term_by_default(tmp_path: Path) -> None:
    text = """
name: toy
version: 0.10
licence: CC0-1.0
mammographic: false
broad_categories:
  Z:
    Second: [zebra]
    First:
      - {term: mass, synonyms: [lump, "no"], prompt: a mass, mammographic: true}
      - no
      - 12
  A:
    Only: [ apple  pie ]
"""
    found = ConceptSet.from_file(written(tmp_path, text))
    assert (found.name, found.version, found.licence, found.language) == ("toy", "0.10", "CC0-1.0", "en")
    assert found.concepts == (
        Concept("zebra", "Second", "Z", ("zebra",), (), False),
        Concept("mass", "First", "Z", ("a mass",), ("lump", "no"), True),
        Concept("no", "First", "Z", ("no",), (), False),
        Concept("12", "First", "Z", ("12",), (), False),
        Concept("apple pie", "Only", "A", ("apple pie",), (), False),
    )


def test_a_toml_file_is_refused_with_what_to_write_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TOML is not read") as caught:
        ConceptSet.from_file(written(tmp_path, 'name = "t"', "set.toml"))
    assert "write YAML" in caught.value.hint


def test_a_set_and_its_concepts_are_frozen() -> None:
    found = concept_set()
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        found.name = "other"
    with pytest.raises(AttributeError):
        found.concepts[0].term = "other"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("A: {B: [mass, cyst, Mass]}", "set.yaml:2: setting 'broad_categories.A.B.2.term': 'Mass' is given twice"),
        ("A: {B: [skin  fold], C: [ Skin fold ]}", "A.C.0.term': 'Skin fold' is given twice, first in A › B"),
        ("A: {B: ['']}", "set.yaml:2: setting 'broad_categories.A.B.0.term': must not be empty (got '')"),
        ("A: {B: ['  ']}", "set.yaml:2: setting 'broad_categories.A.B.0.term': must not be empty (got '  ')"),
        ("A: {B: [{term: x, prompt: ''}]}", "setting 'broad_categories.A.B.0.prompt': must not be empty (got '')"),
        ('A: {B: ["a\\e[31m"]}', "has a character that cannot be printed"),
        ("A: {B: [null]}", "set.yaml:2: setting 'broad_categories.A.B.0'"),
        ("A: {B: []}", "set.yaml:2: setting 'broad_categories.A.B': Tuple should have at least 1 item"),
        ("A: {B: }", "set.yaml:2: setting 'broad_categories.A.B': a category holds a list of concepts"),
        ("A: {B: mass}", "set.yaml:2: setting 'broad_categories.A.B': a category holds a list of concepts"),
        ("A: [mass]", "set.yaml:2: setting 'broad_categories.A': must be names"),
        ("A: {}", "set.yaml:2: setting 'broad_categories.A': Dictionary should have at least 1 item"),
        ("{}", "set.yaml:2: setting 'broad_categories': Dictionary should have at least 1 item"),
        ("A: {B: [x], ' b': [y]}", "set.yaml:2: setting 'broad_categories.A': ' b' and 'B' are the same name"),
        ("A: {'': [x]}", "must not be empty"),
        (
            "A: {B: [{term: x, synonym: [y]}]}",
            "set.yaml:2: unknown setting 'broad_categories.A.B.0.synonym': did you mean 'synonyms'?",
        ),
        ("A: {B: [{prompt: x}]}", "set.yaml:2: setting 'broad_categories.A.B.0.term' is required"),
        ("A: {B: [{term: x, synonyms: y}]}", "set.yaml:2: setting 'broad_categories.A.B.0.synonyms'"),
        ("A: {B: [{term: x, prompts: []}]}", "set.yaml:2: setting 'broad_categories.A.B.0.prompts'"),
        ("A: {B: [{term: x, prompts: [a, A ]}]}", "setting 'broad_categories.A.B.0': prompt 'A' is given twice"),
        ("A: {B: [{term: x, prompt: a, prompts: [b]}]}", "broad_categories.A.B.0': give prompt or prompts, not both"),
        ("A: {B: [{term: x, codes: [1]}]}", "set.yaml:2: setting 'broad_categories.A.B.0.codes'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, body: str, said: str) -> None:
    flow = body if body.startswith("{") else "{" + body + "}"
    assert said in refusal(written(tmp_path, f"name: x\nbroad_categories: {flow}\n"))


def test_every_repeated_term_is_listed_with_its_own_line(tmp_path: Path) -> None:
    entries = "  A:\n    B:\n      - mass\n      - cyst\n    C:\n      - MASS\n      - {term: cyst}\n"
    text = f"name: x\nbroad_categories:\n{entries}"
    assert refusal(written(tmp_path, text)).splitlines() == [
        "set.yaml has 2 problems:",
        "  set.yaml:8: setting 'broad_categories.A.C.0.term': 'MASS' is given twice, first in A › B",
        "  set.yaml:9: setting 'broad_categories.A.C.1.term': 'cyst' is given twice, first in A › B",
    ]


def test_a_list_whose_only_concept_is_wrong_is_not_called_empty(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, "name: x\nbroad_categories:\n  A:\n    B:\n    - {prompt: x}\n"))
    assert said == "set.yaml:5: setting 'broad_categories.A.B.0.term' is required"


def test_an_american_spelling_is_understood_as_a_hint(tmp_path: Path) -> None:
    text = "name: x\nlicense: MIT\nbroad_categories: {A: {B: [mass]}}\n"
    assert "set.yaml:2: unknown setting 'license': did you mean 'licence'?" in refusal(written(tmp_path, text))


def test_a_published_word_list_is_read_as_it_is(tmp_path: Path) -> None:
    found = ConceptSet.from_file(
        written(tmp_path, "\ufeffAxilla\r\n\r\n  \r\n# not a comment\r\nmass \r\n", "list.txt")
    )
    assert found.name == "list"
    assert [concept.term for concept in found.concepts] == ["Axilla", "# not a comment", "mass"]
    assert {(concept.category, concept.broad_category) for concept in found.concepts} == {("uncategorised",) * 2}


def test_a_word_list_with_repeated_words_names_both_lines(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, "mass\n\ncyst\nMass\ncyst\n\x1b[2J\n", "list.txt"))
    assert said.replace(f"{tmp_path}/", "").splitlines() == [
        "list.txt:4: 'Mass' is given twice, first in list.txt:1",
        "  list.txt:5: 'cyst' is given twice, first in list.txt:3",
        "  list.txt:6: has a character that cannot be printed",
    ]


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_word_list_without_words_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(written(tmp_path, text, "list.txt")) == "list.txt: there is no concept in it"


def test_a_file_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, "mass", "list.csv")) == "list.csv: not a kind of file that is read here"
    assert refusal(tmp_path / "gone.csv") == "there is no file gone.csv"
    assert refusal(tmp_path / "gone.txt") == "there is no file gone.txt"
    (tmp_path / "bytes.txt").write_bytes(b"mass\n\xff\n")
    assert refusal(tmp_path / "bytes.txt") == "bytes.txt:2: not UTF-8 text"


def test_words_make_a_set() -> None:
    found = ConceptSet.from_words(("mass", " skin  fold"), "mine")
    assert found.name == "mine"
    assert [concept.term for concept in found.concepts] == ["mass", "skin fold"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "words: there is no concept in it"),
        (["mass", ""], "words, word 2: must not be empty"),
        (["mass", "cyst", "MASS"], "words, word 3: 'MASS' is given twice, first in words, word 1"),
        ("mass", "words: a list of words is needed, not one text"),
    ],
)
def test_words_that_make_no_set_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ConceptSet.from_words(words)
    assert caught.value.message == said


def test_the_fingerprint_covers_the_concepts_and_nothing_else() -> None:
    first = concept_set().fingerprint()
    assert concept_set(name="y", version="2", licence="MIT", description="d", sources=["s"]).fingerprint() == first
    assert ConceptSet.from_words(["mass", "cyst"]).fingerprint() != first
    entry = {"term": "cyst"}
    changes: list[object] = [
        {"Findings": {"Mass": ["cyst", "mass"]}},
        {"Findings": {"Mass": ["mass", "cysts"]}},
        {"Findings": {"Masses": ["mass", "cyst"]}},
        {"Finding": {"Mass": ["mass", "cyst"]}},
        {"Findings": {"Mass": ["mass", {**entry, "prompt": "a cyst"}]}},
        {"Findings": {"Mass": ["mass", {**entry, "prompts": ["cyst", "a cyst"]}]}},
        {"Findings": {"Mass": ["mass", {**entry, "mammographic": False}]}},
    ]
    prints = {concept_set(broad_categories=change).fingerprint() for change in changes}
    assert len(prints - {first}) == len(changes)
    same = {"Findings": {"Mass": ["mass", {**entry, "prompt": "cyst", "opposite": "no cyst", "codes": {"X": "1"}}]}}
    assert concept_set(broad_categories=same).fingerprint() == first


def test_a_concept_carries_all_that_is_written(tmp_path: Path) -> None:
    entry = "{term: mass, prompts: [a mass, mammogram of a mass], opposite: no mass, codes: {SCT: 129788004, X: 0.10}}"
    found = ConceptSet.from_file(written(tmp_path, f"name: x\nbroad_categories: {{A: {{B: [{entry}, cyst]}}}}\n"))
    mass, cyst = found.concepts
    assert mass.prompts == ("a mass", "mammogram of a mass")
    assert mass.prompt == "a mass"
    assert mass.opposite == "no mass"
    assert mass.codes == {"SCT": "129788004", "X": "0.10"}
    assert (cyst.prompts, cyst.opposite, cyst.codes) == (("cyst",), "", {})
    assert len({mass, cyst}) == 2
    with pytest.raises(TypeError, match="write prompts="):
        Concept("mass", "B", "A", "a mass")


def test_a_counterpart_is_of_a_broad_category_that_there_is(tmp_path: Path) -> None:
    body = "name: x\nbroad_categories: {Findings: {Mass: [mass]}}\ncounterparts:\n"
    found = ConceptSet.from_file(written(tmp_path, body + "  Findings: Findings and characterizations\n"))
    assert found.counterparts == {"Findings": "Findings and characterizations"}
    said = refusal(written(tmp_path, body + "  Findings: F\n  Finding: F\n"))
    assert (
        said == "set.yaml:5: setting 'counterparts.Finding': there is no broad category 'Finding'; there is: Findings"
    )


def test_joined_sets_keep_a_term_once_from_the_first() -> None:
    first = concept_set(version="1", licence="MIT", sources=["a", "b"])
    second = ConceptSet.model_validate(
        {
            "name": "y",
            "licence": "CC0-1.0",
            "sources": ["b", "c"],
            "mammographic": False,
            "broad_categories": {
                "Other": {"Gone": ["MASS"], "Kept": [{"term": "hat", "prompt": "a hat", "synonyms": ["cap"]}]},
                "Findings": {"Mass": ["skin fold"]},
            },
        }
    )
    joined = join([first, second])
    assert joined.concepts == (
        Concept("mass", "Mass", "Findings"),
        Concept("cyst", "Mass", "Findings"),
        Concept("skin fold", "Mass", "Findings", mammographic=False),
        Concept("hat", "Kept", "Other", ("a hat",), ("cap",), False),
    )
    assert (joined.name, joined.version, joined.licence) == ("x+y", "1+?", "MIT AND CC0-1.0")
    assert joined.sources == ("a", "b", "c")
    assert joined.language == "en"


def test_joined_sets_keep_counterparts_opposites_and_codes() -> None:
    broad = {"Findings": {"Mass": [{"term": "mass", "opposite": "no mass", "codes": {"X": "1"}}]}}
    first = concept_set(broad_categories=broad, counterparts={"Findings": "F"}, licence="MIT OR Apache-2.0")
    second = concept_set(
        broad_categories={"Findings": {"Mass": ["cyst"]}, "Colours": {"All": ["red"]}},
        counterparts={"Colours": "E", "Findings": "other"},
        licence="CC0-1.0",
    )
    joined = join([first, second])
    assert joined.counterparts == {"Findings": "F", "Colours": "E"}
    assert joined.concepts[0] == first.concepts[0]
    assert joined.licence == "(MIT OR Apache-2.0) AND CC0-1.0"
    assert "Colours" not in join([first, concept_set()]).counterparts


def test_joining_one_set_changes_no_concept_and_joining_none_is_refused() -> None:
    assert join([concept_set()]).fingerprint() == concept_set().fingerprint()
    with pytest.raises(ConfigError, match="no concept set to join"):
        join([])
