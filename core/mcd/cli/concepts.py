"""``mcd concepts``: the vocabularies that neurons can be named with."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.candidates import CONCEPTS
from mcd.cli.concept_checks import coverage, lint
from mcd.cli.flags import output_flag
from mcd.cli.paths import PATH
from mcd.cli.terminal import echo, echo_lines
from mcd.components import Kind
from mcd.errors import MCDError, amount

if TYPE_CHECKING:
    from rich.tree import Tree

    from mcd.api.concepts import Concept, ConceptSet
    from mcd.cli.plugins import HasHost
    from mcd.host import Offer, PluginHost
    from mcd.study.vocabularies.importing import Imported, Precedence

__all__ = ["concepts"]


@click.group()
def concepts() -> None:
    """List concept sets, show one, check one, or import one."""


concepts.add_command(lint)
concepts.add_command(coverage)


@concepts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(state: HasHost, as_json: bool) -> None:
    """List the concept sets on offer.

    Broken ones are listed with the reason. A set that a plugin makes by code is not made to be listed: see it with
    mcd concepts show NAME.
    """
    host = state.host
    rows = [_described(host, offer) for offer in host.offers(Kind.CONCEPTS)]
    if as_json:
        echo_lines(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        echo("no plugin offers a concept set; a file will do: mcd concepts show FILE")
        return
    from mcd.cli.tables import print_table

    sound = [row for row in rows if not row["reason"]]
    if sound:
        header = ("name", "version", "concepts", "licence", "plugin", "description")
        cells = [[str(row[name] or "–") for name in header] for row in sound]
        print_table(header, cells, right=("concepts",))
    broken = [row for row in rows if row["reason"]]
    if broken:
        echo("\nbroken:" if sound else "broken:")
    for row in broken:
        echo(f"  {row['plugin']}/{row['name']}: {row['reason']}")


def _described(host: PluginHost, offer: Offer) -> dict[str, str | int | None]:
    from mcd.api.concepts import ConceptSource
    from mcd.study.vocabularies.loading import load_concepts

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
    if not row["description"]:
        row["description"] = found.description.partition(". ")[0].removesuffix(".")
    return row


@concepts.command()
@click.argument("reference", metavar="NAME|FILE[,…]", shell_complete=CONCEPTS)
@click.option("--concepts-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every concept with prompts and synonyms.")
@click.pass_obj
def show(state: HasHost, reference: str, concepts_arg: tuple[str, ...], as_json: bool) -> None:
    """Show broad categories, categories, concepts.

    \b
    mcd concepts show birads
    mcd concepts show my-words.txt
    """
    from mcd.options import parse_pairs
    from mcd.study.vocabularies.loading import load_concepts

    found = load_concepts(state.host, reference, parse_pairs(concepts_arg, "--concepts-arg"))
    if as_json:
        echo_lines(json.dumps(_data(found), indent=2, ensure_ascii=False))
    else:
        _print_tree(found)


def _data(found: ConceptSet) -> dict[str, object]:
    from mcd.study.vocabularies.lint import groups

    return {
        **found.model_dump(mode="json", exclude={"mammographic", "broad_categories"}),
        "fingerprint": found.fingerprint(),
        "groups": [asdict(group) for group in groups(found)],
        "concepts": [asdict(concept) for concept in found.concepts],
    }


def _print_tree(found: ConceptSet) -> None:
    from rich.text import Text
    from rich.tree import Tree

    from mcd.cli.consoles import Terminal
    from mcd.study.vocabularies.lint import groups

    console = Terminal(highlight=False)
    if not console.is_terminal:
        console = Terminal(highlight=False, width=80)
    count = amount(len(found.concepts), "concept")
    facts = [found.version, count, found.licence or "licence not stated", found.language]
    console.print(Text(f"{found.name} ", style="bold").append(" · ".join(filter(None, facts)), style="not bold"))
    for text in (found.description, *(f"source: {source}" for source in found.sources)):
        if text:
            console.print(Text(text))
    grouped: dict[str, dict[str, list[Concept]]] = {}
    for concept in found.concepts:
        grouped.setdefault(concept.broad_category, {}).setdefault(concept.category, []).append(concept)
    for group in groups(found):
        tree = Tree(Text(f"{group.name} ({group.concepts} = {group.share:.1%})", style="bold"))
        for category, members in grouped[group.name].items():
            _add_category(tree, category, members)
        console.print(tree)
    if not all(concept.mammographic for concept in found.concepts):
        console.print(Text("* does not describe the breast"))


def _add_category(tree: Tree, category: str, members: list[Concept]) -> None:
    from rich.text import Text

    branch = tree.add(Text(f"{category} ({len(members)})", style="cyan"))
    terms = [concept.term if concept.mammographic else f"{concept.term}*" for concept in members]
    branch.add(Text(", ".join(terms)))


@concepts.command()
def schema() -> None:
    """Print the JSON schema of concept set files.

    For editors:

    \b
    mcd concepts schema > concept-set.schema.json
    """
    from mcd.api.concepts import ConceptFile

    echo_lines(json.dumps(ConceptFile.model_json_schema(), indent=2, ensure_ascii=False))


@concepts.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=PATH)
@output_flag("Where the concept set goes.", metavar="OUT.yaml", required=True)
@click.option("--name", help="What tables call the set.  [default: as the file is called]")
@click.option("--licence", default="", metavar="SPDX", help="Licence of the terms, such as CC-BY-4.0.")
@click.option("--language", default="en", show_default=True, help="Language of the terms.")
@click.option(
    "--precedence",
    type=click.Choice(["last", "first"]),
    default="last",
    show_default=True,
    help="Which place counts for a term in several; last as published.",
)
@click.option(
    "--controls",
    multiple=True,
    metavar="BROAD CATEGORY",
    help="A broad category that does not describe the breast. Repeatable.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT.yaml.")
def import_(
    files: tuple[Path, ...],
    output: Path,
    name: str | None,
    licence: str,
    language: str,
    precedence: Precedence,
    controls: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Make a concept set of other files.

    \b
    mcd concepts import words.txt -o words.yaml --licence CC0-1.0
    mcd concepts import list.txt categories.xlsx -o published.yaml \\
        --licence CC-BY-NC-4.0 --controls Environmental_and_Natural

    Read are word lists (.txt, one term a line), workbooks (.xlsx: sheets are broad categories, columns are
    categories), tables (.csv, .tsv: term, category, broad_category, synonyms with | between, prompt, opposite,
    mammographic) and .json (terms in lists below categories, or below broad categories and categories). With a list
    and a file with categories, the list says which terms there are.
    """
    from mcd.errors import UsageError
    from mcd.extraction.embedding import check_output
    from mcd.files import write_atomically
    from mcd.study.vocabularies.importing import import_files

    if output.is_file() and not overwrite:
        raise UsageError(f"{output} exists already", "choose another --output, or give --overwrite")
    check_output(output, ".yaml", overwrite=overwrite)
    made = import_files(
        files, name or output.stem, licence=licence, language=language, precedence=precedence, controls=controls
    )
    write_atomically(output, made.document.encode())
    _print_import(made, precedence)
    if not licence:
        echo("warning: no licence is given; say whose terms these are with --licence", err=True)
    echo(f"concept set: {output}")
    echo(f"next: mcd concepts lint {output}")


_MOST = 20
"""How many terms a list on the terminal names."""


def _print_import(made: Imported, precedence: str) -> None:
    width = max(len(name) for name in made.counts)
    for name, count in made.counts.items():
        echo(f"{name:<{width}}  {count:>5}")
    echo("\nbroad category: terms in it, kept there")
    for broad, (inside, kept) in made.groups.items():
        echo(f"  {broad}: {inside}, {kept}")
    lines = {
        f"in several places; the {precedence} one counts": [
            f"{term}: {'; '.join(places)}" for term, places in made.several.items()
        ],
        "in the list, without a category": list(made.without_category) if len(made.groups) > 1 else [],
        "with a category, not in the list: left out": list(made.not_listed),
    }
    for title, found in lines.items():
        if found:
            echo(f"\n{title}: {len(found)}")
        for line in found[:_MOST]:
            echo_lines(textwrap.fill(line, 80, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
        if len(found) > _MOST:
            echo(f"  … and {len(found) - _MOST} more")
    echo()
