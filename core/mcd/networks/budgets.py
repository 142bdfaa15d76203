"""Weights files measured before torch reads them: a small file must not take much memory or time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch

from mcd.errors import CheckpointError
from mcd.networks.scanning import LARGEST_PICKLE, ExcessError, Storage, scan

__all__ = ["check_budget", "check_repeated"]

_MOST_PACKED = 64
"""How many times its size a compressed file may hold: tensors hardly shrink, unless they are all zeros."""
_ALWAYS = 256 << 20
_PICKLES = 5
"""In a file of torch before 1.6: magic number, protocol, machine, content, and the order of the storages."""
_MOST_REPEATED = 1 << 24


def check_budget(path: Path) -> None:
    """Refuse a file that torch wrote, or that pretends it, whose content is far larger than the file.

    Raises
    ------
    ExcessError
        Saying what is too large.
    ValueError, zipfile.BadZipFile
        When it is damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            with zipfile.ZipFile(file) as archive:
                _check_zip(archive, size)
            return
        file.seek(0)
        asked: list[Storage] = []
        for number in range(_PICKLES):
            if number and file.tell() == size:
                break
            asked += scan(file, size)
        _check_storages(asked, size)


def _check_zip(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    if sum(one.file_size for one in members) > _MOST_PACKED * size + _ALWAYS:
        raise ExcessError("far more than its size, compressed")
    held: dict[str, int] = {}
    for one in members:
        key = one.filename.partition("/data/")[2]
        held[key] = min(one.file_size, held.get(key, one.file_size))
    for one in members:
        if not one.filename.endswith(".pkl"):
            continue
        if one.file_size > LARGEST_PICKLE:
            raise ExcessError("more objects than weights have")
        data = archive.read(one)
        asked = scan(io.BytesIO(data), len(data))
        for storage in asked:
            if storage.bytes > held.get(storage.key, storage.bytes):
                raise ExcessError("tensors that are larger than their bytes")


def _check_storages(asked: Iterable[Storage], size: int) -> None:
    if sum({one.key: one.bytes for one in asked}.values()) > size:
        raise ExcessError("tensors that are larger than their bytes")


def check_repeated(tensors: Iterable[torch.Tensor], path: Path) -> None:
    """Refuse tensors that repeat a few numbers many times: used, they would take all memory.

    Raises
    ------
    CheckpointError
        Saying how many.
    """
    for one in tensors:
        if one.numel() > _MOST_REPEATED and one.numel() * one.element_size() > one.untyped_storage().nbytes():
            raise CheckpointError(
                f"{path} holds a tensor of {one.numel():,} numbers that are repeated, not stored",
                "save it after contiguous()",
            )
