"""What a component does beyond the plugin that it comes from: code that it runs, files that it reads, what it fetches.

Its settings say so by their declarations; nothing is created, and no file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mcd.api.dataset import CompositeDataset
from mcd.components import Kind
from mcd.networks.hub import HUB_PREFIXES
from mcd.study.located import KINDS
from mcd.study.paths import Declared, mapped
from mcd.study.resolve import class_and_values, names_function, recipe_class
from mcd.study.study import Choice, ModelChoice, Study
from mcd.study.vocabularies.loading import split_references

if TYPE_CHECKING:
    import pydantic

    from mcd.host import PluginHost

__all__ = ["Reach", "code_lines", "means_plugin", "reaches"]

_DOES = {"code": "runs code", "file": "reads", "hub": "may fetch"}


@dataclass(frozen=True)
class Reach:
    """One thing that a component does beyond its plugin.

    Parameters
    ----------
    what
        ``code`` that runs, a ``file`` or folder that is read, or something that may come from the ``hub``.
    whose
        The component, as messages name it.
    text
        What is named, as it is written.
    """

    what: Literal["code", "file", "hub"]
    whose: str
    text: str

    def __str__(self) -> str:
        return f"{self.whose} {_DOES[self.what]}: {self.text}"


def reaches(host: PluginHost, kind: Kind, choice: Choice) -> Iterator[Reach]:
    """Yield what a component does beyond its plugin.

    Raises
    ------
    mcd.errors.MCDError
        When the component is unknown or broken.
    """
    if isinstance(choice, ModelChoice):
        for one in choice.units:
            yield from reaches(host, Kind.UNITS, one)
    name = choice.plugin.partition(":")[0]
    whose = f"{kind.label} '{name}'"
    if kind is Kind.SCORER and names_function(choice.plugin):
        yield Reach("code", kind.label, choice.plugin)
        return
    if kind is Kind.CONCEPTS:
        for part in split_references(choice.plugin):
            if not means_plugin(host, part):
                yield Reach("file", kind.label, part)
        if not means_plugin(host, choice.plugin) or not isinstance(host.load(kind, name), type):
            return  # a file of a plugin has no settings
    cls: type[pydantic.BaseModel]
    values: Mapping[str, object]
    if kind is Kind.PREPROCESSING:
        cls, values = recipe_class(host, choice), choice.options
    else:
        component, values = class_and_values(host, kind, choice)
        cls = component.Options
        if issubclass(component, CompositeDataset):
            yield from _of_parts(host, values.get("parts"))
            values = {key: value for key, value in values.items() if key != "parts"}
    yield from _declared(cls, values, whose)


def means_plugin(host: PluginHost, reference: str) -> bool:
    """Say whether a concept set is one that a plugin offers; what is not is taken for a file."""
    name = reference.partition(":")[0]
    return any(name in (offer.component.name, offer.qualified) for offer in host.offers(Kind.CONCEPTS))


def _of_parts(host: PluginHost, parts: object) -> Iterator[Reach]:
    for one in parts if isinstance(parts, list | tuple) else ():
        if isinstance(one, str):
            yield from reaches(host, Kind.DATASET, Choice(plugin=one))
        elif isinstance(one, Mapping) and isinstance(one.get("plugin"), str):
            options = one.get("options")
            values = dict(options) if isinstance(options, Mapping) else {}
            yield from reaches(host, Kind.DATASET, Choice(plugin=one["plugin"], options=values))


def _declared(cls: type[pydantic.BaseModel], values: Mapping[str, object], whose: str) -> Iterator[Reach]:
    found: list[Reach] = []

    def note(value: object, declared: Declared) -> object:
        text = str(value)
        if isinstance(value, str | Path) and text:
            if declared.code:
                found.append(Reach("code", whose, text))
            elif declared.may_be_path:
                found.append(Reach("hub" if text.startswith(HUB_PREFIXES) else "file", whose, text))
        if declared.fetches(value):
            found.append(Reach("hub", whose, text))
        return value

    mapped(cls, values, note)
    yield from found


def code_lines(host: PluginHost, study: Study) -> list[str]:
    """Return which code a study runs besides that of plugins, a line each.

    Raises
    ------
    mcd.errors.MCDError
        As `reaches`.
    """
    lines = []
    for field, kind in KINDS.items():
        value: Choice | tuple[Choice, ...] | None = getattr(study, field)
        for one in (value,) if isinstance(value, Choice) else value or ():
            lines += [str(reach) for reach in reaches(host, kind, one) if reach.what == "code"]
    return list(dict.fromkeys(lines))
