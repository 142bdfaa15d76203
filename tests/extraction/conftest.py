"""A memory of files for one test, and which files it read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mcd.extraction.file_memory import FileStatus


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory of its own, which takes files for left alone that were made a moment ago."""
    monkeypatch.setenv("MCD_DIGESTS", str(tmp_path / "memory"))
    monkeypatch.setattr(FileStatus, "is_still", lambda _self, _now: True)
    return tmp_path / "memory"


_IMAGES = (".bmp", ".dcm", ".png")
_opened: list[str] = []


def _note(event: str, said: tuple[object, ...]) -> None:
    if event == "open" and said[1] in ("r", "rb") and str(said[0]).endswith(_IMAGES):
        _opened.append(Path(str(said[0])).name)


sys.addaudithook(_note)  # it stays


@pytest.fixture
def opened() -> list[str]:
    """Which image files this process opened for reading, in order, as often as it did."""
    _opened.clear()
    return _opened
