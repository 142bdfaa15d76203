"""``mcd figures``: figures of stored runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.flags import bootstrap_flag, match_flag, output_flag, seed_flag, trust_flag
from mcd.cli.groups import option_group
from mcd.cli.paths import RUN_FOLDER
from mcd.cli.state import State
from mcd.cli.terminal import echo
from mcd.study.groups import Group

if TYPE_CHECKING:
    from mcd.figures import Drawn
    from mcd.figures.drawing import Format

__all__ = ["figures"]


_NAMES = (
    "depth",
    "scores",
    "emergence",
    "significant",
    "categories",
    "specialisation",
    "coverage",
    "null",
    "rungs",
    "controls",
    "evaluation",
    "top-images",
)
"""Of all figures; their catalogue imports matplotlib."""


def _figures(_ctx: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    return [one for one in _NAMES if one.startswith(text)]


@click.command()
@click.argument("runs", nargs=-1, type=RUN_FOLDER, metavar="RUN [RUN…]")
@option_group(
    "Figures",
    click.option(
        "--only",
        multiple=True,
        metavar="NAME",
        shell_complete=_figures,
        help=f"Which: {', '.join(_NAMES)}. Repeatable.  [default: all that apply]",
    ),
    click.option("--layers", multiple=True, metavar="PATTERN", help="Which layers are shown. Repeatable."),
    click.option(
        "--neuron", "neurons", multiple=True, metavar="LAYER:NUMBER", help="Whose top images are shown. Repeatable."
    ),
    click.option(
        "--copy-images",
        is_flag=True,
        help="Show top images though the data set does not say that they may be copied: only if you may.",
    ),
)
@option_group(
    Group.SCORING.value,
    click.option(
        "--threshold",
        type=click.Choice(["local", "global"]),
        help="Count neurons by the mean-score threshold of the paper instead of q, and draw mean scores. It is not a "
        "test of significance.",
    ),
    match_flag,
    bootstrap_flag,
    seed_flag,
)
@option_group(
    Group.OUTPUT.value,
    output_flag("Where they go.", required=True),
    click.option(
        "--format",
        "kind",
        type=click.Choice(["png", "svg", "pdf"]),
        default="png",
        show_default=True,
        help="Pixels, or what stays sharp at any size.",
    ),
    click.option(
        "--captions",
        is_flag=True,
        help="Leave title and caption out of the pictures, and write them beside: NAME.txt, and for LaTeX NAME.tex.",
    ),
)
@trust_flag
@click.pass_context
def figures(
    ctx: click.Context,
    /,
    runs: tuple[Path, ...],
    output: Path,
    only: tuple[str, ...],
    kind: str,
    captions: bool,
    layers: tuple[str, ...],
    neurons: tuple[str, ...],
    copy_images: bool,
    threshold: str | None,
    match: str,
    bootstrap: int,
    seed: int,
    trust: bool,
) -> None:
    """Draw figures of one stored run, or of several side by side.

    \b
    mcd figures runs/x -o figures
    mcd figures runs/general runs/mammo -o figures --format pdf
    mcd figures runs/x -o figures --format pdf --captions
    mcd figures runs/x -o figures --only top-images --neuron stages.3:17

    Writes all that apply, and says which do not and why. The first run is the reference. One that fails does not end
    the others: they are written, and the exit code is that of the failure.
    """
    from typing import cast

    from mcd.cli.tables import say
    from mcd.comparison import ComparisonSettings
    from mcd.comparison.changes import Matching
    from mcd.errors import UsageError, together
    from mcd.figures import Refused, Wanted, collect, draw
    from mcd.figures.catalogue import attempted, check_names
    from mcd.files import check_folder
    from mcd.runs.loading import opened
    from mcd.scoring.calibration.thresholds import MeanScoreThreshold
    from mcd.study.outputs import outputs

    if not runs:
        raise UsageError("no run given", "mcd figures RUN -o DIR")
    check_names(only)
    wanted = Wanted(layers, tuple(map(_neuron, neurons)), copy_images)
    settings = ComparisonSettings(
        match=cast("Matching", match),
        threshold=cast("MeanScoreThreshold | None", threshold),
        resamples=bootstrap,
        seed=seed,
    )
    check_folder(output)
    host = ctx.ensure_object(State).host
    data = collect(opened(runs, host, trust=trust), settings)
    for note in data.comparison.notes:
        say(f"note: {note}", err=True)
    written: list[str] = []
    failed = []
    left_out: dict[str, list[str]] = {}
    with outputs(output) as fresh:
        for one in draw(data, wanted, only):
            content: dict[str, bytes] | Refused = (
                one
                if isinstance(one, Refused)
                else attempted(one.name, partial(_files, one, cast("Format", kind), captions=captions))
            )
            if not isinstance(content, Refused):
                written += content
                for name, made in content.items():
                    (fresh / name).write_bytes(made)
            elif only or content.failed:
                failed.append(content.reason)
            else:
                hint = f" ({content.reason.hint})" if content.reason.hint else ""
                left_out.setdefault(f"{content.reason.message}{hint}", []).append(content.name)
    for reason, names in left_out.items():
        say(f"not drawn: {', '.join(names)}: {reason}")
    for name in written:
        echo(f"written: {output / name}")
    if failed:
        raise together(failed)


def _files(drawn: Drawn, kind: Format, *, captions: bool) -> dict[str, bytes]:
    """Return the files of a figure by name: one, or three where title and caption stand beside it."""
    from mcd.figures import caption, figure_bytes

    files = {f"{drawn.name}.{kind}": figure_bytes(drawn.figure, kind, words=not captions)}
    if captions:
        said = caption(drawn.figure)
        files |= {f"{drawn.name}.txt": said.plain().encode(), f"{drawn.name}.tex": said.latex().encode()}
    return files


def _neuron(text: str) -> tuple[str, int]:
    from mcd.errors import UsageError

    layer, colon, number = text.rpartition(":")
    if not (colon and layer and number.isdecimal()):
        raise UsageError(f"--neuron {text}: not a layer and a number", "write --neuron LAYER:NUMBER")
    return layer, int(number)
