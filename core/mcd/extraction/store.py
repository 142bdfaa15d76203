"""Where activations and embeddings lie: safetensors shards under a key made of everything that decides them.

A shard is written to a temporary name, flushed and renamed, so a file that has its final name is whole. A run
that was killed finds the shards it finished; a run whose inputs changed has another key and never sees them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save

from mcd.errors import StoreError
from mcd.files import write_atomically

__all__ = ["Shards"]


class Shards:
    """The shards of one kind under one key, ``FOLDER/KEY/00000.safetensors`` and so on.

    Parameters
    ----------
    folder
        ``activations`` or ``embeddings`` of a run folder.
    key
        Digest of everything that decides the content.
    tensors
        Names and widths of the tensors in each shard; each is float32 ``(rows, width)``.
    """

    def __init__(self, folder: Path, key: str, tensors: Mapping[str, int]) -> None:
        self.key, self.tensors, self.path = key, dict(tensors), folder / key[:16]

    def _file(self, number: int) -> Path:
        return self.path / f"{number:05d}.safetensors"

    def write(
        self, number: int, tensors: Mapping[str, torch.Tensor], rows: Sequence[int], failed: Sequence[tuple[int, str]]
    ) -> None:
        """Write one shard: its tensors, the rows of the probe set they stand for, and the rows that failed."""
        # One metadata entry: safetensors writes several in no fixed order, and equal runs must give equal bytes.
        header = json.dumps({"key": self.key, "rows": list(rows), "failed": [list(one) for one in failed]})
        ordered = {name: tensors[name].contiguous() for name in self.tensors}
        write_atomically(self._file(number), save(ordered, metadata={"mcd": header}))

    def take_over(self, number: int, other: Shards) -> None:
        """Make a shard of ``other``, which has the same key, ours too: one file under two names where that works."""
        path, source = self._file(number), other._file(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.hardlink_to(source)
            temporary.replace(path)
        except OSError:  # a file system without links, or none between these two folders
            write_atomically(path, source.read_bytes())

    def whole(self, number: int) -> bool:
        """Say whether a shard exists, whole and ours."""
        try:
            with safetensors.safe_open(self._file(number), framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("mcd", "{}"))
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (OSError, ValueError, safetensors.SafetensorError):
            return False
        expected = {name: (len(header.get("rows", ())), width) for name, width in self.tensors.items()}
        return header.get("key") == self.key and shapes == expected

    def rows(self, count: int) -> tuple[list[int], list[tuple[int, str]]]:
        """Return the rows that the first ``count`` shards hold, in order, and those that failed with the reason."""
        rows: list[int] = []
        failed: list[tuple[int, str]] = []
        for number in range(count):
            with self._open(number) as file:
                header = json.loads(file.metadata()["mcd"])
            rows += header["rows"]
            failed += [(row, reason) for row, reason in header["failed"]]
        return rows, failed

    def read(self, name: str, count: int) -> torch.Tensor:
        """Return one tensor over the first ``count`` shards, float32 ``(rows, width)``."""
        parts = []
        for number in range(count):
            with self._open(number) as file:
                parts.append(file.get_tensor(name))
        return torch.cat(parts) if parts else torch.empty(0, self.tensors[name])

    def _open(self, number: int) -> safetensors.safe_open:
        path = self._file(number)
        try:
            return safetensors.safe_open(path, framework="pt")
        except (OSError, safetensors.SafetensorError) as error:
            raise StoreError(f"cannot read the stored shard {path}: {error}", "run the same command again") from None

    def forget_others(self) -> None:
        """Remove what other keys left beside ours, and temporary files of killed runs."""
        for other in self.path.parent.iterdir() if self.path.parent.is_dir() else ():
            if other.is_dir() and other != self.path:
                shutil.rmtree(other, ignore_errors=True)
        for left in self.path.glob(".*.tmp"):
            left.unlink(missing_ok=True)
