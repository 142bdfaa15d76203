"""One tensor of a sweep, such as the activations of a layer: where its shards go, and where they may be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from mcd.errors import StoreError
from mcd.events import Event, Warned
from mcd.extraction.shared_store import Entry
from mcd.extraction.store import Shards

__all__ = ["Column", "gather"]


@dataclass
class Column:
    """One tensor over the probe set, kept in shards: the same into each of several run folders.

    Parameters
    ----------
    name
        Of the tensor.
    width
        Its second axis.
    key
        Digest of what decides it, besides the images.
    stores
        Where the shards go, all under one key.
    entry
        What the shared store has of it; None where it has no part in this.
    """

    name: str
    width: int
    key: str
    stores: list[Shards] = field(default_factory=list)
    entry: Entry | None = None

    def whole(self, number: int) -> bool:
        """Say whether every place has a shard."""
        return all(store.whole(number) for store in self.stores)

    def complete(self, count: int) -> bool:
        """Say whether every place has the first ``count`` shards."""
        return all(store.whole(number) for store in self.stores for number in store.numbers(count))

    def at_hand(self, number: int) -> bool:
        """Say whether a shard need not be computed, as far as can be said without reading the shared store."""
        stored = self.entry is not None and self.entry.find(number) is not None
        return stored or any(store.whole(number) for store in self.stores)

    def damaged(self, count: int) -> list[str]:
        """Return the places of those of the first ``count`` shards that are there and not whole."""
        return [
            store.place(number)
            for store in self.stores
            for number in store.numbers(count)
            if store.exists(number) and not store.whole(number)
        ]

    def gather(self, count: int) -> None:
        """Complete the first ``count`` shards from the shared store and from each other, as far as they are there.

        Raises
        ------
        StoreError
            When the disk is full or may not be written.
        """
        for store in self.stores:
            for other in self.stores:
                lacking = [] if other is store else [one for one in store.numbers(count) if not store.whole(one)]
                files = {one: other.file_of(one) for one in lacking if other.whole(one)}
                store.take_over(files, sound=True)
        if self.entry is None or not self.stores:
            return
        first, *others = self.stores
        lacking = [one for one in first.numbers(count) if not first.whole(one)]
        found = {one: file for one in lacking if (file := self.entry.find(one)) is not None}
        if not found:
            return
        lost = first.take_over(found)
        for number in lost:
            self.entry.drop(number)
        taken = {number: first.file_of(number) for number in found if number not in lost}
        for store in others:
            store.take_over(taken, sound=True)
        if taken:
            self.entry.took()

    def write(
        self,
        number: int,
        tensor: torch.Tensor,
        rows: Sequence[int],
        failed: Sequence[tuple[int, str]],
        little_range: int = 0,
    ) -> None:
        """Write one shard everywhere; one that lacks images is not shared: the next run may be able to read them."""
        first, *others = self.stores
        first.write(number, {self.name: tensor}, rows, failed, little_range)
        file = first.file_of(number)
        for store in others:
            if store.take_over({number: file}, sound=True):
                raise StoreError(f"{file[0]} vanished while it was in use", "run the same command again")
        if self.entry is not None and not failed:
            self.entry.put(number, *file)

    def held(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the rows of a shard that is whole, and those of them that failed."""
        rows, failed = self.stores[0].part(number)
        return tuple(rows), tuple(row for row, _ in failed)


def gather(columns: Sequence[Column], count: int, emit: Callable[[Event], None]) -> None:
    """Complete ``count`` shards of columns from the shared store and each other; say what is damaged.

    Raises
    ------
    StoreError
        When the disk is full or may not be written.
    """
    damaged = [(column, place) for column in columns for place in column.damaged(count)]
    for column in columns:
        column.gather(count)
    again = [place for column, place in damaged if not column.complete(count)]
    if again:
        more = f" and {len(again) - 1} others" if len(again) > 1 else ""
        emit(Warned(f"stored shards are damaged and are computed again: {again[0]}{more}"))
    elif damaged:
        emit(Warned(f"stored shards are damaged and are replaced by copies: {damaged[0][1]}"))
