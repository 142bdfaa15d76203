"""Every error that is raised on purpose says the next thing to type."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from tests.command_line import ROOT

from mcd import errors

KINDS = {name for name, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.MCDError)}
ELSEWHERE = {
    "ImageError": "what is wrong with one image; who reads the images says what to do about all of them",
    "core/mcd/host/registration.py": "why a plugin is broken; who names the plugin says what to do",
    "core/mcd/host/sources.py": "likewise",
}
"""Where a hint stands beside the message later, and why."""


def raised_without_hint(path: Path) -> Iterator[str]:
    """Yield the place of every error that is made without a hint."""
    for call in (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)):
        kind = ast.unparse(call.func).rpartition(".")[2]
        named = any(keyword.arg in ("hint", None) for keyword in call.keywords)
        second = len(call.args) > 1 or any(isinstance(one, ast.Starred) for one in call.args)
        empty = len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and not call.args[1].value
        if kind in KINDS - ELSEWHERE.keys() and (empty or not (named or second)):
            yield f"{path}:{call.lineno}"


def test_every_error_has_a_hint() -> None:
    files = [*(ROOT / "core" / "mcd").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    lacking = [place for path in files for place in raised_without_hint(path)]
    places = [place.removeprefix(f"{ROOT}/") for place in lacking]
    assert [place for place in places if place.partition(":")[0] not in ELSEWHERE] == []


def test_an_error_without_one_is_found(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    for source in ("UsageError('a')", "errors.DataError('a')", "UsageError('a', '')", "ConfigError('a', lines=['b'])"):
        file.write_text(source)
        assert len(list(raised_without_hint(file))) == 1, source
    for source in ("UsageError('a', 'b')", "UsageError('a', hint=b)", "UsageError(*both)", "ImageError('a')"):
        file.write_text(source)
        assert list(raised_without_hint(file)) == [], source
