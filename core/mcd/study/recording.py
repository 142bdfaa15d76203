"""A study as a manifest shows it: what its declarations call a path is not in it, nor is what asks for a person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from mcd.api.dataset import CompositeDataset
from mcd.components import Kind
from mcd.errors import MCDError
from mcd.networks.hub import HUB_PREFIXES
from mcd.study.located import KINDS
from mcd.study.paths import Declared, mapped
from mcd.study.privacy import hidden, names_people
from mcd.study.reach import means_plugin
from mcd.study.resolve import class_and_values, names_function, recipe_class
from mcd.study.study import Choice, ModelChoice, Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["recorded", "recorded_component"]

Json = pydantic.JsonValue


def recorded(
    host: PluginHost,
    study: Study,
    *,
    public_labels: bool = False,
    before: tuple[Study, Mapping[str, Json]] | None = None,
) -> dict[str, Json]:
    """Return the settings of a study as a manifest shows them.

    A path becomes its last part; of the data set, whose folders may be called after people, a salted digest, and so
    does a condition on patients, exams or labels. Which settings are paths is what components declare. Of a component
    that is not installed here every text is hidden. With ``keep_identifiers`` all is shown.

    Parameters
    ----------
    host
        The plugins, whose components declare their settings.
    study
        The study.
    public_labels
        Whether the labels of the data set identify nobody.
    before
        Another study with what its manifest shows: what is the same in both is shown alike.
    """
    settings = study.settings()
    if study.keep_identifiers:
        return settings
    shown = dict(settings)
    for field, kind in KINDS.items():
        value: Choice | tuple[Choice, ...] | None = getattr(study, field)
        if isinstance(value, Choice):
            shown[field] = _component(host, kind, value, settings[field])
        elif value:
            each = settings[field]
            assert isinstance(each, list)
            shown[field] = [_component(host, kind, one, dumped) for one, dumped in zip(value, each, strict=True)]
    if study.cache is not None:
        shown["cache"] = study.cache.name
    if study.store is not None:
        shown["store"] = study.store.name
    if study.where is not None and names_people(study.where, public_labels=public_labels):
        shown["where"] = hidden(study.where)
    if before is not None:
        own, seen = before
        known = own.settings()
        shown |= {name: seen[name] for name in settings if name in seen and known.get(name) == settings[name]}
    return shown


def recorded_component(host: PluginHost, kind: Kind, choice: Choice) -> dict[str, Json]:
    """Return a component by itself, as `recorded` shows it."""
    found = _component(host, kind, choice, choice.model_dump(mode="json"))
    assert isinstance(found, dict)
    return found


def _component(host: PluginHost, kind: Kind, choice: Choice, dumped: Json) -> Json:
    """Return a component as it is shown; ``dumped`` is all of it, with its name, layers and the like."""
    assert isinstance(dumped, dict)
    if choice.plugin == "object":
        return dumped
    if (kind is Kind.SCORER and names_function(choice.plugin)) or (
        kind is Kind.CONCEPTS and not means_plugin(host, choice.plugin)
    ):
        return {**dumped, "plugin": Path(choice.plugin).name}
    name, colon, _ = choice.plugin.partition(":")
    try:
        plugin, options = _shown(host, kind, choice)
    except MCDError:
        plugin, options = name + (f":{_HIDDEN}" if colon else ""), _all_hidden(choice.options)
    more: dict[str, Json] = {}
    if isinstance(choice, ModelChoice):
        units = dumped["units"]
        assert isinstance(units, list)
        more["units"] = [_component(host, Kind.UNITS, *each) for each in zip(choice.units, units, strict=True)]
    return {**dumped, "plugin": plugin, "options": options, **more}


_HIDDEN = "hidden"


def _shown(host: PluginHost, kind: Kind, choice: Choice) -> tuple[str, Json]:
    """Return a component's name, with its value where it has one, and its settings."""
    cls: type[pydantic.BaseModel]
    parts: Json = None
    if kind is Kind.PREPROCESSING:
        name, value, cls = choice.plugin, "", recipe_class(host, choice)
    else:
        name, _, value = choice.plugin.partition(":")
        found = host.load(kind, name)
        if not isinstance(found, type):  # a vocabulary in a package
            return choice.plugin, dict(choice.options)
        component, _ = class_and_values(host, kind, choice)
        cls = component.Options
        if issubclass(component, CompositeDataset) and isinstance(one := choice.options.get("parts"), list):
            parts = [_part(host, part) for part in one]

    def change(text: object, declared: Declared) -> object:
        if not isinstance(text, str | Path) or not (declared.may_be_path or _looks_like_path(str(text))):
            return text
        if kind is Kind.DATASET:
            return hidden(str(text))
        return str(text) if str(text).startswith(HUB_PREFIXES) else Path(text).name

    options = mapped(cls, choice.options, change)
    primary = component.Options.primary() if kind is not Kind.PREPROCESSING and value else None
    if primary is not None:
        name = f"{name}:{mapped(cls, {primary: value}, change)[primary]}"
    if parts is not None:
        options["parts"] = parts
    return name, _json(options)


def _part(host: PluginHost, part: Json) -> Json:
    """Return a part of a data set that is made of others, as it is shown."""
    if isinstance(part, str):
        part = {"plugin": part}
    if not (isinstance(part, dict) and isinstance(part.get("plugin"), str)):
        return _HIDDEN
    options = part.get("options")
    choice = Choice.model_validate({"plugin": part["plugin"], "options": options if isinstance(options, dict) else {}})
    return _component(host, Kind.DATASET, choice, {**part})


def _all_hidden(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _all_hidden(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_all_hidden(one) for one in value]
    return hidden(value) if isinstance(value, str) and value else value


def _json(options: Mapping[str, object]) -> Json:
    found: Json = pydantic.TypeAdapter(dict[str, Json]).validate_python(dict(options))
    return found


def _looks_like_path(text: str) -> bool:
    """Say whether a text is one whatever it is declared as: by how it is written, not by what is there."""
    return Path(text).is_absolute() or text.startswith(("~", "./", "../", ".\\", "..\\"))
