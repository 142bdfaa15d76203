"""Flags of commands that plugins bring have the defaults, ranges and choices of the settings that they set."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

import click
import pytest
from pydantic.fields import FieldInfo

import mcd
from mcd.options import Bounds, bounds_of
from mcd_plugins.cav.asked import Settings
from mcd_plugins.cav.command import cav
from mcd_plugins.cav.vectors import METHODS
from mcd_plugins.dictionary.import_command import import_saved
from mcd_plugins.dictionary.importing.formats import FORMATS
from mcd_plugins.dictionary.record import Training
from mcd_plugins.dictionary.train_command import train as train_command
from mcd_plugins.dictionary.training import train
from mcd_plugins.finetune.command import finetune
from mcd_plugins.finetune.recipe import Recipe


def flags_of(command: click.Command) -> Mapping[str, click.Option]:
    return {one.name: one for one in command.params if isinstance(one, click.Option) and one.name is not None}


def range_of(flag: click.Option) -> Bounds:
    kind = flag.type
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return Bounds()
    return Bounds(kind.min, kind.max, kind.min_open, kind.max_open)


def declared(field: FieldInfo) -> Bounds:
    return bounds_of(field.annotation, field.metadata)


def choices_of(command: click.Command, name: str) -> Sequence[str]:
    kind = flags_of(command)[name].type
    assert isinstance(kind, click.Choice)
    return list(kind.choices)


@pytest.mark.parametrize(("command", "settings"), [(cav, Settings), (finetune, Recipe)])
def test_flags_have_the_defaults_and_ranges_of_settings(command: click.Command, settings: type[mcd.Options]) -> None:
    found = {name: one for name, one in flags_of(command).items() if name in settings.model_fields}
    assert found.keys() == settings.model_fields.keys()
    fields = settings.model_fields
    assert {name: range_of(one) for name, one in found.items()} == {name: declared(fields[name]) for name in found}
    shown = {name: one.default for name, one in found.items() if one.show_default}
    assert len(shown) >= 4
    assert shown == {name: fields[name].default for name in shown}


def test_flags_of_training_a_dictionary_are_those_of_its_record_and_of_python() -> None:
    found = {name: flags_of(train_command)[name] for name in ("positions", "share", "seed")}
    assert {name: range_of(one) for name, one in found.items()} == {
        name: declared(Training.model_fields[name]) for name in found
    }
    own = inspect.signature(train).parameters
    assert {name: one.default for name, one in found.items()} == {name: own[name].default for name in found}


def test_what_can_be_chosen_is_what_there_is() -> None:
    assert choices_of(cav, "methods") == list(METHODS)
    assert choices_of(import_saved, "name") == list(FORMATS)
