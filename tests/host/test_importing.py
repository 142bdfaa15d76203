"""Python files that a user names: whatever Python allows in a module works in them."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcd.errors import UnknownNameError, UsageError
from mcd.extraction.parallel import in_processes
from mcd.host.importing import ImportedFiles, import_function

DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass, field
from typing import ClassVar

@dataclass
class Weights:
    kind: ClassVar[str] = "a constant of the class"
    values: list[int] = field(default_factory=list)

    def doubled(self) -> list[int]:
        return [2 * value for value in self.values]
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("mcd_file_"):
            del sys.modules[name]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(code: str, name: str = "mine.py") -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
        return file

    return write


def test_a_file_may_hold_a_dataclass_and_postponed_annotations(written: Callable[..., Path]) -> None:
    made = import_function(f"{written(DATACLASS)}:Weights")
    assert made([1, 2]).doubled() == [2, 4]  # type: ignore[attr-defined]  # a class of the file
    assert made() == made([])


def test_annotations_of_a_file_are_postponed_only_where_it_says_so(written: Callable[..., Path]) -> None:
    found = import_function(f"{written('def score(a: int) -> int:  return a')}:score")
    assert found.__annotations__ == {"a": int, "return": int}


def test_an_object_of_a_class_of_a_file_can_be_pickled(written: Callable[..., Path]) -> None:
    value = import_function(f"{written(DATACLASS)}:Weights")([3])
    assert pickle.loads(pickle.dumps(value)) == value


def doubled(value: object, times: int) -> list[int]:
    found: list[int] = value.doubled() * times  # type: ignore[attr-defined]  # a class of the file
    return found


def test_an_object_of_a_class_of_a_file_reaches_worker_processes(written: Callable[..., Path]) -> None:
    value = import_function(f"{written(DATACLASS)}:Weights")([3])
    assert dict(in_processes(doubled, value, [1, 2], workers=2)) == {1: [6], 2: [6, 6]}


def second(pair: tuple[ImportedFiles, object]) -> list[int]:
    return doubled(pair[1], 1)


def test_a_process_that_was_not_forked_imports_the_files_of_this_one(written: Callable[..., Path]) -> None:
    file = written(DATACLASS)
    value = import_function(f"{file}:Weights")([3])
    file.write_text("changed = True")  # the other process gets what was imported here
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(second, ((ImportedFiles(), value),)) == [6]


def test_a_file_finds_the_data_beside_it(written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from pathlib import Path\nTEXT = (Path(__file__).parent / 'words.txt').read_text()\ndef text(): return TEXT"
    for folder in ("a", "b"):  # a copied folder: the same code, other data
        written(code, f"{folder}/mine.py")
        written(f"of {folder}", f"{folder}/words.txt")
    monkeypatch.chdir(written("").parent)
    assert [import_function(f"{folder}/mine.py:text")() for folder in ("a", "b")] == ["of a", "of b"]


def test_two_files_of_one_name_keep_apart(written: Callable[..., Path]) -> None:
    files = [written(DATACLASS + f"\nNUMBER = {number}\n", f"{number}/mine.py") for number in (1, 2)]
    copied = written(files[0].read_text(), "3/mine.py")
    made = [import_function(f"{file}:Weights") for file in (*files, copied)]
    assert len(set(made)) == 3
    assert [pickle.loads(pickle.dumps(one)) for one in made] == made


def test_an_edited_file_is_imported_anew_and_an_unchanged_one_is_not(written: Callable[..., Path]) -> None:
    file = written("def score(): return 1")
    first = import_function(f"{file}:score")
    assert import_function(f"{file}:score") is first
    file.write_text("def score(): return 2")
    assert import_function(f"{file}:score")() == 2


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\nraise SystemExit(3)", ", line 2: it called sys.exit(3)"),
        ("import sys\nsys.exit('no')", ", line 2: it called sys.exit('no')"),
        (
            "import mcd\nclass Mine(mcd.Scorer):\n    null = 'top-k'",
            ", line 2: scorer class Mine sets null, which follows from its base class",
        ),
        ("1 / 0", ", line 1: ZeroDivisionError: division by zero"),
        ("\ndef :", ", line 2: SyntaxError: invalid syntax (mine.py, line 2)"),
    ],
)
def test_a_file_that_does_not_import_is_one_error_with_its_line(
    code: str, said: str, written: Callable[..., Path]
) -> None:
    file = written(code)
    with pytest.raises(UsageError) as caught:
        import_function(f"{file}:score")
    assert caught.value.message == f"{file}{said}"
    file.write_text("def score(): return 1")
    assert import_function(f"{file}:score")() == 1


def test_a_wrong_name_has_the_nearest_one_as_hint(written: Callable[..., Path]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'Weights'"):
        import_function(f"{written(DATACLASS)}:Weight")


def test_a_file_or_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*gone\.py"):
        import_function(f"{tmp_path / 'gone.py'}:score")
    with pytest.raises(UsageError, match=r"module 'gone\.score' cannot be imported"):
        import_function("gone.score:score")
