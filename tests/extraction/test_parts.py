"""How images are divided: parts hold every shard once, and refused images move no other."""

from __future__ import annotations

import itertools

import pytest

from mcd.errors import UsageError
from mcd.extraction.parts import MOST_PARTS, Part, shard_rows, shard_size


@pytest.mark.parametrize(
    ("images", "batch"), [(1, 1), (64, 16), (65, 16), (333, 8), (1000, 96), (20_000, 16), (99_999, 7)]
)
def test_parts_hold_every_image_once_and_whole_shards(images: int, batch: int) -> None:
    shards = shard_rows(images, batch)
    for of in {1, 2, len(shards)} & set(range(1, len(shards) + 1)):
        parts = [Part(number, of).rows(images, batch) for number in range(1, of + 1)]
        assert list(itertools.chain.from_iterable(parts)) == list(range(images))
        starts = {rows[0][0] for rows in shards}
        assert {part.start for part in parts} <= starts
        assert max(map(len, parts)) - min(map(len, parts)) < 2 * shard_size(images, batch)
    assert len(shards) <= MOST_PARTS
    with pytest.raises(UsageError, match=f"too few for {len(shards) + 1} parts"):
        Part(1, len(shards) + 1).rows(images, batch)


def test_a_refused_image_changes_the_batches_of_its_own_shard_only() -> None:
    whole, without = shard_rows(333, 8), shard_rows(333, 8, {70, 71, 130})
    assert [number for number, shard in enumerate(whole) if shard != without[number]] == [1, 2]
    assert [row for batch in without[1] for row in batch] == [row for row in range(64, 128) if row not in (70, 71)]
    assert [len(batch) for batch in without[1]] == [8] * 7 + [6]
    assert shard_rows(70, 8, range(64)) == [[], [list(range(64, 70))]]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no part of a run"):
        Part.parse(text)
    assert str(Part.parse(" 3/16 ")) == "3/16"
