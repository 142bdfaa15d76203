"""What a report leaves out because the run folder does not have it."""

from __future__ import annotations

from mcd.errors import DamagedError, StoreError
from mcd.plugins import echo

__all__ = ["left_out"]


def left_out(what: str, error: StoreError) -> None:
    """Say on the terminal what a report leaves out, and why.

    Raises
    ------
    DamagedError
        When a file is not what the run wrote: a report on such a run says nothing.
    """
    if isinstance(error, DamagedError):
        raise error
    echo(f"note: left out: {what}: {error.message}", err=True)
