"""The settings of a study file with every path from the current folder, before flags have their say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.dataset import CompositeDataset
from mcd.components import Kind
from mcd.documents import read_document, validate_document
from mcd.errors import MCDError
from mcd.files import expanded
from mcd.study.paths import placed
from mcd.study.resolve import class_and_values, names_function, recipe_class
from mcd.study.study import Choice, Study, UnitsChoice
from mcd.study.vocabularies.loading import names_file, split_references

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["KINDS", "as_written", "located", "study_file"]

KINDS = {
    "dataset": Kind.DATASET,
    "recipe": Kind.PREPROCESSING,
    "concepts": Kind.CONCEPTS,
    "reporters": Kind.REPORTER,
    "scorer": Kind.SCORER,
    "dissectors": Kind.DISSECTOR,
    "models": Kind.MODEL,
}
"""What kind of component each field of a study names; those first that are found without importing torch."""


def located(
    host: PluginHost, settings: Mapping[str, object], base: Path, fields: Collection[str] = KINDS.keys()
) -> dict[str, object]:
    """Return the settings of a study with the paths in them from the current folder, those of nested options too.

    Parameters
    ----------
    host
        The plugins: the types of a component's options say which of them are paths.
    settings
        As a study file has them.
    base
        The folder of that file.
    fields
        Of which components.
    """
    found = dict(settings)
    if isinstance(cache := found.get("cache"), str | Path):
        found["cache"] = str(base / expanded(cache))
    if isinstance(store := found.get("store"), str | Path) and str(store) != "off":
        found["store"] = str(base / expanded(store))
    for field in fields:
        kind, value = KINDS[field], found.get(field)
        if isinstance(value, list | tuple):
            found[field] = [part for one in value for part in _several(host, kind, one, base)]
        elif value is not None:
            several = _several(host, kind, value, base)
            found[field] = several[0] if len(several) == 1 else several
    return found


def _several(host: PluginHost, kind: Kind, chosen: object, base: Path) -> list[dict[str, object]]:
    one = {"plugin": chosen} if isinstance(chosen, str) else dict(chosen) if isinstance(chosen, Mapping) else {}
    if kind is Kind.MODEL and one.get("units"):
        one["units"] = [_units(host, each, base) for each in _one_by_one(one["units"])]
    if kind is not Kind.CONCEPTS:
        return [_component(host, kind, one, base)]
    parts = split_references(str(one["plugin"]), base)
    if len(parts) > 1 and one.get("options"):
        return [one]  # which set they belong to is ambiguous; this is refused later
    return [_concepts(host, {**one, "plugin": part}, base) for part in parts]


def _one_by_one(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]


def _units(host: PluginHost, chosen: object, base: Path) -> dict[str, object]:
    return _component(host, Kind.UNITS, UnitsChoice.model_validate(chosen).model_dump(exclude_defaults=True), base)


def _concepts(host: PluginHost, chosen: dict[str, object], base: Path) -> dict[str, object]:
    reference = str(chosen["plugin"])
    if names_file(reference, base):
        return {**chosen, "plugin": str(base / expanded(reference))}
    return _component(host, Kind.CONCEPTS, chosen, base)


def _component(host: PluginHost, kind: Kind, chosen: dict[str, object], base: Path) -> dict[str, object]:
    """Return a component with its paths; one that cannot be found stays as it is: flags may name another."""
    choice = Choice.model_validate({key: chosen[key] for key in ("plugin", "options") if key in chosen})
    if kind is Kind.SCORER and names_function(choice.plugin):
        return {**chosen, "plugin": str(base / expanded(choice.plugin))}
    if not choice.options and ":" not in choice.plugin:
        return chosen
    try:
        if kind is Kind.PREPROCESSING:
            return {**chosen, "options": placed(recipe_class(host, choice), choice.options, base)}
        cls, values = class_and_values(host, kind, choice)
    except MCDError:
        return chosen
    options = placed(cls.Options, values, base)
    if issubclass(cls, CompositeDataset) and isinstance(parts := options.get("parts"), list | tuple):
        options["parts"] = [part for one in parts for part in _several(host, kind, one, base)]
    return {**chosen, "plugin": choice.plugin.partition(":")[0], "options": options}


def as_written(study: Study) -> dict[str, object]:
    """Return a study as its file would have it: the settings that were given, and no defaults."""
    return study.model_dump(mode="json", by_alias=True, exclude_unset=True)


def study_file(host: PluginHost, path: Path, fields: Collection[str] = KINDS.keys()) -> dict[str, object]:
    """Return the settings that a study file gives, its relative paths from the current folder: those of ``fields``.

    Raises
    ------
    mcd.errors.MCDError
        When it cannot be read or a setting does not fit: with file and line.
    """
    return located(host, as_written(validate_document(read_document(path), Study)), path.parent, fields)
