"""The page that describes the format of concept sets: its examples and tables are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.study.vocabularies.conftest import NAMES, PAGE

from mcd.api.concepts import ConceptEntry, ConceptFile, ConceptSet
from mcd.components import Kind
from mcd.errors import ConfigError
from mcd.host import PluginHost
from mcd.study.vocabularies.loading import load_concepts


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
    said = caught.value.message.replace(str(file), "misspelt.yaml")
    assert f"error: {said}\n  hint: {caught.value.hint}\n" in block("console", "unknown setting")


def test_the_pages_settings_are_the_settings() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = {name for row in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    written = {field.alias or name for name, field in ConceptFile.model_fields.items()}
    assert rows - set(NAMES) == written | set(ConceptEntry.model_fields)


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
