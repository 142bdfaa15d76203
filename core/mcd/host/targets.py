"""A component's target is imported and held to its contract."""

from __future__ import annotations

import importlib
import importlib.resources
import importlib.util
import inspect
from importlib.resources.abc import Traversable
from pathlib import Path

from mcd.components import Kind
from mcd.errors import MCDError, MissingDependencyError, PluginLoadError, nearest, passes_through, said_by
from mcd.host.records import Offer
from mcd.version import DISTRIBUTION

__all__ = ["BASES", "install_command", "load_target"]

# named, not imported: most of these import numpy or pydantic, and a listing needs none of them
BASES = {
    Kind.MODEL: ("mcd.api.model", "ModelLoader"),
    Kind.DISSECTOR: ("mcd.api.dissector", "Dissector", "AnnotationDissector"),
    Kind.DATASET: ("mcd.api.dataset", "Dataset"),
    Kind.PREPROCESSING: ("mcd.api.image", "Preprocessing"),
    Kind.UNITS: ("mcd.api.units", "UnitSource"),
    Kind.SCORER: ("mcd.api.scorer", "Scorer"),
    Kind.REPORTER: ("mcd.api.reporter", "Reporter"),
    Kind.CONCEPTS: ("mcd.api.concepts", "ConceptSource"),
}
_FILES = (".yaml", ".yml")


def load_target(offer: Offer) -> object:
    """Import what a component names.

    Returns
    -------
    object
        A class; a ``click.Command`` for a command; for a concept set that is a file, that file.

    Raises
    ------
    MissingDependencyError
        When a distribution that the component requires is not installed.
    PluginLoadError
        When the target does not import or breaks its contract.
    """
    missing = offer.missing()
    if missing:
        raise MissingDependencyError(
            f"{offer} needs {', '.join(missing)}, which is not installed", install_command(offer, missing)
        )
    try:
        return _resolved(offer)
    except MCDError:
        raise
    except BaseException as error:  # a plugin may raise anything
        if passes_through(error):
            raise
        raise _failure(offer, said_by(error, whole=True)) from error


def install_command(offer: Offer, missing: tuple[str, ...]) -> str:
    """Return the command that installs what a component misses."""
    if offer.component.extra:
        return f'pip install "{DISTRIBUTION}[{offer.component.extra}]"'
    plain = all(character.isalnum() or character in "-_." for text in missing for character in text)
    return "pip install " + " ".join(text if plain else f'"{text}"' for text in missing)


def _failure(offer: Offer, reason: str, hint: str = "") -> PluginLoadError:
    return PluginLoadError(
        f"{offer} does not load: {reason}",
        hint or f"its target is {offer.component.target}; for the traceback: mcd plugins check {offer.plugin}",
    )


def _resolved(offer: Offer) -> object:
    module_name, _, attribute = offer.component.target.partition(":")
    own_file = offer.record.file
    is_own = bool(own_file) and module_name == Path(own_file).stem
    if offer.kind is Kind.CONCEPTS and attribute.endswith(_FILES):
        folder = Path(own_file).resolve().parent if is_own else _folder(module_name)
        return _existing(offer, folder.joinpath(attribute))
    # a plugin file calls itself by its stem; its module has a name that no other file can have
    module = importlib.import_module(offer.record.module if is_own else module_name)
    missing = object()
    found: object = module
    for name in attribute.split("."):
        found = getattr(found, name, missing)
    if found is missing:
        there = [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]
        raise _failure(offer, f"{module_name} has no '{attribute}'", nearest(attribute, there))
    _check(offer, found)
    return found


def _folder(package: str) -> Traversable:
    """Return the folder of a package without importing it: a vocabulary needs no Python, and runs none."""
    top, *below = package.split(".")
    spec = importlib.util.find_spec(top)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(location, *below)
        if folder.is_dir():
            return folder
    return importlib.resources.files(package)  # it lies in a zip file, or does not exist


def _existing(offer: Offer, file: Traversable) -> Traversable:
    if not file.is_file():
        raise _failure(offer, f"there is no file {file}", "a data file must be part of the built package")
    return file


def _check(offer: Offer, found: object) -> None:
    """Hold a target to the contract of its kind, as far as can be seen without creating it."""
    if offer.kind is Kind.COMMAND:
        import click

        if not isinstance(found, click.Command):
            raise _failure(offer, f"{offer.component.target} is not a click.Command")
        return
    home, *names = BASES[offer.kind]
    bases = tuple(getattr(importlib.import_module(home), name) for name in names)
    if not (isinstance(found, type) and issubclass(found, bases)):
        wanted = " or ".join(f"mcd.{name}" for name in names)
        raise _failure(offer, f"{offer.component.target} is not a subclass of {wanted}")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise _failure(offer, f"{offer.component.target} does not implement {lacking}")
