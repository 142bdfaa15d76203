"""A memory of files for one test, and which files it read."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcd
from mcd.extraction.file_memory import FileStatus


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory of its own, which takes files for left alone that were made a moment ago."""
    monkeypatch.setenv("MCD_DIGESTS", str(tmp_path / "memory"))
    monkeypatch.setattr(FileStatus, "is_still", lambda _self, _now: True)
    return tmp_path / "memory"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which image files this process hashed, in order."""
    from mcd_plugins.datasets import pictures as reader

    found: list[str] = []
    plain = reader.examine_file

    def noted(sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        found.append(Path(sample.source).name)
        return plain(sample)

    monkeypatch.setattr(reader, "examine_file", noted)
    return found
