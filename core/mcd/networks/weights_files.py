"""Weights files as they lie on disk: recognised by their content, read without executing anything, shards together."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import pickle
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import BinaryIO

import torch
from safetensors.torch import load_file

from mcd.errors import CheckpointError
from mcd.networks.budgets import check_budget, check_repeated
from mcd.networks.native_paths import native_path
from mcd.networks.nesting import holds_arrays, holds_objects, tensors_below
from mcd.networks.scanning import ExcessError
from mcd.networks.unpickling import ForeignCallError, restricted_pickle

__all__ = ["read_file"]

_TORCH = (".pt", ".pth", ".tar", ".ckpt", ".bin")
_WEIGHTS = (".safetensors", *_TORCH)
_PICKLE = "data.pkl"
"""A member of every zip file that torch.save writes."""
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9"
"""How a file of torch before version 1.6 begins: with a number by which it is known."""
_AS_IT_CAME = "give the file as it was downloaded: whatever its name says, it is no archive to unpack"
_AGAIN = "download it again"
_INDEX = ".index.json"
_LARGEST_INDEX = 64 << 20
_UNPACKED = 16 << 20
_LISTED = 1000
_SHARD = re.compile(r"(?P<start>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<end>\.\w+)")


def read_file(path: Path) -> object:
    """Return what a weights file holds; of a file in shards, of their index or of any of them, all shards together.

    Raises
    ------
    CheckpointError
        When a file is missing, is no weights file, is cut short, or would call a function.
    """
    if path.name.endswith(_INDEX):
        return _joined(path, _indexed(path))
    found = _SHARD.fullmatch(path.name)
    if found is None:
        return _read_one(path)
    count = int(found["count"])
    _check_file(path)  # what is wrong with the file that was given is said first
    names = [f"{found['start']}-{number:05}-of-{count:05}{found['end']}" for number in range(1, count + 1)]
    return _joined(path, names)


def _indexed(path: Path) -> list[str]:
    """Return the names of the shards that an index lists."""
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(f"checkpoint {path} is no file", "give the path of a weights file")
        if path.stat().st_size > _LARGEST_INDEX:
            raise ValueError
        weights: object = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
    except FileNotFoundError:
        raise CheckpointError(f"checkpoint {path} does not exist", "give the path of a weights file") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{path} is no index of weights in shards", "it needs a weight_map") from None
    names = sorted({str(one) for one in weights.values()}) if isinstance(weights, Mapping) else []
    if not names or any(PurePath(name).name != name or name in ("", "..") for name in names):
        raise CheckpointError(f"{path} is no index of weights in shards", "it must name files beside it")
    return names


def _joined(path: Path, names: Iterable[str]) -> object:
    state: dict[str, object] = {}
    names = list(names)
    missing = [name for name in names if not path.with_name(name).is_file()]
    if missing:
        raise CheckpointError(
            f"{path} is one part of {len(names)}, of which {len(missing)} are missing: {', '.join(missing[:3])}",
            "put all parts into one folder",
        )
    for name in names:
        part = _read_one(path.with_name(name))
        if not isinstance(part, Mapping) or not state.keys().isdisjoint(part):
            raise CheckpointError(f"{path.with_name(name)} is no part of a state dict in {len(names)} files", _AGAIN)
        state |= part
    return state


def _read_one(path: Path) -> object:
    _check_file(path)
    return _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_torch(path)


def _check_file(path: Path) -> None:
    """Refuse what is missing, not readable or plainly something else, before a decoder sees it."""
    try:
        if not (path.is_file() or path.is_dir()) and path.exists():  # reading a pipe waits for whoever writes it
            raise CheckpointError(f"checkpoint {path} is no file", "give the path of a weights file")
        with path.open("rb") as file:
            head = file.read(256)
        start = head.lstrip().lower()
    except IsADirectoryError:
        raise _is_folder(path) from None
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"checkpoint {path} does not exist", "give the path of a weights file") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be opened: {_reason(error)}",
            "check the path, and that you may read it: ls -l FILE",
        ) from None
    _refuse_arrays(path, head)
    if path.suffix.lower() in (".gz", ".tgz", ".xz", ".bz2", ".zip", ".7z"):
        raise CheckpointError(f"{path} is an archive", "unpack it, and give the weights file in it")
    if path.suffix.lower() not in _WEIGHTS:
        raise CheckpointError(
            f"{path} is none of the weights files that mcd reads: .safetensors, {', '.join(_TORCH)}",
            "save the state dict with safetensors; or, where torch.save wrote the file, rename it to .pth",
        )
    if not start:
        raise CheckpointError(f"{path} is empty", _AGAIN)
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path} is a web page, not weights", f"{_AGAIN}: the server sent a page instead")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights", "fetch them: git lfs pull")


def _refuse_arrays(path: Path, head: bytes) -> None:
    """Refuse a file that numpy wrote, whatever it is called; ``head`` is how it begins."""
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")] if head.startswith(b"PK\3\4") else b""
    if path.suffix.lower() in (".npy", ".npz") or head.startswith(b"\x93NUMPY") or first.endswith(b".npy"):
        raise holds_arrays(path)


def _is_folder(path: Path) -> CheckpointError:
    if (path / _PICKLE).is_file() or any(path.glob(f"*/{_PICKLE}")):
        return CheckpointError(f"{path} is a weights file that was unpacked", _AS_IT_CAME)
    if (path / ".metadata").is_file() and any(path.glob("*.distcp")):
        return CheckpointError(
            f"{path} is a checkpoint of torch.distributed, in parts",
            "make one file of it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pth",
        )
    if (path / "zero_to_fp32.py").is_file():
        return CheckpointError(
            f"{path} is a checkpoint of DeepSpeed, in parts",
            "make one file of it with the script beside it: python zero_to_fp32.py . weights.pth",
        )
    inside = sorted(one.name for one in path.iterdir() if one.suffix.lower() in _WEIGHTS or one.name.endswith(_INDEX))
    listed = f": {', '.join(inside[:4])}" if inside else ""
    return CheckpointError(f"checkpoint {path} is a folder", f"give the path of a weights file{listed}")


def _repacked(path: Path) -> CheckpointError | None:
    """Return the error about an archive that is no weights file of torch, though it may be made of one; else None."""
    names = _names_in_tar(path)  # asked first: one with a zip file at its end is taken for that
    packed = bool(names)
    if not names:
        try:
            with zipfile.ZipFile(path) as zipped:
                names = zipped.namelist()
        except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):
            return None
        packed = all(name.count("/") != 1 for name in names if PurePath(name).name == _PICKLE)
    if packed and any(PurePath(name).name == _PICKLE for name in names):
        return CheckpointError(f"{path} is a weights file that was unpacked and packed again", _AS_IT_CAME)
    inside = [name for name in names if PurePath(name).suffix.lower() in _WEIGHTS]
    if inside:
        return CheckpointError(f"{path} is an archive with {inside[0]} in it", "unpack it, and give that file")
    return None


def _names_in_tar(path: Path) -> list[str]:
    """Return the first names in a tar file. Of a packed one only the start is unpacked, which may hold anything."""
    names: list[str] = []
    with (
        contextlib.suppress(OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error, tarfile.TarError),
        path.open("rb") as file,
        tarfile.open(fileobj=_unpacked(file), mode="r:") as archive,
    ):
        while len(names) < _LISTED and (member := archive.next()) is not None:
            names.append(member.name)
    return names


def _unpacked(file: BinaryIO) -> BinaryIO:
    """Return a file as it is, or the start of what it unpacks to."""
    start = file.read(3)
    file.seek(0)
    if start == b"BZh":
        with bz2.open(file) as packed:
            return io.BytesIO(packed.read(_UNPACKED))
    if start[:2] == b"\x1f\x8b":
        with gzip.open(file) as packed:
            return io.BytesIO(packed.read(_UNPACKED))
    return file


def _read_safetensors(path: Path) -> object:
    try:
        with native_path(path) as native:
            return load_file(native)
    except Exception as error:  # a header may say anything of its tensors
        raise CheckpointError(f"{path} is no whole safetensors file: {_reason(error)}", _AGAIN) from None


def _read_torch(path: Path) -> object:
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    try:
        check_budget(path)
        with warnings.catch_warnings(), native_path(path) as native:
            warnings.simplefilter("ignore")  # on old pickle protocols and sparse tensors: what matters is refused
            mapped = zipped and _mappable(path)
            found: object = torch.load(native, map_location="cpu", weights_only=True, mmap=mapped)
    except ExcessError as error:
        too_much = CheckpointError(f"{path} is not read: it holds {error}", "save model.state_dict() alone")
        raise _repacked(path) or too_much from None
    except pickle.UnpicklingError as error:
        if not zipped:
            raise _unread(path, error) from None
        found = _read_foreign(path)
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise _unread(path, error) from None
    check_repeated(tensors_below(found).values(), path)
    return found


def _mappable(path: Path) -> bool:
    """Say whether a zip file can be mapped instead of read: compressed tensors would be read as they lie there."""
    try:
        with zipfile.ZipFile(path) as archive:
            return all(one.compress_type == zipfile.ZIP_STORED for one in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return False


def _read_foreign(path: Path) -> object:
    """Read a zip file that names foreign classes. It is no TorchScript: torch has refused that before this."""
    try:
        with native_path(path) as native:
            return torch.load(
                native, map_location="cpu", weights_only=False, pickle_module=restricted_pickle, mmap=_mappable(path)
            )
    except ForeignCallError as error:
        raise holds_objects(path, str(error)) from None
    except Exception as error:  # as above
        raise _unread(path, error) from None


def _unread(path: Path, error: Exception) -> CheckpointError:
    """Return the message; torch's own text is left out where it advises to execute the file."""
    text = str(error)
    foreign = re.search(r"GLOBAL\s+([\w.]+)", text) or re.search(r"[Uu]nsupported (?:class|global:?)\s+([\w.]+)", text)
    if foreign is not None:
        return holds_objects(path, foreign[1])
    if "TorchScript" in text:
        return CheckpointError(
            f"{path} is a TorchScript program, which mcd never executes",
            "where you trust the file: safetensors.torch.save_file(torch.jit.load(FILE).state_dict(), 'w.safetensors')",
        )
    if isinstance(error, OSError | MemoryError):  # which say nothing of the content
        return CheckpointError(
            f"{path} cannot be read as weights: {_reason(error)}",
            "check the file: is it complete, and the one you mean?",
        )
    archive = _repacked(path)
    if archive is not None:
        return archive
    with path.open("rb") as file:
        start = file.read(9)
        file.seek(-1, io.SEEK_END)
        whole = file.read() == pickle.STOP
    if start[8:] == b"{":  # after eight bytes that count the header's
        return CheckpointError(f"{path} is a safetensors file by its content", "rename it to .safetensors")
    if start.startswith((b"PK\x03\x04", b"\x80")):  # zip, or the pickle of older versions
        if whole and start[:1] == b"\x80" and start != _LEGACY:
            return CheckpointError(
                f"{path} is a plain pickle, no file that torch.save wrote",
                "where you trust the file, load it in Python and save its tensors with safetensors",
            )
        if "weights_only" in text or "WeightsUnpickler" in text:
            return CheckpointError(f"{path} is no weights file that torch can read safely", _AGAIN)
        reason = _reason(error).partition(". ")[0]
        return CheckpointError(f"{path} cannot be read as weights, it is cut short or damaged: {reason}", _AGAIN)
    return CheckpointError(
        f"{path} is no file that torch.save wrote, whatever its name says",
        f"if it should be one, {_AGAIN}; if it is of another program, save model.state_dict() with torch.save",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
