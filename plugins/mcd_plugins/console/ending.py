"""What the page begins with ends the summary on the terminal, where it is read first: cautions, then the answers."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

from mcd.plugins import Terminal
from mcd_plugins.reporters.first_screen import FirstScreen

__all__ = ["end"]

_COMMAND = re.compile(r": (mcd \S.*?)\.?$")
"""What a sentence may end with."""


def end(console: Terminal, start: FirstScreen, folder: Path) -> None:
    """Print it. Commands name the run by its folder, and stand on a line of their own, whole, to be copied."""
    cautions = [f"{letters}: {said}" if letters else said for letters, said in start.cautions]
    if cautions[1:]:
        console.print("\n[bold]What may not be concluded[/]")
    for one in cautions[1:]:
        _item(console, one, folder)
    if cautions:
        console.print("\n[bold]Caution[/]")
        console.print(cautions[0], markup=False)
    for answer in start.answers:
        console.print(f"\n[bold]{answer.question}[/]")
        console.print(" ".join(answer.sentences), markup=False)
        if answer.checks:
            console.print("Not checked:")
        for check in answer.checks:
            _item(console, f"{check.what}: {check.command}", folder)


def _item(console: Terminal, said: str, folder: Path) -> None:
    """Print an item of a list, and below it the command that it ends with."""
    found = _COMMAND.search(said)
    text = said if found is None else f"{said[: found.start()]}:"
    lines = textwrap.wrap(text, console.width - 2, break_on_hyphens=False)
    console.print("- " + "\n  ".join(lines), markup=False, soft_wrap=True)
    if found is not None:
        command = re.sub(r"\bRUN\b", lambda _: shlex.quote(str(folder)), found[1])
        console.print(f"  {command}", markup=False, soft_wrap=True)
