"""Progress bars during a run: a plugin of its own, so that the summary is there where bars are not wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcd import hookimpl

if TYPE_CHECKING:
    from mcd.events import Event
    from mcd_plugins.console.notebook import NotebookProgress
    from mcd_plugins.console.progress import Progress

_open: list[Progress | NotebookProgress] = []
"""The display of the current run, if any: hooks are functions, and a display lives between their calls."""


@hookimpl
def mcd_on_event(event: Event) -> None:
    """Show progress."""
    from mcd.events import RunFailed, RunFinished, RunStarted, Warned
    from mcd_plugins.console.notebook import NotebookProgress, in_notebook
    from mcd_plugins.console.progress import Progress

    if isinstance(event, RunStarted):
        _open[:] = [NotebookProgress() if in_notebook() else Progress()]
    showing = _open or ([Progress()] if isinstance(event, Warned) else [])  # a note needs no run around it
    for progress in showing:
        progress.show(event)
    if isinstance(event, RunFinished | RunFailed):
        _open.clear()
