"""What tells who somebody is: the salt, ids, and what a manifest shows of paths."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mcd
from mcd.errors import StoreError, UsageError
from mcd.events import Clock
from mcd.extraction.embedding import probe_map_beside
from mcd.extraction.probe import examined
from mcd.extraction.probe_map import PROBE_MAP, copy_private, write_probe_map
from mcd.study.privacy import public_id, salt
from mcd.study.selection import Selection
from mcd_plugins.datasets.images import ImageFolder

ONE, OTHER = "8b1f6c0de2a94735", "f04c9e71ab3d5286"


def pictures(folder: Path, *names: str) -> ImageFolder:
    import numpy as np
    import PIL.Image

    for at, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.random.default_rng(at).integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
    return ImageFolder(ImageFolder.Options(path=folder))


def test_private_files_are_their_owners_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("made for others to read, then taken away from them")

    data = pictures(tmp_path / "data", "1.png")
    monkeypatch.setenv("MCD_SALT", ONE)
    probe = examined(data, Selection(), Clock(lambda _: None))
    monkeypatch.setattr("os.chmod", refused)
    before = os.umask(0)
    try:
        write_probe_map(tmp_path / "run" / PROBE_MAP, probe, {})
        write_probe_map(probe_map_beside(tmp_path / "out" / "vectors.safetensors"), probe, {}, own=False)
        copy_private(tmp_path / "run" / "private", tmp_path / "copy" / "private")
    finally:
        os.umask(before)
    for folder in tmp_path.glob("*/private"):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert len(list(tmp_path.glob("*/private/*.csv"))) == 3


def test_the_salt_is_made_once_and_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCD_SALT", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    first = salt()
    assert len(first) == 32
    assert salt() == first
    (kept,) = (tmp_path / "mcd").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("MCD_SALT", "5c1e0f3b-of the group")
    assert salt() == "5c1e0f3b-of the group"


def test_what_a_process_left_that_was_killed_while_it_made_the_salt_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MCD_SALT", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    killed = "import os; os.link = lambda *a, **k: os.kill(os.getpid(), 9); from mcd.study.privacy import salt; salt()"
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "mcd").iterdir())) == 1
    assert len(salt()) == 32
    assert [path.name for path in (tmp_path / "mcd").iterdir()] == ["salt"]


def test_a_salt_that_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCD_SALT", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="MCD_SALT"):
        salt()


def test_ids_are_salted_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures(tmp_path, "Miller/1.png", "Miller/2.png")
    monkeypatch.setenv("MCD_SALT", ONE)
    clock = Clock(lambda _: None)
    hidden = examined(data, Selection(), clock).ids
    assert hidden == (public_id("Miller/1.png", "", ONE), public_id("Miller/2.png", "", ONE))
    assert len(set(hidden)) == 2
    assert examined(data, Selection(), clock, keep_identifiers=True).ids == ("Miller/1.png", "Miller/2.png")
    monkeypatch.setenv("MCD_SALT", OTHER)
    assert set(examined(data, Selection(), clock).ids).isdisjoint(hidden)


def test_the_probe_set_is_the_same_under_another_salt_and_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(lambda _: None)
    monkeypatch.setenv("MCD_SALT", ONE)
    first = examined(pictures(tmp_path / "a", "1.png", "2.png"), Selection(), clock)
    monkeypatch.setenv("MCD_SALT", OTHER)
    second = examined(pictures(tmp_path / "b", "x.png", "y.png"), Selection(), clock)
    assert first.fingerprint == second.fingerprint
    swapped = pictures(tmp_path / "c", "2.png", "1.png")  # the same two images, in the other order of names
    assert examined(swapped, Selection(), clock).fingerprint != first.fingerprint


def test_two_images_of_one_id_are_refused() -> None:
    class Twice(mcd.Dataset):
        def __len__(self) -> int:
            return 2

        def scan(self):
            return iter([mcd.Sample("same", "d"), mcd.Sample("same", "e")])

        def read(self, sample: mcd.Sample) -> mcd.Image:
            raise AssertionError(sample)

    with pytest.raises(mcd.errors.DataError, match="1 id to more than one image, first 'same'"):
        examined(Twice(), Selection(), Clock(lambda _: None))


@pytest.mark.parametrize(
    "weak",
    ["x", "mcd", "password", "a" * 40, "secret" * 6, "0123456789abcdef", "fedcba9876543210", " " * 20, "ab" * 16],
)
def test_a_salt_that_can_be_guessed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weak: str) -> None:
    monkeypatch.setenv("MCD_SALT", weak)
    with pytest.raises(UsageError, match="MCD_SALT is too weak") as refused:
        salt()
    assert "at least 16 characters" in refused.value.hint
    monkeypatch.delenv("MCD_SALT")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "mcd").mkdir()
    (tmp_path / "mcd" / "salt").write_text(f"{weak}\n")
    if weak.strip():
        with pytest.raises(StoreError, match="too weak"):
            salt()
