"""``mcd cav``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from mcd.errors import amount
from mcd.plugins import (
    PATH,
    SEED,
    FiniteRange,
    TargetFlags,
    check_writable,
    echo,
    echo_lines,
    option_group,
    parse_pairs,
    print_table,
    say,
    with_target_flags,
)

__all__ = ["cav"]

_METHODS = ("pattern", "ridge", "logistic")
_PRINTED = 15
"""Rows that are printed."""


@click.command()
@with_target_flags
@option_group(
    "Concepts",
    click.option(
        "--concepts",
        multiple=True,
        metavar="A,B",
        help="Which annotated concepts.  [default: all that have enough patients] Repeatable.",
    ),
    click.option(
        "--label",
        "columns",
        multiple=True,
        metavar="COLUMN",
        help="A label column whose values are concepts too, as COLUMN: VALUE. Repeatable.",
    ),
    click.option(
        "--present", metavar="DIR|NAME:VALUE", help="Images that show a concept, in the place of annotations."
    ),
    click.option("--absent", metavar="DIR|NAME:VALUE", help="Images that do not show it."),
    click.option("--name", default="", metavar="TEXT", help="What it is called."),
    click.option(
        "--text", "texts", multiple=True, metavar="TEXT", help="A concept in words, without labels. Repeatable."
    ),
    click.option(
        "--text-concepts",
        multiple=True,
        metavar="NAME|FILE",
        help="All concepts of a concept set in words. Repeatable.",
    ),
    click.option("--dissector", metavar="NAME[:VALUE]", help="The image–text model that reads the words."),
    click.option("--dissector-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable."),
)
@option_group(
    "Sensitivities",
    click.option(
        "--layers", multiple=True, metavar="PATTERN", help="Where directions are fitted.  [default: those of the run]"
    ),
    click.option(
        "--classes",
        multiple=True,
        metavar="A,B",
        help="Which outputs, by name or number.  [default: all] Repeatable.",
    ),
    click.option(
        "--of",
        "units",
        multiple=True,
        metavar="LAYER:UNIT",
        help="Also, or instead, a unit of a later layer. Repeatable.",
    ),
    click.option(
        "--class-images",
        metavar="EXPRESSION",
        help="Over which held-out images.  [default: of an output with the name of a concept those that show it, else "
        "all]",
    ),
)
@option_group(
    "Test",
    click.option(
        "--method",
        "methods",
        multiple=True,
        type=click.Choice(_METHODS),
        help="How directions are fitted.  [default: pattern] Repeatable.",
    ),
    click.option(
        "--nuisances",
        metavar="A,B",
        help="Test each direction again with features from which these are taken out, such as view,age.",
    ),
    click.option(
        "--held-out",
        type=FiniteRange(0, 1, min_open=True, max_open=True),
        default=0.3,
        show_default=True,
        metavar="X",
        help="Share of the patients that no direction is fitted on.",
    ),
    click.option(
        "--sets",
        type=click.IntRange(19, 1_000_000),
        default=1000,
        show_default=True,
        metavar="N",
        help="Random concepts of the null.",
    ),
    click.option(
        "--q",
        type=FiniteRange(0, 1, min_open=True, max_open=True),
        default=0.05,
        show_default=True,
        metavar="X",
        help="The false discovery rate of significant rows.",
    ),
    click.option(
        "--seed", type=SEED, default=0, show_default=True, metavar="N", help="Decides who is held out, and all draws."
    ),
)
@option_group(
    "Output",
    click.option(
        "--output", "-o", type=PATH, required=True, metavar="DIR", help="Where tables, directions and page go."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print cav.json."),
)
def cav(
    target: TargetFlags,
    concepts: tuple[str, ...],
    columns: tuple[str, ...],
    present: str | None,
    absent: str | None,
    name: str,
    texts: tuple[str, ...],
    text_concepts: tuple[str, ...],
    dissector: str | None,
    dissector_arg: tuple[str, ...],
    layers: tuple[str, ...],
    classes: tuple[str, ...],
    units: tuple[str, ...],
    class_images: str | None,
    methods: tuple[str, ...],
    nuisances: str | None,
    held_out: float,
    sets: int,
    q: float,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Test concept activation vectors: whether outputs depend on a concept more than on random ones.

    \b
    mcd cav runs/x -o cav                   # all annotated concepts
    mcd cav --model phantom-calc --dataset phantom:60 --layers stages.2 \\
        --concepts calcifications,mass -o cav
    mcd cav runs/x --present DIR --absent DIR --name mass -o cav

    A direction is fitted on some patients and tried on others. The folder holds cav.csv with AUROC, TCAV score,
    sensitivity, p and q, images.csv, index.html, and a file of each layer's directions, which mcd dissect takes:
    --units directions:FILE.
    """
    from mcd_plugins.cav.asked import Concepts, Sensitivities, asked_for, settings_of
    from mcd_plugins.cav.measuring import measured
    from mcd_plugins.cav.report import FILES, check_left, file_of, record_of, write

    settings = settings_of(methods=methods, nuisances=nuisances, held_out=held_out, sets=sets, q=q, seed=seed)
    for file in FILES:
        check_writable(output / file)
    chosen = Concepts(
        concepts,
        columns,
        _folder(present),
        _folder(absent),
        name,
        texts,
        text_concepts,
        _component(dissector, dissector_arg, "--dissector-arg"),
    )
    tested = Sensitivities(layers, classes, units, class_images)
    asked = asked_for(target.images(), chosen, tested, settings, on_error=target.on_error)
    check_left(asked, output)
    found = measured(asked)
    table = write(found, output)
    if as_json:
        import json

        echo_lines(json.dumps(record_of(found), indent=2, ensure_ascii=False))
        return
    from mcd_plugins.cav.tables import SHOWN, best_first, said, shown_rows

    rows = shown_rows(best_first(table).head(_PRINTED))
    for sentence in said(found, table):
        say(sentence)
    echo()
    print_table(SHOWN, rows, right=SHOWN[3:])
    if len(table) > len(rows):
        say(f"and {amount(len(table) - len(rows), 'more row')} in {output / 'cav.csv'}")
    echo()
    for layer, path in [one for one in file_of(asked, output).items() if one[1].exists()][:1]:
        words = shlex.join(["--layers", layer, "--units", f"directions:{path}"])
        echo_lines(f"to label them: mcd dissect … {words}")
    say(f"written: {output}; the page is index.html")


def _component(text: str | None, pairs: Sequence[str], flag: str) -> Mapping[str, object] | None:
    from mcd.errors import UsageError

    if text is None:
        if pairs:
            raise UsageError(
                f"{flag} has no part: nothing is named that it sets", f"give {flag.removesuffix('-arg')} too"
            )
        return None
    return {"plugin": text, "options": parse_pairs(pairs, flag)}


def _folder(text: str | None) -> Mapping[str, object] | None:
    """Return images that are named as a folder, or as a data set with its value."""
    if text is None:
        return None
    folder = Path(text).expanduser()
    if ":" in text and not folder.exists():
        return {"plugin": text}
    return {"plugin": "images", "options": {"path": str(folder)}}
