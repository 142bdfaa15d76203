"""``mcd compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.flags import bootstrap_flag, match_flag, output_flag, seed_flag, trust_flag
from mcd.cli.groups import option_group
from mcd.cli.paths import RUN_FOLDER
from mcd.cli.state import State
from mcd.cli.terminal import echo, echo_lines
from mcd.study.groups import Group

if TYPE_CHECKING:
    from mcd.comparison import Comparison

__all__ = ["compare"]


@click.command()
@click.argument("runs", nargs=-1, type=RUN_FOLDER, metavar="RUN RUN…")
@option_group(
    "Layers and neurons",
    click.option(
        "--align",
        type=click.Choice(["auto", "name", "depth"]),
        default="auto",
        show_default=True,
        help="How layers are aligned; auto is by name where one run has all names of the other, else by depth.",
    ),
    click.option(
        "--map",
        "pairs",
        multiple=True,
        metavar="LAYER=LAYER",
        help="A layer of the first run and the one of the others it is compared with; repeat it.",
    ),
    match_flag,
)
@option_group(
    Group.SCORING.value,
    click.option(
        "--threshold",
        type=click.Choice(["local", "global"]),
        help="Also apply the mean-score threshold of the paper: at least the layer's mean score, of their own run "
        "or the higher one. It is no test of significance.",
    ),
    bootstrap_flag,
    seed_flag,
    click.option(
        "--top",
        type=click.IntRange(1, 10_000),
        default=10,
        show_default=True,
        metavar="N",
        help="How many concepts of a neuron the overlap of two dissectors or scorers looks at.",
    ),
)
@option_group(
    Group.OUTPUT.value,
    output_flag("Write every table there as CSV."),
    click.option("--json", "as_json", is_flag=True, help="Print everything as JSON."),
)
@trust_flag
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    runs: tuple[Path, ...],
    align: str,
    pairs: tuple[str, ...],
    match: str,
    threshold: str | None,
    bootstrap: int,
    seed: int,
    top: int,
    output: Path | None,
    as_json: bool,
    trust: bool,
) -> None:
    """Compare runs: of several models, or of one model by several dissectors or scorers.

    \b
    mcd run STUDY.yaml -o runs/x          # one study, several models
    mcd compare runs/x/general runs/x/mammo

    Of several models: what each layer is made of, with 95 % intervals over patients (images, where patients are not
    known); what became of each neuron where layers are equally wide; which mammographic concepts no neuron carries, and
    whether that could have been seen. The first run is the reference. Of one model: how far dissectors or scorers
    agree.
    """
    from typing import cast

    from mcd.cli.compare_text import print_comparison
    from mcd.comparison import ComparisonSettings
    from mcd.comparison import compare as compared
    from mcd.comparison.alignment import Alignment
    from mcd.comparison.changes import Matching
    from mcd.comparison.stored import write_comparison
    from mcd.files import check_folder
    from mcd.runs.loading import opened
    from mcd.scoring.calibration.thresholds import MeanScoreThreshold

    settings = ComparisonSettings(
        align=_mapping(pairs) if pairs else cast("Alignment", align),
        match=cast("Matching", match),
        threshold=cast("MeanScoreThreshold | None", threshold),
        resamples=bootstrap,
        seed=seed,
        top=top,
    )
    if output is not None:
        check_folder(output)
    host = ctx.ensure_object(State).host
    found = compared(opened(runs, host, trust=trust), settings)
    if as_json:
        echo_lines(_json(found))
    else:
        print_comparison(found)
    if output is not None:
        write_comparison(output, found)
        if not as_json:
            echo(f"all tables: {output}")


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    from mcd.errors import UsageError

    found: dict[str, str] = {}
    for pair in pairs:
        reference, equals, other = pair.partition("=")
        if not (equals and reference and other):
            raise UsageError(f"--map {pair}: not two layers", "write --map LAYER=LAYER")
        if reference in found:
            raise UsageError(f"--map {pair}: {reference} is mapped already", "map each layer once")
        found[reference] = other
    return found


def _json(found: Comparison) -> str:
    import json

    tables = {name: json.loads(table.to_json(orient="records")) for name, table in found.tables().items()}
    return json.dumps({"schema": "mcd.comparison/2", "notes": found.notes, **tables}, indent=2, ensure_ascii=False)
