"""A study whose every name exists and whose every setting is valid, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pydantic

from mcd.api.dataset import CompositeDataset
from mcd.api.dissector import AnnotationDissector
from mcd.components import Kind
from mcd.documents import read_text
from mcd.errors import ConfigError, DataError, UsageError, nearest
from mcd.files import check_folder, expanded
from mcd.networks.pooling import POOLINGS
from mcd.options import causes, in_words, problem_line
from mcd.study.located import KINDS
from mcd.study.paths import missing
from mcd.study.resolve import names_function, resolved
from mcd.study.study import Choice, ModelChoice, Study
from mcd.study.vocabularies.loading import means_file, split_choices

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from mcd.host import PluginHost

__all__ = ["checked_study", "explicit"]

ChoiceT = TypeVar("ChoiceT", bound=Choice)

_FLAGS = {
    "models": "--model-plugin NAME",
    "dataset": "--dataset NAME:VALUE, such as images:DIR",
    "dissectors": "--dissector NAME",
}


def checked_study(host: PluginHost, settings: Mapping[str, object]) -> Study:
    """Return the study with every setting explicit; nothing is created, and no network is loaded.

    Relative paths are from the current folder; see `mcd.study.located.located` for those of a file.

    Raises
    ------
    mcd.errors.MCDError
        For the first name that does not exist, setting that does not fit, or file that does not exist.
    """
    for name, flag in _FLAGS.items():
        if not settings.get(name):
            raise ConfigError(f"no {name.removesuffix('s')} given", f"give {flag}; see: mcd plugins list")
    try:
        study = Study.model_validate(dict(settings))
    except pydantic.ValidationError as error:
        raise _refusal(causes(error.errors(include_url=False))) from None
    _ = study.selection  # a condition that cannot be read is said here
    update: dict[str, object] = {}
    if study.cache is not None:
        check_folder(study.cache, "--cache")
    if study.store is not None and str(study.store) != "off":
        check_folder(study.store, "--store")
    for field, kind in KINDS.items():
        value: Choice | Sequence[Choice] | None = getattr(study, field)
        if kind is Kind.CONCEPTS:
            update[field] = _concepts(host, study.concepts)
        elif isinstance(value, Choice):
            update[field] = explicit(host, kind, value)
        elif value is not None:
            update[field] = tuple(explicit(host, kind, one) for one in value)
    checked = study.model_copy(update=update)
    _check_scorer(host, checked)
    return checked


def _check_scorer(host: PluginHost, study: Study) -> None:
    """Refuse a scorer that is named and takes no annotations, where a dissector reads these."""
    kinds = [one.found[0] for one in study.dissectors if one.found is not None]
    if study.given("scorer") and any(issubclass(one, AnnotationDissector) for one in kinds):
        # these import torch, and a data set that is missing is said before that
        from mcd.api.scorer import Scorer
        from mcd.study.adapters import FunctionScorer
        from mcd.study.equipment import refuse_cosines

        scorer = study.scorer.found[0] if study.scorer.found is not None else FunctionScorer
        assert issubclass(scorer, Scorer)
        refuse_cosines(host, study.scorer.plugin, scorer)


def _refusal(problems: Sequence[ErrorDetails]) -> ConfigError:
    """Return the error for settings that are not valid; a study file was validated before, so flags set them."""
    for one in problems:
        if one["loc"][-1:] == ("pooling",):
            text = str(one["input"])
            if text.partition(":")[0] not in POOLINGS:
                return ConfigError(f"--pooling {text}: there is no such pooling", nearest(text, POOLINGS))
            return ConfigError(
                f"--pooling {text}: {in_words(one)}",
                "see the poolings with: mcd dissect --help",
            )
    lines = [problem_line(one, Study) for one in problems]
    return ConfigError(lines[0], "see the settings with: mcd dissect --help", lines[1:])


def explicit(host: PluginHost, kind: Kind, choice: ChoiceT) -> ChoiceT:
    """Return a component with all of its options, once the files that they name are there.

    Raises
    ------
    mcd.errors.MCDError
        When it is unknown or broken, a setting does not fit, or a file is not there.
    """
    if kind is Kind.SCORER and names_function(choice.plugin):
        reference = str(expanded(choice.plugin))
        path = Path(reference.rpartition(":")[0])
        if not path.is_file():
            raise UsageError(f"there is no file {path}", "give its path from the current folder, as FILE.py:FUNCTION")
        return choice.model_copy(update={"plugin": reference})
    found = resolved(host, kind, choice)
    assert found.found is not None
    cls, options = found.found
    if kind is not Kind.REPORTER:  # these write
        for setting, path in missing(options):
            raise DataError(
                f"there is no file or folder {path}, which is {setting} of {kind.label} '{found.plugin}'",
                "check the path; a relative one starts from the current folder, in a study file from that of the file",
            )
    if isinstance(found, ModelChoice):
        return found.model_copy(update={"units": tuple(explicit(host, Kind.UNITS, one) for one in found.units)})
    if issubclass(cls, CompositeDataset):
        for part in getattr(options, "parts", ()):
            explicit(host, kind, Choice(plugin=part.plugin, options=part.options))
    return found


def _concepts(host: PluginHost, choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Return one choice a concept set, once each is known to be there."""
    found = []
    for one in split_choices(choices):
        if means_file(host, one.plugin):
            found.append(one.model_copy(update={"plugin": str(expanded(one.plugin))}))
            read_text(Path(found[-1].plugin))
        else:
            host.find(Kind.CONCEPTS, one.plugin.partition(":")[0])
            found.append(one)
    return tuple(found)
