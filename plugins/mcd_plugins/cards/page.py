"""What readers get: a page of cards, and a sheet for answers. Neither says anything of neurons or labels."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files

import jinja2

from mcd.plugins import csv_text
from mcd_plugins.cards.key import Key, letters

__all__ = ["COLUMNS", "CONFIDENCE", "page", "sheet"]

COLUMNS = ("set", "card", "free_text", "choice", "confidence")
"""Columns of an answer sheet that are read; the choices stand to their right."""
CONFIDENCE = (1, 2, 3, 4, 5)


def page(key: Key, pictures: Mapping[str, bytes], notice: str) -> str:
    """Return the page.

    Parameters
    ----------
    key
        Of the cards.
    pictures
        Image id → WebP. Ids are not in the page: those of some data sets disclose side and view.
    notice
        What must be known about passing it on; may be empty.
    """
    style = files("mcd_plugins.cards").joinpath("style.css").read_text(encoding="utf-8")
    template = files("mcd_plugins.cards").joinpath("cards.html.j2").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    encoded = {name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()}
    return environment.from_string(template).render(
        name=key.name,
        cards=[
            {
                "number": one.number,
                "images": [encoded[name] for name in one.images],
                "low": [encoded[name] for name in one.low],
                "options": list(zip(letters(key.choices), one.options, strict=True)),
            }
            for one in key.cards
        ],
        letters=letters(key.choices),
        confidence=CONFIDENCE,
        probe=[(name, key.conditions[name]) for name in ("Probe set", "Images (n)") if key.conditions.get(name)],
        notice=notice,
        style=style,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
    )


def sheet(key: Key) -> str:
    """Return the blank answer sheet, CSV: a row a card, to be filled in by one reader."""
    head = [*COLUMNS, *letters(key.choices)]
    return csv_text([head, *([key.name, str(one.number), "", "", "", *one.options] for one in key.cards)])
