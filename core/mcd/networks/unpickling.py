"""Pickles read without importing what they name: foreign objects become plain data, calls are refused."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import NoReturn

import torch

__all__ = ["Foreign", "ForeignCallError", "plain", "restricted_pickle"]


class ForeignCallError(Exception):
    """A pickle names something that would act when it is called; ``str()`` of it is that name."""


class Foreign:
    """An object whose class was not imported: the name of the class, and what the object was made from."""

    class_name = ""

    def __new__(cls, *arguments: object, **_named: object) -> Foreign:
        """Keep the arguments; nothing is called."""
        made = super().__new__(cls)
        made.arguments, made.state, made.items = arguments, None, []
        return made

    arguments: tuple[object, ...]
    state: object
    items: list[object]

    def __init__(self, *_arguments: object, **_named: object) -> None:
        """Take anything."""

    def __setstate__(self, state: object) -> None:
        """Keep what the object would have restored itself from."""
        self.state = state

    def append(self, item: object) -> None:
        """Keep an item of a list's subclass."""
        self.items.append(item)

    def extend(self, items: list[object]) -> None:
        """Keep items of a list's subclass."""
        self.items.extend(items)

    def __setitem__(self, key: object, value: object) -> None:
        self.items.append((key, value))


def plain(value: object) -> object:
    """Return a value without foreign objects in it, as far as their content is known.

    The containers of omegaconf become lists, dicts and values; other foreign objects stay as they are.
    """
    if isinstance(value, Foreign) and isinstance(value.state, Mapping):
        for inner in ("_content", "_val"):
            if inner in value.state:
                return plain(value.state[inner])
        return value
    if type(value) in (dict, OrderedDict) and isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if type(value) in (list, tuple) and isinstance(value, list | tuple):
        return type(value)(plain(one) for one in value)
    return value


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for ``codecs.encode``, through which pickles of protocol 2 carry bytes."""
    if encoding != "latin1":
        raise ForeignCallError("_codecs.encode")
    return text.encode("latin1")


def _reconstructor(cls: type, _base: object, _state: object) -> object:
    """Stand in for ``copyreg._reconstructor``, which makes an empty object of a class."""
    if not (isinstance(cls, type) and issubclass(cls, Foreign)):
        raise ForeignCallError("copyreg._reconstructor")
    return cls()


def _default_dict(*_factory: object) -> dict[object, object]:
    return {}


class _Sealed:
    """A function that a pickle may call but not change: on a bare one it could set attributes."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, _state: object) -> None:
        raise ForeignCallError(self._function.__name__)


_KNOWN: dict[str, object] = {
    "_codecs.encode": _Sealed(_latin1),
    "collections.OrderedDict": OrderedDict,
    "collections.defaultdict": _Sealed(_default_dict),
    "copyreg._reconstructor": _Sealed(_reconstructor),
    "torch.Size": torch.Size,
    "torch.device": torch.device,
    "torch._utils._rebuild_parameter": _Sealed(torch._utils._rebuild_parameter),
    "torch._utils._rebuild_tensor_v2": _Sealed(torch._utils._rebuild_tensor_v2),
    **{f"builtins.{one.__name__}": one for one in (bool, bytes, complex, dict, float, int, list, object, set, str)},
    "builtins.long": int,  # as protocol 2 calls int and str
    "builtins.unicode": str,
    **{str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)},
}
_INERT = ("numpy.dtype", "numpy.ndarray", "_frombuffer", "_reconstruct", "scalar")
"""Names of numpy's that are no class by their spelling."""

_ACTING = frozenset(
    {
        "asyncio",
        "builtins",
        "code",
        "codecs",
        "commands",
        "concurrent",
        "ctypes",
        "functools",
        "importlib",
        "io",
        "marshal",
        "multiprocessing",
        "nt",
        "operator",
        "os",
        "pickle",
        "pkgutil",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "signal",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "timeit",
        "urllib",
        "webbrowser",
    }
)
"""Packages no weights file has business with. Nothing of them would run here either; who names them means harm."""


class _Unpickler(pickle.Unpickler):
    """Finds nothing but tensors, plain containers and stand-ins."""

    def find_class(self, module: str, name: str) -> object:
        full = f"{module}.{name}"
        known = _KNOWN.get(full.replace("__builtin__.", "builtins."))
        if known is not None:
            return known
        last = name.rpartition(".")[2]
        numpy = module.partition(".")[0] == "numpy" and (full in _INERT or last in _INERT)
        if module.partition(".")[0] in _ACTING or not (last[:1].isupper() or numpy):
            raise ForeignCallError(full)
        return type(last, (Foreign,), {"class_name": full})


def _refused(*_arguments: object, **_named: object) -> NoReturn:
    raise ForeignCallError("a pickle in the old form")


_load: Callable[..., object] = _refused
restricted_pickle = SimpleNamespace(__name__="restricted_pickle", Unpickler=_Unpickler, load=_load, loads=_load)
"""What ``torch.load`` takes as ``pickle_module``. Only its zip form works with it."""
