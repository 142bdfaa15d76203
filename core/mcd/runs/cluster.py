"""Ray: the cluster that an engine names, or one that is started on this machine."""

from __future__ import annotations

import os
import re
import secrets
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from mcd.errors import MissingDependencyError, UsageError, said_by
from mcd.extraction.parts import Part

__all__ = ["Progress", "address_of", "connected", "imported", "part_or_address"]

_ADDRESS = re.compile(r"ray(://[^\s/]+)?")


def address_of(engine: str | None, parts: int | None) -> str | None:
    """Return the address of the cluster that an engine names; empty for one that is started on this machine.

    Raises
    ------
    UsageError
        When there is no such engine, or a number of parts that no engine computes.
    """
    if engine is None:
        if parts is not None:
            raise UsageError("parts are of a run that an engine computes", '--engine ray; in Python engine="ray"')
        return None
    if not isinstance(engine, str) or not _ADDRESS.fullmatch(engine):
        raise UsageError(
            f"there is no engine '{engine}'" if isinstance(engine, str) else "engine is not given by a name",
            "ray starts Ray on this machine, ray://HOST:10001 uses a cluster; without an engine one process computes",
        )
    if parts is not None and (not isinstance(parts, int) or isinstance(parts, bool) or parts < 1):
        raise UsageError("parts is not a whole number above 0", "leave it out: there are as many as have room at once")
    return engine.removeprefix("ray") and engine


def part_or_address(part: str | None, engine: str | None, parts: int | None) -> tuple[Part | None, str | None]:
    """Return which part of a run is computed, or the address of Ray, which computes all of them.

    Raises
    ------
    UsageError
        When both are asked for, or one of them is none.
    """
    if part is not None and engine is not None:
        raise UsageError("--part computes one part, --engine all of them", "give one of them")
    return None if part is None else Part.parse(part), address_of(engine, parts)


def imported(*, local: bool) -> ModuleType:
    """Return Ray; one that is started on this machine listens on loopback alone, to whoever knows a secret drawn now.

    Raises
    ------
    MissingDependencyError
        When it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if local and "ray" not in sys.modules:  # it reads them when it is imported
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # as Ray does there: loopback
        if "RAY_AUTH_MODE" not in os.environ:
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "--engine ray needs ray, which is not installed", "python -m pip install 'mammo-clip-dissect[ray]'"
        ) from None
    return ray


@contextmanager
def connected(ray: ModuleType, address: str) -> Iterator[None]:
    """Connect to a cluster, or start one here; what this process was connected to before is used, and stays."""
    if ray.is_initialized():
        yield
        return
    here = {} if address else {"include_dashboard": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is raised too
            ray.init(address or "local", log_to_driver=False, configure_logging=False, **here)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"no Ray cluster answers at {address}: {said_by(error)}" if address else f"Ray: {said_by(error)}",
            "its head node says the address: HOST:10001 unless another --ray-client-server-port was given",
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


class Progress:
    """How far tasks are: a process of Ray, which therefore imports next to nothing."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}

    def note(self, task: str, done: int) -> None:
        """Note how many images a task has done, those of an earlier run too; one that is retried begins anew."""
        self._done[task] = done

    def total(self) -> int:
        """Return how many images all tasks have done."""
        return sum(self._done.values())
