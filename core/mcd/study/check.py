"""A study whose every name exists and whose every setting is valid, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from mcd.components import Kind
from mcd.errors import ConfigError, nearest
from mcd.networks.pooling import POOLINGS
from mcd.options import causes, problem_line
from mcd.study.resolve import names_function, resolve_options, resolve_recipe, resolved_choice
from mcd.study.study import Choice, DissectorChoice, ModelChoice, Study
from mcd.study.vocabularies.loading import split_choices

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from mcd.host import PluginHost

__all__ = ["checked_study"]

_FLAGS = {
    "models": "--model-plugin NAME",
    "dataset": "--dataset NAME:VALUE, such as images:DIR",
    "dissectors": "--dissector NAME",
}


def checked_study(host: PluginHost, settings: Mapping[str, object], base: Path | None) -> Study:
    """Return the study with every setting explicit, and every path from the current folder.

    ``base`` is the folder that relative paths are written from: that of the study file.

    Raises
    ------
    mcd.errors.MCDError
        For the first name that does not exist or setting that does not fit.
    """
    for name, flag in _FLAGS.items():
        if not settings.get(name):
            raise ConfigError(f"no {name.removesuffix('s')} given", f"give {flag}; see: mcd plugins list")
    try:
        study = Study.model_validate(dict(settings))
    except pydantic.ValidationError as error:
        raise _refusal(causes(error.errors(include_url=False))) from None
    kinds = {"dataset": Kind.DATASET, "scorer": Kind.SCORER}
    update: dict[str, object] = {}
    for name, kind in kinds.items():
        update[name] = _explicit(host, kind, getattr(study, name), base)
    if study.recipe is not None:
        settings_of = resolve_recipe(host, study.recipe).model_dump(mode="json")
        update["recipe"] = study.recipe.model_copy(update={"options": settings_of})
    if study.cache is not None and base is not None:
        update["cache"] = base / study.cache
    _ = study.selection  # a condition that cannot be read is said here
    update["concepts"] = split_choices(study.concepts, base)
    update["reporters"] = tuple(_explicit(host, Kind.REPORTER, one, base) for one in study.reporters)
    update["dissectors"] = tuple(
        DissectorChoice.model_validate(_explicit(host, Kind.DISSECTOR, one, base).model_dump())
        for one in study.dissectors
    )
    update["models"] = tuple(
        ModelChoice.model_validate(_explicit(host, Kind.MODEL, one, base).model_dump()) for one in study.models
    )
    return study.model_copy(update=update)


def _refusal(problems: Sequence[ErrorDetails]) -> ConfigError:
    """Return the error for settings that are not valid; a study file was validated before, so flags set them."""
    for one in problems:
        if one["loc"][-1:] == ("pooling",):
            text = str(one["input"])
            if text.partition(":")[0] not in POOLINGS:
                return ConfigError(f"--pooling {text}: there is no such pooling", nearest(text, POOLINGS))
            return ConfigError(f"--pooling {text}: {one['msg'].removeprefix('Value error, ')}")
    return ConfigError("\n  ".join(problem_line(one, Study) for one in problems))


def _explicit(host: PluginHost, kind: Kind, choice: Choice, base: Path | None) -> Choice:
    if kind is Kind.SCORER and names_function(choice.plugin):
        return choice if base is None else choice.model_copy(update={"plugin": str(base / choice.plugin)})
    _, options = resolve_options(host, kind, choice, base)
    return resolved_choice(choice, options)
