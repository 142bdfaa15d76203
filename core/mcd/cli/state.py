"""What the commands of one process share: the plugin host, made on first use, and what it is made with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["COMPLETE", "State"]

COMPLETE = "_MCD_COMPLETE"
"""The variable that the scripts of ``mcd completion`` set: which shell asks what may stand at its cursor."""


class State:
    """The plugin host, made on first use, and what it is made with.

    Attributes
    ----------
    plugin_files
        Files given with --plugin-file, each once.
    debug
        Whether an error shows its traceback.
    offline
        Whether nothing may be fetched.
    arguments
        What was typed, for messages that say what to type instead.
    command
        Which command of a plugin runs, as messages name it; empty for mcd's own.
    """

    def __init__(self) -> None:
        self.plugin_files: list[Path] = []
        self.debug = self.offline = False
        self.command = ""
        self.arguments: Sequence[str] = ()

    @cached_property
    def host(self) -> PluginHost:
        """The plugins: installed ones, and the files given with --plugin-file."""
        from mcd.host import PluginHost

        return PluginHost.discover(self.plugin_files, os.environ)

    def add(self, files: Sequence[Path]) -> None:
        """Add plugin files that are not there yet."""
        self.plugin_files += [one for one in dict.fromkeys(files) if one not in self.plugin_files]
