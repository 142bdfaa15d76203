"""What the parts of a run have to say, as a run of one process says it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from mcd.api.remark import Remark

if TYPE_CHECKING:
    from mcd.runs.partial import Partial

__all__ = ["said_by_all", "said_by_first"]


def said_by_all(parts: Sequence[Partial], where: str) -> list[str]:
    """Return what the parts say in one place, in the order in which they do.

    Counts of remarks are added up. Another text that all parts say stands once; one that only some say stands with
    their numbers, for it is of their images alone.
    """
    each = [part.record.remarks(where) for part in parts]
    found: list[str] = []
    for key in _in_order([list(dict.fromkeys(map(_key, one))) for one in each]):
        said = [(part, one) for part, several in zip(parts, each, strict=True) for one in several if _key(one) == key]
        first, *others = [one for _, one in said]
        if isinstance(first, Remark):
            found.append(reduce(Remark.plus, [one for one in others if isinstance(one, Remark)], first))
        elif len(dict.fromkeys(part.record.number for part, _ in said)) == len(parts):
            found.append(first)
        else:
            found += [f"part {part.record.part}: {one}" for part, one in said]
    return [one for one in found if one]


def said_by_first(parts: Sequence[Partial]) -> list[str]:
    """Return what the first image that is shown lets be said: that of one process is in the first part that has one."""
    first = next((part for part in parts if part.images.digests), parts[0])
    return first.record.remarks("next")


_Key = tuple[str, bool]


def _key(one: str) -> _Key:
    """Return what remarks of several parts have in common."""
    return (one.text, True) if isinstance(one, Remark) else (one, False)


def _in_order(each: Sequence[Sequence[_Key]]) -> list[_Key]:
    """Return the keys of all lists once: each after those that stand before it in its list."""
    found: list[_Key] = []
    for keys in each:
        at = 0
        for key in keys:
            if key in found:
                at = found.index(key) + 1
            else:
                found.insert(at, key)
                at += 1
    return found
