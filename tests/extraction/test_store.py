"""The store: whole shards or none, equal bytes, keys that keep runs apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mcd.errors import StoreError
from mcd.extraction.parts import shard_rows
from mcd.extraction.store import Shards
from mcd.files import write_atomically


def shards(folder: Path, key: str = "k" * 64) -> Shards:
    return Shards(folder, key, {"a": 3, "b": 2})


def tensors(rows: int) -> dict[str, torch.Tensor]:
    return {"a": torch.arange(rows * 3.0).view(rows, 3), "b": torch.ones(rows, 2)}


def test_what_is_written_is_read_in_order(tmp_path: Path) -> None:
    store = shards(tmp_path)
    store.write(0, tensors(2), [0, 1], [])
    store.write(1, tensors(1), [3], [(2, "broken")])
    assert store.rows(2) == ([0, 1, 3], [(2, "broken")])
    torch.testing.assert_close(store.read("a", 2), torch.cat([tensors(2)["a"], tensors(1)["a"]]))


def test_some_rows_and_columns_are_read_from_every_shard(tmp_path: Path) -> None:
    store, values = shards(tmp_path), torch.arange(15.0).view(5, 3)
    for number, rows in enumerate(([0, 1], [4, 7], [8])):
        store.write(number, {"a": values[2 * number : 2 * number + len(rows)], "b": torch.ones(len(rows), 2)}, rows, [])
    rows, columns = torch.tensor([4, 0, 3, 3]), torch.tensor([2, 0])
    assert torch.equal(store.read("a", 3, rows=rows), values[rows])
    assert torch.equal(store.read("a", 3, columns=columns), values[:, columns])
    assert torch.equal(store.read("a", 3, rows, columns), values[rows][:, columns])
    store.write(1, {"a": values[:2] + 1, "b": torch.ones(2, 2)}, [4, 7], [])  # what was read before is forgotten
    assert torch.equal(store.read("a", 3, rows=torch.tensor([2])), values[:1] + 1)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("x", "y"):
        shards(tmp_path / name).write(0, tensors(2), [0, 1], [(2, "why")])
    one, two = (next((tmp_path / name).rglob("*.safetensors")).read_bytes() for name in ("x", "y"))
    assert one == two


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "rows"])
def test_a_damaged_shard_is_not_whole(tmp_path: Path, damage: str) -> None:
    store = shards(tmp_path)
    store.write(0, tensors(2), [0, 1, 2] if damage == "rows" else [0, 1], [])
    path = next(tmp_path.rglob("*.safetensors"))
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-4], "empty": b"", "text": b"not a shard at all", "rows": data}[damage])
    assert not store.whole(0)
    assert not store.whole(1)


def test_another_key_never_sees_the_shards(tmp_path: Path) -> None:
    shards(tmp_path).write(0, tensors(2), [0, 1], [])
    other = shards(tmp_path, "o" * 64)
    assert not other.whole(0)
    # a key that shares the 16 characters of the folder's name, but not the rest
    assert not shards(tmp_path, "k" * 63 + "x").whole(0)
    other.write(0, tensors(2), [0, 1], [])
    other.forget(["k" * 64])
    assert not shards(tmp_path).whole(0)
    assert other.whole(0)


def test_only_shards_of_the_run_are_removed_and_none_behind_a_link(tmp_path: Path) -> None:
    scratch, run = tmp_path / "scratch", tmp_path / "run"
    scratch.mkdir()
    run.mkdir()
    (run / "activations").symlink_to(scratch)
    theirs, ours = "a" * 64, "b" * 64
    for key in (theirs, ours):
        shards(run / "activations", key).write(0, tensors(2), [0, 1], [])
    shards(run / "activations", ours).forget([theirs])
    assert shards(scratch, theirs).whole(0)  # the folder is another run's too
    note = scratch / theirs[:16] / "note.txt"
    note.write_text("mine")
    kept = {path: path.read_bytes() for path in scratch.rglob("*") if path.is_file()}
    shards(scratch, ours).forget(["../../run", theirs[:10], "c" * 64])
    assert {path: path.read_bytes() for path in scratch.rglob("*") if path.is_file()} == kept
    shards(scratch, ours).forget([theirs])
    assert note.exists()
    assert not shards(scratch, theirs).whole(0)
    assert shards(scratch, ours).whole(0)


def test_a_file_is_there_wholly_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "f", b"old")
    (tmp_path / "d").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        write_atomically(tmp_path / "d" / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "f"]


@pytest.mark.parametrize(("images", "batch"), [(1, 1), (64, 16), (65, 16), (200, 7), (10, 64), (130, 100)])
def test_shards_part_the_rows_into_whole_batches(images: int, batch: int) -> None:
    parted = shard_rows(images, batch)
    assert [row for group in parted for rows in group for row in rows] == list(range(images))
    assert all(len(rows) == batch for group in parted[:-1] for rows in group)
    assert all(sum(map(len, group)) >= 64 for group in parted[:-1])
