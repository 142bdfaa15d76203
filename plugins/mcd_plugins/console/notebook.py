"""Progress in a notebook: one bar that is drawn anew in its place, and in the end one line."""

from __future__ import annotations

import html
import sys
import time
from typing import Protocol, cast

from mcd import events
from mcd_plugins.console.starving import starved

__all__ = ["NotebookProgress", "in_notebook"]

_EVERY = 0.2
"""Seconds between two drawings: each is a message to the page."""


class _Shell(Protocol):
    kernel: object


class _Display(Protocol):
    def update(self, data: dict[str, str], *, raw: bool) -> None: ...


class _Open(Protocol):
    def __call__(self, data: dict[str, str], *, raw: bool, display_id: bool) -> _Display: ...


def in_notebook() -> bool:
    """Say whether a kernel runs this, whose outputs a page shows; IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = cast("_Shell | None", ipython.get_ipython()) if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookProgress:
    """Shows the events of one run in the output of a cell. It needs no widgets."""

    def __init__(self) -> None:
        from IPython import display  # whoever has a kernel has it, and nobody else needs it

        self._open = cast("_Open", display.display)
        self._display: _Display | None = None
        self._title, self._stage, self._unit = "", "", ""
        self._total = self._done = self._before = 0
        self._notes: list[str] = []
        self._started = self._drawn = time.monotonic()

    def show(self, event: events.Event) -> None:
        """Show one event."""
        match event:
            case events.RunStarted(title):
                self._title = title
                self._draw()
            case events.StageStarted(stage, total, unit, done):
                self._stage, self._total, self._unit, self._done, self._before = stage, total, unit, done, done
                self._started = time.monotonic()
                self._draw()
            case events.StageAdvanced(stage, count) if stage == self._stage:
                self._done += count
                if time.monotonic() - self._drawn >= _EVERY:
                    self._draw()
            case events.StageFinished(stage, seconds, waited) if starved(seconds, waited):
                self._notes.append(
                    f"{stage}: the models waited {waited:.1f} s of {seconds:.1f} s for images; less with more workers, "
                    "or in later runs with cache=DIR"
                )
            case events.Warned(message):
                self._notes.append(message)
            case events.RunFinished(_, seconds):
                self._close(f"done in {seconds:.1f} s: {self._title}")
            case events.RunFailed(reason):
                self._close(f"ended early{f' in {self._stage}' if self._stage else ''}: {reason}")

    def _draw(self) -> None:
        """Draw the bar of the stage, with the time that it still takes at the pace so far."""
        self._drawn = time.monotonic()
        share = min(1.0, self._done / self._total) if self._total else 0.0
        said = f"{self._stage}: {self._done} of {self._total} {self._unit}" if self._stage else "begins"
        fresh, passed = self._done - self._before, self._drawn - self._started
        if fresh and passed > 1 and self._done < self._total:
            said += f", {passed / fresh * (self._total - self._done):.0f} s left"
        inside = f'<div style="width:{100 * share:.1f}%;height:100%;background:currentColor;border-radius:3px"></div>'
        outside = "height:6px;max-width:40em;border-radius:3px;background:rgba(128,128,128,.3);margin:.3em 0"
        page = (
            f'<div style="color:inherit"><div>{html.escape(self._title)}</div>'
            f'<div role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{100 * share:.0f}" '
            f'style="{outside}">{inside}</div><div style="opacity:.75">{html.escape(said)}</div></div>'
        )
        self._put(page, f"{self._title} – {said}")

    def _close(self, said: str) -> None:
        """Put one line in place of the bar; notes, which results say again, can be opened."""
        count = len(self._notes)
        if not count:
            self._put(f'<div style="color:inherit;opacity:.75">{html.escape(said)}</div>', said)
            return
        notes = "".join(f"<div>note: {html.escape(one)}</div>" for one in self._notes)
        noted = f"{said} ({count} note{'s' if count > 1 else ''})"
        self._put(
            f'<details style="color:inherit;opacity:.75"><summary>{html.escape(noted)}</summary>{notes}</details>',
            "\n".join([noted, *(f"note: {one}" for one in self._notes)]),
        )

    def _put(self, page: str, plain: str) -> None:
        data = {"text/html": page, "text/plain": plain}
        if self._display is None:
            self._display = self._open(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)
