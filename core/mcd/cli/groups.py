"""Options of a command in groups: declared where the options are, shown by ``--help`` and in the reference."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import TypeVar
from weakref import WeakKeyDictionary

import click

from mcd.study.groups import Group

__all__ = ["GENERAL", "UNGROUPED", "GroupedOption", "grouped", "in_general", "in_groups", "option_group"]

Decorated = TypeVar("Decorated", bound=Callable[..., object])
Decorator = Callable[[Decorated], Decorated]

UNGROUPED = "Options"
"""The heading of options that no group was declared for."""

GENERAL = "General"
"""The heading of what every command takes."""

_ORDER = (UNGROUPED, *(one.value for one in Group))
_COLUMN = 24
"""Characters for the names of options; longer names have a line of their own."""

_IN_FULL = (
    "Settings of a component: mcd plugins show NAME",
    "Every flag in full, with its range: docs/reference/commands.md",
)

_DECLARED: WeakKeyDictionary[click.Parameter, str] = WeakKeyDictionary()


class GroupedOption(click.Option):
    """An option that knows its heading, and has a description too long for help."""

    heading = UNGROUPED

    def in_short(self, ctx: click.Context) -> tuple[str, str]:
        """Return how it is written and its first clause: what ``--help`` has room for."""
        record = self.get_help_record(ctx)
        names = re.sub(r"--([\w-]+) / --no-\1", r"--[no-]\1", record[0] if record else "")
        text = f"{(self.help or '').split(';')[0].removesuffix('.')}."
        if self.multiple and not text.endswith("Repeatable."):
            text += " Repeatable."
        given = self._default_text(ctx)
        return names, f"{text} [default: {given}]" if given else text

    def _default_text(self, ctx: click.Context) -> str:
        default = self.get_default(ctx, call=False)
        if default is True:
            return "on"
        if not self.show_default or default is None:
            return ""
        return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def in_general(option: click.Option) -> click.Option:
    """Return an option of every command, which stands after a command's own."""
    _DECLARED[option] = GENERAL
    return option


def option_group(name: str, *options: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Give a command options that its ``--help`` shows under a heading.

    Parameters
    ----------
    name
        The heading, such as ``Output``; options of several groups with one name stand together.
    options
        What ``click.option`` returns, in the order of the help.

    Examples
    --------
    >>> @click.command()
    ... @option_group("Output", click.option("--json", is_flag=True, help="Print JSON."))
    ... def mine(json: bool) -> None:
    ...     pass
    """

    def decorate(command: Decorated) -> Decorated:
        before = set(_params(command))
        for option in reversed(options):
            command = option(command)
        for one in _params(command):
            if one not in before:
                _DECLARED[one] = name
        return command

    return decorate


def _params(command: object) -> list[click.Parameter]:
    found = command.params if isinstance(command, click.Command) else getattr(command, "__click_params__", [])
    return [one for one in found if isinstance(one, click.Parameter)]


def _heading(option: click.Parameter) -> str:
    if isinstance(option, GroupedOption):
        return option.heading
    return GENERAL if "--help" in option.opts else _DECLARED.get(option, UNGROUPED)


def grouped(options: list[click.Option]) -> Iterator[tuple[str, list[click.Option]]]:
    """Yield options by the heading of their group; headings of a command's own stand before those of a study.

    All are under one heading where no group was declared but what every command takes.
    """
    found: dict[str, list[click.Option]] = {}
    for one in options:
        found.setdefault(_heading(one), []).append(one)
    if options and found.keys() <= {UNGROUPED, GENERAL}:
        found = {UNGROUPED: options}
    yield from sorted(found.items(), key=lambda each: _place(each[0]))


def _place(heading: str) -> int:
    if heading == GENERAL:
        return len(_ORDER)
    return _ORDER.index(heading) if heading in _ORDER else 0


class _InGroups(click.Command):
    """A command whose help shows options by group."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group; one section where none was declared."""
        shown = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.hidden]
        sections = list(grouped(shown))
        if len(sections) == 1 and sections[0][0] == UNGROUPED:
            super().format_options(ctx, formatter)
            return
        for heading, options in sections:
            records = [_record(one, ctx) for one in options]
            with formatter.section(heading):
                # padded, so that the texts of all sections begin in one column
                formatter.write_dl([(name.ljust(_COLUMN), text) for name, text in records], col_max=_COLUMN)
        if any(isinstance(one, GroupedOption) for one in shown):
            formatter.write_paragraph()
            formatter.write("".join(f"{line}\n" for line in _IN_FULL))


def _record(option: click.Option, ctx: click.Context) -> tuple[str, str]:
    if isinstance(option, GroupedOption):
        return option.in_short(ctx)
    return option.get_help_record(ctx) or ("", "")


def in_groups(command: click.Command) -> click.Command:
    """Return a copy of a command whose help shows options by group, unless it has a layout of its own."""
    made = copy.copy(command)
    if type(command).format_options is click.Command.format_options:  # not a click.Group, which lists commands too
        made.__class__ = type(type(command).__name__, (_InGroups, type(command)), {})
    return made
