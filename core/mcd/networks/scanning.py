"""Pickles measured before they are read: what they would make, without making it.

A pickle of two kilobytes can hold a tuple of tuples that takes a lifetime to walk, or ask for any amount of memory. Its
instructions are followed here with a mark in place of every object, so that size and depth of the whole are known.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Protocol, cast

__all__ = ["LARGEST_PICKLE", "ExcessError", "Storage", "scan"]

LARGEST_PICKLE = 256 << 20
_MOST_INSTRUCTIONS = 2_000_000
_DEEPEST = 200
_MOST_SHARED = 1_000_000
"""By how much a structure may be larger than the pickle of it, because parts are shared."""
_LONGEST_LINE = 1 << 20
_SIZED = ("bytes", "bytearray", "_codecs.encode")
"""What makes zeros of a number."""
_BYTES = {
    "Double": 8,
    "Float": 4,
    "Half": 2,
    "BFloat16": 2,
    "Long": 8,
    "Int": 4,
    "Short": 2,
    "ComplexDouble": 16,
    "ComplexFloat": 8,
    "QInt32": 4,
}
"""Of a number in storages that hold more than one byte for each."""


class ExcessError(ValueError):
    """A pickle that would take too much memory or time; ``str()`` says why."""


@dataclass(frozen=True)
class Storage:
    """The bytes of a tensor, as a pickle asks for them."""

    key: str
    bytes: int


class _File(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...
    def tell(self) -> int: ...


class _Bounded:
    """A file from which nothing can be read that is not there: lengths in a pickle are claims."""

    def __init__(self, file: _File, end: int) -> None:
        self._file, self._end = file, end

    def read(self, size: int) -> bytes:
        """Return so many bytes."""
        if not 0 <= size <= self._end - self._file.tell():
            raise ValueError("the pickle is cut short")
        return self._file.read(size)

    def readline(self) -> bytes:
        """Return a line."""
        return self._file.readline(_LONGEST_LINE)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()


class _Thing:
    """What stands for an object: what it is made of, and its value where it is a number or a name."""

    __slots__ = ("parts", "value")

    def __init__(self, parts: list[_Thing], value: object = None) -> None:
        self.parts, self.value = parts, value


def scan(file: _File, end: int) -> list[Storage]:
    """Follow a pickle to its end, and return the storages that it asks for.

    Parameters
    ----------
    file
        At the start of the pickle; at its end afterwards.
    end
        Where the file ends.

    Raises
    ------
    ExcessError
        When reading it would take too much.
    ValueError
        When it is no whole pickle.
    """
    made = _Machine()
    start = file.tell()
    bounded = cast("IO[bytes]", _Bounded(file, end))  # genops uses its three methods alone
    for number, (opcode, argument, place) in enumerate(pickletools.genops(bounded)):
        if number > _MOST_INSTRUCTIONS or (place or start) - start > LARGEST_PICKLE:
            raise ExcessError("more objects than weights have")
        made.step(opcode, argument)
    made.measure()
    return made.storages


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[_Thing | None] = []  # None is a mark
        self.memo: dict[int, _Thing] = {}
        self.everything: list[_Thing] = []
        self.storages: list[Storage] = []

    def step(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Do what an instruction does."""
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place = len(self.memo) if name == "MEMOIZE" else argument
            if not isinstance(place, int) or not 0 <= place <= 2 * len(self.everything) + 1000:
                raise ExcessError("a memo far larger than its content")
            self.memo[place] = self._top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument] if isinstance(argument, int) and argument in self.memo else _gone())
        elif name == "MARK":
            self.stack.append(None)
        elif name == "DUP":
            self.stack.append(self._top())
        else:
            self._change(opcode, argument)

    def _top(self) -> _Thing:
        found = self.stack[-1] if self.stack else None
        return found if found is not None else _gone()

    def _change(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Do what an instruction does that takes things from the stack and puts what is made of them there."""
        parts = self._taken(opcode)
        if not opcode.stack_after:
            return
        if opcode.name in _FILLING and parts:
            kept = parts[0]
            kept.parts += parts[1:]
            self.stack.append(kept)
            return
        value = argument if isinstance(argument, int | str) else None
        if opcode.name == "STACK_GLOBAL":
            value = " ".join(str(one.value) for one in parts)
        made = _Thing(parts, value)
        if opcode.name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"):
            _check_call(made)
        elif opcode.name in ("BINPERSID", "PERSID"):
            self._stored(made)
        self.everything.append(made)
        self.stack += [made] * len(opcode.stack_after)

    def _taken(self, opcode: pickletools.OpcodeInfo) -> list[_Thing]:
        """Take from the stack what an instruction takes, the first put first."""
        taken: list[_Thing] = []
        for wanted in reversed(opcode.stack_before):
            if wanted is pickletools.stackslice:
                while self.stack and (one := self.stack.pop()) is not None:
                    taken.append(one)
            elif wanted is not pickletools.markobject:
                if not self.stack:
                    raise ValueError("the pickle takes what is not there")
                one = self.stack.pop()
                if one is not None:
                    taken.append(one)
        return taken[::-1]

    def _stored(self, asked: _Thing) -> None:
        """Keep the storage that a persistent id names: ``("storage", FloatStorage, key, "cpu", 6)``."""
        found = asked.parts[0].parts if asked.parts else []
        if len(found) >= 5 and isinstance(found[4].value, int):
            kind = str(found[1].value).rpartition(" ")[2].removesuffix("Storage")
            self.storages.append(Storage(str(found[2].value), found[4].value * _BYTES.get(kind, 1)))

    def measure(self) -> None:
        """Refuse what is too deep, or too large where each part counts wherever it is; what holds itself counts once.

        Raises
        ------
        ExcessError
            Saying which.
        """
        most = len(self.everything) + _MOST_SHARED
        sizes: dict[int, tuple[int, int]] = {}
        for root in self.everything:
            for one in _inner_first(root, sizes):
                below = [sizes.get(id(part), (1, 0)) for part in one.parts]
                size, depth = 1 + sum(part[0] for part in below), 1 + max((part[1] for part in below), default=0)
                if size > most or depth > _DEEPEST:
                    raise ExcessError("something nested without end")
                sizes[id(one)] = (size, depth)


_FILLING = frozenset(("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"))
"""Instructions that change what is on the stack."""


def _gone() -> _Thing:
    raise ValueError("the pickle takes what is not there")


def _inner_first(root: _Thing, known: Mapping[int, object]) -> Iterator[_Thing]:
    """Yield a thing after all that it is made of, but for what is known, and but for itself."""
    waiting = [(root, False)]
    begun: set[int] = set()
    while waiting:
        one, ready = waiting.pop()
        if ready:
            yield one
        elif id(one) not in known and id(one) not in begun:
            begun.add(id(one))
            waiting.append((one, True))
            waiting += [(part, False) for part in one.parts if id(part) not in known]


def _check_call(made: _Thing) -> None:
    """Refuse a call that allocates as many zeros as the file requests."""
    called = str(made.parts[0].value if made.parts and made.value is None else made.value).rpartition(" ")[2]
    given = [inner for part in made.parts[1:] for inner in (part, *part.parts)]
    if called in _SIZED and any(isinstance(one.value, int) for one in given):
        raise ExcessError("bytes that are made of a number")
