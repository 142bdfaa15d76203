"""From names to components: find the plugin, validate the settings, create the object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mcd.api.base import Configured
from mcd.api.image import Preprocessing
from mcd.components import Kind
from mcd.errors import ConfigError, MCDError, PluginLoadError
from mcd.options import Options, validate_options
from mcd.study.study import Choice, Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["created", "names_function", "resolve_options", "resolve_recipe", "resolved_choice", "with_defaults"]

ComponentT = TypeVar("ComponentT", bound=Configured)
ChoiceT = TypeVar("ChoiceT", bound=Choice)


def resolve_options(
    host: PluginHost, kind: Kind, choice: Choice, base: Path | None = None
) -> tuple[type[Configured], Options]:
    """Return the class of a component and its validated options; nothing is created.

    ``base`` is the folder that relative paths are meant from: that of the study file.

    Raises
    ------
    mcd.errors.MCDError
        When the component is unknown or broken, or a setting does not fit.
    """
    name, _, value = choice.plugin.partition(":")
    cls = host.load(kind, name)
    if not (isinstance(cls, type) and issubclass(cls, Configured)):
        raise PluginLoadError(f"{kind.label} '{name}' is not a component class")
    values: dict[str, object] = dict(choice.options)
    if value:
        primary = cls.Options.primary()
        if primary is None:
            raise ConfigError(f"{kind.label} '{name}' takes no value, but got '{value}'", f"write {name}")
        if primary in values:
            raise ConfigError(f"{kind.label} '{name}': '{primary}' is set twice, as {name}:{value} and by its name")
        values[primary] = value
    options = validate_options(cls.Options, values, f"{kind.label} '{name}'")
    return cls, _based(options, base)


def _based(options: Options, base: Path | None) -> Options:
    if base is None:
        return options
    moved = {
        name: base / value
        for name, value in ((name, getattr(options, name)) for name in type(options).model_fields)
        if isinstance(value, Path) and not value.is_absolute()
    }
    return options.model_copy(update=moved) if moved else options


def created(cls: type[Configured], options: Options, base_class: type[ComponentT]) -> ComponentT:
    """Create a component and make sure of what kind it is."""
    component = cls(options)
    if not isinstance(component, base_class):
        raise PluginLoadError(f"{cls.__name__} is not a {base_class.__name__}")
    return component


def names_function(reference: str) -> bool:
    """Say whether a scorer is named as a function of a file, ``path/to/file.py:function``."""
    return reference.rpartition(":")[0].endswith(".py")


def resolve_recipe(host: PluginHost, choice: Choice) -> Preprocessing:
    """Return a preprocessing recipe by name, with its settings.

    Raises
    ------
    mcd.errors.MCDError
        When it is unknown or broken, or a setting does not fit.
    """
    made = host.load(Kind.PREPROCESSING, choice.plugin)
    if not (isinstance(made, type) and issubclass(made, Preprocessing)):
        raise PluginLoadError(f"preprocessing '{choice.plugin}' is not a subclass of mcd.Preprocessing")
    return validate_options(made, choice.options, f"preprocessing '{choice.plugin}'")


def resolved_choice(choice: ChoiceT, options: Options) -> ChoiceT:
    """Return a choice with its bare name and all options, defaults included."""
    values: Mapping[str, object] = options.model_dump(mode="json")
    return choice.model_copy(update={"plugin": choice.plugin.partition(":")[0], "options": dict(values)})


def with_defaults(host: PluginHost, study: Study) -> Study:
    """Return a recorded study with the settings that its components have got since, at their defaults.

    A component that is not found, or no longer takes its recorded settings, stays as it is.
    """

    def filled(kind: Kind, choice: ChoiceT) -> ChoiceT:
        try:
            return resolved_choice(choice, resolve_options(host, kind, choice)[1])
        except MCDError:
            return choice

    return study.model_copy(
        update={
            "models": tuple(filled(Kind.MODEL, one) for one in study.models),
            "dissectors": tuple(filled(Kind.DISSECTOR, one) for one in study.dissectors),
            "dataset": filled(Kind.DATASET, study.dataset),
            "scorer": filled(Kind.SCORER, study.scorer),
            "recipe": study.recipe and _recipe_with_defaults(host, study.recipe),
        }
    )


def _recipe_with_defaults(host: PluginHost, choice: Choice) -> Choice:
    try:
        return choice.model_copy(update={"options": resolve_recipe(host, choice).model_dump(mode="json")})
    except MCDError:
        return choice
