"""Paths on the command line."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from mcd.cli.state import State
from mcd.files import as_argument, check_name, expanded
from mcd.runs.finding import check_run_folder

__all__ = ["PATH", "RUN_FOLDER"]


class _Path(click.Path):
    """A path in which ``~`` is the home folder: shells replace it at the beginning of a word only."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        path = expanded(os.fspath(value))
        check_name(path, param.get_error_hint(ctx).strip("'") if param is not None else "path")
        return super().convert(path, param, ctx)


PATH = _Path(path_type=Path)
"""The type of every argument and option that is a path."""


class _RunFolder(_Path):
    """The path of a run folder, refused here where it is none: torch, which takes seconds, is imported later."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        path = super().convert(value, param, ctx)
        check_run_folder(Path(os.fsdecode(path)), None if ctx is None else partial(_again, ctx, os.fspath(value)))
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete folders."""
        return [CompletionItem(incomplete, type="dir")]


def _again(ctx: click.Context, given: str, runs: Sequence[Path]) -> str:
    """Return the command that was typed, with runs in the place of what is none."""
    shown = [shlex.quote(as_argument(one)) for one in runs]
    typed = ctx.ensure_object(State).arguments
    start = 0
    for word in ctx.command_path.split()[1:]:  # a command may be called like the folder: mcd runs verify runs
        start = typed.index(word, start) + 1 if word in typed[start:] else start
    if given not in typed[start:]:  # typed in a way that cannot be given back
        return f"give {' or '.join(shown)}"

    def with_runs(names: Sequence[str]) -> str:
        after = [word for one in typed[start:] for word in (names if one == given else [shlex.quote(one)])]
        return " ".join(["mcd", *map(shlex.quote, typed[:start]), *after])

    if not any(isinstance(one, click.Argument) and one.nargs == -1 for one in ctx.command.params):
        return "\n".join(with_runs([one]) for one in shown)
    where = f" -o {shlex.quote(str(Path(given, 'report')))}"
    return with_runs(shown) + (where if _needs_folder(ctx, runs, typed) else "")


def _needs_folder(ctx: click.Context, runs: Sequence[Path], typed: Sequence[str]) -> bool:
    """Whether a report on several runs has no place yet."""
    return ctx.info_name == "report" and len(runs) > 1 and not {"-o", "--output"} & set(typed)


RUN_FOLDER = _RunFolder(path_type=Path)
"""The type of every argument that is the folder of a stored run."""
