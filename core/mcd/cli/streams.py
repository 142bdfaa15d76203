"""Standard output that may be full or closed, and Ctrl-C at any time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TextIO, cast

__all__ = ["noted_interrupts", "watched_output"]


class _Watched:
    """Standard output that notes why it took no more: whoever printed then, a plugin perhaps, is not to blame."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.refused: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self.refused = error
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self.refused = error
            raise

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def watched_output() -> Iterator[_Watched]:
    """Watch standard output; where it took no more, the rest is dropped, or Python would complain while closing it."""
    stream = sys.stdout
    watched = _Watched(stream)
    sys.stdout = cast("TextIO", watched)
    try:
        yield watched
    finally:
        sys.stdout = stream
        if watched.refused is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Note that Ctrl-C was pressed: where it interrupts an import, libraries make other errors of it."""
    seen: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
