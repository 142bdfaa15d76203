"""``mcd acme-shared``: imported when somebody uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.plugins import PATH, SIGNIFICANT, print_table, say

if TYPE_CHECKING:
    import pandas as pd

    import mcd

__all__ = ["command"]


@click.command()
@click.argument("run", type=PATH, metavar="RUN")
@click.argument("other", type=PATH, metavar="OTHER")
@click.option("--fewest", type=click.IntRange(1), default=1, show_default=True, help="Neurons that a concept needs.")
def command(run: Path, other: Path, fewest: int) -> None:
    """List the concepts that neurons of both runs carry, and how many of each.

    A neuron carries the concept of its first label, where that is significant. Whether a difference is more than
    chance is another question: mcd compare RUN OTHER.
    """
    import mcd

    runs = [mcd.load(run), mcd.load(other)]
    counts = [_carried(one) for one in runs]
    shared = [concept for concept in counts[0].index if all(one.get(concept, 0) >= fewest for one in counts)]
    if not shared:
        say("no concept is carried by neurons of both runs")
        return
    shared.sort(key=lambda concept: (-min(one[concept] for one in counts), concept))
    rows = [(concept, *(str(one[concept]) for one in counts)) for concept in shared]
    names = [str(one.manifest.target) for one in runs]
    titles = names if names[0] != names[1] else [f"{run}", f"{other}"]
    print_table(("concept", *titles), rows, right=titles)
    say(f"{len(shared)} of {len(set(counts[0].index) | set(counts[1].index))} concepts are carried by both")


def _carried(run: mcd.Dissection) -> pd.Series[int]:
    """Return concept → how many neurons of a run carry it."""
    labels = run.labels
    return labels[(labels["rank"] == 1) & labels["verdict"].isin(SIGNIFICANT)]["concept"].value_counts()
