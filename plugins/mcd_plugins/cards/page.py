"""What readers get: a form of cards, a sheet for answers, and choices on a page of their own.

None says anything of neurons or labels: `Blind` is all that is known of a card here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from mcd.plugins import Schema, csv_text
from mcd_plugins.cards.key import Key, letters

__all__ = [
    "AFTER",
    "BEFORE",
    "CANNOT_SAY",
    "COLUMNS",
    "CONFIDENCE",
    "MOST_LETTERS",
    "NEEDED",
    "NONE_OF_THESE",
    "SHEET",
    "choices_page",
    "page",
    "sheet",
]

SHEET = Schema("answers", 2, {1: dict}, remedy="give the answer sheet that the page of cards saves, or answers.csv")
"""The format of an answer sheet. Sheets of version 1 have no column ``schema``."""
NEEDED = ("set", "card", "free_text", "choice", "confidence")
"""Columns of an answer sheet of any version."""
COLUMNS = (*NEEDED, "reader", "free_text_written", "schema")
"""Columns of the answer sheet: what the reporter writes blank, and the page saves filled in."""
CONFIDENCE = (1, 2, 3, 4, 5)
NONE_OF_THESE, CANNOT_SAY = "none of these", "cannot say"
"""What may stand for a letter: no choice fits, or the reader has no answer."""
BEFORE, AFTER = "before choices", "after choices"
"""When a free text was written; empty where that is not known, as on paper."""
MOST_LETTERS = 4000
"""Length of a free text that the page takes."""

_SCRIPTS = ("sheet", "kept", "viewer", "steps", "study")
"""Parts of the script, in the order in which they are needed; elements.js of the explorer comes before them."""


@dataclass(frozen=True)
class Blind:
    """What a reader sees of a card: its number, its images as WebP in base64, and choices with their letters."""

    number: int
    images: tuple[str, ...]
    low: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def page(key: Key, pictures: Mapping[str, bytes], notice: str) -> str:
    """Return the page on which readers answer: in a browser in two steps, on paper the first of them.

    Parameters
    ----------
    key
        Of the cards.
    pictures
        Image id → WebP. Ids are not in the page: those of some data sets disclose side and view.
    notice
        What must be known about passing it on; may be empty.
    """
    cards, style, script = _blind(key, pictures), _source("style.css"), _script()
    return _template("cards.html.j2").render(
        name=key.name,
        cards=cards,
        confidence=CONFIDENCE,
        probe=[(name, key.conditions[name]) for name in ("Probe set", "Images (n)") if key.conditions.get(name)],
        notice=notice,
        style=style,
        script=script,
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        study={
            "schema": str(SHEET),
            "set": key.name,
            "columns": COLUMNS,
            "confidence": CONFIDENCE,
            "letters": letters(key.choices),
            "none": NONE_OF_THESE,
            "cannot": CANNOT_SAY,
            "before": BEFORE,
            "after": AFTER,
            "most": MOST_LETTERS,
            "choices": _packed([[option for _, option in one.options] for one in cards]),
        },
    )


def choices_page(key: Key) -> str:
    """Return the page of choices for readers on paper, who get it when they have described all cards."""
    style = _source("style.css")
    return _template("choices.html.j2").render(
        name=key.name,
        cards=_blind(key, {}),
        confidence=CONFIDENCE,
        none_of_these=NONE_OF_THESE,
        cannot_say=CANNOT_SAY,
        style=style,
        policy=f"default-src 'none'; style-src {_hash(style)}; base-uri 'none'; form-action 'none'",
    )


def sheet(key: Key) -> str:
    """Return the blank answer sheet, CSV: a row a card, to be filled in by one reader. It holds no choice."""
    known = {"schema": str(SHEET), "set": key.name}
    return csv_text(
        [COLUMNS, *([{**known, "card": str(one.number)}.get(name, "") for name in COLUMNS] for one in key.cards)]
    )


def _blind(key: Key, pictures: Mapping[str, bytes]) -> list[Blind]:
    encoded = {name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()}
    return [
        Blind(
            number=one.number,
            images=tuple(encoded[name] for name in one.images if encoded),
            low=tuple(encoded[name] for name in one.low if encoded),
            options=tuple(zip(letters(key.choices), one.options, strict=True)),
        )
        for one in key.cards
    ]


def _packed(value: object) -> str:
    """Return JSON in base64: no secret, but whoever searches the file for a word, or opens its source, reads none."""
    return base64.b64encode(json.dumps(value, ensure_ascii=False).encode()).decode("ascii")


@functools.cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_source(name))


def _script() -> str:
    elements = files("mcd_plugins.explorer").joinpath("elements.js").read_text(encoding="utf-8")
    parts = "\n".join([elements, *(_source(f"{name}.js") for name in _SCRIPTS)])
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _source(name: str) -> str:
    return files("mcd_plugins.cards").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
