"""``mcd concepts``: the vocabularies that neurons can be named with."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mcd.components import Kind
from mcd.errors import MCDError

if TYPE_CHECKING:
    from rich.tree import Tree

    from mcd.api.concepts import Concept, ConceptSet
    from mcd.cli.plugins import HasHost
    from mcd.host import Offer, PluginHost

__all__ = ["concepts"]


@click.group()
def concepts() -> None:
    """List concept sets, or show one."""


@concepts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(state: HasHost, as_json: bool) -> None:
    """List the concept sets on offer, and the broken ones with the reason.

    A set that a plugin makes by code is not made to be listed: see it with mcd concepts show NAME.
    """
    host = state.host
    rows = [_described(host, offer) for offer in host.offers(Kind.CONCEPTS)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        click.echo("no plugin offers a concept set; a file will do: mcd concepts show FILE")
        return
    from mcd.cli.tables import print_table

    sound = [row for row in rows if not row["reason"]]
    if sound:
        header = ("name", "version", "concepts", "licence", "plugin", "description")
        cells = [[str(row[name] or "–") for name in header] for row in sound]
        print_table(header, cells, right=("concepts",))
    broken = [row for row in rows if row["reason"]]
    if broken:
        click.echo("\nbroken:" if sound else "broken:")
    for row in broken:
        click.echo(f"  {row['plugin']}/{row['name']}: {row['reason']}")


def _described(host: PluginHost, offer: Offer) -> dict[str, str | int | None]:
    from mcd.api.concepts import ConceptSource
    from mcd.vocabulary import load_concepts

    row: dict[str, str | int | None] = {
        "name": offer.component.name,
        "version": "",
        "concepts": None,
        "licence": "",
        "plugin": offer.plugin,
        "description": offer.component.summary,
        "reason": "",
    }
    try:
        target = host.load(Kind.CONCEPTS, offer.qualified)
        if isinstance(target, type) and issubclass(target, ConceptSource):
            return row  # to make it may need settings, or the network
        found = load_concepts(host, offer.qualified)
    except MCDError as error:
        row["reason"] = str(error)
        return row
    row.update(version=found.version, concepts=len(found.concepts), licence=found.licence)
    return row


@concepts.command()
@click.argument("reference", metavar="NAME|FILE")
@click.option("--concepts-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every concept with prompt and synonyms.")
@click.pass_obj
def show(state: HasHost, reference: str, concepts_arg: tuple[str, ...], as_json: bool) -> None:
    """Show a concept set: broad categories, categories and concepts.

    \b
    mcd concepts show birads
    mcd concepts show my-words.txt
    """  # noqa: D301 -- \b keeps click from rewrapping
    from mcd.options import parse_pairs
    from mcd.vocabulary import load_concepts

    found = load_concepts(state.host, reference, parse_pairs(concepts_arg, "--concepts-arg"))
    if as_json:
        click.echo(json.dumps(_data(found), indent=2, ensure_ascii=False))
    else:
        _print_tree(found)


def _data(found: ConceptSet) -> dict[str, object]:
    return {
        **found.model_dump(mode="json", include={"name", "version", "licence", "language", "description", "sources"}),
        "fingerprint": found.fingerprint(),
        "concepts": [asdict(concept) for concept in found.concepts],
    }


def _print_tree(found: ConceptSet) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=80)
    facts = [found.version, f"{len(found.concepts)} concepts", found.licence or "licence not stated", found.language]
    console.print(Text(f"{found.name} ", style="bold").append(" · ".join(filter(None, facts)), style="not bold"))
    for text in (found.description, *(f"source: {source}" for source in found.sources)):
        if text:
            console.print(Text(text))
    grouped: dict[str, dict[str, list[Concept]]] = {}
    for concept in found.concepts:
        grouped.setdefault(concept.broad_category, {}).setdefault(concept.category, []).append(concept)
    for broad, categories in grouped.items():
        tree = Tree(Text(f"{broad} ({sum(map(len, categories.values()))})", style="bold"))
        for category, members in categories.items():
            _add_category(tree, category, members)
        console.print(tree)
    if not all(concept.mammographic for concept in found.concepts):
        console.print(Text("* says nothing about the breast"))


def _add_category(tree: Tree, category: str, members: list[Concept]) -> None:
    from rich.text import Text

    branch = tree.add(Text(f"{category} ({len(members)})", style="cyan"))
    terms = [concept.term if concept.mammographic else f"{concept.term}*" for concept in members]
    branch.add(Text(", ".join(terms)))
