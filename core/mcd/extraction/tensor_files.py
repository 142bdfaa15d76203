"""Safetensors files of a run folder: opened when they are what the run wrote, with the record in their metadata."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol, TypeVar

import pydantic
import safetensors
import torch

from mcd.errors import StoreError
from mcd.networks.native_paths import native_path
from mcd.study.digests import CheckedFiles

__all__ = ["AGAIN", "TensorFile", "open_tensors", "record_of"]

AGAIN = "run the same command again"

RecordT = TypeVar("RecordT", bound=pydantic.BaseModel)


class _Slice(Protocol):
    def get_dtype(self) -> str: ...

    def get_shape(self) -> list[int]: ...


class TensorFile(Protocol):
    """What of `safetensors.safe_open` is used here."""

    def metadata(self) -> dict[str, str] | None:
        """Return the metadata, None where there is none."""

    def keys(self) -> list[str]:
        """Return the names of the tensors."""

    def get_slice(self, name: str) -> _Slice:
        """Return a tensor that is not read yet."""

    def get_tensor(self, name: str) -> torch.Tensor:
        """Return a tensor."""


@contextlib.contextmanager
def open_tensors(files: CheckedFiles, name: str, what: str) -> Iterator[TensorFile]:
    """Open a file of tensors.

    Parameters
    ----------
    name
        Its path in the folder.
    what
        What it is, for messages.

    Raises
    ------
    DamagedError
        When it is not what the run wrote.
    StoreError
        When it cannot be read.
    """
    path = files.folder / name
    try:
        files.check(name)
        with native_path(path) as native, safetensors.safe_open(native, framework="pt") as file:
            yield file
    except OSError as error:
        raise StoreError(f"cannot read {what} {path}: {error.strerror or error}", AGAIN) from None
    except safetensors.SafetensorError:  # its words hold some of the file's bytes
        raise StoreError(f"cannot read {what} {path}: it is no whole file of tensors, or lacks one", AGAIN) from None


def record_of(file: TensorFile, model: type[RecordT], where: str) -> RecordT:
    """Return the metadata entry ``mcd`` of a file.

    Raises
    ------
    StoreError
        When it has none, or another one.
    """
    try:
        return model.model_validate_json((file.metadata() or {}).get("mcd", ""))
    except pydantic.ValidationError:
        raise StoreError(f"{where} was not written by mcd", AGAIN) from None
