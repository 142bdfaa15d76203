"""``mcd evaluate``: how right the labels of a stored run are."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli.flags import output_flag, seed_flag, trust_flag
from mcd.cli.groups import option_group
from mcd.cli.numbers import RESAMPLES
from mcd.cli.paths import RUN_FOLDER
from mcd.cli.state import State
from mcd.cli.terminal import echo
from mcd.errors import UsageError
from mcd.options import validate_options
from mcd.study.groups import Group

__all__ = ["evaluate"]

_COUNT, _DRAWN = click.IntRange(1, 1000), click.IntRange(1, 10_000)
_AGAINST = ("annotations", "held-out", "other-dissector", "truth")


@click.command()
@click.argument("run", type=RUN_FOLDER, metavar="RUN")
@option_group(
    "Labels",
    click.option(
        "--against",
        multiple=True,
        type=click.Choice(_AGAINST),
        help="What labels are judged against: the data set's annotations, the run's own similarities of held-out "
        "images, those of --other, or the truth where every image has it. Repeatable.  [default: annotations, or "
        "held-out where these can judge nothing; and truth]",
    ),
    click.option("--other", type=RUN_FOLDER, metavar="RUN", help="A run of the same images by another dissector."),
    click.option(
        "--draws",
        type=RESAMPLES,
        default=100,
        show_default=True,
        metavar="N",
        help="Resamples of the patients, for intervals and stability; 0 leaves both out.",
    ),
    seed_flag,
)
@option_group(
    "Ablation",
    click.option(
        "--faithfulness",
        is_flag=True,
        help="Also run the target on the held-out images, with the neurons that share a name ablated, and with random "
        "groups of neurons like them.",
    ),
    click.option(
        "--ablate", type=click.Choice(["mean", "zero"]), help="What an ablated unit becomes.  [default: mean]"
    ),
    click.option("--groups", type=_COUNT, metavar="N", help="Ablate the N largest groups.  [default: 10]"),
    click.option("--least", type=_COUNT, metavar="N", help="Neurons that a group has at least.  [default: 3]"),
    click.option("--random-groups", type=_DRAWN, metavar="N", help="Random groups beside each.  [default: 20]"),
    click.option(
        "--outcome",
        multiple=True,
        metavar="OUTPUT=CONCEPT",
        help="Which output of the network, by number or name, is to be which annotated concept. Repeatable.  [default: "
        "outputs that have the name of one]",
    ),
    click.option("--device", metavar="NAME", help="Where the target runs.  [default: as in the run]"),
)
@option_group(
    Group.OUTPUT.value,
    click.option("--layers", "by_layer", is_flag=True, help="Print every layer too."),
    output_flag("Where the tables go.  [default: RUN/evaluation]"),
)
@trust_flag
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    run: Path,
    against: tuple[str, ...],
    other: Path | None,
    draws: int,
    seed: int,
    faithfulness: bool,
    ablate: str | None,
    groups: int | None,
    least: int | None,
    random_groups: int | None,
    outcome: tuple[str, ...],
    device: str | None,
    by_layer: bool,
    output: Path | None,
    trust: bool,
) -> None:
    """Say how right the labels of a stored run are.

    \b
    mcd evaluate runs/x
    mcd evaluate runs/x --against other-dissector --other runs/y
    mcd evaluate runs/x --faithfulness --outcome 0=mass

    Half of the patients names the neurons anew, the other half judges these labels, beside the second concept of each
    neuron, a random one of its category, one for all neurons, and networks that have not been trained. Without
    --faithfulness no images are needed, and no network runs.
    """
    from mcd.cli.evaluate_text import print_evaluation
    from mcd.evaluation.ablating import Ablating
    from mcd.evaluation.evaluating import evaluated
    from mcd.evaluation.faithfulness import Ablation
    from mcd.runs.evaluated import EVALUATION, Evaluation
    from mcd.runs.loading import opened
    from mcd.runs.runnable import How

    host = ctx.ensure_object(State).host
    stored, *others = opened([run] if other is None else [run, other], host, trust=trust)
    folder = stored.folder / EVALUATION if output is None else output
    given = {"to": ablate, "groups": groups, "least": least, "random": random_groups}
    values: dict[str, object] = {name: one for name, one in given.items() if one is not None}
    if outcome:
        values["outcomes"] = dict(_pair(one) for one in outcome)
    if not faithfulness and (values or device is not None):
        raise UsageError("what is to be ablated, and where, is for --faithfulness alone", "add --faithfulness")
    settings = validate_options(Ablation, values, "--faithfulness")
    ablating = Ablating(settings, How(device=device)) if faithfulness else None
    Evaluation.check(folder)
    found = evaluated(stored, against, others[0] if others else None, draws, seed, ablating)
    found.write(folder)
    print_evaluation(found, by_layer=by_layer)
    echo(f"all tables: {folder}")


def _pair(text: str) -> tuple[str, str]:
    output, sign, concept = text.partition("=")
    if not (output.strip() and sign and concept.strip()):
        raise UsageError(f"--outcome {text}: which output is to be which concept?", "write OUTPUT=CONCEPT: 0=mass")
    return output.strip(), concept.strip()
