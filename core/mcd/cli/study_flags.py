"""The flags that set a study, made from its declaration, `mcd.study.study.Study`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import click

from mcd.cli.candidates import CONCEPTS, Callback, components, settings, units
from mcd.cli.groups import UNGROUPED, GroupedOption
from mcd.cli.numbers import number, whole_number
from mcd.cli.paths import PATH
from mcd.components import Kind
from mcd.study.leaves import Leaf, leaves

__all__ = [
    "DEFAULT_REPORTER",
    "FILE_ONLY",
    "MODEL",
    "PROBE",
    "SCORING",
    "SELECTION",
    "StudyFlag",
    "flag_names",
    "study_flags",
]

Command = TypeVar("Command", bound=Callable[..., object])

FILE_ONLY = frozenset({"schema", "models.name", "dissectors.name"})
"""Settings of a study that have no flag: one run by flags has one model, and needs no name for it."""

_NAMES = {
    "models.plugin": ("--model-plugin", "--model"),
    "prompts.templates": ("--template",),
    "prompts.reference": ("--reference-prompt",),
    "labels_per_neuron": ("--labels",),
}
"""Flags that are not called like their setting."""

_COMPONENTS = {"models": "model", "dissectors": "dissector", "reporters": "reporter"}
"""What a flag calls one component of a list; of other lists it is the same word."""

_KINDS = {
    "models": Kind.MODEL,
    "dissectors": Kind.DISSECTOR,
    "dataset": Kind.DATASET,
    "recipe": Kind.PREPROCESSING,
    "concepts": Kind.CONCEPTS,
    "scorer": Kind.SCORER,
    "reporters": Kind.REPORTER,
}
"""Of the components that a setting names, for shells to complete."""

_METAVARS = {
    "concepts.plugin": "NAME|FILE[,…]",
    "recipe.plugin": "NAME",
    "scorer.plugin": "NAME[:VALUE]|FILE.py:FUNCTION",
    "models.layers": "PATTERN",
    "models.units": "[NAME=]KIND:FILE",
    "models.pooling": "NAME[:NUMBER]",
    "where": "EXPRESSION",
    "cache": "DIR",
    "store": "DIR",
}

_SINGLE = frozenset({"models.plugin"})
"""Lists of a study of which flags give one item: --layers could not say whose they are."""

DEFAULT_REPORTER = "console"
"""What the command line uses where neither flags nor a study file name a reporter: labels are read at a terminal."""

SELECTION = ("where", "limit", "per_patient", "seed")
MODEL = ("models.plugin", "models.options", "models.layers")
PROBE = (
    "dissectors",
    "dataset",
    *SELECTION,
    "recipe",
    "cache",
    "cache_size",
    "store",
    "keep_identifiers",
    "device",
    "precision",
    "tf32",
    "autotune",
    "batch_size",
    "workers",
    "on_error",
)
SCORING = ("concepts", "prompts", "scorer", "calibration", "labels_per_neuron")


class StudyFlag(GroupedOption):
    """A flag that sets one setting of a study, its ``leaf``."""

    def __init__(self, declarations: Sequence[str], *, leaf: Leaf, single: bool = False, defaults: bool = True) -> None:
        self.leaf = leaf
        self.heading = leaf.group.value if leaf.group is not None else UNGROUPED
        several = leaf.path[-1] == "options" or (leaf.repeated and not single)
        default = DEFAULT_REPORTER if leaf.key == "reporters.plugin" else leaf.default
        known = defaults and default not in (None, (), {})
        super().__init__(
            declarations,
            type=_type(leaf),
            multiple=several,
            default=(default if not several else (default,)) if known else None,
            show_default=known and default != "" and leaf.kind is not bool,
            metavar=_metavar(leaf, single=single),
            help=_help(leaf, repeatable=several),
            shell_complete=_completed(leaf),
        )


def flag_names(key: str) -> tuple[str, ...]:
    """Return how the flag of a setting is written: ``labels_per_neuron`` is ``--labels``."""
    if key in _NAMES:
        return _NAMES[key]
    *above, last = key.split(".")
    if last in ("plugin", "options"):
        name = _COMPONENTS.get(above[0], above[0])
        return (f"--{name}" if last == "plugin" else f"--{name}-arg",)
    return (f"--{last.replace('_', '-')}",)


def _type(leaf: Leaf) -> click.ParamType[object]:
    if leaf.choices:
        return click.Choice(leaf.choices)
    if leaf.kind is Path:
        return PATH
    if leaf.kind is bool:
        return click.BOOL
    if leaf.kind is int:
        return whole_number(leaf.bounds)
    if leaf.kind is float:
        return number(leaf.bounds)
    return click.STRING


def _completed(leaf: Leaf) -> Callback | None:
    if leaf.key == "models.units":
        return units
    kind = _KINDS.get(leaf.path[0])
    if kind is None:
        return None
    if leaf.path[-1] == "options":
        return settings(kind, flag_names(f"{leaf.path[0]}.plugin")[-1])
    if leaf.path[-1] != "plugin":
        return None
    return CONCEPTS if kind is Kind.CONCEPTS else components(kind, or_file=kind is Kind.SCORER)


def _metavar(leaf: Leaf, *, single: bool) -> str | None:
    if leaf.key in _METAVARS:
        return _METAVARS[leaf.key]
    if leaf.path[-1] == "options":
        return "[NAME.]KEY=VALUE" if leaf.several and not single else "KEY=VALUE"
    if leaf.path[-1] == "plugin":
        return "NAME[:VALUE]"
    if leaf.choices or leaf.kind is bool:
        return None
    return "N" if leaf.kind is int else "X" if leaf.kind is float else "TEXT"


def _help(leaf: Leaf, *, repeatable: bool) -> str:
    text = "a setting of it; see: mcd plugins show NAME" if leaf.path[-1] == "options" else leaf.description
    sentence = f"{text[:1].upper()}{text[1:]}."
    return f"{sentence} Repeatable." if repeatable else sentence


def _chosen(keys: tuple[str, ...]) -> Iterator[Leaf]:
    """Yield the settings of some keys, or of all; that of a group or component stands for all of its settings."""
    for leaf in leaves():
        if leaf.key not in FILE_ONLY and (not keys or leaf.key in keys or leaf.path[0] in keys):
            yield leaf


def study_flags(*keys: str, single: bool = False, defaults: bool = True) -> Callable[[Command], Command]:
    """Add the flags of some settings of a study, or of all of them.

    Parameters
    ----------
    keys
        Of the settings, such as ``limit``; ``calibration`` and ``models`` stand for all settings in them.
    single
        Whether there is one component where a study may have several.
    defaults
        Whether the study's own defaults hold where a flag is not given; not where a stored run's settings do.
    """

    def decorate(command: Command) -> Command:
        for leaf in reversed(list(_chosen(keys))):
            one = leaf.key in _SINGLE or (single and leaf.several)
            command = click.option(*_declared(leaf), cls=StudyFlag, leaf=leaf, single=one, defaults=defaults)(command)
        return command

    return decorate


def _declared(leaf: Leaf) -> list[str]:
    names = flag_names(leaf.key)
    switch = [f"{names[0]}/--no-{names[0][2:]}"] if leaf.kind is bool else [*names]
    return [*switch, names[-1][2:].replace("-", "_")]
