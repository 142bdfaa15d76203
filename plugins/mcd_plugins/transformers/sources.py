"""Where a model of transformers comes from, and the error when it cannot be had."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from huggingface_hub.utils.tqdm import are_progress_bars_disabled, enable_progress_bars
from transformers.utils import logging

from mcd.errors import CheckpointError, passes_through, said_by
from mcd.plugins import hub_cache_only, hub_quiet, hub_repository, hub_revision, offline, read_state_dict

__all__ = ["Source", "medclip_weights", "quiet"]

_WEIGHTS = ("pytorch_model.bin", "model.safetensors")
_MEDCLIP = ("text_model.projection_head.weight", "vision_model.model.")

ResultT = TypeVar("ResultT")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's remarks and bars off the terminal, but those of downloads; what matters is raised."""
    level, own_bars, downloads = logging.get_verbosity(), logging.is_progress_bar_enabled(), _downloads_shown()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers types some of itself
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # as above
    if downloads:
        enable_progress_bars()  # the line above hides those of the hub's client too
    try:
        with hub_quiet():
            yield
    finally:
        logging.set_verbosity(level)
        if own_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above


def _downloads_shown() -> bool:
    return not are_progress_bars_disabled()


@dataclass(frozen=True)
class Source:
    """A folder on this machine, or a repository on the hub: ``hub:OWNER/NAME``, ``hub:OWNER/NAME@REVISION``."""

    name: str

    @property
    def folder(self) -> Path | None:
        """The folder, if it is one."""
        folder = Path(self.name)
        return folder if folder.is_dir() else None

    @property
    def repository(self) -> str:
        """The repository on the hub, ``OWNER/NAME`` or ``OWNER/NAME@REVISION``; empty where none is asked for."""
        return "" if self.folder else hub_repository(self.name)

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.folder.resolve().name if self.folder else self.repository

    @property
    def revision(self) -> str:
        """The commit of the hub that was read, ``OWNER/NAME@COMMIT``; empty for a folder."""
        return hub_revision(self.repository) if self.repository else ""

    def read(self, reader: Callable[..., ResultT], what: str, **more: object) -> ResultT:
        """Return what a ``from_pretrained`` makes of it. Code that comes with a model is never run.

        Raises
        ------
        CheckpointError
            When it cannot be read or fetched; ``what`` says what was looked for.
        """
        folder = self.folder
        repository, _, wanted = self.repository.partition("@")
        if not (folder or repository):
            raise CheckpointError(
                f"there is no folder {self.name}", "give the folder of the model; one on the hub is hub:OWNER/NAME"
            )
        if wanted:
            more["revision"] = wanted
        try:
            # a configuration may name parts that lie elsewhere; that of a folder fetches nothing
            with quiet(), hub_cache_only() if folder else contextlib.nullcontext():
                last = {"trust_remote_code": False, "local_files_only": folder is not None}
                return reader(str(folder or repository), **{**more, **last})
        except BaseException as error:  # transformers and the hub's clients raise whatever they come upon
            if passes_through(error):
                raise
            raise self._unread(what, error) from None

    def _unread(self, what: str, error: BaseException) -> CheckpointError:
        name, reason = self.repository or self.name, said_by(error, named=False)
        if self.folder is not None:
            if medclip_weights(self.folder) is not None:
                return CheckpointError(
                    f"{name} looks like MedCLIP, which is no model of transformers",
                    f"use --dissector medclip:{name}; its image tower is the target --model-plugin medclip:{name}",
                )
            if (self.folder / "open_clip_config.json").is_file() and not (self.folder / "config.json").is_file():
                return CheckpointError(
                    f"{name} holds a model of open_clip, not of transformers",
                    f"use --dissector open-clip:{name}; its image tower is the target --model-plugin open-clip:{name}",
                )
            return CheckpointError(
                f"the {what} in {name} cannot be used: {reason}", f"is it complete? It needs a {what}"
            )
        repository = name.partition("@")[0]
        advice = f"on a machine with network: hf download {repository} --local-dir FOLDER; then give the folder"
        if offline():
            return CheckpointError(f"offline, and the {what} of {name} is not in the hub's cache", advice)
        return CheckpointError(f"the {what} of {name} could not be fetched: {reason}", advice)


def medclip_weights(folder: Path) -> Path | None:
    """Return the weights file in a folder that holds a MedCLIP checkpoint, or None."""
    if (folder / "config.json").exists():
        return None
    for path in (folder / name for name in _WEIGHTS):
        with contextlib.suppress(CheckpointError):
            names = read_state_dict(path) if path.is_file() else {}
            if all(any(name.startswith(start) for name in names) for start in _MEDCLIP):
                return path
    return None
