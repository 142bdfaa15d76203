"""What a reference means: a file, or a name that a plugin offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcd.cli.settings import overruled
from mcd.errors import ConfigError, MCDError, PluginLoadError, UnknownNameError
from mcd.host import PluginHost
from mcd.study.located import located
from mcd.study.preparer import Preparer
from mcd.study.study import Choice, Study
from mcd.study.vocabularies.loading import load_concepts, split_choices

OTHERS = {"models": "phantom-mammo", "dissectors": "phantom-clip", "dataset": "phantom"}


def refusal(host: PluginHost, reference: str, kind: type[MCDError], **options: object) -> str:
    with pytest.raises(kind) as caught:
        load_concepts(host, reference, options)
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_name_is_a_set_on_offer(host: PluginHost) -> None:
    assert load_concepts(host, "birads").name == "birads"
    assert load_concepts(host, "good").version == "0.10"
    assert load_concepts(host, "toys/good").name == "good"


def test_an_ending_or_a_path_is_a_file(host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("good").mkdir()  # a folder that is called like a set hides nothing
    for name in ("words.txt", "WORDS.TXT", "good/words.txt"):
        Path(name).write_text("mass\n")
        assert [c.term for c in load_concepts(host, name).concepts] == ["mass"]
    assert load_concepts(host, "~/words.txt").name == "words"
    assert load_concepts(host, str(tmp_path / "words.txt")).name == "words"
    assert load_concepts(host, "good").name == "good"
    assert refusal(host, "gone.yaml", ConfigError).startswith("there is no file gone.yaml")
    assert refusal(host, "./gone", ConfigError).startswith("there is no file gone")
    assert refusal(host, "a/b/c", ConfigError).startswith("there is no file a/b/c")
    Path("good/words.csv").write_text("mass\n")
    assert refusal(host, "good/words.csv", ConfigError).startswith("good/words.csv: not a kind of file")


def test_an_unknown_name_gets_the_nearest(host: PluginHost) -> None:
    assert "did you mean 'birads'?" in refusal(host, "birds", UnknownNameError)
    assert "did you mean 'toys/birads'?" in refusal(host, "toys/birds", UnknownNameError)


def test_a_source_takes_settings(host: PluginHost) -> None:
    found = load_concepts(host, "from-list", {"words": "mass,cyst", "name": "mine"})
    assert found.name == "mine"
    assert len(found.concepts) == 2
    assert len(load_concepts(host, "toys/from-list:a,b,c").concepts) == 3
    assert len(load_concepts(host, "from-list:words.txt").concepts) == 1  # its value, not a file
    assert "setting 'words' is required" in refusal(host, "from-list", ConfigError)
    assert "unknown setting 'wrods'" in refusal(host, "from-list", ConfigError, wrods="a")


def test_a_source_may_be_given_more_words_than_a_file_name_holds(host: PluginHost) -> None:
    reference = "from-list:" + ",".join(f"word {number}" for number in range(100))
    assert len(load_concepts(host, reference).concepts) == 100
    (choice,) = Preparer(host).concepts([Choice(plugin=reference)])[1]
    assert choice.plugin == reference


def test_a_file_takes_none(host: PluginHost, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("mass\n")
    assert "takes no settings, but got size" in refusal(host, str(tmp_path / "words.txt"), ConfigError, size=1)
    assert "concept set 'good' takes no settings" in refusal(host, "good", ConfigError, size=1)
    assert "concept set 'good' takes no value" in refusal(host, "good:x", ConfigError)


def test_a_plugins_broken_set_is_the_plugins_fault(host: PluginHost) -> None:
    said = refusal(host, "bad", PluginLoadError)
    assert "plugin 'toys'" in said
    assert "bad.yaml:4: setting 'broad_categories.A.B.1.term': 'Mass' is given twice" in said
    assert "the server is away" in refusal(host, "raises", PluginLoadError)
    assert "returned list, not an mcd.ConceptSet" in refusal(host, "wrong", PluginLoadError)
    assert "there is no file" in refusal(host, "gone", PluginLoadError)


def test_bad_words_given_to_a_source_are_the_users_fault(host: PluginHost) -> None:
    assert "'a' is given twice" in refusal(host, "from-list:a,a", ConfigError)


def test_commas_join_names_and_files(host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("hat\nmass\n")
    Path("a,b.txt").write_text("cap\n")
    found = load_concepts(host, "good, a.txt,from-list:red,blue")
    assert [one.term for one in found.concepts] == ["mass", "cyst", "skin fold", "side marker", "hat", "red", "blue"]
    assert [one.term for one in load_concepts(host, "a,b.txt").concepts] == ["cap"]
    assert "a comma too many in 'good,'" in refusal(host, "good,", ConfigError)
    assert "the union good,a.txt takes no settings" in refusal(host, "good,a.txt", ConfigError, size=1)
    assert "no concept set named 'bird'" in refusal(host, "good,bird", UnknownNameError)


def test_several_files_of_a_study_are_found_beside_it_and_recorded_one_by_one(host: PluginHost, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "a.txt").write_text("hat\n")
    (folder / "b,c.txt").write_text("cap\n")
    written = {"concepts": ["good, a.txt", "b,c.txt", "from-list:red,blue"]}
    preparer = Preparer(host)
    study = Study.model_validate({**OTHERS, **located(host, written, folder)})
    found, recorded = preparer.concepts(study.concepts)
    assert [one.term for one in found.concepts][-4:] == ["hat", "cap", "red", "blue"]
    assert [one.plugin for one in recorded] == [
        "good",
        str(folder / "a.txt"),
        str(folder / "b,c.txt"),
        "from-list",
    ]
    with pytest.raises(ConfigError, match=r"the union good,a\.txt takes no settings"):
        split_choices([Choice(plugin="good,a.txt", options={"size": 1})])


def test_several_files_given_at_once_are_known_as_paths(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("hat\n")
    preparer = Preparer(host)
    _, recorded = preparer.concepts([Choice(plugin=f"{tmp_path / 'a.txt'},good,~/a.txt")])
    assert len(recorded) == 3
    assert [one.plugin for one in recorded] == [str(tmp_path / "a.txt"), "good", "~/a.txt"]


def test_one_flag_holds_several_sets_each_with_its_settings() -> None:
    given = {"concepts.plugin": ("birads,from-list", "x.yaml"), "concepts.options": ("from-list.words=a,b",)}
    made = overruled("concepts", "phantom", given)
    assert [one["plugin"] for one in made] == ["birads", "from-list", "x.yaml"]
    assert [one["options"] for one in made] == [{}, {"words": "a,b"}, {}]


def test_a_vocabulary_of_another_kind_says_how_it_becomes_one(host: PluginHost, tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("mass\n")
    with pytest.raises(ConfigError, match="mcd concepts import"):
        load_concepts(host, str(tmp_path / "words.csv"))
