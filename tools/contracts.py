"""Print docs/reference/contracts.md: hooks, methods of contracts, events, names, documents; since when, how stable.

python tools/contracts.py > docs/reference/contracts.md

Since which version, where it is not the present one, and what is experimental stands in contracts.toml beside this
file; the sentences are those of the source.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import mcd
from mcd import events, hookspecs, plugins, testing
from mcd.version import __version__

_HEAD = """# Contracts: since when, and how stable

Made by `tools/contracts.py`; a test compares the two. What *stable* promises, and how something goes:
[versions, formats and deprecation](versions.md). What is *experimental* may change in any version, with a line in the
changelog.

A plugin says in its `dependencies` for which versions of mcd it is made, as in `mammo-clip-dissect>=0.2,<0.3`. One that
is made for others is listed by `mcd plugins list` and `mcd plugins check` with that, and with what to do.
"""
_CLASSES = (
    *(
        "Component",
        "ModelLoader",
        "Target",
        "Dissector",
        "AnnotationDissector",
        "Dataset",
        "CompositeDataset",
        "Sample",
    ),
    *("Image", "Preprocessing", "UnitSource", "Scorer", "TopKScorer", "Probe", "Reporter", "ConceptSource", "Options"),
)
_FACES: dict[str, ModuleType] = {"mcd": mcd, "mcd.plugins": plugins, "mcd.testing": testing}


def _sentence(thing: object) -> str:
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s", text)[0].replace("|", "\\|").replace("``", "`") if text else ""


def _methods(name: str) -> Iterator[tuple[str, str]]:
    for key, value in vars(getattr(mcd, name, object)).items():
        what = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        written = inspect.isfunction(what) and what.__module__.startswith("mcd.")
        if written and not key.startswith("_") and what.__doc__:
            yield f"{name}.{key}", _sentence(what)


def _documents() -> Iterator[tuple[str, str]]:
    page = Path(__file__).parents[1] / "docs" / "reference" / "versions.md"
    yield from re.findall(r"^\| `(mcd\.[\w-]+/\d+)` \| ([^|]*?) \|", page.read_text(encoding="utf-8"), re.MULTILINE)


def chapters() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each chapter with its things: name and sentence."""
    hooks = [(name, _sentence(one)) for name, one in vars(hookspecs).items() if name.startswith("mcd_")]
    yield "Hooks", hooks
    yield "Methods of contracts", [row for name in _CLASSES for row in _methods(name)]
    yield "Events", [(name, _sentence(getattr(events, name))) for name in events.__all__ if name != "Clock"]
    for face, module in _FACES.items():
        names = [name for name in sorted(module.__all__) if not name.startswith("__")]
        yield f"Names in `{face}`", [(f"{face}.{name}", _said(getattr(module, name))) for name in names]
    yield "Documents", list(_documents())


def _said(value: object) -> str:
    """Return what a name is: of a constant, whose docstring is that of its type, its value."""
    if isinstance(value, str | int | float):
        return f"`{value!r}`"
    return _sentence(value) if callable(value) or inspect.ismodule(value) else "constants"


def page() -> str:
    """Return the page."""
    known = tomllib.loads((Path(__file__).parent / "contracts.toml").read_text(encoding="utf-8"))
    since = {name: version for version, names in known["since"].items() for name in names}
    present, lines = ".".join(__version__.split(".")[:2]), [_HEAD]
    for title, things in chapters():
        lines += [f"## {title}\n", "| | since | | |", "|---|---|---|---|"]
        for name, sentence in things:
            state = "experimental" if name in known["experimental"] else "stable"
            lines.append(f"| `{name}` | {since.get(name, present)} | {state} | {sentence} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
