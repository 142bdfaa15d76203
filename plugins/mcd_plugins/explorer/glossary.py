"""The terms of the page, each explained once: at its place, in the page's glossary and in the documentation."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

import yaml

from mcd.plugins import AGAINST, BASELINES, CONTROLS, RUNGS, VERDICTS

__all__ = ["Entry", "entry_of", "glossary", "headings"]


@dataclass(frozen=True)
class Entry:
    """What a term means.

    Parameters
    ----------
    term
        As it is written.
    says
        A sentence, or several.
    group
        What it is about, such as ``about chance``.
    also
        Other headings and words that it explains.
    """

    term: str
    says: str
    group: str
    also: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What addresses it, such as ``above-chance``."""
        return re.sub(r"[^a-z0-9]+", "-", self.term.lower()).strip("-")


@functools.cache
def glossary() -> Mapping[str, tuple[Entry, ...]]:
    """Return all entries by what they are about, each group by term."""
    groups: dict[str, list[Entry]] = {}
    for entry in (*_written(), *_declared()):
        groups.setdefault(entry.group, []).append(entry)
    return {group: tuple(sorted(mine, key=lambda one: one.term.lower())) for group, mine in groups.items()}


@functools.cache
def headings() -> Mapping[str, Entry]:
    """Return which entry explains each heading or word, in lower case."""
    every = [entry for entries in glossary().values() for entry in entries]
    return {_plain(word): entry for entry in every for word in (*entry.also, entry.term)}


def entry_of(heading: str) -> Entry | None:
    """Return the entry that explains a heading or a word of the page, in whatever case; None where none does."""
    return headings().get(_plain(heading))


def _plain(heading: str) -> str:
    return " ".join(heading.replace("\u00ad", "").lower().split())


def _written() -> Iterator[Entry]:
    text = files("mcd_plugins.explorer").joinpath("glossary.yaml").read_text(encoding="utf-8")
    for group, entries in yaml.safe_load(text).items():
        for one in entries:
            yield Entry(one["term"], one["says"], group, tuple(one.get("also", ())))


def _declared() -> Iterator[Entry]:
    """Yield entries for words that the engine declares with their meaning."""
    several: tuple[tuple[str, str, Mapping[str, str]], ...] = (
        ("verdicts", "{}", VERDICTS),
        ("rungs", "{}", RUNGS),
        ("controls", "{}", CONTROLS),
        ("baselines of evaluations", "{} label", BASELINES),
        ("what labels are judged against", "against {}", AGAINST),
    )
    for group, form, words in several:
        for word, meaning in words.items():
            term = form.format(word.replace("-", " ") if group.startswith("what") else word)
            other = {word, f"against {word}"} if group.startswith("what") else {word}
            also = tuple(sorted(other - {term, "constant"}))  # of activations, where nothing else is said
            yield Entry(term, f"{meaning[:1].upper()}{meaning[1:]}.", group, also)
