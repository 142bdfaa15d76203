"""The one file: template, style and script put together, with a policy that lets nothing else in."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

import jinja2

from mcd.plugins import BASELINES, FEW_IMAGES, Schema
from mcd_plugins.explorer.colours import Palette
from mcd_plugins.explorer.glossary import entry_of, glossary, headings
from mcd_plugins.explorer.originals import FOLDER
from mcd_plugins.explorer.packing import Json
from mcd_plugins.reporters.answers import LEARNED, MISSING
from mcd_plugins.reporters.evaluation_tables import differences_table, side_tables
from mcd_plugins.reporters.facts import Facts, side_by_side
from mcd_plugins.reporters.first_screen import FirstScreen
from mcd_plugins.reporters.represented import CARRIED
from mcd_plugins.reporters.side_answers import DIFFER
from mcd_plugins.reporters.through_units import around, rests_on
from mcd_plugins.reporters.words import share

__all__ = ["SCHEMA", "Page", "page"]

SCHEMA = Schema("explorer")
"""The format of the data in the page, the elements ``content`` and ``pictures``. Only its own script reads them."""

_SCRIPTS = (
    "columns",
    "terms",
    "elements",
    "filters",
    "table",
    "evaluation",
    "runs",
    "plots",
    "maps",
    "viewer",
    "neurons",
    "neuron",
    "concepts",
    "differences",
    "comparison",
    "pairs",
    "main",
)
"""Parts of the script, in the order in which they are needed."""

_LINKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        LEARNED: ("#neurons?verdict=any", "Show these neurons"),
        MISSING: ("#concepts?answer=missing", "Show all, and why"),
        DIFFER: ("#compare", "Compare"),
    }
)
"""For answers the view that has the whole list: its address, and what the link says."""


@dataclass(frozen=True)
class Page:
    """The page but for its images at full resolution, which get the room that it leaves.

    Parameters
    ----------
    title, style, script, body
        Its parts; ``body`` is HTML.
    """

    title: str
    style: str
    script: str
    body: str

    @property
    def size(self) -> int:
        """How many bytes it has without these images."""
        return len(self.whole().encode())

    def whole(self, originals: Sequence[Sequence[str]] = ()) -> str:
        """Return the page.

        Parameters
        ----------
        originals
            Of each probe set its images at full resolution, see `originals_of`; read when the first is enlarged.
        """
        return _template("frame.html.j2").render(
            title=self.title,
            style=self.style,
            policy=f"default-src 'none'; script-src {_hash(self.script)}; style-src {_hash(self.style)}; "
            f"img-src {_images(originals)}; base-uri 'none'; form-action 'none'",
            body=self.body,
            originals=[list(one) for one in originals],
        )


def page(
    facts: Sequence[Facts],
    palette: Palette,
    start: FirstScreen,
    content: Mapping[str, Json],
    pictures: Sequence[Json],
) -> Page:
    """Return the page.

    Parameters
    ----------
    facts
        Of each run, in words.
    palette
        Colours of broad categories.
    start
        What the page begins with.
    content, pictures
        What the script works on, and the small copies of images, which it reads only when the first is shown.
    """
    style = "".join(map(_source, ("extras.css", "style.css", "viewer.css"))) + palette.style
    parts = "\n".join(_source(f"{name}.js") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    glossed = {heading: entry.key for heading, entry in headings().items()}
    body = _template("glossary.html.j2", "evaluation.html.j2", "units.html.j2", "page.html.j2").render(
        facts=facts,
        categories=_labelled(facts, palette),
        fill=palette.categories,
        patterns=palette.patterns,
        few=FEW_IMAGES,
        conditions=side_by_side(facts),
        answers=start.answers,
        cautions=start.cautions,
        links=_links(facts, start),
        baselines=BASELINES,
        differences=differences_table,
        side_tables=lambda found: side_tables({"": found}),
        around=around,
        rests_on=rests_on,
        script=script,
        content={"schema": str(SCHEMA), **content, "few": FEW_IMAGES, "glossary": glossed},
        pictures=list(pictures),
    )
    targets = ", ".join(dict.fromkeys(one.target for one in facts))
    return Page(f"{targets} – Mammo-CLIP Dissect", style, script, body)


def _images(originals: Sequence[Sequence[str]]) -> str:
    """Return where images may come from: the page, and where some lie beside it also its folder."""
    beside = any(name.startswith(f"{FOLDER}/") for one in originals for name in one)
    return "data: 'self' file:" if beside else "data:"


@functools.cache
def _template(*names: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"explained": entry_of, "glossary": glossary(), "share": share}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
    return environment.from_string("".join(map(_source, names)))


def _source(name: str) -> str:
    return files("mcd_plugins.explorer").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _labelled(facts: Sequence[Facts], palette: Palette) -> list[str]:
    """Return the broad categories of some label, in the order of the vocabulary."""
    there = {name for one in facts for row in one.layers for name in row.parts}
    return [name for name in palette.categories if name in there]


def _links(facts: Sequence[Facts], start: FirstScreen) -> dict[str, tuple[str, str]]:
    """Return the links of those answers whose view has something to show."""
    empty = {
        LEARNED: not any(one.judged and one.named for one in facts),
        MISSING: not any(len(one.table) > one.count(CARRIED) for one in start.represented),
    }
    return {question: link for question, link in _LINKS.items() if not empty.get(question)}
