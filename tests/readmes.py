"""The commands that a README tells people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["commands"]


def commands(readme: Path, smaller: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the ``mcd`` commands of its first block without a language, each without the word ``mcd``.

    Parameters
    ----------
    smaller
        Words of the commands, and what does in a test.
    """
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", readme.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    block = next(text for language, text in blocks if not language)
    for line in block.replace("\\\n", " ").splitlines():
        if line.startswith("mcd "):
            yield [smaller.get(word, word) for word in shlex.split(line)[1:]]
