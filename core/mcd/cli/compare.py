"""``mcd compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli import State
from mcd.cli.flags import plugin_file_flag

if TYPE_CHECKING:
    from mcd.comparison.agreement import Agreement
    from mcd.dissection import Dissection

__all__ = ["compare"]

_LISTED = 10


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="RUN RUN…")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True,
              help="How many concepts of a neuron the overlap looks at.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="DIR",
              help="Write neurons.csv and layers.csv of each pair there.")  # fmt: skip
@plugin_file_flag
@click.pass_context
def compare(ctx: click.Context, runs: tuple[Path, ...], top: int, output: Path | None) -> None:
    """Compare runs of the same neurons: two dissectors, or two scorers.

    \b
    mcd dissect … --dissector mammo-clip:FILE.tar --dissector open-clip:ViT-B-16 -o runs/x
    mcd compare runs/x/mammo-clip runs/x/ViT-B-16

    For each pair of runs: how often they name the same concept, how much of their first concepts they share, how
    alike they rank all concepts, and between which categories labels move. Scores themselves are not compared: they
    are on different scales.
    """  # noqa: D301 -- \b keeps click from rewrapping
    from itertools import combinations

    from mcd.comparison.agreement import agreement, check_same_neurons
    from mcd.comparison.scores import StoredScores
    from mcd.dissection import load
    from mcd.errors import UsageError

    if len(runs) < 2:
        raise UsageError("at least two runs are needed to compare", "mcd compare RUN RUN")
    found = [load(run) for run in runs]
    for other in found[1:]:
        check_same_neurons(found[0], other)
    host = ctx.ensure_object(State).host
    for number, (a, b) in enumerate(combinations(found, 2)):
        stored = StoredScores(host, a), StoredScores(host, b)
        scored = zip(stored[0].layers(), stored[1].layers(), strict=True)
        outcome = agreement(
            ((layer, mine, theirs) for (layer, mine), (_, theirs) in scored), stored[0].concepts.concepts, top
        )
        _print(a, b, outcome)
        if output is not None:
            _write(output / f"{number:02d}" if len(found) > 2 else output, outcome)


def _titles(a: Dissection, b: Dissection) -> tuple[str, str]:
    names = [(run.manifest.dissector, f"{run.manifest.dissector} with {run.manifest.scorer}") for run in (a, b)]
    return (names[0][0], names[1][0]) if names[0][0] != names[1][0] else (names[0][1], names[1][1])


def _print(a: Dissection, b: Dissection, found: Agreement) -> None:
    from mcd.cli.tables import print_table

    first, second = _titles(a, b)
    click.echo(f"\na: {first}\nb: {second}\n{a.manifest.target}, {a.manifest.images} images\n")
    header = ("neurons", "same", f"first {found.top}", "ranks")
    click.echo(f"same: their first concept; first {found.top}: share that both name; ranks: correlation\n")
    for column, title in (("layer", "layer"), ("category_a", "category by a")):
        rows = [[str(row[column]), str(row["neurons"]), f"{row['same']:.1%}", f"{row['overlap']:.1%}",
                 f"{row['correlation']:.2f}"] for _, row in found.by(column).iterrows()]  # fmt: skip
        print_table((title, *header), rows, right=header)
    moves = [[str(row["category_a"]), str(row["category_b"]), str(row["neurons"])]
             for _, row in found.moves().head(_LISTED).iterrows()]  # fmt: skip
    if moves:
        click.echo("where the first concepts are of different categories:")
        print_table(("category by a", "category by b", "neurons"), moves, right=("neurons",))
    if found.only_a or found.only_b:
        click.echo(f"labelled by one only: {found.only_a} by a, {found.only_b} by b")


def _write(folder: Path, found: Agreement) -> None:
    from mcd.files import write_atomically

    worst = found.neurons.sort_values(["same", "overlap", "correlation"], kind="stable")
    for name, table in (("neurons", worst), ("layers", found.by("layer")), ("moves", found.moves())):
        write_atomically(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode())
    click.echo(f"every neuron, those that differ most first: {folder / 'neurons.csv'}")
