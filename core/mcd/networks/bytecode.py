"""Compiled code by itself, as a digest that is the same in every process."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mcd.api.base import digest

__all__ = ["Compiled", "constant", "read_code"]

Chain = tuple[str, ...]


@dataclass(frozen=True)
class Compiled:
    """What is known of compiled code without running it.

    Parameters
    ----------
    digest
        Of instructions, constants and names; lines and files take no part.
    globals
        The globals it reads, each with the attributes it reads from it at once: ``("helpers", "scale")``.
    imports
        What it imports when it runs: level, module and, where one is taken from it, a name.
    """

    digest: str
    globals: tuple[Chain, ...]
    imports: tuple[Chain, ...]


@functools.cache
def read_code(code: types.CodeType) -> Compiled:
    """Return what is known of compiled code, that of functions inside it included."""
    inner = [read_code(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    found = digest(
        code.co_name,
        code.co_code,
        code.co_exceptiontable,
        str((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)),
        *(str(names) for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)),
        *(constant(one) for one in code.co_consts if not isinstance(one, types.CodeType)),
        *(one.digest for one in inner),
    )
    steps = [one for one in dis.get_instructions(code) if one.opname not in ("EXTENDED_ARG", "CACHE", "NOP")]
    read = set(_globals(steps)).union(*(one.globals for one in inner))
    imported = set(_imports(steps)).union(*(one.imports for one in inner))
    return Compiled(found, tuple(sorted(read)), tuple(sorted(imported)))


def constant(value: object) -> str:
    """Return the digest of a number, a text or another constant of compiled code."""
    if isinstance(value, tuple):
        return digest("tuple", *(constant(one) for one in value))
    if isinstance(value, frozenset):
        return digest("frozenset", *sorted(constant(one) for one in value))
    return digest(type(value).__name__, value if isinstance(value, bytes) else repr(value))


def _globals(steps: Sequence[dis.Instruction]) -> Iterator[Chain]:
    for at, step in enumerate(steps):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            chain = [str(step.argval)]
            for after in steps[at + 1 :]:
                if after.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                    break
                chain.append(str(after.argval))
            yield tuple(chain)


def _imports(steps: Sequence[dis.Instruction]) -> Iterator[Chain]:
    for at, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level, names = (one.argval for one in steps[at - 2 : at])  # the compiler puts both before it
            for name in names or ("*",):
                yield (str(level), str(step.argval), *(() if name == "*" else (str(name),)))
