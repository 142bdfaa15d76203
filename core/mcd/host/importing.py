"""Python files that a user names, imported: plugin files, scorer files, files with a network."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from mcd.errors import MCDError, UnknownNameError, UsageError, nearest, passes_through, printable, said_by
from mcd.files import expanded

__all__ = ["ImportedFiles", "import_function", "module_name", "run_file", "where_in"]

_imported: list[tuple[Path, bytes]] = []
"""The files that were imported here, in order, each with its content then."""


def module_name(path: Path, code: bytes) -> str:
    """Return the name of the module of a file: one for each place and content.

    What precedes the ``@`` is the content's. A component's fingerprint contains only that, so an edited file never
    reads what its earlier version stored, and a moved one does.
    """
    stem = re.sub(r"\W", "_", path.stem)
    place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    return f"mcd_file_{stem}_{hashlib.sha256(code).hexdigest()[:12]}@{place[:8]}"


def run_file(path: Path, code: bytes) -> ModuleType:
    """Return the module of a file with this content, in ``sys.modules`` under `module_name`.

    What the file raises is raised, ``SystemExit`` included.
    """
    name, file = module_name(path, code), path.resolve()
    if name in sys.modules:
        return sys.modules[name]  # one class object for one class, however often it is asked for
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # before it runs, as the import system does: dataclasses and pickling look it up
    try:
        # Compiled from the bytes that the name was made of: the import system might take a stale .pyc. The future
        # statements of this file are not the user's.
        exec(compile(code, printable(str(file)), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 -- the user named it
    except BaseException:  # a user's file may raise anything
        del sys.modules[name]
        raise
    _imported.append((file, code))
    return module


def import_function(reference: str) -> Callable[..., object]:
    """Return what ``path/to/file.py:name`` or ``package.module:name`` names. Its code runs: give only what you trust.

    Raises
    ------
    UsageError
        When there is no such file or module, or it does not import.
    UnknownNameError
        When it has no such function.
    """
    where, _, name = reference.rpartition(":")
    module = _file(where) if where.endswith(".py") else _module(where)
    found: object = getattr(module, name, None)
    if not callable(found):
        known = [one for one, value in vars(module).items() if callable(value) and not one.startswith("_")]
        raise UnknownNameError(f"{where} has no function '{name}'", nearest(name, known))
    return found


def _file(where: str) -> ModuleType:
    path = expanded(where)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "give its path from the current folder, as FILE.py:FUNCTION")
    try:
        return run_file(path, path.read_bytes())
    except BaseException as error:  # a user's file may raise anything
        if passes_through(error):
            raise
        hint = error.hint if isinstance(error, MCDError) else ""
        raise UsageError(
            f"{path}{where_in(path, error)}: {said_by(error, whole=True)}", hint or "correct the file"
        ) from error


def _module(where: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ImportError as error:
        raise UsageError(
            f"module '{where}' cannot be imported: {error}",
            "is it installed here? For a file write FILE.py:FUNCTION",
        ) from error
    except BaseException as error:  # a user's module may raise anything
        if passes_through(error):
            raise
        raise UsageError(
            f"module '{where}' does not import: {said_by(error, whole=True)}",
            "correct the module; for the traceback: --debug",
        ) from error


def where_in(path: Path, error: BaseException) -> str:
    """Return the line of a file that an exception points at, as ``", line 3"``, or an empty string."""
    file = printable(str(path.resolve()))  # as it is compiled: a name that is not UTF-8 cannot be
    if isinstance(error, SyntaxError) and error.filename == file and error.lineno:
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f", line {lines[-1]}" if lines else ""


class ImportedFiles:
    """The files imported so far. Where it is unpickled, they are imported too.

    An object whose class a file defines is pickled as the name of that class. Sent before such objects, this makes the
    names known in a worker process that was not forked.
    """

    def __reduce__(self) -> tuple[Callable[..., ImportedFiles], tuple[Sequence[tuple[Path, bytes]]]]:
        return _again, (tuple(_imported),)


def _again(files: Sequence[tuple[Path, bytes]]) -> ImportedFiles:
    for path, code in files:
        run_file(path, code)
    return ImportedFiles()
