"""A run folder that was edited, with digests as if the run had written it so."""

from __future__ import annotations

from pathlib import Path

from mcd.files import digest_of
from mcd.runs.manifest import Manifest
from mcd.study.digests import Sums

__all__ = ["signed"]


def signed(folder: Path) -> Path:
    """Write the digests of tables and private files anew, so that what comes after their check is reached."""
    private = Sums(folder / "private")
    for name in private.read():
        private.add(name, digest_of((folder / "private" / name).read_bytes()))
    manifest = Manifest.read(folder)
    assert manifest.digests is not None
    manifest.digests = {name: digest_of((folder / name).read_bytes()) for name in manifest.digests}
    manifest.write(folder)
    return folder
