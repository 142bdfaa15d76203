"""A vocabulary package without Python: a file, and an entry point of the group ``mcd.concept_sets``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from mcd.cli.plugins import plugins
from mcd.components import Kind
from mcd.errors import AmbiguousNameError, PluginLoadError
from mcd.study.vocabularies.loading import load_concepts

if TYPE_CHECKING:
    from tests.host.conftest import World

WORDS = "name: {name}\nbroad_categories: {{Findings: {{Mass: [mass]}}}}\n"


def package(world: World, distribution: str, lines: str, **files: str) -> Path:
    """Install a distribution with data files and no module."""
    folder = world.folder / distribution.replace("-", "_")
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    world.distribution(distribution, f"[mcd.concept_sets]\n{lines}\n")
    return folder


def test_its_sets_are_on_offer_and_nothing_is_imported(world: World) -> None:
    folder = package(
        world,
        "acme-lists",
        "reading-room = acme_lists:words.yaml\nshort = acme_lists:few.yaml",
        words=WORDS.format(name="long"),
        few="name: few\nincludes: [words.yaml]\n",
    )
    (folder / "__init__.py").write_text("raise SystemExit('imported')\n")
    host = world.discover()
    assert world.offered(host, Kind.CONCEPTS) == ["acme-lists/reading-room", "acme-lists/short"]
    assert load_concepts(host, "reading-room").name == "long"
    assert [one.term for one in load_concepts(host, "acme-lists/short").concepts] == ["mass"]
    assert "acme_lists" not in sys.modules
    record = world.record(host, "acme-lists")
    assert (record.state, record.distribution, record.version, record.notes) == ("loaded", "acme-lists", "1.0", ())


def test_a_folder_below_the_package_serves(world: World) -> None:
    folder = package(world, "acme-lists", "deep = acme_lists.data:words.yaml")
    (folder / "data").mkdir()
    (folder / "data" / "words.yaml").write_text(WORDS.format(name="deep"))
    assert load_concepts(world.discover(), "deep").name == "deep"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "words = acme_lists",
            "entry point 'words' of group mcd.concept_sets: 'acme_lists' is not 'package:file.yaml'",
        ),
        ("words = acme_lists:Words", "'acme_lists:Words' is not 'package:file.yaml'"),
        ("My_Words = acme_lists:words.yaml", "component name 'My_Words': use lower-case words joined by hyphens"),
    ],
)
def test_what_is_declared_wrongly_is_broken_with_its_reason(world: World, line: str, reason: str) -> None:
    package(world, "acme-lists", line)
    package(world, "other-words", "fine = other_words:words.yaml", words=WORDS.format(name="fine"))
    host = world.discover()
    record = world.record(host, "acme-lists")
    assert (record.state, record.phase) == ("broken", "mcd_register_concept_sets")
    assert reason in record.reason
    assert load_concepts(host, "fine").name == "fine"


def test_a_file_that_is_not_there_or_not_valid_is_the_packages_fault(world: World) -> None:
    package(
        world,
        "acme-lists",
        "gone = acme_lists:gone.yaml\nwrong = acme_lists:wrong.yaml\naway = nowhere:w.yaml",
        wrong="name: x\nbroad_categories: {A: {B: [mass, Mass]}}\n",
    )
    host = world.discover()
    for name, said in (("gone", "there is no file"), ("wrong", "'Mass' is given twice"), ("away", "nowhere")):
        with pytest.raises(PluginLoadError, match=said) as caught:
            load_concepts(host, name)
        assert "plugin 'acme-lists' (acme-lists 1.0)" in caught.value.message


def test_plugins_check_reads_the_files(world: World) -> None:
    package(
        world,
        "acme-lists",
        "wrong = acme_lists:wrong.yaml\nfine = acme_lists:fine.yaml",
        wrong="name: x\nbroad_categories: {A: {B: [mass, Mass]}}\n",
        fine=WORDS.format(name="fine"),
    )

    class State:
        host = world.discover()

    done = CliRunner().invoke(plugins, ["check", "acme-lists"], obj=State())
    assert done.exit_code == 3
    assert "  ok      concept set fine" in done.output
    assert "wrong.yaml:2: setting 'broad_categories.A.B.1.term': 'Mass' is given twice" in done.output
    assert "Traceback" not in done.output


def test_two_packages_with_one_name_are_an_error_naming_both(world: World) -> None:
    package(world, "acme-lists", "words = acme_lists:words.yaml", words=WORDS.format(name="one"))
    package(world, "beta-words", "words = beta_words:words.yaml", words=WORDS.format(name="two"))
    host = world.discover()
    with pytest.raises(AmbiguousNameError) as caught:
        load_concepts(host, "words")
    assert caught.value.hint == "say which one: acme-lists/words or beta-words/words"
    assert load_concepts(host, "beta-words/words").name == "two"


def test_the_environment_leaves_it_out_by_name(world: World) -> None:
    package(world, "acme-lists", "words = acme_lists:words.yaml", words=WORDS.format(name="one"))
    host = world.discover(MCD_DISABLE_PLUGINS="acme-lists")
    assert world.record(host, "acme-lists").state == "disabled"
    assert world.offered(host, Kind.CONCEPTS) == []


def test_a_distribution_may_have_a_plugin_and_declared_sets(world: World) -> None:
    folder = package(world, "both", "words = both:words.yaml", words=WORDS.format(name="one"))
    (folder / "__init__.py").write_text("")
    world.install("both-code", "both", "toy_both", offers="toy-net")
    host = world.discover()
    assert world.offered(host, Kind.CONCEPTS) == ["both/words"]
    assert "both@both-code/toy-net" in world.offered(host, Kind.MODEL)
