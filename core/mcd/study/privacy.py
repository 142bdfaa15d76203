"""Whatever identifies a person stays in the folder ``private``: outputs show salted digests and bare file names."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from pathlib import Path

import click

from mcd.api.base import digest
from mcd.errors import StoreError, UsageError
from mcd.files import temporary_file
from mcd.study.outputs import clear_leftovers
from mcd.study.where import parse

__all__ = ["hidden", "names_people", "public_id", "salt"]

_IDENTIFYING = ("id", "patient", "exam")

_VARIABLE = "MCD_SALT"


def salt() -> str:
    """Return this person's secret: of the environment variable ``MCD_SALT``, else of a file made on first use.

    Equal salts give equal ids, so runs on two machines can be laid side by side by setting the variable on both.

    Raises
    ------
    UsageError
        When the variable holds one that can be guessed.
    StoreError
        When the file can be neither read nor made, or holds one that can be guessed.
    """
    given = os.environ.get(_VARIABLE)
    if given:
        if _weak(given):
            raise UsageError(
                f"{_VARIABLE} is too weak: whoever guesses it learns which id is which file or patient",
                f"{_ENTROPY}, such as: {_VARIABLE}=$(python -c 'import secrets; print(secrets.token_hex(16))')",
            )
        return given
    path = Path(click.get_app_dir("mcd")) / "salt"
    try:
        found = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _made(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from None
    if found and _weak(found):
        raise StoreError(f"the salt in {path} is too weak to hide image ids", "remove that file: a new one is made")
    return found or _made(path)


_LENGTH, _CHARACTERS = 16, 8
_ENTROPY = f"use at least {_LENGTH} characters, {_CHARACTERS} of them different, drawn at random"


def _weak(text: str) -> bool:
    """Say whether a salt can be guessed: it is short, or repeats a few characters or a short piece."""
    period = next((size for size in range(1, len(text) // 2 + 1) if text[size:] == text[:-size]), len(text))
    return min(len(text.strip()), period) < _LENGTH or len(set(text)) < _CHARACTERS or _in_a_row(text)


def _in_a_row(text: str) -> bool:
    """Say whether most characters follow their neighbour in the alphabet: 0123456789abcdef."""
    steps = [ord(after) - ord(before) for before, after in itertools.pairwise(text)]
    return sum(abs(step) == 1 for step in steps) > len(steps) / 2


def _made(path: Path) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        temporary, number = temporary_file(path.parent, 0o600)
        try:
            with os.fdopen(number, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(16) + "\n")
                file.flush()
                with contextlib.suppress(FileExistsError):  # another process was first
                    path.hardlink_to(temporary)
        finally:
            temporary.unlink(missing_ok=True)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: Exception) -> StoreError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StoreError(
        f"the salt that hides image ids cannot be kept in {path}: {reason}", f"set the variable {_VARIABLE} to a secret"
    )


def public_id(own: str, collection: str, secret: str) -> str:
    """Return what outputs call an image: 16 hexadecimal digits of a salted sha256."""
    return digest(secret, collection, own)[:16]


def hidden(text: str) -> str:
    """Return what is shown in the place of a text that may identify somebody: equal texts are shown alike."""
    return f"hidden:{digest(salt(), text)[:8]}"


def names_people(where: str, *, public_labels: bool = False) -> bool:
    """Say whether a condition asks for patients, exams or images, or for labels, which may be anything of a table.

    Parameters
    ----------
    public_labels
        Whether labels identify nobody.
    """
    asked = {field.name for field in parse(where).fields}
    return not asked.isdisjoint(_IDENTIFYING) or ("label" in asked and not public_labels)
