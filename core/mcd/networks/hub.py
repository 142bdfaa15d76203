"""The hub: whether it may be reached, what of it lies on this machine, what its client shows on the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cache_only", "offline", "quiet", "revision"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


def offline() -> bool:
    """Say whether downloads are ruled out, by ``--offline`` or by the variables that the hub's client reads."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.strip().upper() in ("1", "ON", "YES", "TRUE")


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
