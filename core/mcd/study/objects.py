"""What the verbs of the Python face take: names of components, their settings, or plain objects."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, TypeVar, cast

import pydantic
import torch
from torch import nn

from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset
from mcd.api.model import Target
from mcd.api.scorer import Scorer
from mcd.api.units import Units, UnitSource
from mcd.errors import ConfigError, UsageError, with_article
from mcd.host import PluginHost
from mcd.networks.fitness import no_network
from mcd.options import in_words
from mcd.study.preparer import DatasetLike, Preparer, ScorerLike, UnitsLike
from mcd.study.study import Choice, ModelChoice, UnitsChoice

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

__all__ = [
    "Component",
    "Concepts",
    "UnitsGiven",
    "as_choice",
    "as_choices",
    "as_concepts",
    "as_dataset",
    "as_model",
    "as_patterns",
    "as_scorer",
    "as_units",
    "host_for",
]

Component = str | Mapping[str, object] | Choice
"""A component by name (``"timm:resnet50"``), or as ``{"plugin": "timm", "options": {…}}``."""
Concepts = Component | Sequence[str] | Sequence[Mapping[str, object]] | Sequence[Choice] | ConceptSet
"""Concept sets by name, words, categories with their words (``{"masses": ["mass", "cyst"]}``), or a concept set."""
UnitsGiven = str | Mapping[str, object] | UnitsLike
"""Units by the name of their source and a file (``"directions:cavs.safetensors"``), or as an object."""
ChoiceT = TypeVar("ChoiceT", bound=Choice)


def host_for(plugin_files: Sequence[str | Path], *, progress: bool = True) -> PluginHost:
    """Return the installed plugins and those of local files; without progress bars where they are not wanted.

    Raises
    ------
    ConfigError
        When something is no path.
    """
    environment = dict(os.environ)
    if not progress:
        environment["MCD_DISABLE_PLUGINS"] = f"{environment.get('MCD_DISABLE_PLUGINS', '')},progress"
    return PluginHost.discover([_plugin_file(one) for one in _one_by_one(plugin_files, str | Path)], environment)


def _one_by_one(value: object, single: type | UnionType) -> Iterable[object]:
    """Return what was given one by one, where one or several may be."""
    return value if isinstance(value, Iterable) and not isinstance(value, single) else [value]


def _plugin_file(value: object) -> Path:
    if isinstance(value, str | Path):
        return Path(value)
    raise ConfigError(f"{_kind(value)} is no plugin file", 'give paths: plugin_files=["mine.py"]')


def as_choice(value: object, kind: type[ChoiceT]) -> ChoiceT:
    """Return a component as a study names it.

    Raises
    ------
    ConfigError
        When the value names no component.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, str | Mapping | Choice):
        raise ConfigError(f"{_kind(value)} does not name a component", _NAMES)
    try:
        return kind.model_validate(value if isinstance(value, str) else dict(value))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{reprlib.repr(value)} does not name a component: {in_words(first)}", _NAMES) from None


def _kind(value: object) -> str:
    return "None" if value is None else with_article(type(value).__name__)


_NAMES = 'give a name or {"plugin": …, "options": {…}}'


def as_model(value: object) -> ModelChoice | Target | nn.Module:
    """Return a model as `Preparer.target` takes it.

    Raises
    ------
    UsageError
        When it is neither a network nor the name of one.
    """
    if isinstance(value, Target | nn.Module):
        return value
    if isinstance(value, str | ModelChoice) or (isinstance(value, Mapping) and "plugin" in value):
        return as_choice(value, ModelChoice)
    raise no_network(value)


def as_choices(value: Component | Sequence[Component]) -> tuple[Choice, ...]:
    """Return one component, or several, as a study names them.

    Raises
    ------
    ConfigError
        When one names no component.
    """
    return tuple(as_choice(one, Choice) for one in _one_by_one(value, str | Mapping | Choice))


def as_patterns(layers: object, target: Target) -> tuple[str, ...]:
    """Return patterns that pick layers; of a module of the target, its name.

    Raises
    ------
    UsageError
        When a module is none of the target's, or something is neither a pattern nor a module.
    """
    names = {id(module): name for name, module in target.module.named_modules()}
    each = layers if isinstance(layers, Sequence | Iterator) and not isinstance(layers, str) else [layers]
    found = []
    for one in each:
        if isinstance(one, str):
            found.append(one)
        elif not isinstance(one, nn.Module):
            raise UsageError(f"{_kind(one)} is no layer", "give patterns of names, or modules of the network")
        elif not names.get(id(one)):
            what = "the network itself" if id(one) in names else f"no module of {target.name}"
            raise UsageError(f"the {type(one).__name__} that was given as layer is {what}", "list names: mcd layers")
        else:
            found.append(names[id(one)])
    return tuple(found)


def as_dataset(value: Component | Dataset | TorchDataset[object]) -> DatasetLike:
    """Return a data set as `Preparer.dataset` takes it.

    Raises
    ------
    ConfigError
        When it is a mapping that names no component.
    """
    if isinstance(value, Mapping) and "plugin" not in value:
        raise ConfigError("a mapping is not a data set", f"of images give a list: list(images.values()); or {_NAMES}")
    return as_choice(value, Choice) if isinstance(value, str | Mapping | Choice) else value


def as_scorer(value: Component | Scorer | Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> ScorerLike:
    """Return a scorer as `Preparer.scorer` takes it."""
    return as_choice(value, Choice) if isinstance(value, str | Mapping | Choice) else value


def as_units(value: UnitsGiven | Sequence[UnitsGiven]) -> list[UnitsLike]:
    """Return units as `Preparer.units` takes them.

    Raises
    ------
    ConfigError
        When something names none.
    """
    return [
        one if isinstance(one, Units | UnitSource) else as_choice(one, UnitsChoice)
        for one in _one_by_one(value, str | Mapping | Choice)
    ]


def as_concepts(preparer: Preparer, value: Concepts) -> tuple[ConceptSet, tuple[Choice, ...]]:
    """Return a concept set, and the choices that the manifest records."""
    if isinstance(value, Mapping) and not isinstance(value.get("plugin"), str):
        value = ConceptSet.from_categories(cast("Mapping[str, Sequence[str]]", value))
    if isinstance(value, str | Mapping | Choice):
        return preparer.concepts(as_choices(value))
    if isinstance(value, ConceptSet):
        concept_set = value
    else:
        each = _each(value)
        if not all(isinstance(one, str) for one in each):
            return preparer.concepts(as_choices(each))
        concept_set = ConceptSet.from_words(cast("list[str]", each))
    return concept_set, (Choice(plugin="object", options={"name": concept_set.name}),)


def _each(value: object) -> list[Component]:
    """Return words, or concept sets, as a list; a set, which has no order, in that of the alphabet.

    Raises
    ------
    ConfigError
        When they are neither, or both.
    """
    if not isinstance(value, Iterable):
        raise ConfigError(f"concepts cannot be of type {type(value).__name__}", _CONCEPTS)
    each = sorted(value) if isinstance(value, Set) and all(isinstance(one, str) for one in value) else list(value)
    odd = [one for one in each if not isinstance(one, str | Mapping | Choice)]
    if odd:
        raise ConfigError(f"{reprlib.repr(odd[0])} is no concept", _CONCEPTS)
    words = [one for one in each if isinstance(one, str)]
    if words and len(words) < len(each):
        raise ConfigError(f"'{words[0]}' is a word, beside it are concept sets", _CONCEPTS)
    return each


_CONCEPTS = "give words, or categories with their words, or concept sets by name: {'plugin': 'birads'}"
