"""From the flags that are given to settings of a study: they overrule what a study file, or a stored run, says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mcd.cli.study_flags import DEFAULT_REPORTER, SELECTION, StudyFlag, flag_names
from mcd.errors import ConfigError
from mcd.study.leaves import components, leaves

if TYPE_CHECKING:
    from mcd.host import PluginHost
    from mcd.study.selection import Selection
    from mcd.study.study import Choice

__all__ = [
    "chosen_selection",
    "dataset_choice",
    "given_settings",
    "group_settings",
    "named",
    "overruled",
    "study_settings",
    "with_arguments",
]

Chosen = dict[str, object]
"""A component as a study file writes it: ``plugin``, ``options`` and what else belongs to it."""


def study_settings(ctx: click.Context, document: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a study: the document's, overruled by what stands on the command line.

    Raises
    ------
    ConfigError
        When it is not clear which component a flag means.
    """
    given = given_settings(ctx)
    settings: dict[str, object] = dict(document)
    for field, leaf in {leaf.path[0]: leaf for leaf in leaves()}.items():
        mine = _of(field, given)
        if not mine:
            continue
        if leaf.owner is not None:
            if field == "reporters" and field not in settings:
                settings[field] = DEFAULT_REPORTER  # a setting alone belongs to what prints by default
            before = settings.get(field) or [one.model_dump(exclude_unset=True) for one in components(leaf.owner)]
            made = _model(before, given) if field == "models" else overruled(field, before, given)
            settings[field] = made if leaf.several else made[0]
        else:
            settings[field] = mine[""] if len(leaf.path) == 1 else group_settings(ctx, field, settings.get(field))
    return settings


def _of(field: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return the settings below a field, or the field itself as that without a name."""
    parts = {key: key.partition(".") for key in given}
    return {below: given[key] for key, (above, _, below) in parts.items() if above == field}


def given_settings(ctx: click.Context) -> dict[str, object]:
    """Return the settings that stand on the command line, by their key."""
    return {
        one.leaf.key: ctx.params[one.name]
        for one in ctx.command.params
        if isinstance(one, StudyFlag)
        and one.name is not None
        and ctx.get_parameter_source(one.name) is ParameterSource.COMMANDLINE
    }


def group_settings(ctx: click.Context, group: str, before: object) -> dict[str, object]:
    """Return the settings of a group, ``calibration`` or ``prompts``: those of before, overruled by flags."""
    return {**(before if isinstance(before, Mapping) else {}), **_of(group, given_settings(ctx))}


def chosen_selection(flags: Mapping[str, object]) -> Selection:
    """Return which images the flags of `SELECTION` ask for."""
    from mcd.study.selection import Selection

    return Selection.model_validate({name: flags[name] for name in SELECTION})


def named(names: Sequence[str]) -> list[Chosen]:
    """Return components by their names."""
    return [{"plugin": name} for name in names]


def overruled(field: str, before: object, given: Mapping[str, object]) -> list[Chosen]:
    """Return the components of a field: those of before or, where flags name some, these; with the flags' settings.

    Parameters
    ----------
    field
        Of a study: ``concepts``.
    before
        What it held, as a study file writes it.
    given
        What stands on the command line, from `given_settings`.

    Raises
    ------
    ConfigError
        As `with_arguments`, and where settings are given without a component.
    """
    mine = _of(field, given)
    names = _texts(mine.get("plugin"))
    known = named(names) if names else _listed(before)
    arguments, flag = _texts(mine.get("options")), flag_names(f"{field}.options")[0]
    if arguments and not known:
        component = flag_names(f"{field}.plugin")[0]
        raise ConfigError(f"{flag} without {component}", f"give {component} NAME")
    return with_arguments(_split(known) if field == "concepts" else known, arguments, flag)


def with_arguments(chosen: Sequence[Chosen], arguments: Sequence[str], flag: str) -> list[Chosen]:
    """Return components with more settings, as ``key=value``; ``NAME.key=value`` where there are several.

    Raises
    ------
    ConfigError
        When it is not clear, or none of them, whose a setting is.
    """
    from mcd.options import parse_pairs

    made = [{**one, "options": _options(one)} for one in chosen]
    names = [str(one["plugin"]).partition(":")[0] for one in made]
    for key, value in parse_pairs(arguments, flag).items():
        owner, dot, setting = key.partition(".")
        if not dot:
            owner, setting = "", key
        fitting = [at for at, name in enumerate(names) if not owner or name.replace("-", "_") == owner]
        if len(fitting) != 1:
            which = f"{len(fitting)} of the components have that name" if owner else "there are several components"
            raise ConfigError(f"{flag} {key}=…: {which}", f"write {flag} NAME.{setting}=VALUE with {_either(names)}")
        made[fitting[0]]["options"] = {**_options(made[fitting[0]]), setting: value}
    return made


def _either(names: Sequence[str]) -> str:
    return f"NAME one of: {', '.join(names)}" if len(names) > 1 else f"NAME {names[0]}"


def _options(chosen: Mapping[str, object]) -> dict[str, object]:
    options = chosen.get("options", {})
    return dict(options) if isinstance(options, Mapping) else {}


def _listed(before: object) -> list[Chosen]:
    """Return the components that a study names, in whatever way it is written."""
    if isinstance(before, Mapping):
        return [dict(before)]
    if isinstance(before, str):
        return named([before])
    return [one for each in before for one in _listed(each)] if isinstance(before, Sequence) else []


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value] if isinstance(value, Sequence) else []


def _split(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Return one concept set for each name between commas."""
    from mcd.study.vocabularies.loading import split_references

    return [
        {**one, "plugin": part}
        for one in chosen
        for part in ([one["plugin"]] if _options(one) else split_references(str(one["plugin"])))
    ]


def _model(before: object, given: Mapping[str, object]) -> list[Chosen]:
    """Return the one model of a study; its layers and pooling stay where no flag names others."""
    known, mine = _listed(before), _of("models", given)
    if len(known) > 1:
        raise ConfigError("the study has several models; flags do not say which is meant", "edit the study file")
    kept = {key: value for one in known for key, value in one.items() if key not in ("plugin", "options")}
    if not known and "plugin" not in mine:
        raise ConfigError("no model given", "give --model-plugin NAME; see: mcd plugins list")
    made = overruled("models", before, given)[0]
    return [{**kept, **made, **{key: value for key, value in mine.items() if key not in ("plugin", "options")}}]


def dataset_choice(host: PluginHost, reference: str, pairs: Sequence[str]) -> Choice:
    """Return the data set that is named, with every setting, once the files and folders that it names are there.

    Parameters
    ----------
    reference
        ``NAME[:VALUE]``.
    pairs
        ``KEY=VALUE`` of ``--dataset-arg``.
    """
    from mcd.components import Kind
    from mcd.options import parse_pairs
    from mcd.study.check import explicit
    from mcd.study.study import Choice

    options = parse_pairs(list(pairs), "--dataset-arg")
    return explicit(host, Kind.DATASET, Choice.model_validate({"plugin": reference, "options": options}))
