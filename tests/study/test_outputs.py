"""Files: what is written, what is in the way, and what killed writers leave."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mcd.errors import StoreError, UsageError
from mcd.files import check_folder, write_atomically
from mcd.study.outputs import WRITTEN, check_writable, clear_leftovers, outputs, scratch_folder, write_output


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def fill(folder: Path, **files: str) -> None:
    with outputs(folder) as fresh:
        assert not list(fresh.iterdir())
        for name, text in files.items():
            (fresh / name).write_text(text)


def test_what_mcd_wrote_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path, page="one", table="one")
    (tmp_path / "theirs").write_text("notes")
    fill(tmp_path, page="two", table="two")
    assert (tmp_path / "page").read_text() == "two"
    (tmp_path / "table").write_text("two, and remarks")
    for name in ("theirs", "table"):
        before = (tmp_path / name).read_text()
        with pytest.raises(UsageError, match=f"{name} is in the way: mcd did not write it, or it was changed since"):
            fill(tmp_path, page="three", **{name: "three"})
        assert (tmp_path / name).read_text() == before
    assert (tmp_path / "page").read_text() == "two"  # all or none
    (tmp_path / "table").write_text("three")
    fill(tmp_path, table="three")  # the same content is in nobody's way
    assert names(tmp_path) == [WRITTEN, "page", "table", "theirs"]


def test_of_what_fails_nothing_is_written(tmp_path: Path) -> None:
    fill(tmp_path, page="one")
    with pytest.raises(FileNotFoundError):
        fill(tmp_path, **{"page": "two", "no/such/folder": "two"})
    assert names(tmp_path) == [WRITTEN, "page"]
    assert (tmp_path / "page").read_text() == "one"


def test_what_fails_leaves_no_folder_that_was_made_for_it(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    for folder in (tmp_path / "new" / "deep", tmp_path / "theirs"):
        with pytest.raises(FileNotFoundError):
            fill(folder, **{"page": "one", "no/such/folder": "one"})
    with pytest.raises(KeyboardInterrupt), outputs(tmp_path / "new"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_asking_whether_a_file_can_be_written_makes_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep" / "page")
    assert not list(tmp_path.iterdir())
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "closed").mkdir(mode=0o500)
    for place in ("nowhere", "closed/new") if os.geteuid() else ("nowhere",):
        with pytest.raises(StoreError, match="cannot write"):
            check_writable(tmp_path / place / "page")


def test_folders_keep_their_permissions(tmp_path: Path) -> None:
    with outputs(tmp_path) as fresh:
        (fresh / "key").mkdir(mode=0o700)
        (fresh / "key" / "key.json").write_text("{}")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == [WRITTEN, "key/key.json"]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "theirs"])
def test_what_is_in_the_way_is_said_before_anything_is_computed(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "vectors.csv", tmp_path / "other.csv"
    write_output(other, b"mine")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("mine")  # the same content, but under a name that mcd never wrote
    with pytest.raises(UsageError, match="is in the way"):
        check_writable(path)
    with pytest.raises(UsageError, match="is in the way"):
        write_output(path, b"new")
    assert other.read_bytes() == b"mine"
    check_writable(other)
    write_output(other, b"new")
    assert other.read_bytes() == b"new"


def test_a_name_too_long_for_a_file_system_is_said_at_once(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 300), tmp_path / ("ü" * 130) / "run", tmp_path.joinpath(*["y" * 200] * 25)):
        with pytest.raises(UsageError, match=r"bytes|cannot be the path"):
            check_folder(path)
        with pytest.raises(UsageError, match=r"bytes|cannot be the path"):
            check_writable(path / "f.csv")
    check_writable(tmp_path / ("x" * 251 + ".csv"))
    write_output(tmp_path / ("x" * 251 + ".csv"), b"")


def left_in(folder: Path) -> tuple[Path, Path, Path]:
    """Leave what a killed writer leaves, a file and a folder, and a file of somebody else's."""
    file, below, theirs = folder / f".mcd-{'0' * 16}.tmp", folder / f".mcd-{'1' * 16}.tmp", folder / ".theirs.tmp"
    below.mkdir(parents=True)
    for path in (file, below / "page", theirs):
        path.write_text("half")
    return file, below, theirs


def test_what_killed_writers_left_goes_and_what_live_ones_write_stays(tmp_path: Path) -> None:
    file, below, theirs = left_in(tmp_path)
    held = [os.open(path, os.O_RDONLY) for path in (file, below)]
    for number in held:
        fcntl.flock(number, fcntl.LOCK_EX)
    clear_leftovers(tmp_path)
    assert file.exists()
    assert (below / "page").exists()
    for number in held:
        os.close(number)
    clear_leftovers(tmp_path)
    assert not file.exists()
    assert not below.exists()
    assert theirs.exists()


def test_scratch_of_a_killed_process_goes_and_that_of_a_live_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import time; from mcd.study.outputs import scratch_folder\nwith scratch_folder() as one:\n    "
    code += "(one / 'page').write_text('half'); print(one, flush=True); time.sleep(60)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        with scratch_folder() as own:
            assert (theirs / "page").exists()
            assert own.stat().st_mode & 0o777 == 0o700
        assert not own.exists()
        process.kill()
    assert theirs.exists()
    with scratch_folder():
        assert not theirs.exists()


def test_leftovers_are_looked_for_below_but_not_behind_links(tmp_path: Path) -> None:
    run, scratch = tmp_path / "run", tmp_path / "scratch"
    inside, _, _ = left_in(run / "activations" / "k")
    outside, folder, _ = left_in(scratch)
    (run / "link").symlink_to(scratch)
    (run / f".mcd-{'2' * 16}.tmp").symlink_to(folder)
    clear_leftovers(run)
    assert inside.exists()
    clear_leftovers(run, deep=True)
    assert not inside.exists()
    assert outside.exists()
    assert (folder / "page").exists()


def test_two_writers_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    with outputs(tmp_path) as one:
        (one / "a").write_text("a")
        fill(tmp_path, b="b")
        (one / "c").write_text("c")
    assert names(tmp_path) == [WRITTEN, "a", "b", "c"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        write_atomically(tmp_path / "folder", b"new")
    assert names(tmp_path) == []
