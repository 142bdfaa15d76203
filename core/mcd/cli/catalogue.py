"""The catalogue of known plugins, and ``mcd plugins search``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import click

from mcd.cli.terminal import echo
from mcd.components import Kind

if TYPE_CHECKING:
    from mcd.cli.plugins import HasHost

__all__ = ["Known", "catalogue", "search"]


@dataclass(frozen=True)
class Known:
    """A plugin that the project knows.

    Parameters
    ----------
    name
        Of its distribution.
    offers
        Kinds of components, as ``mcd plugins show`` calls them.
    summary
        One line.
    install
        What ``mcd install`` takes.
    licence
        Its SPDX expression.
    maintained_by
        Who answers for it.
    """

    name: str
    offers: list[str]
    summary: str
    install: str
    licence: str
    maintained_by: str


def catalogue() -> list[Known]:
    """Return the known plugins, by name."""
    import yaml

    found = yaml.safe_load((files("mcd.cli") / "catalogue.yaml").read_text(encoding="utf-8"))
    return sorted((Known(**one) for one in found), key=lambda one: one.name)


def _rows(state: HasHost) -> Iterator[tuple[str, str, str, str]]:
    """Yield everything there is to find: kind, name, where it comes from, summary."""
    for kind in Kind:
        for offer in state.host.offers(kind):
            yield kind.label, offer.component.name, f"installed, {offer.plugin}", offer.component.summary
    for known in catalogue():
        yield ", ".join(known.offers), known.name, f"mcd install {known.install}", known.summary


@click.command()
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.pass_obj
def search(state: HasHost, words: tuple[str, ...]) -> None:
    """Find components by words of their kind, name or summary: those installed, and known plugins that are not.

    Without WORD, all known plugins are listed. Nothing is fetched.
    """
    found = [row for row in _rows(state) if all(word.lower() in " ".join(row).lower() for word in words)]
    if not words:
        found = [row for row in found if not row[2].startswith("installed")]
    if not found:
        echo(f"nothing has {' and '.join(words)} in its kind, name or summary; all that is installed: mcd plugins list")
        return
    from mcd.cli.tables import print_table

    print_table(("kind", "name", "from", "summary"), found)
