"""Print the page docs/reference/glossary.md, made from the glossary of the explorer page.

python tools/glossary_reference.py > docs/reference/glossary.md
"""

from __future__ import annotations

from mcd_plugins.explorer.glossary import Entry, glossary

_HEAD = """# Glossary

The terms of the explorer page, where each is explained at its place and in a view of its own. Made by
`tools/glossary_reference.py` from what the page shows; a test compares the two.
"""


def page() -> str:
    """Return the page."""
    lines = [_HEAD]
    for group, entries in glossary().items():
        lines += [f"## {group[:1].upper()}{group[1:]}\n", "| term | meaning |", "|---|---|", *map(_row, entries), ""]
    return "\n".join(lines)


def _row(entry: Entry) -> str:
    return f"| {entry.term} | {entry.says.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    print(page(), end="")
