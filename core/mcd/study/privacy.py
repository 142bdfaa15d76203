"""Whatever identifies a person stays in the folder ``private``: outputs show salted digests and bare file names."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pydantic

from mcd.api.base import digest
from mcd.errors import StoreError
from mcd.study.where import parse

__all__ = ["paths_in", "public_id", "recorded", "salt"]

Json = pydantic.JsonValue
_IDENTIFYING = ("id", "patient", "exam")

_VARIABLE = "MCD_SALT"


def salt() -> str:
    """Return this person's secret: of the environment variable ``MCD_SALT``, else of a file made on first use.

    Equal salts give equal ids, so runs on two machines can be laid side by side by setting the variable on both.

    Raises
    ------
    StoreError
        When the file can be neither read nor made.
    """
    given = os.environ.get(_VARIABLE)
    if given:
        return given
    path = Path(click.get_app_dir("mcd")) / "salt"
    try:
        return path.read_text(encoding="ascii").strip() or _made(path)
    except FileNotFoundError:
        return _made(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from None


def _made(path: Path) -> str:
    temporary = path.with_name(f".salt.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(16) + "\n")
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            pass  # another process was first
        finally:
            temporary.unlink()
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


def paths_in(options: pydantic.BaseModel) -> Iterator[str]:
    """Yield the text of every path among the settings of a component, those within other settings included."""
    waiting: list[object] = [options]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Path):
            yield str(one)
        elif isinstance(one, pydantic.BaseModel):
            waiting += [getattr(one, name) for name in type(one).model_fields]
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one


def recorded(settings: Mapping[str, Json], paths: frozenset[str]) -> dict[str, Json]:
    """Return the settings of a study as a manifest shows them.

    A path becomes its last part; of the data set, whose folders may be called after people, a salted digest, and so
    does a condition on patients or exams.

    Parameters
    ----------
    paths
        Texts that are known to be paths. Others are taken for one when they are absolute, or have a separator and
        exist.
    """
    shown = {name: _recorded(value, paths, whose=name == "dataset") for name, value in settings.items()}
    where = settings.get("where")
    if isinstance(where, str) and any(field.name in _IDENTIFYING for field in parse(where).fields):
        shown["where"] = _hidden(where)
    return shown


def _recorded(value: Json, paths: frozenset[str], *, whose: bool) -> Json:
    if isinstance(value, dict):
        return {name: _recorded(one, paths, whose=whose) for name, one in value.items()}
    if isinstance(value, list):
        return [_recorded(one, paths, whose=whose) for one in value]
    if not isinstance(value, str) or not (value in paths or _looks_like_path(value)):
        return value
    return _hidden(value) if whose else Path(value).name


def _hidden(text: str) -> str:
    return f"hidden:{digest(salt(), text)[:8]}"


def _looks_like_path(text: str) -> bool:
    if Path(text).is_absolute() or text.startswith(("~", "./", "../", ".\\", "..\\")):
        return True
    if "/" not in text and "\\" not in text:
        return False
    try:
        return Path(text).exists() or Path(text.rpartition(":")[0]).is_file()  # path/to/file.py:factory
    except (OSError, ValueError):
        return False
