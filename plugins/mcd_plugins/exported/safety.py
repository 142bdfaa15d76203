"""What a ``.pt2`` archive may hold before torch opens it: plain tensors, and a graph of torch's own operations.

``torch.export.load`` trusts its file: it unpickles, evaluates expressions, and calls any function below ``torch``
that the graph names. So everything of the kind is read here first, as data, and refused unless it is on a list.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from mcd.errors import CheckpointError

__all__ = ["check_archive"]

_TARGETS = re.compile(
    r"torch\.ops\.aten\.[a-z0-9_]+\.[A-Za-z0-9_]+|torch\.sym_(max|min|not|int|float|ite|sum)"
    r"|_operator\.(getitem|add|sub|mul|neg|pow|mod|floordiv|truediv|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
)
_SYMBOL = re.compile(r"Symbol\('[a-z]+[0-9]+'(, (positive|nonnegative|integer)=True)*\)")
_FUNCTIONS = {
    "FloorDiv",
    "CleanDiv",
    "CeilDiv",
    "Mod",
    "PythonMod",
    "ModularIndexing",
    "Max",
    "Min",
    "Pow",
    "Abs",
    "Mul",
    "Add",
    "IntTrueDiv",
    "FloatTrueDiv",
    "PowByNatural",
    "FloatPow",
    "ToFloat",
    "TruncToInt",
    "CeilToInt",
    "FloorToInt",
    "Integer",
    "Rational",
    "Eq",
    "Ne",
    "Lt",
    "Le",
    "Gt",
    "Ge",
    "And",
    "Or",
    "Not",
    "evaluate",
    "False",
    "True",
}
_NAME = re.compile(r"[\w.]*")
_STACK = re.compile(r"[\w.,;@$\[\]()'-]*")
_WORD = re.compile(r"[A-Za-z_]\w*")
_NOTHING_ELSE = re.compile(r"[\w\s+*/%<>=!&|~(),-]*")


def check_archive(path: Path) -> None:
    """Refuse an archive that holds anything but tensors and a graph of torch's own operations.

    Raises
    ------
    CheckpointError
        Saying what it holds, or that it is no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
            if "archive_format" not in names or not any(name.startswith("models/") for name in names):
                raise CheckpointError(
                    f"{path} is no program of torch.export, or one of an older torch",
                    "write it with torch.export.save of torch 2.9 or newer",
                )
            for whole, name in zip(archive.namelist(), names, strict=True):
                problem = _problem(name, archive.read(whole) if not name.startswith("data/weights/weight_") else b"")
                if problem:
                    raise CheckpointError(f"{path} is not opened: it holds {problem}", "export the network alone")
    except FileNotFoundError:
        raise CheckpointError(
            f"there is no file {path}", "give the path of the .pt2 file that torch.export.save wrote"
        ) from None
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise CheckpointError(f"{path} is not a .pt2 archive: {error}", "is it complete?") from None


def _problem(name: str, data: bytes) -> str:
    """Return what is wrong with one member of the archive, or nothing."""
    if name.endswith(".so") or name.startswith("data/aotinductor"):
        return "compiled code"
    if name.startswith("data/sample_inputs"):
        try:
            torch.load(io.BytesIO(data), weights_only=True)
        except Exception:  # whatever its pickle comes upon
            return "sample inputs that are more than tensors"
    if name.startswith("data/constants/") and not name.endswith((".json",)) and "tensor_" not in name:
        return f"a constant that is no tensor ({name})"
    if not name.endswith(".json"):
        return ""
    document: object = json.loads(data)
    return next(filter(None, (_wrong(key, value) for key, value in _entries(document))), "")


def _wrong(key: str, value: object) -> str:
    """Return what is wrong with one entry of the graph, or nothing."""
    shown = repr(value)[:80]
    if key == "use_pickle" and value is True:
        return "pickled objects"
    if key in ("as_custom_obj", "as_operator"):
        return f"the object {shown}"
    if key == "target" and not (isinstance(value, str) and _TARGETS.fullmatch(value)):
        return f"the operation {shown}, which is not one of torch's own"
    if key == "expr_str" and not _harmless(value):
        return f"the expression {shown}"
    # torch writes Python with these names in it.
    names = value if key == "forward_arg_names" and isinstance(value, list) else [value]
    if key.endswith(("name", "names")) and not all(one is None or _NAME.fullmatch(str(one)) for one in names):
        return f"the name {shown}"
    if key == "nn_module_stack" and not _STACK.fullmatch(str(value)):
        return f"the module path {shown}"
    return ""


def _entries(document: object) -> Iterator[tuple[str, object]]:
    """Yield every key of every object in a JSON document, with its value."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _harmless(expression: object) -> bool:
    """Return whether an expression only computes sizes: torch evaluates the text."""
    if not isinstance(expression, str):
        return False
    rest = _SYMBOL.sub("1", expression)
    words = [word for word in _WORD.findall(rest) if not re.fullmatch(r"[a-z]+[0-9]+", word)]
    return _NOTHING_ELSE.fullmatch(rest) is not None and set(words) <= _FUNCTIONS
