"""Code that is not mcd's, networks above all: called here, so that whatever it raises becomes one error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mcd.errors import (
    MCDError,
    PluginError,
    PluginLoadError,
    UsageError,
    lacks_memory,
    lacks_space,
    out_of_space,
    passes_through,
    place_of,
    said_by,
    worker_lost,
)

if TYPE_CHECKING:  # plugins are called before torch is needed, and importing it takes seconds
    import torch
    from torch import nn

    from mcd.api.scorer import Scorer

__all__ = ["ForeignCodeError", "calling", "calling_scorer", "enough_memory"]


class ForeignCodeError(PluginError):
    """Something that code which is not mcd's raised; the exception itself is its ``__cause__``.

    Attributes
    ----------
    reason
        The part of the network that raised it, its message, file and line.
    """

    reason = ""


@contextlib.contextmanager
def calling(
    what: str, hint: str = "", *, network: nn.Module | None = None, kind: type[MCDError] = ForeignCodeError
) -> Iterator[None]:
    """Turn whatever is raised inside into an error that says what failed, why, and in which line of whose file.

    What mcd raises on purpose passes, as do an interrupt and a lack of memory, see `enough_memory`.

    Parameters
    ----------
    what
        What failed, as a clause.
    hint
        What to do.
    network
        The network that is called: the error names the part of it that raised.
    kind
        The class of the error.

    Raises
    ------
    MCDError
        Of that class; a `StoreError` where the disk is full, a `DataError` where a decoding process was lost meanwhile.
    """
    try:
        yield
    except MCDError:
        raise
    except BaseException as error:  # foreign code may raise anything
        if lost := worker_lost(error):
            raise lost from error
        if lacks_space(error):
            raise out_of_space(f"{what}: ") from error
        if passes_through(error):
            raise
        where = _failing_part(error, network) if network is not None else ""
        reason = f"{where}{said_by(error)}{place_of(error)}"
        made = kind(f"{what}: {reason}", hint)
        if isinstance(made, ForeignCodeError):
            made.reason = reason
        raise made from error


def calling_scorer(scorer: Scorer) -> contextlib.AbstractContextManager[None]:
    """Turn whatever a scorer raises into an error that names it; see `calling`."""
    hint = "correct its file, or choose another scorer; for the traceback: --debug"
    return calling(f"scorer {scorer.name} failed", hint, kind=PluginLoadError)


@contextlib.contextmanager
def enough_memory(device: torch.device, hint: str, what: str = "this network") -> Iterator[None]:
    """Say in one sentence that the memory of a device does not suffice.

    Raises
    ------
    UsageError
        With this hint.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError on a GPU, a plain one on the CPU
        if not lacks_memory(error):
            raise
        raise UsageError(f"{device.type} has too little memory for {what}", hint) from None


def _failing_part(error: BaseException, network: nn.Module) -> str:
    """Return the innermost part of a network that was running when something was raised: ``"layer4.0 (Block), "``.

    An empty text where that is the network itself, or none of it.
    """
    from torch import nn

    names = {id(module): name for name, module in network.named_modules()}
    found, trace = "", error.__traceback__
    while trace is not None:
        running: object = trace.tb_frame.f_locals.get("self")
        if isinstance(running, nn.Module) and names.get(id(running)):
            found = f"{names[id(running)]} ({type(running).__name__}), "
        trace = trace.tb_next
    return found
