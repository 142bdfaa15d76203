"""Where the settings of a TOML file stand; the standard library's parser does not tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = ["line_of", "toml_lines"]

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*=")


def toml_lines(text: str) -> Mapping[Path, int]:
    r"""Return the line of every table header and key, by path; what is inside a value has the line of its key.

    The text must be valid TOML. A line inside a multi-line string that looks like a setting is taken for one: it
    can put a wrong number into a message, no more.

    >>> toml_lines('a = 1\n[b]\nc = 2\n')
    {('a',): 1, ('b',): 2, ('b', 'c'): 3}
    """
    found: dict[Path, int] = {}
    seen: Counter[Path] = Counter()
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _HEADER.fullmatch(line), _KEY.match(line)
        if header:
            table = _parts(header[2])
            if header[1] == "[[":
                table = (*table, seen[table])
                seen[table[:-1]] += 1
            found.setdefault(table, number)
        elif key:
            found.setdefault((*table, *_parts(key[1])), number)
    return found


def _parts(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in re.split(r"\s*\.\s*(?=(?:[^\"']|\"[^\"]*\"|'[^']*')*$)", dotted))


def line_of(lines: Mapping[Path, int], loc: Sequence[str | int]) -> int | None:
    """Return the line of a setting, or of the innermost part of its path that has one.

    A validator may have made a list of a single value, so list positions may be missing from the file.
    """
    for depth in range(len(loc), 0, -1):
        path = tuple(loc[:depth])
        for written in (path, tuple(part for part in path if isinstance(part, str))):
            if written in lines:
                return lines[written]
    return None
