"""How the images of a run are divided: into shards of whole batches, and those into parts for several processes."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mcd.errors import UsageError

__all__ = ["MOST_PARTS", "Part", "part_folder", "parts_folder", "shard_rows", "shard_size"]

_FEWEST, MOST_PARTS = 64, 256
"""Images of a shard, at least, and shards of a run, at most: so many parts can it have."""

_WRITTEN = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


def shard_size(images: int, batch_size: int) -> int:
    """Return how many rows a shard of a run over so many images has; the last one may have fewer."""
    return -(-max(_FEWEST, batch_size, -(-images // MOST_PARTS)) // batch_size) * batch_size


def shard_rows(images: int, batch_size: int, refused: Collection[int] = ()) -> list[list[list[int]]]:
    """Return, for every shard, its batches as lists of rows.

    A shard holds at least 64 images and only whole batches: what a batch holds must not depend on where a
    run was interrupted, or the last bits of its numbers would. There are at most 256 shards: each layer has its own.

    Which rows a shard has follows from the number of images alone, its batches from those of them that can be used: so
    a part of a run needs to know of no other part's images whether they can.

    Parameters
    ----------
    images
        How many were chosen.
    refused
        Rows of those that cannot be used: no batch has them.
    """
    size = shard_size(images, batch_size)
    usable = (
        [row for row in range(start, min(start + size, images)) if row not in refused]
        for start in range(0, images, size)
    )
    return [[rows[at : at + batch_size] for at in range(0, len(rows), batch_size)] for rows in usable]


def parts_folder(output: Path) -> Path:
    """Return where parts are computed that no folder was given for: beside the one that they are merged in."""
    whole = output if output.name.strip(".") else output.resolve()  # of . and .. only that has a name
    return whole.parent / f"{whole.name}.parts"


def part_folder(folder: Path, part: Part | None) -> Path:
    """Return where a run goes that was given no folder: a part beside the folder that the parts are merged in."""
    return folder if part is None else parts_folder(folder) / part.folder


@dataclass(frozen=True)
class Part:
    """Some of the shards of a run, one after another: what one process of several computes.

    Parameters
    ----------
    number, of
        Which part it is, from 1, and how many there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """What its folder is called in `parts_folder`."""
        return f"{self.number}-of-{self.of}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """Return the part that a text such as ``3/16`` means.

        Raises
        ------
        UsageError
            When it means none.
        """
        if not isinstance(text, str):
            raise UsageError("a part is not given as text", 'write its number and how many: part="3/16"')
        found = _WRITTEN.fullmatch(text.strip())
        number, of = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= of:
            raise UsageError(f"--part {text[:40]!r} is no part of a run", "write its number and how many: --part 3/16")
        return cls(number, of)

    def shards(self, count: int) -> range:
        """Return which of ``count`` shards are its own: parts differ by one shard at most."""
        return range((self.number - 1) * count // self.of, self.number * count // self.of)

    def rows(self, images: int, batch_size: int) -> range:
        """Return which of the chosen images are its own.

        Raises
        ------
        UsageError
            When there are more parts than shards.
        """
        size = shard_size(images, batch_size)
        count = -(-images // size)
        if self.of > count:
            those = "1 image makes" if images == 1 else f"{images} images make"
            shards = "1 shard" if count == 1 else f"{count} shards"
            raise UsageError(
                f"{those} {shards} of {size} images, too few for {self.of} parts: some would be empty",
                f"divide the run into {count} parts at most, the same number for every part"
                if count > 1
                else "leave out --part, or --engine and --parts: one process makes this run",
            )
        own = self.shards(count)
        return range(own.start * size, min(own.stop * size, images))
