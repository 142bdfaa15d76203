"""The console of rich, which draws tables and progress bars: nothing in their cells steers the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import rich.console
from rich.segment import Segment

from mcd.errors import printable

__all__ = ["Terminal"]


class Terminal(rich.console.Console):
    """The console of rich for tables and progress bars; it writes every text as `echo` does."""

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the pieces that are printed; codes of rich itself are not texts."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else piece._replace(text=printable(piece.text, lines=True))
