"""``mcd import``: labels of other tools as run folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.candidates import CONCEPTS
from mcd.cli.flags import output_flag
from mcd.cli.paths import PATH
from mcd.cli.state import State
from mcd.cli.terminal import echo
from mcd.errors import amount

if TYPE_CHECKING:
    from mcd.api.concepts import ConceptSet

__all__ = ["import_results"]

_FORMATS = ("clip-dissect", "mammo-clip-dissect", "descriptions", "invert", "simulated", "linear-explanations")
"""Of all readers; they import pandas."""


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE…")
@click.option(
    "--format", "name", type=click.Choice(_FORMATS), help="How they are written.  [default: as their columns say]"
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="LAYER",
    help="The layer of a file that names none, or another name of its only one; once for each file.",
)
@click.option("--tool", metavar="NAME", help="Who labelled, where the columns do not say.")
@click.option("--target", metavar="NAME", help="Which model was labelled; no file says it.")
@click.option(
    "--concepts",
    metavar="NAME|FILE[,…]",
    shell_complete=CONCEPTS,
    help="Look the labels up in this concept set, which brings categories.  [default: a set made of the labels]",
)
@output_flag("The run folder.", required=True)
@click.pass_obj
def import_results(
    state: State,
    files: tuple[Path, ...],
    name: str | None,
    layers: tuple[str, ...],
    tool: str | None,
    target: str | None,
    concepts: str | None,
    output: Path,
) -> None:
    """Import labels that other tools made: CSV files of CLIP-Dissect, Mammo-CLIP Dissect and others.

    \b
    mcd import descriptions.csv --target resnet50 -o runs/resnet50
    mcd import results.csv --concepts birads -o runs/published
    mcd compare runs/resnet50 runs/ours

    The run folder has tables only. Reports, figures and comparisons show what these allow; scores are as given, and p
    and q are not known.
    """
    from mcd.cli.tables import say
    from mcd.runs.importing import import_labels

    found = import_labels(
        files, output, name=name, layers=layers, tool=tool, target=target, concepts=_concepts(state, concepts)
    )
    record = found.manifest
    say(f"labels by {record.dissector}, of {record.target}: tables only; images, activations, p and q are not known")
    for one in record.summary:
        echo(f"{one.layer}: {one.labelled} of {amount(one.neurons, 'neuron')} labelled")
    for note in record.warnings:
        say(f"note: {note}")
    echo(f"run folder: {found.folder}")


def _concepts(state: State, reference: str | None) -> ConceptSet | None:
    from mcd.study.vocabularies.loading import load_concepts

    return None if reference is None else load_concepts(state.host, reference)
