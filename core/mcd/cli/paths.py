"""Paths on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mcd.files import expanded

__all__ = ["PATH"]


class _Path(click.Path):
    """A path in which ``~`` is the home folder: shells replace it at the beginning of a word only."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        return super().convert(expanded(os.fspath(value)), param, ctx)


PATH = _Path(path_type=Path)
"""The type of every argument and option that is a path."""
