"""Progress bars with the time left on a terminal; a line every ten seconds where there is none."""

from __future__ import annotations

import time

import rich.progress

from mcd import events
from mcd.plugins import Terminal
from mcd_plugins.console.starving import EVERY, starved

__all__ = ["Progress"]


class Progress:
    """Shows the events of one run on standard error."""

    def __init__(self) -> None:
        self._console = Terminal(stderr=True, highlight=False)
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:<15}"),
            rich.progress.BarColumn(bar_width=None),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[unit]:<8}"),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("left"),
            rich.progress.TimeRemainingColumn(),
            console=self._console,
            expand=True,
        )
        self._tasks: dict[str, rich.progress.TaskID] = {}
        self._log: dict[str, _Line] = {}

    def show(self, event: events.Event) -> None:
        """Show one event."""
        match event:
            case events.RunStarted(title):
                self._console.print(title, markup=False)
                if self._console.is_terminal:
                    self._bars.start()
            case events.StageStarted():
                self._started(event)
            case events.StageAdvanced(stage, count):
                self._advanced(stage, count)
            case events.StageFinished():
                self._finished(event)
            case events.Warned(message):
                self._console.print(f"note: {message}", markup=False)
            case events.RunFinished(_, seconds):
                self._bars.stop()
                self._console.print(f"done in {seconds:.1f} s", markup=False)
            case events.RunFailed():
                self._bars.stop()

    def _started(self, event: events.StageStarted) -> None:
        if self._console.is_terminal:
            self._tasks[event.stage] = self._bars.add_task(
                event.stage, total=event.total, completed=event.done, unit=event.unit
            )
        else:
            self._log[event.stage] = _Line(event.total, event.done)
        if event.done:
            self._console.print(
                f"{event.stage}: {event.done} of {event.total} {event.unit} are already stored", markup=False
            )

    def _advanced(self, stage: str, count: int) -> None:
        if stage in self._tasks:
            self._bars.advance(self._tasks[stage], count)
        elif stage in self._log:
            line = self._log[stage]
            line.done += count
            now = time.monotonic()
            if now - line.printed >= EVERY:
                line.printed = now
                left = (now - line.started) / max(1, line.done - line.before) * (line.total - line.done)
                self._console.print(f"{stage}: {line.done} of {line.total}, {left:.0f} s left", markup=False)

    def _finished(self, event: events.StageFinished) -> None:
        stage, waited = event.stage, f"the models waited {event.waited:.1f} s for images"
        advised = starved(event.seconds, event.waited)
        if stage in self._log:
            said = f"{stage}: {self._log[stage].total} in {event.seconds:.1f} s"
            self._console.print(said + (f"; {waited}" if event.waited else ""), markup=False)
        elif advised:
            self._console.print(f"{stage}: {waited} of {event.seconds:.1f} s", markup=False)
        if advised:
            self._console.print("  less with more --workers, or in later runs with --cache DIR", markup=False)


class _Line:
    """What a stage's log line needs."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.before = total, done, done
        self.started = self.printed = time.monotonic()
