"""What is known of image files from when they were examined before: kept for this user, found by what a file is.

A row is found by a digest of the file's path, device, inode, size, times and of all that decides the result. What it
holds is sealed by that same digest, of which only another digest is stored. So the memory shows no path, no word of a
header and no digest of an image to whoever has it without the files; and a row that is damaged, or planted by somebody
who could not read the file's status, does not open.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcd.files import check_folder, expanded, user_cache

__all__ = ["FileMemory", "FileStatus", "digests_folder", "status_of"]

OFF = "off"
_VARIABLE = "MCD_DIGESTS"
_NAME = "v1.sqlite3"
_STILL = 2_000_000_000
"""Nanoseconds for which a file must have been left alone: some file systems count time in steps of two seconds."""
_TAG = 16
_AT_ONCE = 500
"""Rows that one question asks for."""
_MOST_BYTES = 2 << 30
"""How large it grows: about three million images. Of more, the least recently used quarter goes."""
_MOST_DAYS = 180
"""Rows that were not used for so long are forgotten."""
_NOTED_AFTER = 7
"""Days after which it is noted that a row is still used, and old ones are removed: not at every start."""


def digests_folder() -> Path | None:
    """Return the folder of the memory: that of the variable ``MCD_DIGESTS``, else one of this user; None for off.

    Off also where a file's status does not tell that its content was changed: on Windows.

    Raises
    ------
    UsageError
        When the variable names what cannot be a folder.
    """
    given = os.environ.get(_VARIABLE, "")
    if given == OFF or os.name == "nt":
        return None
    if not given:
        return user_cache("digests")
    check_folder(expanded(given), _VARIABLE)
    return expanded(given).absolute()


@dataclass(frozen=True)
class FileStatus:
    """The status of a file, without reading it.

    Parameters
    ----------
    path
        Absolute; links are followed for all else.
    device, inode, size
        As ``stat`` gives them.
    modified, changed
        When its content, and its content or status, changed last: nanoseconds since 1970. No program sets the latter.
    """

    path: str
    device: int
    inode: int
    size: int
    modified: int
    changed: int

    def is_still(self, now: int) -> bool:
        """Say whether it was left alone so long before ``now`` that another change would show in its times."""
        return max(self.modified, self.changed) < now - _STILL


def status_of(source: str) -> FileStatus | None:
    """Return the status of a regular file; None of anything else."""
    try:
        found = os.stat(source)  # noqa: PTH116 -- half a million times
    except (OSError, ValueError):
        return None
    if not source or not stat.S_ISREG(found.st_mode):
        return None
    path = os.path.abspath(source)  # noqa: PTH100 -- as above
    return FileStatus(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class FileMemory:
    """Keeps texts about files in one database of this user, opened when it is first asked; none is ever needed.

    It may be removed at any time. One that is damaged is replaced by an empty one; what the file system refuses is
    said in `problem`, and everything is examined anew. Several processes may use it at once.

    Parameters
    ----------
    folder
        Made for this user alone if it does not exist.

    Attributes
    ----------
    problem
        Why nothing is kept, or found; empty while all is well.
    """

    def __init__(self, folder: Path) -> None:
        self.problem = ""
        self._is_open = False
        self._path = folder / _NAME
        self._today = int(time.time() // 86400)
        self._still_used: list[tuple[int, bytes]] = []
        self._database: sqlite3.Connection | None = None

    def recall(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what is kept under each key, None where there is nothing."""
        found: dict[bytes, bytes] = {}
        places = [_place(key) for key in keys]
        with self._careful():
            self._open_once()
            for at in range(0, len(places), _AT_ONCE):
                some = places[at : at + _AT_ONCE]
                marks = ",".join("?" * len(some))
                question = f"SELECT place, sealed, used FROM file WHERE place IN ({marks})"  # noqa: S608 -- only marks
                rows = [] if self._database is None else self._database.execute(question, some).fetchall()
                for place, sealed, used in rows:
                    found[place] = sealed
                    if not isinstance(used, int) or used < self._today - _NOTED_AFTER:
                        self._still_used.append((self._today, place))
        return [_opened(key, found[place]) if place in found else None for key, place in zip(keys, places, strict=True)]

    def keep(self, facts: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep texts under their keys, in the place of what was there."""
        rows = [(_place(key), _sealed(key, said), self._today) for key, said in facts]
        with self._careful():
            self._open_once()
            if self._database is not None and rows:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Forget what was not used for long, and what is too much; let go of the database."""
        with self._careful():
            if self._database is not None:
                with self._database:
                    self._database.executemany("UPDATE file SET used = ? WHERE place = ?", self._still_used)
                    self._prune(self._database)
        self._let_go()

    def _prune(self, database: sqlite3.Connection) -> None:
        ((pruned,),) = database.execute("PRAGMA user_version").fetchall()
        if pruned < self._today - _NOTED_AFTER:
            database.execute("DELETE FROM file WHERE used < ?", (self._today - _MOST_DAYS,))
            database.execute(f"PRAGMA user_version = {self._today}")
        ((pages, size, free),) = database.execute(
            "SELECT page_count, page_size, freelist_count FROM pragma_page_count, pragma_page_size, "
            "pragma_freelist_count"
        ).fetchall()
        if (pages - free) * size > _MOST_BYTES:
            database.execute(
                "DELETE FROM file WHERE place IN (SELECT place FROM file ORDER BY used, place "
                "LIMIT (SELECT count(*) / 4 FROM file))"
            )

    def _make(self, folder: Path) -> None:
        """Make folder and file for this user alone; refuse those that others may write to."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        for one in (folder, self._path):
            status = one.lstat()
            if status.st_uid != os.getuid() or status.st_mode & 0o022 or stat.S_ISLNK(status.st_mode):
                raise PermissionError(0, "it is another user's, or others may write to it")

    def _open_once(self) -> None:
        if not self._is_open:
            self._is_open = True
            try:
                self._make(self._path.parent)
                self._open()
            except OSError as error:
                self._give_up(error.strerror or "it cannot be written")

    def _open(self) -> None:
        for again in (True, False):
            try:
                self._database = sqlite3.connect(self._path, timeout=10.0)
                self._database.execute("PRAGMA synchronous = NORMAL")
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS file (place BLOB PRIMARY KEY, sealed BLOB NOT NULL, "
                    "used INTEGER NOT NULL) WITHOUT ROWID"
                )
                self._database.execute("SELECT place, sealed, used FROM file LIMIT 1").fetchall()
            except sqlite3.Error as error:
                self._let_go()
                if again and _says_damaged(error):
                    self._forget()
                    continue
                self._give_up(str(error))
            return

    def _forget(self) -> None:
        """Put an empty file in the place of a damaged one."""
        for path in (self._path, Path(f"{self._path}-journal")):
            path.unlink(missing_ok=True)
        self._make(self._path.parent)

    @contextlib.contextmanager
    def _careful(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._let_go()
            if not _says_damaged(error):
                self._give_up(str(error))
                return
            with contextlib.suppress(OSError):
                self._forget()

    def _give_up(self, why: str) -> None:
        self.problem = self.problem or why

    def _let_go(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
        self._database = None


def _says_damaged(error: sqlite3.Error) -> bool:
    """Say whether a database is damaged, or has other tables; not that it is locked, full or may not be written."""
    return type(error) is sqlite3.DatabaseError or error.sqlite_errorcode == sqlite3.SQLITE_ERROR


def _place(key: bytes) -> bytes:
    return hashlib.sha256(b"place" + key).digest()[:16]


def _pad(key: bytes, count: int) -> int:
    """Return as many bytes as asked for that only the key gives, as a number."""
    return int.from_bytes(hashlib.shake_256(b"seal" + key).digest(count), "big")


def _sealed(key: bytes, plain: bytes) -> bytes:
    whole = hashlib.sha256(key + plain).digest()[:_TAG] + plain
    return (int.from_bytes(whole, "big") ^ _pad(key, len(whole))).to_bytes(len(whole), "big")


def _opened(key: bytes, sealed: bytes) -> bytes | None:
    """Return what a row holds; None where it is not as it was written, or is of another key."""
    if not isinstance(sealed, bytes):
        return None
    whole = (int.from_bytes(sealed, "big") ^ _pad(key, len(sealed))).to_bytes(len(sealed), "big")
    tag, plain = whole[:_TAG], whole[_TAG:]
    return plain if hashlib.sha256(key + plain).digest()[:_TAG] == tag else None
