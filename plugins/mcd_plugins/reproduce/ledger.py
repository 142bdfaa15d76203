"""The ledger: numbers that papers of this field print or imply, and how each is derived."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pydantic
import yaml

from mcd.errors import DataError

__all__ = ["Data", "File", "Ledger", "Paper", "Row", "ledger"]

Verdict = Literal["matches", "artefact", "wrong"]

_LARGEST = 64 * 2**20
"""Bytes of a file of somebody else's; the largest of the ledger has 1."""


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Paper(_Record):
    """Where numbers were published."""

    title: str
    authors: str
    where: str


class File(_Record):
    """A file of other people that a number is derived from; it is not part of mcd.

    Attributes
    ----------
    sha256
        Of the file that the ledger's verdicts hold for.
    source
        Repository, commit and path.
    licence
        As the source states it.
    """

    sha256: str
    source: str
    licence: str


class Row(_Record):
    """One number.

    Attributes
    ----------
    source
        ``published``: a paper or its released files print it. ``ours``: it follows from what they publish, or was
        simulated by us.
    paper
        Key of the paper that it is about.
    place
        Table, figure or file.
    quantity
        What is counted or measured.
    value, tolerance
        The number, and how far a derivation may be from it.
    data
        Files of other people that it is derived from.
    requires
        A distribution of the extra ``reproduce`` that computes it.
    derivation, settings
        The function that computes it, and with what.
    artefact
        The same computed with a known fault of the published procedure.
    cause
        Why the number does not match.
    verdict
        What is found with the files of the ledger.
    """

    id: str
    source: Literal["published", "ours"]
    paper: str
    place: str
    quantity: str
    value: float
    tolerance: float = pydantic.Field(ge=0)
    data: tuple[str, ...] = ()
    requires: str | None = None
    derivation: str
    artefact: str | None = None
    cause: str | None = None
    settings: Mapping[str, str | int | float] = {}
    verdict: Verdict

    @pydantic.model_validator(mode="after")
    def _a_fault_has_a_name(self) -> Row:
        if self.verdict != "matches" and self.cause is None:
            raise ValueError(f"{self.id}: what does not match needs its cause")
        if self.verdict == "artefact" and self.artefact is None:
            raise ValueError(f"{self.id}: an artefact needs its derivation")
        return self

    @property
    def computable(self) -> bool:
        """Whether what it requires is installed."""
        try:
            return self.requires is None or bool(version(self.requires))
        except PackageNotFoundError:
            return False

    @property
    def command(self) -> str:
        """The command that derives it."""
        return f"mcd reproduce --only {self.id}" + (" --data DIR" if self.data else "")


class Ledger(_Record):
    """All numbers, the papers and the files."""

    papers: Mapping[str, Paper]
    files: Mapping[str, File]
    rows: tuple[Row, ...]

    @pydantic.model_validator(mode="after")
    def _ids_are_unique_and_sources_known(self) -> Ledger:
        ids = [row.id for row in self.rows]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"several rows are called {', '.join(twice)}")
        for row in self.rows:
            if unknown := {row.paper} - set(self.papers) | set(row.data) - set(self.files):
                raise ValueError(f"{row.id}: {', '.join(sorted(unknown))} is neither a paper nor a file of the ledger")
        return self


@cache
def ledger() -> Ledger:
    """Return the ledger that comes with mcd."""
    text = files("mcd_plugins.reproduce").joinpath("ledger.yaml").read_text(encoding="utf-8")
    written: dict[str, list[_Written]] = yaml.safe_load(text)
    return Ledger.model_validate({**written, "rows": [row for one in written["rows"] for row in _rows_of(one)]})


_Written = dict[str, pydantic.JsonValue]


def _rows_of(series: _Written) -> Iterator[_Written]:
    """Yield the rows of a series: what stands beside ``rows`` holds for each that does not say otherwise.

    Settings are joined, name by name. A row of its own is a series of one.
    """
    shared = {name: value for name, value in series.items() if name != "rows"}
    rows = series.get("rows", [{}])
    assert isinstance(rows, list)
    for own in rows:
        assert isinstance(own, dict)
        yield {**shared, **own, "settings": {**_settings(shared), **_settings(own)}}


def _settings(written: _Written) -> _Written:
    found = written.get("settings", {})
    assert isinstance(found, dict)
    return found


@dataclass(frozen=True)
class Data:
    """Files of other people, found below folders that the user names.

    Parameters
    ----------
    folders
        Each may hold the files as the ledger lists them, ``PAPER/NAME``.
    known
        The files of the ledger.
    """

    folders: Sequence[Path]
    known: Mapping[str, File]

    def path(self, name: str) -> Path | None:
        """Return where a file is; None where it is in no folder."""
        return next((folder / name for folder in self.folders if (folder / name).is_file()), None)

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        DataError
            When it cannot be read or is much larger than any of the ledger.
        """
        path = self.path(name)
        if path is None:
            raise DataError(f"{name} is in none of the folders", "name the folder that has it: --data DIR")
        try:
            if path.stat().st_size > _LARGEST:
                raise DataError(f"{path} has more than 64 MB", "give the file that the ledger names")
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}", "give a file that you may read") from None

    def is_the_ledgers(self, name: str) -> bool:
        """Whether a file has the content that the ledger's verdicts hold for."""
        return hashlib.sha256(self.read(name)).hexdigest() == self.known[name].sha256
