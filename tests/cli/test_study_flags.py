"""The flags of ``mcd dissect`` and ``mcd run``: made from `Study`, they set and overrule every setting of it."""

from __future__ import annotations

from collections.abc import Mapping

import click
import pytest

from mcd.cli.dissect import dissect, run_study
from mcd.cli.settings import study_settings
from mcd.cli.study_flags import FILE_ONLY, StudyFlag, flag_names
from mcd.errors import ConfigError
from mcd.study.leaves import leaves
from mcd.study.study import Study

WHOLE = ("--model", "timm:resnet18", "--dissector", "phantom-clip", "--dataset", "phantom")
FILE = {"models": "phantom-mammo", "dissectors": "phantom-clip", "dataset": "phantom"}


def settings(*flags: str, document: Mapping[str, object] = FILE, command: click.Command = run_study) -> Study:
    """Return what a command makes of flags and the settings of a study file."""
    context = command.make_context(command.name, list(flags))
    return Study.model_validate(study_settings(context, document))


@pytest.mark.parametrize("command", [dissect, run_study])
def test_every_setting_of_a_study_has_a_flag_or_is_said_to_be_of_files_only(command: click.Command) -> None:
    with_flag = [one.leaf.key for one in command.params if isinstance(one, StudyFlag)]
    assert len(with_flag) == len(set(with_flag))
    assert {*with_flag, *FILE_ONLY} == {leaf.key for leaf in leaves()}
    assert not FILE_ONLY.intersection(with_flag)


def test_no_two_flags_have_the_same_name() -> None:
    names = [name for one in dissect.params for name in (*one.opts, *one.secondary_opts)]
    assert len(names) == len(set(names))


def test_a_flag_has_the_default_and_the_description_of_its_setting() -> None:
    context = dissect.make_context("dissect", [])
    for one in (one for one in dissect.params if isinstance(one, StudyFlag)):
        default = context.params[str(one.name)]
        if one.leaf.key == "reporters.plugin":
            assert default == ("console",)
        elif isinstance(default, tuple):
            assert default == ((one.leaf.default,) if one.leaf.default else ())
        else:
            assert default == one.leaf.default
        assert one.leaf.path[-1] == "options" or one.leaf.description[1:] in str(one.help)


@pytest.mark.parametrize(
    ("flags", "key", "value"),
    [
        (("--layers", "a", "--layers", "b"), "models.0.layers", ("a", "b")),
        (("--pooling", "max"), "models.0.pooling", "max"),
        (("--model-arg", "checkpoint=x.pth"), "models.0.options", {"checkpoint": "x.pth"}),
        (("--dissector-arg", "name=x"), "dissectors.0.options", {"name": "x"}),
        (("--dataset-arg", "patients=3"), "dataset.options", {"patients": "3"}),
        (("--where", "view == MLO"), "where", "view == MLO"),
        (("--seed", "3"), "seed", 3),
        (("--recipe", "mammo-clip", "--recipe-arg", "crop=false"), "recipe.options", {"crop": "false"}),
        (("--concepts", "birads,phantom"), "concepts.1.plugin", "phantom"),
        (
            ("--template", "a {concept}", "--template", "the {concept}"),
            "prompts.templates",
            ("a {concept}", "the {concept}"),
        ),
        (("--sharpness", "2"), "prompts.sharpness", 2.0),
        (("--reference-prompt", "x"), "prompts.reference", "x"),
        (("--scorer", "wpmi"), "scorer.plugin", "wpmi"),
        (("--most-draws", "2000"), "calibration.most_draws", 2000),
        (("--q", "0.1"), "calibration.q", 0.1),
        (("--labels", "3"), "labels_per_neuron", 3),
        (("--controls",), "controls", True),
        (("--cache-size", "7"), "cache_size", 7),
        (("--keep-identifiers",), "keep_identifiers", True),
    ],
)
def test_a_flag_sets_its_setting(flags: tuple[str, ...], key: str, value: object) -> None:
    found: object = settings(*WHOLE, *flags, document={}, command=dissect)
    for part in key.split("."):
        found = found[int(part)] if isinstance(found, tuple) else getattr(found, part)
    assert found == value


def test_what_no_flag_sets_stays_as_the_file_has_it() -> None:
    document = {**FILE, "calibration": {"q": 0.1, "draws": 50}, "controls": True, "limit": 5}
    found = settings("--draws", "60", "--no-controls", document=document)
    assert (found.calibration.q, found.calibration.draws, found.controls, found.limit) == (0.1, 60, False, 5)
    models = [{"plugin": "phantom-mammo", "layers": ["head"], "name": "mine"}]
    found = settings("--model", "timm:resnet18", "--pooling", "max", document={**FILE, "models": models})
    one = found.models[0]
    assert (one.plugin, one.name, one.layers, one.pooling) == ("timm:resnet18", "mine", ("head",), "max")


def test_reporters_are_those_of_the_file_unless_flags_name_others() -> None:
    assert settings().reporters == ()
    assert settings(document={**FILE, "reporters": []}).reporters == ()
    assert [one.plugin for one in settings("--reporter", "csv", document={**FILE, "reporters": "html"}).reporters] == [
        "csv"
    ]


def test_a_setting_alone_belongs_to_the_component_of_the_file_or_to_the_default() -> None:
    document = {**FILE, "reporters": ["csv", {"plugin": "html", "options": {"top": 3}}]}
    found = settings("--reporter-arg", "html.images=2", document=document)
    assert [one.options for one in found.reporters] == [{}, {"top": 3, "images": "2"}]
    assert settings("--reporter-arg", "x=1").reporters[0].options == {"x": "1"}
    assert (found := settings("--concepts-arg", "x=1")).concepts[0].plugin == "birads"
    assert found.concepts[0].options == {"x": "1"}
    assert settings("--scorer-arg", "top_k=5").scorer.model_dump() == {"plugin": "soft-wpmi", "options": {"top_k": "5"}}


@pytest.mark.parametrize(
    ("flags", "document", "message"),
    [
        (("--reporter-arg", "top=1"), {"reporters": ["csv", "html"]}, "there are several components"),
        (("--reporter-arg", "cvs.top=1"), {"reporters": ["csv", "html"]}, "0 of the components have that name"),
        (("--reporter-arg", "top=1"), {"reporters": []}, "--reporter-arg without --reporter"),
        (("--recipe-arg", "crop=1"), {}, "--recipe-arg without --recipe"),
        (("--concepts-arg", "x.y=1"), {}, "0 of the components have that name"),
        (("--layers", "head"), {"models": ["phantom-mammo", "phantom-calc"]}, "the study has several models"),
    ],
)
def test_a_setting_of_nobody_or_of_anybody_is_refused(
    flags: tuple[str, ...], document: Mapping[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(*flags, document={**FILE, **document})


def test_a_range_is_that_of_the_setting() -> None:
    for flag, value in (("--q", "0"), ("--q", "1"), ("--limit", "0"), ("--maps", "101"), ("--precision", "fp8")):
        with pytest.raises(click.BadParameter):
            settings(flag, value)


def test_flags_are_called_after_their_settings() -> None:
    assert flag_names("per_patient") == ("--per-patient",)
    assert flag_names("calibration.null_seed") == ("--null-seed",)
    assert flag_names("reporters.options") == ("--reporter-arg",)
