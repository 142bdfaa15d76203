"""``mcd zero-shot``: images scored by pairs of prompts."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli.embed import asked_dataset, embedder_and_dataset
from mcd.cli.flags import output_flag
from mcd.cli.groups import option_group
from mcd.cli.numbers import number as number_in
from mcd.cli.study_flags import PROBE, study_flags
from mcd.cli.terminal import echo
from mcd.errors import amount
from mcd.options import Bounds
from mcd.study.groups import Group

__all__ = ["zero_shot"]

_CHANCE = 0.05
"""An AUROC this close to one half is called chance."""


@click.command(name="zero-shot")
@study_flags(*PROBE, single=True)
@option_group(
    "Texts",
    click.option(
        "--pair",
        "pairs",
        nargs=2,
        multiple=True,
        required=True,
        metavar="NEGATIVE POSITIVE",
        help="Two prompts, such as 'no mass' mass. Repeatable.",
    ),
    click.option(
        "--finding",
        "findings",
        multiple=True,
        metavar="NAME",
        help="What the data set calls it ('*mass': any mass), for an AUROC; one a pair, in order.",
    ),
    click.option(
        "--scale",
        type=number_in(Bounds(0, 1e6, low_open=True)),
        default=1.0,
        show_default=True,
        metavar="X",
        help="Cosines are multiplied by it before the softmax.",
    ),
)
@option_group(
    Group.OUTPUT.value,
    output_flag("Where the scores go.", metavar="FILE.csv", default=Path("zero-shot.csv")),
)
@click.pass_context
def zero_shot(
    ctx: click.Context,
    /,
    pairs: tuple[tuple[str, str], ...],
    findings: tuple[str, ...],
    scale: float,
    output: Path,
    **_flags: object,
) -> None:
    """Score images by pairs of prompts: softmax of the two cosines.

    \b
    mcd zero-shot --dissector mammo-clip:FILE.tar --dataset images:DIR \\
        --pair 'no mass' mass --pair 'no calcification' calcification

    The order of images is what counts: a probability of 0.5 is no threshold.
    """
    asked = asked_dataset(ctx)
    from mcd.cli.tables import print_table
    from mcd.errors import ConfigError
    from mcd.extraction.embedding import check_output, probe_map_beside
    from mcd.extraction.zero_shot import auroc, scores, truth
    from mcd.study.csv_cells import csv_bytes
    from mcd.study.outputs import write_output

    if findings and len(findings) != len(pairs):
        raise ConfigError(f"{len(findings)} findings for {len(pairs)} pairs", "give one --finding for each --pair")
    check_output(output, ".csv", probe_map_beside(output))
    embedder, dataset = embedder_and_dataset(ctx, asked)
    if dataset is None:
        raise ConfigError("no dataset given", "give --dataset NAME:VALUE, such as images:DIR")
    texts = embedder.texts([text for pair in pairs for text in pair])
    vectors = embedder.images(dataset, output)
    table = scores(vectors, pairs, texts, scale)
    write_output(output, csv_bytes(table))
    embedder.finish(output)
    rows, areas = [], []
    for number, (negative, positive) in enumerate(pairs):
        mine = table["probability"].iloc[number * len(vectors.samples) : (number + 1) * len(vectors.samples)]
        row = [negative, positive, f"{mine.min():.4f}", f"{mine.median():.4f}", f"{mine.max():.4f}"]
        if findings:
            positives, labelled = truth(vectors, findings[number])
            areas.append(auroc(mine[labelled].tolist(), positives[labelled]))
            row += [f"{int(positives.sum())} of {int(labelled.sum())}", f"{areas[-1]:.3f}"]
        rows.append(row)
    header = ["negative", "positive", "lowest", "median", "highest", *(["positives", "AUROC"] if findings else [])]
    print_table(header, rows, right=header[2:])
    for finding, area in zip(findings, areas, strict=True):
        if abs(area - 0.5) < _CHANCE:
            echo(f"note: {finding}: this is chance level; the dissector does not recognise it with these prompts")
        elif area < 0.5:
            echo(f"note: {finding}: worse than chance; are the prompts the right way round?")
    echo(f"scores of {amount(len(vectors.samples), 'image')}: {output}")
