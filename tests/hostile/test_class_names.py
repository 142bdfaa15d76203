"""No message shows the name of a class that only the source knows, whatever a file, a setting or an argument holds."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import json
import pkgutil
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pydantic
import pytest
import torch
from tests.hostile.families import FAMILIES, family
from tests.hostile.run_folders import EDITS, READERS, copied, made, without_digests
from tests.hostile.watching import Canary

import mcd
import mcd_plugins
from mcd.api.schema import Schema, read_record
from mcd.errors import MCDError
from mcd.options import Record, validate_options

LIBRARIES = {
    *("PIL", "click", "jinja2", "mcd", "mcd_plugins", "numpy", "open_clip", "openpyxl", "pandas", "pluggy", "pyarrow"),
    *("pydantic", "pydantic_core", "pydicom", "safetensors", "tarfile", "timm", "tokenizers", "torch", "transformers"),
    *("yaml", "zipfile"),
}
TYPED = {*mcd.__all__, "OrderedDict"}
"""What users write in Python; and a name that a program of torch.export may hold, listed beside the others."""
CAMEL = re.compile(r"(?<![\w./'])(?:[A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)+|_[A-Z]\w+)")
"""A name that is no word of a sentence. Others, such as Target, are words too."""


def modules() -> Iterator[object]:
    """Yield every module of mcd that can be imported here."""
    for package in (mcd, mcd_plugins):
        for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not re.search(r"testing|templates|\.train$|__main__", one.name):
                try:
                    yield importlib.import_module(one.name)
                except ImportError:
                    continue  # an extra that is not installed


@functools.cache
def class_names() -> frozenset[str]:
    assert list(modules())
    loaded = [one for name, one in list(sys.modules.items()) if name.partition(".")[0] in LIBRARIES and one]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on names that a library will take away
        return frozenset(name for one in loaded for name, value in vars(one).items() if isinstance(value, type)) - TYPED


def refused(verb: Callable[[], object]) -> str:
    """Return what a verb refuses with."""
    try:
        verb()
    except MCDError as error:
        return f"{error.message}\n{error.hint}"
    return ""


def shown_classes(message: str, content: bytes = b"") -> set[str]:
    """Return the names of classes in a message, but for those that the input holds itself."""
    return {one for one in CAMEL.findall(message) if one in class_names() and one.encode() not in content}


def test_such_a_name_is_seen() -> None:
    assert shown_classes("layers.0: Input should be a valid dictionary or instance of LayerRecord") == {"LayerRecord"}
    assert shown_classes("it would call FloatStorage", b"...FloatStorage") == set()


ODD = (None, 3, -1.5, "x", "", [], [3], ["x"], {}, {"a": 3}, {"plugin": 3}, True, [[3]], [{"a": 3}], object(), b"x")


def declared() -> list[type[pydantic.BaseModel]]:
    found = {one for module in modules() for one in vars(module).values() if inspect.isclass(one)}
    own = [one for one in found if issubclass(one, pydantic.BaseModel) and one.__module__.startswith("mcd")]
    return sorted(own, key=lambda one: (one.__module__, one.__qualname__))


def test_no_setting_and_no_field_of_a_file_is_refused_by_the_name_of_a_class() -> None:
    wrong: dict[str, set[str]] = {}
    for cls in declared():
        for field in cls.model_fields:
            for value in ODD:
                said = refused(lambda cls=cls, values={field: value}: validate_options(cls, values, "x"))  # type: ignore[misc]  # mypy cannot infer defaults of a lambda
                if found := shown_classes(said):
                    wrong[f"{cls.__qualname__}.{field} = {value!r}"] = found
    assert wrong == {}


def test_no_record_of_a_run_folder_is() -> None:
    schema = Schema("manifest", 2, {}, remedy="run it again")
    for cls in (one for one in declared() if issubclass(one, Record)):
        for field in cls.model_fields:
            for value in (3, "x", [3], {"a": 3}, [[3]], [{"a": 3}], {"a": [3]}):
                data = json.dumps({"schema": "mcd.manifest/2", field: value}).encode()
                said = refused(lambda data=data, cls=cls: read_record(data, schema, cls, "x"))  # type: ignore[misc]  # as above
                assert shown_classes(said) == set(), said


ARGUMENTS = (3, "nothing", [3], {"a": 3}, {"plugin": 3}, {"plugin": "x", "options": 3}, object(), b"x", torch.zeros(2))


@pytest.mark.parametrize("name", sorted(set(inspect.signature(mcd.dissect).parameters) - {"output", "progress"}))
def test_no_argument_is(name: str, tmp_path: Path) -> None:
    given = {"model": "phantom-mammo", "layers": "head", "dissector": "phantom-clip", "dataset": "phantom:3"}
    for value in ARGUMENTS:
        if (name == "cache" and isinstance(value, str)) or isinstance(value, int):
            continue  # which are right for many
        said = refused(lambda v=value: mcd.dissect(**{**given, name: v}, output=tmp_path, progress=False))  # type: ignore[misc]  # any kind
        assert shown_classes(said) == set(), said


def content(folder: Path) -> bytes:
    """Return the bytes of an input, of what an archive packs too."""
    found = b""
    for path in (one for one in folder.rglob("*") if one.is_file()):
        found += path.read_bytes()
        with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:  # a hostile archive raises anything
            small = [one for one in archive.infolist() if one.file_size < 1 << 20]
            found += b"".join(archive.read(one) for one in small)
    return found


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("numbers", [range(8), pytest.param(range(8, 40), marks=pytest.mark.nightly)], ids=str)
def test_no_hostile_file_is(name: str, numbers: range, tmp_path: Path) -> None:
    inputs = family(name)(tmp_path, Canary(tmp_path / "canary"))
    for number in numbers:
        place = tmp_path / str(number)
        place.mkdir()
        path = inputs.write(Random(f"class names/{name}/{number}"), place)
        said = refused(lambda path=path, place=place: inputs.read(path, place / "out"))  # type: ignore[misc]  # as above
        assert not (found := shown_classes(said)) or not shown_classes(said, content(place)), (found, said)


@pytest.mark.nightly  # the same folders are read in test_run_folders.py
def test_no_edited_run_folder_is(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    without_digests(run)
    for number, (name, edit) in enumerate(EDITS.items()):
        for reader in ("load", "score"):
            folder = copied(run, tmp_path / reader / str(number))
            edit(folder)
            said = refused(lambda f=folder, r=reader: READERS[r](f, f / "out"))  # type: ignore[misc]  # as above
            assert shown_classes(said) == set(), (name, said)
