"""``mcd evaluate``: how right the labels of a stored run are."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli import State
from mcd.cli.flags import plugin_file_flag, seed_flag, trust_flag
from mcd.cli.numbers import RESAMPLES
from mcd.cli.paths import PATH, RUN_FOLDER
from mcd.cli.terminal import echo

__all__ = ["evaluate"]

_AGAINST = ("annotations", "held-out", "other-dissector", "truth")


@click.command()
@click.argument("run", type=RUN_FOLDER, metavar="RUN")
@click.option(
    "--against",
    multiple=True,
    type=click.Choice(_AGAINST),
    help="What labels are judged against: the data set's annotations, the run's own similarities of held-out images, "
    "those of --other, or the truth where every image has it. Repeatable.  [default: annotations, or held-out where "
    "these can judge nothing; and truth]",
)
@click.option("--other", type=RUN_FOLDER, metavar="RUN", help="A run of the same images by another dissector.")
@click.option(
    "--draws",
    type=RESAMPLES,
    default=100,
    show_default=True,
    metavar="N",
    help="Resamples of the patients, for intervals and stability; 0 leaves both out.",
)
@seed_flag
@click.option("--layers", "by_layer", is_flag=True, help="Print every layer too.")
@click.option("--output", "-o", type=PATH, metavar="DIR", help="Where the tables go.  [default: RUN/evaluation]")
@trust_flag
@plugin_file_flag
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    run: Path,
    against: tuple[str, ...],
    other: Path | None,
    draws: int,
    seed: int,
    by_layer: bool,
    output: Path | None,
    trust: bool,
) -> None:
    """Say how right the labels of a stored run are.

    \b
    mcd evaluate runs/x
    mcd evaluate runs/x --against held-out --against other-dissector --other runs/y

    Half of the patients names the neurons anew, the other half judges these labels, beside the second concept of each
    neuron, a random one of its category, one for all neurons, and networks that have not been trained. No images are
    needed, and no network runs.
    """
    from mcd.cli.evaluate_text import print_evaluation
    from mcd.evaluation.evaluating import evaluated
    from mcd.runs.dissection import opened
    from mcd.runs.evaluated import EVALUATION, Evaluation

    host = ctx.ensure_object(State).host
    stored, *others = opened([run] if other is None else [run, other], host, trust=trust)
    folder = stored.folder / EVALUATION if output is None else output
    Evaluation.check(folder)
    found = evaluated(stored, against, others[0] if others else None, draws, seed)
    found.write(folder)
    print_evaluation(found, by_layer=by_layer)
    echo(f"all tables: {folder}")
