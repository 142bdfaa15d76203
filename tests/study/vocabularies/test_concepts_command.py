"""``mcd concepts list`` and ``show``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

import mcd_concepts
from mcd.errors import ConfigError, UnknownNameError
from mcd.host import PluginHost
from mcd.study.vocabularies.loading import load_concepts

Run = Callable[..., str]
ROOT = Path(__file__).parents[3]


def test_list_shows_what_is_sound_and_what_is_not(run: Run, host: PluginHost) -> None:
    lines = run("list").splitlines()
    assert lines[0].split() == ["name", "version", "concepts", "licence", "plugin", "description"]
    rows = {line.split()[0]: line.split() for line in lines[2:] if line and not line.startswith((" ", "broken"))}
    birads = load_concepts(host, "birads")
    assert rows["birads"][1:5] == [birads.version, str(len(birads.concepts)), "Apache-2.0", "toys"]
    assert rows["good"][1:5] == ["0.10", "4", "–", "toys"]
    assert rows["from-list"] == ["from-list", "–", "–", "–", "toys", "made", "by", "code"]
    assert "bad" not in rows
    broken = "\n".join(lines[lines.index("broken:") :])
    assert "toys/bad: " in broken
    assert "'Mass' is given twice, first in A › B" in broken
    assert "toys/gone: " in broken


def test_list_as_json(run_json: Callable[..., list[dict[str, object]]]) -> None:
    rows = {row["name"]: row for row in run_json("list")}
    assert rows["good"] == {
        "name": "good",
        "version": "0.10",
        "concepts": 4,
        "licence": "",
        "plugin": "toys",
        "description": "a good one",
        "reason": "",
    }
    assert rows["from-list"]["concepts"] is None
    assert rows["bad"]["reason"]


def test_show_is_a_tree_with_counts(run: Run) -> None:
    assert run("show", "good").splitlines() == [
        "good 0.10 · 4 concepts · licence not stated · en",
        "Findings (3 = 75.0%)",
        "├── Mass (2)",
        "│   └── mass, cyst",
        "└── Skin (1)",
        "    └── skin fold",
        "Controls (1 = 25.0%)",
        "└── Letters (1)",
        "    └── side marker*",
        "* does not describe the breast",
    ]


def test_show_fits_80_columns_and_has_every_concept(run: Run, host: PluginHost) -> None:
    text = run("show", "birads")
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.replace("│", " ").split())
    found = load_concepts(host, "birads")
    assert [concept.term for concept in found.concepts if concept.term not in flat] == []
    for broad, categories in found.broad_categories.items():
        size = sum(map(len, categories.values()))
        assert f"{broad} ({size} = {size / len(found.concepts):.1%})" in text
    assert "Apache-2.0" in text
    assert "trademark" in text


def test_show_prints_words_as_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("[bold]mass[/bold]\n:smile:\n[/]\n")
    assert "[bold]mass[/bold], :smile:, [/]" in run("show", str(tmp_path / "w.txt"))


def test_show_as_json(run_json: Callable[..., dict[str, object]], host: PluginHost) -> None:
    data = run_json("show", "good")
    assert data["groups"] == [
        {"name": "Findings", "concepts": 3, "share": 0.75, "categories": 2},
        {"name": "Controls", "concepts": 1, "share": 0.25, "categories": 1},
    ]
    assert data["fingerprint"] == load_concepts(host, "good").fingerprint()
    assert isinstance(data["concepts"], list)
    assert data["concepts"][1] == {
        "term": "cyst",
        "category": "Mass",
        "broad_category": "Findings",
        "prompts": ["a round cyst"],
        "synonyms": ["simple cyst"],
        "mammographic": True,
        "opposite": "",
        "codes": {},
    }


def test_show_takes_a_union(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("cyst\nhat\n")
    assert run("show", f"good,{tmp_path / 'w.txt'}").startswith("good+w 0.10+? · 5 concepts")


def test_the_published_schema_is_what_the_command_prints_and_fits_the_files(run: Run) -> None:
    text = (ROOT / "docs/reference/concept-set.schema.json").read_text(encoding="utf-8")
    assert run("schema") == text
    schema = json.loads(text)
    for file in [*Path(mcd_concepts.__file__).parent.glob("*.yaml"), *ROOT.glob("examples/acme_words/*/*.yaml")]:
        jsonschema.validate(yaml.safe_load(file.read_text(encoding="utf-8")), schema)
    entry = {"term": "mass", "prompts": ["a mass"], "codes": {"SCT": 129788004}}
    jsonschema.validate({"name": "x", "includes": ["y.yaml"]}, schema)
    jsonschema.validate({"name": "x", "version": 0.1, "broad_categories": {"A": {"B": ["x", 12, entry]}}}, schema)
    for wrong in (
        {"name": "x"},
        {"name": "x", "broad_categories": {}},
        {"name": "x", "includes": ["y"], "license": ""},
        {"name": "x", "broad_categories": {"A": {"B": [{"term": "x", "synonym": ["y"]}]}}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_show_passes_settings_on(run: Run) -> None:
    assert "mass, cyst" in run("show", "from-list", "--concepts-arg", "words=mass,cyst")


def test_show_of_nothing_says_so(run: Run) -> None:
    with pytest.raises(UnknownNameError):
        run("show", "birds")
    with pytest.raises(ConfigError):
        run("show", "gone.yaml")


def test_listing_imports_neither_torch_nor_rich_before_it_prints() -> None:
    code = (
        "import sys, mcd.cli.concepts, mcd.study.vocabularies.loading;"
        "print([m for m in ('torch', 'rich') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
