"""The hub: whether it may be reached, what of it lies on this machine, what its client shows on the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from mcd.errors import UsageError

__all__ = ["HUB_PREFIXES", "cache_only", "offline", "quiet", "repository", "revision"]

HUB_PREFIXES = ("hub:", "hf-hub:")
"""What a name on the hub begins with; open_clip's own spelling is the second. Nothing else is ever asked for there."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w.-]+(/[\w.-]+)*)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def offline() -> bool:
    """Say whether downloads are ruled out, by ``--offline`` or by the variables that the hub's client reads."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.strip().upper() in ("1", "ON", "YES", "TRUE")


def repository(name: str) -> str:
    """Return the repository that a name asks the hub for; empty where it is the name of something on this machine.

    A folder's name may be that of a person, and a mistyped one must not leave this machine: only what begins with
    ``hub:`` is a name on the hub.

    Parameters
    ----------
    name
        ``hub:OWNER/NAME`` or ``hub:OWNER/NAME@REVISION``; anything else is a path.

    Returns
    -------
    str
        ``OWNER/NAME`` or ``OWNER/NAME@REVISION``.

    Raises
    ------
    UsageError
        When what follows ``hub:`` is not such a name.
    """
    prefix = next((one for one in HUB_PREFIXES if name.startswith(one)), "")
    found = name.removeprefix(prefix) if prefix else ""
    if prefix and (".." in found or not _REPOSITORY.fullmatch(found)):
        raise UsageError(
            f"'{name}' is no name on the hub, and the hub is not asked for it",
            f"write {prefix}OWNER/NAME or {prefix}OWNER/NAME@REVISION; the path of a folder stands without {prefix}",
        )
    return found


def revision(repo: str) -> str:
    """Return which commit of a model's repository lies in the hub's cache on this machine; nothing is fetched.

    Parameters
    ----------
    repo
        ``OWNER/NAME``, which stands for its branch ``main``, or ``OWNER/NAME@REVISION``.

    Returns
    -------
    str
        ``OWNER/NAME@COMMIT``; empty where it is unknown.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    name, _, wanted = repo.partition("@")
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
    try:
        commit = (folder / "refs" / (wanted or "main")).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = wanted  # a commit has no name there
    known = _COMMIT.fullmatch(commit) and (folder / "snapshots" / commit).is_dir()
    return f"{name}@{commit}" if known else ""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let the hub's client show progress bars where it downloads, and nothing else; what matters is raised."""
    from huggingface_hub.utils.logging import get_verbosity, set_verbosity

    level = get_verbosity()
    set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        set_verbosity(level)


@contextlib.contextmanager
def cache_only() -> Iterator[None]:
    """Keep the hub's client off the network where no download was requested; its cache on this machine is read."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
