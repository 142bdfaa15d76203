"""Print the page docs/reference/study.md, made from the declaration of a study.

python tools/study_reference.py > docs/reference/study.md
"""

from __future__ import annotations

import re
from itertools import groupby

from mcd.cli.study_flags import FILE_ONLY, flag_names
from mcd.study.leaves import Leaf, leaves
from mcd.study.study import Choice

_HEAD = """# Study: every setting of a run

Made by `tools/study_reference.py` from `mcd.study.study.Study`; a test compares the two. The same settings are keys of
a study file (`mcd run STUDY.yaml`), flags of `mcd dissect` and `mcd run`, and keywords of `mcd.dissect`. Flags overrule
a file; what neither sets has its default. For editors there is a [JSON schema](study.schema.json).

A component is written as `NAME`, as `NAME:VALUE`, which sets its first setting, or as `{plugin: NAME, options: {…}}`;
`mcd plugins show NAME` lists its settings. Where a key may hold several (`models[]`), a single one needs no list.

A relative path is resolved against the folder of the study file; in a flag or a keyword, against the current
folder. `~` is the home folder. A missing file is refused before a network is loaded.
"""

_WORDS = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text", "Path": "path"}
_KEYWORDS = {
    "models.plugin": "model",
    "models.layers": "layers",
    "models.units": "units",
    "models.neurons": "neurons",
    "models.pooling": "pooling",
    "dissectors.plugin": "dissector",
}
"""Keywords of `mcd.dissect`, which runs one model with one dissector, that are not called like the key."""


def page() -> str:
    """Return the page."""
    lines = [_HEAD]
    for field, found in groupby(leaves(), key=lambda leaf: leaf.path[0] if len(leaf.path) > 1 else ""):
        mine = list(found)
        if field:
            lines.append(f"## `{field}`\n")
        elif len(lines) == 1:
            lines.append("## The format\n")
        else:
            lines.append(f"## {', '.join(f'`{leaf.key}`' for leaf in mine)}\n")
        lines += ["| key | takes | default | flag | keyword | |", "|---|---|---|---|---|---|", *map(_row, mine), ""]
    return "\n".join(lines)


def _row(leaf: Leaf) -> str:
    text = re.sub(r"([\[\]*])", r"\\\1", leaf.description)  # in which Markdown finds no emphasis and no link
    cells = [f"`{_key(leaf)}`", _takes(leaf), _default(leaf), _flag(leaf), _keyword(leaf), text]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _key(leaf: Leaf) -> str:
    return leaf.key.replace(".", "[].", 1) if leaf.several else leaf.key


def _takes(leaf: Leaf) -> str:
    if leaf.path[-1] == "plugin":
        return "component"
    if leaf.path[-1] == "options":
        return "settings"
    if issubclass(leaf.kind, Choice):
        return "component; or several"
    if leaf.choices:
        return ", ".join(f"`{one}`" for one in leaf.choices)
    word = ", ".join(filter(None, (_WORDS[leaf.kind.__name__], str(leaf.bounds))))
    return f"{word}; or several" if leaf.repeated else word


def _default(leaf: Leaf) -> str:
    if leaf.default in (None, "", (), {}):
        return "required" if leaf.info.is_required() and (leaf.owner is None or leaf.owner.is_required()) else ""
    return f"`{str(leaf.default).lower() if leaf.kind is bool else leaf.default}`"


def _flag(leaf: Leaf) -> str:
    return "" if leaf.key in FILE_ONLY else ", ".join(f"`{name}`" for name in flag_names(leaf.key))


def _keyword(leaf: Leaf) -> str:
    if leaf.key in FILE_ONLY or leaf.path[-1] == "options":
        return ""
    if leaf.owner is None and len(leaf.path) > 1:
        return f'`{leaf.path[0]}={{"{leaf.path[1]}": …}}`'
    return f"`{_KEYWORDS.get(leaf.key, leaf.path[0])}`"


if __name__ == "__main__":
    print(page(), end="")
