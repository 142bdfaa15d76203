"""What a manifest shows of a study: by what components declare, whatever lies on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcd.host import PluginHost
from mcd.study.check import checked_study
from mcd.study.privacy import names_people
from mcd.study.recording import recorded
from mcd.study.study import Choice, Study

NAME = "Miller"


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost.discover([], {})


def study(**changes: object) -> Study:
    return Study.model_validate(
        {"models": "phantom-mammo", "dissectors": "phantom-clip", "dataset": "phantom", "scorer": "cosine"} | changes
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", {"plugin": "images", "options": {"path": NAME}}),
        ("dataset", f"images:{NAME}"),
        ("dataset", {"plugin": "dicom", "options": {"path": f"a/{NAME}"}}),
        ("dataset", {"plugin": "csv", "options": {"root": NAME, "table": f"{NAME}.csv"}}),
        ("dataset", {"plugin": "vindr-mammo", "options": {"root": NAME}}),
        ("dataset", {"plugin": "imagenet-subset", "options": {"list": NAME, "root": NAME}}),
        ("dataset", {"plugin": "combine", "options": {"parts": ["phantom", f"images:{NAME}"]}}),
        ("dataset", {"plugin": "combine", "options": {"parts": [{"plugin": "dicom", "options": {"path": NAME}}]}}),
        ("dataset", {"plugin": "not-installed", "options": {"where": NAME, "list": [NAME]}}),
        ("dataset", f"not-installed:{NAME}"),
        ("models", {"plugin": "timm", "options": {"name": "resnet18", "checkpoint": f"{NAME}/w.pth"}}),
        ("models", {"plugin": "module", "options": {"factory": f"{NAME}/net.py:make"}}),
        ("models", f"transformers:{NAME}/model"),
        ("dissectors", {"plugin": "mammo-clip", "options": {"checkpoint": f"{NAME}/b5.tar", "tokenizer": f"{NAME}/t"}}),
        ("dissectors", f"open-clip:{NAME}/model"),
        ("concepts", f"{NAME}/words.txt"),
        ("scorer", f"{NAME}/scorer.py:f"),
        ("cache", f"{NAME}/cache"),
        ("where", f'patient == "{NAME}"'),
        ("where", f'view == "MLO" and not exam in ["{NAME}"]'),
        ("where", f'label["name"] == "{NAME}"'),
    ],
)
def test_a_manifest_shows_no_folder_and_no_person(host: PluginHost, field: str, value: object) -> None:
    assert NAME not in str(recorded(host, study(**{field: value})))


def test_what_is_no_path_is_shown(host: PluginHost) -> None:
    models = {"plugin": "timm", "options": {"name": "resnet18", "checkpoint": "/data/w.pth"}, "layers": ["layer1"]}
    shown = recorded(host, study(models=models, where='view == "MLO"'))
    assert shown["models"][0]["options"] == {"name": "resnet18", "checkpoint": "w.pth"}
    assert shown["models"][0]["layers"] == ["layer1"]
    fetched = recorded(host, study(models="transformers:hub:owner/name"))["models"]
    assert fetched[0]["plugin"] == "transformers:hub:owner/name"
    assert shown["where"] == 'view == "MLO"'
    assert recorded(host, study(where='label["a"] == "b"'), public_labels=True)["where"] == 'label["a"] == "b"'


def test_a_study_that_keeps_identifiers_is_shown_whole(host: PluginHost) -> None:
    whole = study(dataset=f"images:{NAME}", keep_identifiers=True)
    assert recorded(host, whole) == whole.settings()


def test_what_a_run_and_its_scoring_share_is_shown_alike(host: PluginHost, tmp_path: Path) -> None:
    own = checked_study(host, study(dataset=f"images:{tmp_path}").settings())
    seen = recorded(host, own)
    scored = own.model_copy(update={"scorer": Choice(plugin="pearson")})
    without = PluginHost([])  # the plugin of the data set is not installed any more
    assert recorded(without, scored, before=(own, seen))["dataset"] == seen["dataset"]
    assert tmp_path.name not in str(recorded(without, scored))


def test_which_conditions_name_people() -> None:
    assert names_people('id == "1"')
    assert names_people('label["x"] == "1"')
    assert not names_people('label["x"] == "1"', public_labels=True)
    assert not names_people('"mass" in findings and density in ["a", "b"] and vendor == "GE"')
