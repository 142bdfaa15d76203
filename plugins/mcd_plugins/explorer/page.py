"""The one file: template, style and script put together, with a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

import jinja2
from markupsafe import Markup

from mcd_plugins.explorer.facts import FEW, Facts
from mcd_plugins.explorer.packing import Json

__all__ = ["page"]

_SCRIPTS = ("columns", "elements", "runs", "plots", "maps", "neurons", "neuron", "concepts", "comparison", "pairs",
            "main")  # fmt: skip
"""Parts of the script, in the order in which they are needed."""

_COLOURS = 6
"""How many broad categories have a colour of their own; others share one."""


def page(facts: Sequence[Facts], content: Mapping[str, Json], pictures: Sequence[Json]) -> str:
    """Return the page.

    Parameters
    ----------
    facts
        Of each run, in words.
    content, pictures
        What the script works on, and the small copies of images, which it reads only when the first is shown.
    """
    style = _source("style.css")
    parts = "\n".join(_source(f"{name}.js") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)  # fmt: skip
    categories = _categories(facts)
    return environment.from_string(_source("page.html.j2")).render(
        facts=facts,
        categories=categories,
        colour={name: min(number, _COLOURS) for number, name in enumerate(categories)},
        few=FEW,
        told=_side_by_side(facts),
        cautions=_shared(facts, [one.cautions for one in facts]),
        notes=_shared(facts, [one.notes for one in facts]),
        style=Markup(style),  # noqa: S704 -- our own files, which escaping would break
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        content=_data({**content, "few": FEW}),
        pictures=_data(list(pictures)),
    )


def _source(name: str) -> str:
    return files("mcd_plugins.explorer").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(value: Json) -> Markup:
    """Return JSON that cannot end the element it stands in: neither ``</script>`` nor ``<!--`` can occur."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 -- escaped for where it stands


def _categories(facts: Sequence[Facts]) -> list[str]:
    """Return all broad categories, those of most neurons first: the order of their colours."""
    counts: dict[str, int] = {}
    for row in (row for one in facts for row in one.layers):
        for name, count in row.parts.items():
            counts[name] = counts.get(name, 0) + count
    return sorted(counts, key=lambda name: (-counts[name], name))


def _side_by_side(facts: Sequence[Facts]) -> list[tuple[str, list[str]]]:
    """Return what runs rest on: a row each with a value a run, those with none left out."""
    rows = [(name, [dict(one.told)[name] for one in facts]) for name, _ in facts[0].told]
    return [(name, values) for name, values in rows if any(values)]


def _shared(facts: Sequence[Facts], said: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return each sentence once, with the letters of the runs that it is said of where that is not all of them."""
    letters: dict[str, list[str]] = {}
    for one, sentences in zip(facts, said, strict=True):
        for sentence in dict.fromkeys(sentences):
            letters.setdefault(sentence, []).append(one.letter)
    found = [("" if len(of) == len(facts) else ", ".join(of), sentence) for sentence, of in letters.items()]
    return sorted(found, key=lambda one: one[0] == "")
