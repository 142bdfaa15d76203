"""What is remembered of files is never wrong, and says nothing to others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.extraction.remembered import pictures, probed

from mcd.errors import UsageError
from mcd.extraction.file_memory import FileMemory
from mcd.extraction.parallel import in_processes


def spoiled(path: Path) -> None:
    """Change a byte in the middle of each row."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT place, sealed FROM file").fetchall()
        assert rows
        for place, sealed in rows:
            at = len(sealed) // 2
            other = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
            database.execute("UPDATE file SET sealed = ? WHERE place = ?", (other, place))
    database.close()


def exchanged(path: Path) -> None:
    """Give each row the content of another."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT place, sealed FROM file").fetchall()
        for (place, _), (_, sealed) in zip(rows, rows[1:] + rows[:1], strict=True):
            database.execute("UPDATE file SET sealed = ? WHERE place = ?", (sealed, place))
    database.close()


def of_another_table(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE file (other TEXT)")
    database.close()


@pytest.mark.parametrize(
    "damage",
    [
        spoiled,
        exchanged,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(path.stat().st_size - 100)),
        of_another_table,
        lambda path: path.unlink(),
    ],
)
def test_a_damaged_memory_is_forgotten_and_never_believed(
    tmp_path: Path, memory: Path, damage: Callable[[Path], object]
) -> None:
    folder = pictures(tmp_path / "images")
    first = probed(folder)
    damage(memory / "v1.sqlite3")
    assert probed(folder) == first
    assert probed(folder) == first


def test_a_memory_that_was_damaged_is_filled_again(tmp_path: Path, memory: Path, opened: list[str]) -> None:
    folder = pictures(tmp_path / "images")
    probed(folder)
    (memory / "v1.sqlite3").write_bytes(b"no database" * 1000)
    probed(folder)
    opened.clear()
    probed(folder)
    assert opened == []


def test_it_is_its_owners_alone_and_holds_nothing_to_read(tmp_path: Path, memory: Path) -> None:
    folder = pictures(tmp_path / "Miller^Anna")
    probe = probed(folder)
    assert memory.stat().st_mode & 0o777 == 0o700
    assert [(one.name, one.stat().st_mode & 0o777) for one in memory.iterdir()] == [("v1.sqlite3", 0o600)]
    held = (memory / "v1.sqlite3").read_bytes()
    with sqlite3.connect(memory / "v1.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM file").fetchone() == (3,)
    database.close()
    for one in probe.samples:
        assert one.digest.encode() not in held
        assert bytes.fromhex(one.digest) not in held
    for text in (b"Miller", b".bmp", b"digest", b"facts", b"columns"):
        assert text not in held


def test_a_memory_that_others_may_write_to_is_not_used(tmp_path: Path, memory: Path, opened: list[str]) -> None:
    folder, said = pictures(tmp_path / "images"), list[str]()
    memory.mkdir()
    memory.chmod(0o777)
    probed(folder, said=said)
    probed(folder)
    assert len(opened) == 6
    assert "others may write to it" in said[0]


@pytest.mark.parametrize("value", ["off", "a file"])
def test_it_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str], value: str) -> None:
    folder = pictures(tmp_path / "images")
    if value == "off":
        monkeypatch.setenv("MCD_DIGESTS", "off")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        probed(folder)
        probed(folder)
        assert len(opened) == 6
        assert not (tmp_path / "cache").exists()
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("MCD_DIGESTS", str(tmp_path / "file"))
        with pytest.raises(UsageError, match="is a file"):
            probed(folder)


def test_without_the_variable_it_lies_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCD_DIGESTS")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    probed(pictures(tmp_path / "images"))
    assert [one.name for one in (tmp_path / "cache/mcd/digests").iterdir()] == ["v1.sqlite3"]


KEYS = [bytes([at]) * 32 for at in range(60)]


def fill(memory: Path, start: int) -> str:
    for key in KEYS[start::2]:
        one = FileMemory(memory)
        one.keep([(key, key.hex().encode())])
        one.close()
        if one.problem:
            return one.problem
    return ""


def test_two_processes_share_one_memory(memory: Path) -> None:
    assert dict(in_processes(fill, memory, range(2), workers=2)) == {0: "", 1: ""}
    with closing(FileMemory(memory)) as one:
        assert one.recall(KEYS) == [key.hex().encode() for key in KEYS]


def test_what_is_long_unused_goes_and_what_is_used_stays(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [bytes([at]) * 32 for at in range(3)]
    days = {"today": 10_000}
    monkeypatch.setattr("mcd.extraction.file_memory.time.time", lambda: days["today"] * 86400.0)

    def visit(*used: bytes) -> list[bool]:
        one = FileMemory(memory)
        there = [found is not None for found in one.recall(used)]
        one.close()
        return there

    one = FileMemory(memory)
    one.keep([(key, b"") for key in keys])
    one.close()
    days["today"] += 100
    assert visit(keys[0]) == [True]
    days["today"] += 100
    visit()
    assert visit(*keys) == [True, False, False]
    monkeypatch.setattr("mcd.extraction.file_memory._MOST_BYTES", 1 << 16)
    many = [at.to_bytes(32, "big") for at in range(3000)]
    one = FileMemory(memory)
    one.keep([(key, b"x" * 50) for key in many])
    one.close()
    assert 0 < sum(visit(*many)) < 3000
