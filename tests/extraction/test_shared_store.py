"""The store that runs share: whole files or none, whoever writes, prunes or damages it, and for one user only."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.command_line import ROOT
from tests.conftest import Outcome

import mcd.files
from mcd.errors import UsageError
from mcd.extraction.columns import Column
from mcd.extraction.shared_store import SharedStore, store_folder, store_limit
from mcd.extraction.store import Shards
from mcd.extraction.store_care import contents, keep_limit, prune, verify_store

KEY = "a" * 64


@pytest.fixture
def store(own_store: Path) -> SharedStore:
    return SharedStore(own_store, "this machine")


def column(store: SharedStore, *folders: Path, key: str = KEY) -> Column:
    entry = store.entry("activations", key)
    return Column("x", 3, key, [Shards(one / "activations", key, {"x": 3}) for one in folders], entry)


def numbers(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))


def written(store: SharedStore, folder: Path, key: str = KEY, shards: int = 2) -> Column:
    one = column(store, folder, key=key)
    for number in range(shards):
        one.write(number, numbers(number), range(4 * number, 4 * number + 4), [])
    return one


def test_a_second_run_takes_what_the_first_computed(store: SharedStore, tmp_path: Path) -> None:
    written(store, tmp_path / "first")
    second = column(store, tmp_path / "second", tmp_path / "third")
    second.gather(3)
    assert [second.whole(number) for number in range(3)] == [True, True, False]
    for shards in second.stores:
        assert torch.equal(shards.read("x", 2), torch.cat([numbers(0), numbers(1)]))
    assert len({path.stat().st_ino for path in tmp_path.rglob("00000.safetensors")}) == 1  # one file, three names


def test_what_another_machine_computed_is_not_taken(store: SharedStore, tmp_path: Path) -> None:
    written(store, tmp_path / "first")
    elsewhere = column(SharedStore(store.folder, "another"), tmp_path / "second")
    elsewhere.gather(2)
    assert not elsewhere.whole(0)


def test_a_shard_that_lacks_an_image_is_not_shared(store: SharedStore, tmp_path: Path) -> None:
    column(store, tmp_path / "first").write(0, numbers()[:3], [0, 1, 2], [(3, "it is cut short")])
    assert list(store.files()) == []


def test_where_the_file_system_makes_no_links_files_are_copied(
    store: SharedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(self: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_link)
    copied_both_ways(store, tmp_path)


MEMORY = Path("/dev/shm")


@pytest.fixture
def another_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, which is another file system than that of temporary files."""
    if not os.access(MEMORY, os.W_OK) or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def test_between_two_disks_files_are_copied(another_disk: Path, tmp_path: Path) -> None:
    copied_both_ways(SharedStore(another_disk / "store", "this machine"), tmp_path)


def copied_both_ways(store: SharedStore, folder: Path) -> None:
    written(store, folder / "first")
    second = column(store, folder / "second")
    second.gather(2)
    assert second.whole(0)
    assert second.whole(1)
    files = [*folder.rglob("*.safetensors"), *store.folder.rglob("*.safetensors")]
    assert len(files) >= 6
    assert {path.stat().st_nlink for path in files} == {1}


def test_a_disk_that_is_full_while_a_file_is_copied_keeps_nothing_of_it_and_harms_no_run(
    another_disk: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    store = SharedStore(another_disk / "store", "this machine")
    entry = store.entry("activations", KEY)
    source = tmp_path / "large"
    source.write_bytes(bytes(1 << 20))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limit[1]))  # writing ends after 64 KiB, as on a full disk
    try:
        entry.put(0, source, hashlib.sha256(source.read_bytes()).hexdigest())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "too large" in store.problem
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []
    assert written(store, tmp_path / "first").whole(1)


@pytest.mark.parametrize("damage", ["cut", "changed", "a link elsewhere"])
def test_a_damaged_file_is_removed_and_not_taken(store: SharedStore, tmp_path: Path, damage: str) -> None:
    written(store, tmp_path / "first")
    path = next(store.folder.rglob("00000-*.safetensors"))
    data = path.read_bytes()
    path.unlink()
    if damage == "a link elsewhere":
        (tmp_path / "other").write_bytes(data)
        path.symlink_to(tmp_path / "other")
    else:
        path.write_bytes(data[:-8] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    second = column(store, tmp_path / "second")
    second.gather(2)
    assert not second.whole(0)
    assert second.whole(1)
    assert store.damaged == (damage != "a link elsewhere")
    assert not list((tmp_path / "second").rglob("00000.safetensors"))
    if store.damaged:
        assert not path.exists()
    second.write(0, numbers(), range(4), [])
    third = column(store, tmp_path / "third")
    third.gather(2)
    assert third.whole(0)


def test_a_file_that_vanishes_while_it_is_taken_is_computed(store: SharedStore, tmp_path: Path) -> None:
    written(store, tmp_path / "first")
    second = column(store, tmp_path / "second")
    assert second.at_hand(0)  # seen
    prune(store, keep_days=0)
    second.gather(2)
    assert not second.whole(0)
    assert store.damaged == 0
    written(store, tmp_path / "second")  # as the run then does
    assert len(list(store.files())) == 2


WRITER = """
import sys
from pathlib import Path
import torch
from tests.extraction.test_shared_store import column, numbers, SharedStore

store = SharedStore(Path(sys.argv[1]), "this machine")
torch.set_num_threads(1)
print("ready", flush=True)
sys.stdin.readline()
one = column(store, Path(sys.argv[2]))
for number in range(40):
    one.write(number, numbers(int(sys.argv[3]) * number), range(4 * number, 4 * number + 4), [])
"""


def writer(store: SharedStore, folder: Path, seed: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.folder), str(folder), str(seed)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param((1, 1), id="equal numbers", marks=pytest.mark.nightly),
        pytest.param((1, 2), id="other last bits"),
    ],
)
def test_two_processes_write_one_entry_while_a_third_prunes(
    store: SharedStore, tmp_path: Path, seeds: tuple[int, int]
) -> None:
    writers = [writer(store, tmp_path / f"run {at}", seed) for at, seed in enumerate(seeds)]
    for one in writers:
        begin(one)
    while any(one.poll() is None for one in writers):
        prune(store, keep_days=0)
    for one in writers:
        one.communicate()  # closes its streams
    assert [one.returncode for one in writers] == [0, 0]
    for at, seed in enumerate(seeds):  # whatever became of the store, each run has its own numbers
        kept = Shards(tmp_path / f"run {at}" / "activations", KEY, {"x": 3})
        assert all(kept.whole(number) for number in range(40))
        assert torch.equal(kept.read("x", 40), torch.cat([numbers(seed * number) for number in range(40)]))
    assert verify_store(store)[1] == []
    third = column(store, tmp_path / "third")
    third.gather(40)
    assert store.damaged == 0


def test_prune_removes_by_age_then_by_size_and_never_a_run_folders_file(store: SharedStore, tmp_path: Path) -> None:
    for days, key in enumerate("cba"):
        written(store, tmp_path / key, key * 64)
        entry = store.entry("activations", key * 64)
        found = entry.find(0)
        assert found is not None
        then = found[0].parent.stat().st_mtime - days * 24 * 3600 - 60
        os.utime(found[0].parent, (then, then))
    size = contents(store)[-1].size
    assert prune(store, keep_days=3) == []
    assert len(prune(store, keep_days=2)) == 2
    assert not column(store, tmp_path / "new", key="a" * 64).at_hand(0)
    assert len(prune(store, limit=size // 2)) == 2  # one of the two that are left
    assert column(store, tmp_path / "new", key="c" * 64).at_hand(0)
    for key in "abc":
        assert column(store, tmp_path / key, key=key * 64).whole(1)


def test_above_its_limit_what_no_run_holds_goes_the_least_recently_used_first(
    store: SharedStore, tmp_path: Path
) -> None:
    for days, key in enumerate("cba"):  # a was not used for longest
        written(store, tmp_path / key, key * 64)
        found = store.entry("activations", key * 64).find(0)
        assert found is not None
        then = found[0].parent.stat().st_mtime - days * 24 * 3600
        os.utime(found[0].parent, (then, then))
    assert keep_limit(store, 0) == ""  # run folders hold all of it
    for key in "bc":
        for path in (tmp_path / key).rglob("*.safetensors"):
            path.unlink()
    size = contents(store)[-1].only_here
    assert keep_limit(store, size) == ""
    said = keep_limit(store, size // 2)
    assert "2 files" in said
    assert "MCD_STORE_LIMIT" in said
    assert [column(store, tmp_path / "new", key=key * 64).at_hand(0) for key in "abc"] == [True, False, True]
    assert column(store, tmp_path / "a", key="a" * 64).whole(1)


def test_how_large_it_may_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCD_STORE_LIMIT", raising=False)
    assert store_limit() == 50 * 10**9
    monkeypatch.setenv("MCD_STORE_LIMIT", "0.5")
    assert store_limit() == 5 * 10**8
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("MCD_STORE_LIMIT", wrong)
        with pytest.raises(UsageError, match="MCD_STORE_LIMIT"):
            store_limit()


def test_pruned_of_everything_nothing_is_left_whatever_the_clock_of_a_server(
    store: SharedStore, tmp_path: Path
) -> None:
    written(store, tmp_path / "first")
    folder = next(store.files()).path.parent
    later = folder.stat().st_mtime + 3600
    os.utime(folder, (later, later))
    assert len(prune(store, keep_days=0)) == 2


def test_what_is_not_the_stores_is_left_alone(store: SharedStore, tmp_path: Path) -> None:
    written(store, tmp_path / "first")
    entry = next(store.folder.rglob("*.safetensors")).parent
    strangers = [
        store.folder / "note.txt",
        entry / "note.txt",
        store.folder / "v1" / "activations" / "mine" / "x.safetensors",
    ]
    for one in strangers:
        one.parent.mkdir(exist_ok=True)
        one.write_text("mine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"00000-{'b' * 64}.safetensors").write_text("theirs")
    (store.folder / "v1" / "activations" / ("b" * 64)).symlink_to(outside)
    prune(store, keep_days=0)
    assert list(store.files()) == []
    assert all(one.read_text() == "mine" for one in strangers)
    assert len(list(outside.iterdir())) == 1


def test_it_is_for_this_user_only_and_says_nothing_of_anybody(store: SharedStore, tmp_path: Path) -> None:
    written(store, tmp_path / "first")
    folders = [store.folder, *(path for path in store.folder.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    names = {path.name for path in store.folder.rglob("*")} - {"v1", "activations"}
    assert all(len(name) >= 64 for name in names)  # digests


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no owners")
def test_a_store_that_others_may_write_into_is_refused(store: SharedStore) -> None:
    store.folder.mkdir(mode=0o700)
    store.check()
    store.folder.chmod(0o770)
    with pytest.raises(UsageError, match="others may write into it"):
        store.check()


@pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_no_error(store: SharedStore, tmp_path: Path) -> None:
    store.folder.mkdir(mode=0o500)
    assert written(store, tmp_path / "first").whole(1)
    assert store.problem


def test_a_store_in_the_place_of_a_file_is_no_error_while_it_is_written(store: SharedStore, tmp_path: Path) -> None:
    store.folder.mkdir()
    (store.folder / "v1").write_text("in the way")
    assert written(store, tmp_path / "first").whole(1)
    assert store.problem


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCD_STORE", str(tmp_path / "x"))
    assert store_folder() == tmp_path / "x"
    assert store_folder(Path("off")) is None
    assert store_folder(tmp_path / "y") == tmp_path / "y"
    monkeypatch.setenv("MCD_STORE", "off")
    assert store_folder() is None
    monkeypatch.setenv("MCD_STORE", "")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert store_folder() == tmp_path / "cache" / "mcd" / "store"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        store_folder(tmp_path / "file" / "store")


def test_the_commands(store: SharedStore, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    written(store, tmp_path / "first")
    done = mcd_command("store", "list")
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines()[:-1])) <= 80
    assert [line.split()[1:3] for line in done.out.splitlines() if line.startswith(("activations", "all"))] == [
        ["1", "2"]
    ] * 2
    assert mcd_command("store", "verify").out.startswith("all 2 files are as they were written")
    assert mcd_command("store", "prune").code == 2
    path = next(store.folder.rglob("00001-*.safetensors"))
    path.unlink()
    path.write_bytes(b"another file")
    done = mcd_command("store", "verify")
    assert done.code == 4
    assert str(path) in done.out
    done = mcd_command("store", "prune", "--keep-days", "0")
    assert done.out.startswith("removed 1 file,")
    assert "; 0 B are freed" in done.out  # the run folder has it
    assert mcd_command("store", "list", "--store", "off").code == 2


def test_the_name_of_a_file_is_its_digest(store: SharedStore, tmp_path: Path) -> None:
    written(store, tmp_path / "first")
    for one in store.files():
        assert hashlib.sha256(one.path.read_bytes()).hexdigest() == one.digest
        assert one.shared
    assert mcd.files.size_text(contents(store)[-1].size).endswith("B")
