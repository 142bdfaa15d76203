"""The command line, run in the process of the tests or in one of its own."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

import pytest

__all__ = ["Outcome", "in_process", "in_this_process"]

ROOT = Path(__file__).resolve().parent.parent
_WIDTH = {"COLUMNS": "80"}
_READ_ON_IMPORT = ("HF_", "OMP_", "PYTHON", "TQDM_", "TRANSFORMERS_")
"""Beginnings of variables that a library or the interpreter reads once."""


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def in_process(*arguments: object, cwd: Path | None = None, **environment: str) -> Outcome:
    """Run ``python -m mcd`` in a process of its own, as a person does."""
    done = subprocess.run(
        [sys.executable, "-m", "mcd", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **_WIDTH, **environment},
        check=False,
        start_new_session=True,  # a test may kill it with all its workers
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def in_this_process(*arguments: object, cwd: Path | None = None, **environment: str) -> Outcome:
    """Run ``mcd`` in this process; everything that a new process would begin with is set, and restored."""
    late = [name for name, value in environment.items() if os.environ.get(name) != value]
    late = [name for name in late if name.startswith(_READ_ON_IMPORT) and name != "PYTHONPATH"]
    if late:
        pytest.fail(f"{', '.join(late)}: read once by each process; use the fixture mcd_process")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with (
            contextlib.chdir(cwd or Path.cwd()),
            _environment(**_WIDTH, **environment),
            _streams(out, err),
            _modules(environment.get("PYTHONPATH")),
            _logging(),
            _libraries(),
            _warnings(),
        ):
            code = _exit_code([str(argument) for argument in arguments])
        return Outcome(code, _text(out), _text(err))


def _exit_code(arguments: list[str]) -> int:
    from mcd.cli import main

    sys.argv = ["mcd", *arguments]
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # the interpreter does the same
        traceback.print_exc()
        return 1
    return 0


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _streams(out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """Send descriptors 1 and 2 to files: child processes and C libraries write there as well."""
    before = sys.stdin, sys.stdout, sys.stderr
    for stream in before[1:]:
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    with Path(os.devnull).open() as nothing:
        sys.stdin, sys.stdout, sys.stderr = nothing, _descriptor(1), _descriptor(2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdin, sys.stdout, sys.stderr = before
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)


def _descriptor(number: int) -> TextIO:
    # not closed: a library that keeps this stream writes to the descriptor of the command that runs then
    return open(number, "w", buffering=1, encoding="utf-8", closefd=False)


@contextlib.contextmanager
def _modules(path: str | None) -> Iterator[None]:
    """Set the import path of ``python -m`` and forget what was imported from outside of what is installed."""
    from mcd.host import importing

    argv, paths, known, files = sys.argv, list(sys.path), set(sys.modules), importing._imported[:]
    sys.path[:0] = [os.getcwd(), *(path.split(os.pathsep) if path else ())]  # noqa: PTH109 -- as the interpreter does
    importlib.invalidate_caches()
    installed = tuple(
        map(str, (sys.prefix, sys.base_prefix, *(ROOT / name for name in ("core", "plugins", "concept_sets"))))
    )
    try:
        yield
    finally:
        sys.argv, sys.path[:], importing._imported[:] = argv, paths, files
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and not file.startswith(installed):
                del sys.modules[name]
        importlib.invalidate_caches()


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Take the handlers of pytest away, and let those of libraries write to today's standard error."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    known = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    turned = []
    for handler in {handler for logger in known for handler in logger.handlers}:
        if type(handler) is logging.StreamHandler:
            turned.append((handler, handler.setStream(sys.stderr)))
    try:
        yield
    finally:
        for handler, stream in turned:
            if stream is not None:
                handler.setStream(stream)
        root.handlers[:] = handlers
        root.setLevel(level)


@contextlib.contextmanager
def _libraries() -> Iterator[None]:
    """Restore what libraries that are loaded keep for a whole process."""
    with contextlib.ExitStack() as stack:
        if "matplotlib" in sys.modules:
            stack.enter_context(sys.modules["matplotlib"].rc_context())
        if "torch" in sys.modules:
            torch = sys.modules["torch"]
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
            stack.enter_context(torch.random.fork_rng(devices=[]))
        yield


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """Show Python's warnings as a process does that was started without options."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))

    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in (ResourceWarning, ImportWarning, PendingDeprecationWarning, DeprecationWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield
