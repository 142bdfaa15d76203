"""A concept set may take in others that lie beside it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mcd.api.concepts import ConceptSet
from mcd.errors import ConfigError

BASE = """\
name: base
version: "2"
licence: Apache-2.0
sources: [a, b]
counterparts: {Findings: F}
broad_categories:
  Findings:
    Mass: [{term: mass, synonyms: [lump]}, cyst]
"""
CONTROLS = """\
name: controls
version: "3"
licence: CC0-1.0
mammographic: false
sources: [b, c]
broad_categories:
  Everyday:
    Hats: [hat, Cyst]
"""
BOTH = "name: both\nincludes: [base.yaml, controls.yaml]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("base", BASE), ("controls", CONTROLS), ("both", BOTH)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def read(folder: Path, text: str, name: str = "set.yaml") -> ConceptSet:
    (folder / name).write_text(text)
    return ConceptSet.from_file(folder / name)


def refusal(folder: Path, text: str, name: str = "set.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, name)
    return caught.value.message.replace(f"{folder}/", "")


def test_the_concepts_of_the_files_come_in_order_and_doubles_once(folder: Path) -> None:
    found = ConceptSet.from_file(folder / "both.yaml")
    assert [(one.term, one.mammographic) for one in found.concepts] == [("mass", True), ("cyst", True), ("hat", False)]
    assert found.concepts[0].synonyms == ("lump",)
    assert (found.name, found.version, found.licence) == ("both", "2+3", "Apache-2.0 AND CC0-1.0")
    assert found.sources == ("a", "b", "c")
    assert found.counterparts == {"Findings": "F"}


def test_own_concepts_follow_and_what_the_file_says_of_itself_counts(folder: Path) -> None:
    found = read(
        folder,
        BOTH + 'version: "9"\nlicence: MIT\nsources: [z]\ncounterparts: {Findings: G, Tools: T}\n'
        "broad_categories: {Tools: {All: [saw, MASS]}, Findings: {Mass: [nodule]}}\n",
    )
    assert [one.term for one in found.concepts] == ["mass", "cyst", "nodule", "hat", "saw"]
    assert (found.version, found.licence) == ("9", "MIT AND Apache-2.0 AND CC0-1.0")
    assert found.sources == ("z", "a", "b", "c")
    assert found.counterparts == {"Findings": "G", "Tools": "T"}


def test_included_files_include_too_and_word_lists_serve(folder: Path) -> None:
    (folder / "words.txt").write_text("lesion\n")
    found = read(folder, "name: x\nincludes: [both.yaml, words.txt]\n")
    assert [one.term for one in found.concepts] == ["mass", "cyst", "hat", "lesion"]


def test_files_in_a_zip_include_what_lies_beside_them(folder: Path) -> None:
    with zipfile.ZipFile(folder / "words.zip", "w") as made:
        for name in ("base.yaml", "controls.yaml", "both.yaml"):
            made.write(folder / name, f"words/{name}")
    found = ConceptSet.from_file(zipfile.Path(folder / "words.zip", "words/both.yaml"))
    assert [one.term for one in found.concepts] == ["mass", "cyst", "hat"]


@pytest.mark.parametrize(
    "name", ["../base.yaml", "/etc/base.yaml", "sub/base.yaml", "..", "sub\\\\base.yaml", "c:x.yaml"]
)
def test_only_files_beside_it_are_taken_in(folder: Path, name: str) -> None:
    said = refusal(folder, f'name: x\nincludes: ["{name}"]\n')
    assert said.startswith("set.yaml:2: setting 'includes'")
    assert "is not the name of a file beside this one" in said


def test_what_is_not_there_goes_round_or_is_wrong_is_said_with_its_line(folder: Path) -> None:
    assert refusal(folder, "name: x\nincludes:\n  - base.yaml\n  - gone.yaml\n") == (
        "set.yaml:4: there is no file gone.yaml beside set.yaml"
    )
    assert refusal(folder, "name: x\nincludes: [set.yaml]\n") == (
        "set.yaml:2: the files include each other: set.yaml › set.yaml"
    )
    (folder / "one.yaml").write_text("name: x\nincludes: [two.yaml]\n")
    assert refusal(folder, "name: x\nincludes: [one.yaml]\n", "two.yaml") == (
        "one.yaml:2: the files include each other: two.yaml › one.yaml › two.yaml"
    )
    (folder / "base.yaml").write_text(BASE.replace("synonyms", "synonym"))
    assert "base.yaml:8: unknown setting 'broad_categories.Findings.Mass.0.synonym'" in refusal(folder, BOTH)


def test_a_counterpart_may_be_of_an_included_category_and_no_other(folder: Path) -> None:
    assert read(folder, BOTH + "counterparts: {Everyday: E}\n").counterparts["Everyday"] == "E"
    said = refusal(folder, BOTH + "counterparts:\n  Everyday: E\n  Evryday: E\n")
    assert said.startswith("set.yaml:5: setting 'counterparts.Evryday': there is no broad category 'Evryday'")


def test_a_file_without_concepts_and_includes_is_refused(folder: Path) -> None:
    assert refusal(folder, "name: x\n") == "set.yaml:1: setting 'broad_categories' is required"
    assert "'broad_categories': Dictionary should have at least 1 item" in refusal(
        folder, BOTH + "broad_categories: {}\n"
    )
