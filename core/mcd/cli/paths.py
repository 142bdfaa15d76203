"""Paths on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mcd.files import check_name, check_run_folder, expanded

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
        check_run_folder(Path(os.fsdecode(path)))
        return path


RUN_FOLDER = _RunFolder(path_type=Path, file_okay=False)
"""The type of every argument that is the folder of a stored run."""
