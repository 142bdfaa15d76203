"""Print docs/reference/commands.md: every command and option of the command line, as ``--help`` has them.

python tools/commands_reference.py > docs/reference/commands.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from mcd.cli import cli
from mcd.cli.everywhere import with_flags_of_all
from mcd.cli.groups import grouped
from mcd.cli.state import State

__all__ = ["commands", "page"]

_HEAD = """# Commands

Made by `tools/commands_reference.py` from the command line itself; a test compares the two. Every command, those of
plugins too, takes `--plugin-file FILE.py`, `--offline` and `--debug` before its name and after it, and `--help`. The
settings of a study, which most options are: [study](study.md). What each command writes: [outputs](outputs.md).

Exit codes: 0 done; 1 an error that is none of the following; 2 wrong usage; 3 a plugin at fault or incomplete; 4 data
that cannot be used; 130 interrupted.
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words that call it, groups before what is below them."""
    yield from _below("mcd", with_flags_of_all(cli))


def _below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, obj=State())
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _below(f"{words} {name}", found)


def _shared(option: click.Parameter) -> bool:
    return bool({"--plugin-file", "--offline", "--debug"} & set(option.opts))


def _option(option: click.Option, context: click.Context) -> str:
    name, text = option.get_help_record(context) or ("", "")
    return f"| `{name.replace('|', chr(92) + '|')}` | {_plain(' '.join(text.split()))} |"


def _plain(text: str) -> str:
    """Return a text in which Markdown finds no table, emphasis or link."""
    return re.sub(r"([\[\]*|])", r"\\\1", text)


def _section(words: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=words, obj=State())
    yield f"## `{' '.join([words, *command.collect_usage_pieces(context)])}`\n"
    for one in (command.help or "").strip().split("\n\n"):
        lines = one.strip().removeprefix("\b").strip("\n")
        yield (f"```\n{lines}\n```\n" if one.lstrip().startswith("\b") else _plain(" ".join(one.split())) + "\n")
    own = [one for one in command.params if isinstance(one, click.Option) and not one.hidden and not _shared(one)]
    sections = list(grouped(own))
    for heading, options in sections:
        if len(sections) > 1:
            yield f"**{heading}**\n"
        yield from ("| option | |", "|---|---|")
        yield from (_option(one, context) for one in options)
        yield ""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(line for words, command in commands() for line in _section(words, command))])


if __name__ == "__main__":
    print(page(), end="")
