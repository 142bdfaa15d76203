"""What an object computes, as a digest: its code and all that the code reads.

Compiled code is read, never source files: a file may have been edited since it was imported.
"""

from __future__ import annotations

import abc
import builtins
import contextvars
import copyreg
import enum
import functools
import importlib
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import numpy as np
import pydantic

from mcd.api.base import digest
from mcd.errors import passes_through
from mcd.networks.bytecode import constant, read_code
from mcd.networks.distributions import Origin, origin_of

__all__ = ["PROVENANCE", "Walker"]

_PLAIN = (int, bool, float, complex, str, bytes, type(None), type(...), type(NotImplemented))
_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
_CACHED = type(functools.lru_cache(len))
_IDLE = (contextvars.ContextVar, type(threading.Lock()), type(threading.RLock()))
"""What says when or where code runs, and never what it computes."""
_SILENT = frozenset(
    {
        "__module__",
        "__qualname__",
        "__doc__",
        "__dict__",
        "__weakref__",
        "__slots__",
        "__slotnames__",
        "__hash__",
        "__signature__",
    }
    | {"__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__type_params__"}
    | {"__abstractmethods__", "__parameters__", "__orig_bases__", "__firstlineno__", "__static_attributes__"}
    | {"__dataclass_params__", "__dataclass_fields__", "__match_args__", "__class_vars__", "__private_attributes__"}
    | {"__signature__", "__protocol_attrs__", "__non_callable_proto_members__"}
)
"""Attributes of a class that compute nothing by themselves."""
PROVENANCE = frozenset(
    {"_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "architectures"}
    | {"pretrained_cfg", "default_cfg"}
)
"""Attributes in which libraries note where weights came from: a name takes no part in what is computed."""
_MISSING = object()


class Walker:
    """Reads objects and all that they refer to.

    Two objects have equal digests when they compute the same: built twice, in another process, saved and loaded. An
    installed class or function is named, and its distribution kept in `versions`; of the user's own, the compiled code
    counts with constants, names, defaults, closures and the globals that it reads. Data count by content.

    Attributes
    ----------
    versions
        The distributions met and their versions; for code of mcd in a source tree, its digest.
    unknown
        What could not be identified, a clause each.
    """

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.unknown: list[str] = []
        self._done: dict[int, str] = {}
        self._open: dict[int, int] = {}
        self._waiting: dict[str, Callable[[], str]] = {}
        self._alive: list[object] = []  # ids are compared: nothing may be freed meanwhile

    def read(self, value: object, where: str) -> str:
        """Return the digest of an object; ``where`` says in messages where it was found."""
        if type(value) in _PLAIN:
            return constant(value)
        key = id(value)
        if key in self._done:
            return self._done[key]
        if key in self._open:
            return digest("again", str(len(self._open) - self._open[key]))
        self._open[key] = len(self._open)
        self._alive.append(value)
        try:
            self._done[key] = self._of(value, where)
        finally:
            del self._open[key]
        return self._done[key]

    def note(self, origin: Origin) -> str:
        """Keep a distribution and return its name."""
        if origin.fixed:
            self.versions[origin.name] = origin.version
        return origin.name

    def unidentified(self, where: str, what: str) -> str:
        """Keep that something cannot be identified."""
        self.unknown.append(f"{where} {what}")
        return digest("unknown")

    def settle(self) -> None:
        """Read the code of mcd that was met, one piece after the other: a chain of references may be long."""
        while self._waiting:
            label, work = self._waiting.popitem()
            self.versions[label] = work()

    def _later(self, label: str, work: Callable[[], str]) -> None:
        if label not in self.versions:
            self.versions[label], self._waiting[label] = "", work

    def _of(self, value: object, where: str) -> str:
        for one in (self._special, self._container, self._code, self._wrapper, self._compiled_name):
            found = one(value, where)
            if found is not None:
                return found
        return self._object(value, where)

    def _special(self, value: object, where: str) -> str | None:
        """Return the digest of what a subclass knows about; None leaves it to this one."""
        return None

    def _all(self, values: Iterable[object], where: str) -> Iterator[str]:
        return (self.read(one, where) for one in values)

    def _container(self, value: object, where: str) -> str | None:
        kind = type(value)
        if kind in (tuple, list):
            return digest(kind.__name__, *self._all(cast("Iterable[object]", value), where))
        if kind in (set, frozenset):
            return digest(kind.__name__, *sorted(self._all(cast("Iterable[object]", value), where)))
        if kind in (dict, types.MappingProxyType):
            items = cast("Mapping[object, object]", value).items()
            return digest("dict", *(part for key, one in items for part in self._item(key, one, where)))
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                return digest("array", str(value.shape), *self._all(value.ravel().tolist(), where))
            return digest("array", value.dtype.str, str(value.shape), np.ascontiguousarray(value).tobytes())
        if isinstance(value, enum.Enum):
            return digest("enum", self.read(type(value), where), value.name)
        return None

    def _item(self, key: object, value: object, where: str) -> tuple[str, str]:
        place = f"{where}.{key}" if isinstance(key, str) else where
        return self.read(key, where), self.read(value, place)

    def _code(self, value: object, where: str) -> str | None:
        if isinstance(value, type):
            return self._class(value, where)
        if isinstance(value, types.FunctionType):
            return self._function(value, where)
        if isinstance(value, types.ModuleType):
            return self._module(value, where)
        if isinstance(value, types.CodeType):
            return read_code(value).digest
        return None

    def _wrapper(self, value: object, where: str) -> str | None:
        """Return the digest of what stands round a function."""
        if isinstance(value, types.MethodType):
            return digest("method", self.read(value.__func__, where), self.read(value.__self__, where))
        if isinstance(value, functools.partial):
            parts = (value.func, value.args, value.keywords)
            return digest("partial", self.read(type(value), where), *self._all(parts, where))
        if isinstance(value, staticmethod | classmethod):
            return digest(type(value).__name__, self.read(value.__func__, where))
        if isinstance(value, property):
            return digest("property", *self._all((value.fget, value.fset), where))
        if isinstance(value, functools.cached_property):
            return digest("cached property", self.read(value.func, where))
        if isinstance(value, _CACHED):
            return digest("cached", self.read(value.__wrapped__, where))
        if isinstance(value, weakref.ref):
            return digest("reference", self.read(value(), where))
        return None

    def _compiled_name(self, value: object, where: str) -> str | None:
        """Return the digest of a name in an installed module, for code in another language."""
        if isinstance(value, _DESCRIPTORS):
            return digest("descriptor", self.read(value.__objclass__, where), value.__name__)
        if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
            owner = value.__self__
            if owner is not None and not isinstance(owner, types.ModuleType):
                return digest("builtin", self.read(owner, where), value.__name__)
            module = getattr(value, "__module__", None) or (owner.__name__ if owner is not None else "")
            return self._named(module, value.__qualname__, where)
        if isinstance(value, _IDLE):
            return digest(type(value).__name__)
        if isinstance(value, np.ufunc):
            homes = [name for name in ("numpy", "scipy.special") if name in sys.modules]
            home = next((one for one in homes if getattr(sys.modules[one], value.__name__, None) is value), "")
            return self._named(home, value.__name__, where)
        return None

    def _named(self, module: str, name: str, where: str) -> str:
        origin = _compiled_origin(module)
        if origin is None:
            return self.unidentified(where, f"is compiled code that belongs to no installed distribution ({name})")
        return digest("name", self.note(origin), module, name)

    # classes

    def _class(self, cls: type, where: str) -> str:
        parts = [self._body(base, where) for base in cls.__mro__ if base is not object]
        if type(cls) not in (type, abc.ABCMeta):
            parts.append(self.read(type(cls), where))
        return digest("class", *parts)

    def _body(self, cls: type, where: str) -> str:
        """Return the digest of what a class adds to its bases."""
        origin, label = origin_of(cls.__module__), f"{cls.__module__}.{cls.__qualname__}"
        if origin is None:
            return digest(cls.__name__, *self._members(cls, where))
        name = self.note(origin)
        if not _is_global(cls):
            return digest(name, label, *self._members(cls, where))
        if origin.fixed:
            return digest(name, label, *self._replaced(cls, where))
        self._later(label, lambda: digest(*self._members(cls, label)))
        return digest(name, label)

    def _members(self, cls: type, where: str) -> Iterator[str]:
        for name, value in sorted(vars(cls).items()):
            silent = name in _SILENT or name.startswith(("__pydantic_", "_abc_"))
            if silent or isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType):
                continue
            if type(value).__module__.startswith("pydantic."):  # validators: what they give is in the settings
                continue
            yield name
            yield self.read(value, f"{where}.{name}" if where else name)

    def _replaced(self, cls: type, where: str) -> Iterator[str]:
        """Yield the methods that were put into an installed class from elsewhere."""
        for name, value in sorted(vars(cls).items()):
            home = value.__globals__.get("__name__") if isinstance(value, types.FunctionType) else None
            if isinstance(home, str) and home in sys.modules and origin_of(home) is None:
                yield name
                yield self.read(value, f"{where}.{name}")

    # functions

    def _function(self, function: types.FunctionType, where: str) -> str:
        module = str(function.__globals__.get("__name__") or function.__module__ or "")
        origin = origin_of(module) if module else None
        if origin is None:
            return digest("function", self._compiled(function, where))
        label = f"{module}.{function.__qualname__}"
        parts = [self.note(origin), label]
        if not _is_global(function):  # a name says nothing of what it was made with
            parts += [read_code(function.__code__).digest, *self._bound(function, where)]
        if not origin.fixed:
            self._later(label, lambda: self._compiled(function, label))
        return digest("function", *parts)

    def _compiled(self, function: types.FunctionType, where: str) -> str:
        read = read_code(function.__code__)
        parts = [read.digest, *self._bound(function, where)]
        for name, *attributes in read.globals:
            parts.append(self._global(function, name, attributes, where))
        for level, name, *attributes in read.imports:
            parts.append(self._imported(function, int(level), name, attributes, where))
        if vars(function):
            parts.append(self.read(vars(function), where))
        return digest(*parts)

    def _bound(self, function: types.FunctionType, where: str) -> Iterator[str]:
        """Yield what a function was made with: defaults and the contents of its closure."""
        yield self.read(function.__defaults__, where)
        yield self.read(function.__kwdefaults__, where)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # not filled yet
                yield digest("empty")
                continue
            yield digest(value.__name__) if name == "__class__" else self.read(value, f"{where}, where {name}")

    def _global(self, function: types.FunctionType, name: str, attributes: list[str], where: str) -> str:
        value: object = function.__globals__.get(name, _MISSING)
        if value is _MISSING:
            return digest("builtin" if hasattr(builtins, name) else "undefined", name)
        return digest(name, self._reached(value, attributes, f"{where}, where {name}"))

    def _reached(self, value: object, attributes: Iterable[str], where: str) -> str:
        """Return the digest of what attributes lead to; of modules, only that is read."""
        for attribute in attributes:
            if not isinstance(value, types.ModuleType) or _is_fixed(value.__name__):
                break
            module, value = value, getattr(value, attribute, _MISSING)
            if value is _MISSING:
                value = _import(f"{module.__name__}.{attribute}")
        return self.read(value, where)

    def _imported(self, function: types.FunctionType, level: int, name: str, attributes: list[str], where: str) -> str:
        if level:
            package = str(function.__globals__.get("__package__") or "")
            name = ".".join(part for part in (*package.split(".")[: len(package.split(".")) - level + 1], name) if part)
        origin = origin_of(name) if name else None
        if origin is not None and origin.fixed:
            return digest("module", self.note(origin), name)
        return digest(name, self._reached(_import(name), attributes, f"{where}, where {name}"))

    def _module(self, module: types.ModuleType, where: str) -> str:
        origin = origin_of(module.__name__)
        if origin is not None:
            return digest("module", self.note(origin), module.__name__)
        named = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        return digest("module", *(part for name in sorted(named) for part in self._item(name, named[name], where)))

    # any other object

    def _object(self, value: object, where: str) -> str:
        if isinstance(value, pydantic.BaseModel):  # which settings were given and which are defaults takes no part
            return digest("record", *self._all((type(value), vars(value), value.__pydantic_private__), where))
        try:
            registered = copyreg.dispatch_table.get(type(value))
            made = value.__reduce_ex__(4) if registered is None else registered(value)
        except BaseException as error:  # an object may refuse to be pickled in any way
            if passes_through(error):
                raise
            state = getattr(value, "__dict__", None)
            if state is None:
                return self.unidentified(where, f"is a {type(value).__name__}, whose content cannot be read")
            return digest("object", self.read(type(value), where), self._state(state, where))
        if isinstance(made, str):
            return self._named(str(getattr(value, "__module__", None) or type(value).__module__), made, where)
        function, arguments, state, *items = (*made, None)[:6]
        parts = [self.read(type(value), where), self.read(function, where), *self._all(arguments, where)]
        parts.append(self._state(state, where))
        parts += (self.read(list(one), where) for one in items if one is not None)
        return digest("object", *parts)

    def _state(self, state: object, where: str) -> str:
        if type(state) is dict:
            state = {name: value for name, value in state.items() if name not in PROVENANCE}
            self._alive.append(state)
        return self.read(state, where)


def _is_global(value: type | types.FunctionType) -> bool:
    """Whether the object is found under its own name: not made anew each time a function is called."""
    found: object = sys.modules.get(value.__module__ or "")
    for name in value.__qualname__.split("."):
        found = vars(found).get(name) if hasattr(found, "__dict__") else None
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
    return found is value


def _compiled_origin(module: str) -> Origin | None:
    """Return where compiled code comes from. A module that another makes inside itself has no file: torch._C._nn."""
    while module and module in sys.modules and not hasattr(sys.modules[module], "__path__"):
        if getattr(sys.modules[module], "__file__", None) or module in sys.builtin_module_names:
            break
        module = module.rpartition(".")[0]
    return origin_of(module) if module else None


def _is_fixed(module: str) -> bool:
    origin = origin_of(module)
    return origin is not None and origin.fixed


def _import(name: str) -> object:
    """Return a module that code imports when it runs, or what keeps it from being imported."""
    try:
        return importlib.import_module(name)
    except BaseException as error:  # the code that imports it copes with it, or fails by itself
        if passes_through(error):
            raise
        return type(error).__name__
