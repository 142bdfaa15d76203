"""Pages as tests read them: their blocks, and the comments before blocks that only tests see.

``<!-- test: needs-data -->`` before a block: what it needs cannot be had here; counted.
``<!-- test: elsewhere, WHERE -->``: another test or step of CI runs it.
``<!-- test: nightly -->``: it takes long, and only the nightly run follows it.
``<!-- test: file NAME -->``: the block is the file NAME, for the commands after it.
``<!-- test: output -->``: the block is what the command before it prints; digits may differ, … stands for anything.
``<!-- test: exit N -->``: the last command of the block ends with this exit code.
``<!-- test: setup`` … ``-->``: commands that are run and not shown; Python with ``setup python``.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.command_line import ROOT

__all__ = ["COMMANDS", "PAGES", "Block", "blocks_of", "commands_of", "counts"]

COMMANDS = ("sh", "console")
_SNIPPETS = ("json", "latex", "python", "toml", "yaml")
_GENERATED = {Path("docs/reference/commands.md")}
"""Examples of ``--help``, which the command line's own tests try."""
_OWN_TESTS = "examples/acme_*/*.md"
"""Each is followed by tests of its own, in an environment of its own."""
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/**/*.md", "plugins/**/*.md")
    for path in ROOT.glob(pattern)
    if "```" in path.read_text(encoding="utf-8")
    and path.relative_to(ROOT) not in _GENERATED
    and not path.match(_OWN_TESTS)
)
_BLOCK = re.compile(
    r"^<!-- test: setup(?P<python> python)?\n(?P<setup>.*?)^-->"
    r"|(?:^[ ]*<!-- test: (?P<mark>[^\n]+?) -->\n)?^(?P<indent>[ ]*)```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^[ ]*```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block, or hidden commands (``setup``)."""

    line: int
    language: str
    text: str
    mark: str = ""
    hidden: bool = False

    @property
    def counted(self) -> int:
        """How many commands or snippets a reader sees in it."""
        if self.hidden or self.mark == "output":
            return 0
        if self.language in COMMANDS:
            return len(list(commands_of(self.text)))
        return int(self.language in _SNIPPETS)


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["setup"] is not None:
            found.append(Block(line, "python" if match["python"] else "sh", match["setup"], hidden=True))
        else:
            inside = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
            found.append(Block(line, match["language"], inside, match["mark"] or ""))
    return found


def commands_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a block, and what the block says that it prints: all lines after one that begins with $."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    shown = any(line.startswith("$ ") for line in lines)
    command, printed = "", []
    for line in lines:
        if shown and not line.startswith("$ "):
            printed.append(line)
            continue
        if command:
            yield command, "\n".join(printed)
        command, printed = _stripped(line.removeprefix("$ ")), []
    if command:
        yield command, "\n".join(printed)


def _stripped(line: str) -> str:
    """Return a line without its comment."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words = []
    for word in lexer:
        if word.startswith("#"):
            break
        words.append(word)
    return " ".join(words)


def counts() -> tuple[int, int]:
    """Return how many commands and snippets are on pages, and how many of these need data that cannot be had."""
    blocks = [block for page in PAGES for block in blocks_of(page)]
    return sum(block.counted for block in blocks), sum(block.counted for block in blocks if block.mark == "needs-data")


if __name__ == "__main__":
    total, need_data = counts()
    sys.stdout.write(f"commands and snippets that tests follow: {total}; of these marked needs-data: {need_data}\n")
