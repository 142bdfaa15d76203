"""From names to components: find the plugin, validate the settings, create the object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mcd.api.base import Configured
from mcd.api.image import Preprocessing
from mcd.components import Kind
from mcd.errors import ConfigError, MCDError, PluginLoadError
from mcd.networks.foreign import calling
from mcd.options import Options, validate_options
from mcd.study.paths import placed
from mcd.study.study import Choice, Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = [
    "class_and_values",
    "created",
    "names_function",
    "recipe_class",
    "resolve_options",
    "resolve_recipe",
    "resolved",
    "with_defaults",
]

ComponentT = TypeVar("ComponentT", bound=Configured)
ChoiceT = TypeVar("ChoiceT", bound=Choice)


def resolve_options(host: PluginHost, kind: Kind, choice: Choice) -> tuple[type[Configured], Options]:
    """Return the class of a component and its validated options; nothing is created.

    Raises
    ------
    mcd.errors.MCDError
        When the component is unknown or broken, or a setting does not fit.
    """
    if choice.found is not None:
        cls, options = choice.found
        assert issubclass(cls, Configured)
        assert isinstance(options, Options)
        return cls, options
    cls, values = class_and_values(host, kind, choice)
    name = choice.plugin.partition(":")[0]
    return cls, validate_options(cls.Options, placed(cls.Options, values, Path()), f"{kind.label} '{name}'")


def class_and_values(host: PluginHost, kind: Kind, choice: Choice) -> tuple[type[Configured], dict[str, object]]:
    """Return the class of a component, and its settings as they are written, that of ``NAME:VALUE`` among them.

    Raises
    ------
    mcd.errors.MCDError
        When the component is unknown or broken, or takes no value.
    """
    name, _, value = choice.plugin.partition(":")
    cls = host.load(kind, name)
    if not (isinstance(cls, type) and issubclass(cls, Configured)):
        raise PluginLoadError(
            f"{kind.label} '{name}' is not a component class", "its author has to mend it; see: mcd plugins check"
        )
    values: dict[str, object] = dict(choice.options)
    if value:
        primary = cls.Options.primary()
        if primary is None:
            raise ConfigError(f"{kind.label} '{name}' takes no value, but got '{value}'", f"write {name}")
        if primary in values:
            raise ConfigError(
                f"{kind.label} '{name}': '{primary}' is set twice, as {name}:{value} and by its name", "say it once"
            )
        values[primary] = value
    return cls, values


_ITS_AUTHOR = "its plugin is at fault; see what is wrong with: mcd plugins check"


def created(
    cls: type[Configured], options: Options, base_class: type[ComponentT], what: str = "the component"
) -> ComponentT:
    """Create a component, called ``what`` in messages, and make sure of what kind it is."""
    with calling(f"{what} cannot be created", _ITS_AUTHOR, kind=PluginLoadError):
        component = cls(options)
    if not isinstance(component, base_class):
        raise PluginLoadError(f"{what} is not made of a class derived from mcd.{base_class.__name__}", _ITS_AUTHOR)
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
    if choice.found is not None:
        found = choice.found[1]
        assert isinstance(found, Preprocessing)
        return found
    made = recipe_class(host, choice)
    return validate_options(made, placed(made, choice.options, Path()), f"preprocessing '{choice.plugin}'")


def recipe_class(host: PluginHost, choice: Choice) -> type[Preprocessing]:
    """Return the class of a preprocessing recipe.

    Raises
    ------
    mcd.errors.MCDError
        When it is unknown or broken.
    """
    made = host.load(Kind.PREPROCESSING, choice.plugin)
    if not (isinstance(made, type) and issubclass(made, Preprocessing)):
        raise PluginLoadError(
            f"preprocessing '{choice.plugin}' is not a subclass of mcd.Preprocessing",
            "its author has to mend it; see: mcd plugins check",
        )
    return made


def resolved(host: PluginHost, kind: Kind, choice: ChoiceT) -> ChoiceT:
    """Return a choice with its bare name and all options, defaults included; they are validated once.

    Raises
    ------
    mcd.errors.MCDError
        As `resolve_options` and `resolve_recipe`.
    """
    if choice.found is not None:
        return choice
    if kind is Kind.PREPROCESSING:
        recipe = resolve_recipe(host, choice)
        return choice.as_found(type(recipe), recipe)
    return choice.as_found(*resolve_options(host, kind, choice))


def with_defaults(host: PluginHost, study: Study) -> Study:
    """Return a recorded study with the settings that its components have got since, at their defaults.

    A component that is not found, or no longer takes its recorded settings, stays as it is.
    """

    def filled(kind: Kind, choice: ChoiceT) -> ChoiceT:
        try:
            return resolved(host, kind, choice)
        except MCDError:
            return choice

    return study.model_copy(
        update={
            "models": tuple(
                filled(Kind.MODEL, one).model_copy(
                    update={"units": tuple(filled(Kind.UNITS, each) for each in one.units)}
                )
                for one in study.models
            ),
            "dissectors": tuple(filled(Kind.DISSECTOR, one) for one in study.dissectors),
            "dataset": filled(Kind.DATASET, study.dataset),
            "scorer": filled(Kind.SCORER, study.scorer),
            "recipe": study.recipe and filled(Kind.PREPROCESSING, study.recipe),
        }
    )
