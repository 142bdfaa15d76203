"""``mcd concepts lint`` and ``coverage``: what to know about a vocabulary before it names neurons."""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mcd.cli.candidates import CONCEPTS, components, settings
from mcd.cli.flags import dataset_arg_flag
from mcd.cli.numbers import number
from mcd.cli.settings import dataset_choice
from mcd.cli.study_flags import SELECTION, study_flags
from mcd.cli.terminal import echo, echo_lines
from mcd.components import Kind
from mcd.errors import amount
from mcd.options import Bounds
from mcd.study.vocabularies.findings import TITLES

if TYPE_CHECKING:
    import pandas as pd

    from mcd.api.concepts import ConceptSet
    from mcd.cli.plugins import HasHost
    from mcd.host import PluginHost
    from mcd.study.vocabularies.findings import Lint, Merge
    from mcd.study.vocabularies.lint import Reading

__all__ = ["coverage", "lint"]

_WIDTH = 80
_MOST = 20
"""How many lines of a kind the terminal gets."""


@click.command()
@click.argument("reference", metavar="NAME|FILE[,…]", shell_complete=CONCEPTS)
@click.option("--concepts-arg", multiple=True, metavar="KEY=VALUE", help="A setting of the set. Repeatable.")
@click.option(
    "--dissector",
    metavar="NAME[:VALUE]",
    shell_complete=components(Kind.DISSECTOR),
    help="Also check tokens and embeddings of this dissector.",
)
@click.option(
    "--dissector-arg",
    multiple=True,
    shell_complete=settings(Kind.DISSECTOR, "--dissector"),
    metavar="KEY=VALUE",
    help="A setting of it. Repeatable.",
)
@click.option(
    "--scorer",
    metavar="NAME",
    shell_complete=components(Kind.SCORER),
    help="Whose temperature says what alike concepts cost each other.  [default: soft-wpmi]",
)
@click.option("--scorer-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable.")
@click.option(
    "--alike",
    type=number(Bounds(-1, 1)),
    default=0.8,
    show_default=True,
    help="Cosine of centred embeddings from which two concepts are alike.",
)
@click.option(
    "--smallest",
    type=click.IntRange(1, 1_000_000),
    default=5,
    show_default=True,
    help="Concepts that a category needs to be compared.",
)
@click.option(
    "--ignore", multiple=True, type=click.Choice(list(TITLES)), help="Leave a kind of finding out. Repeatable."
)
@click.option("--strict", is_flag=True, help="Exit with 4 when there is a finding.")
@click.option("--device", default="auto", show_default=True, help="Where texts are encoded.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all of it.")
@click.pass_context
def lint(
    ctx: click.Context,
    /,
    reference: str,
    concepts_arg: tuple[str, ...],
    dissector: str | None,
    dissector_arg: tuple[str, ...],
    scorer: str | None,
    scorer_arg: tuple[str, ...],
    alike: float,
    smallest: int,
    ignore: tuple[str, ...],
    strict: bool,
    device: str,
    as_json: bool,
) -> None:
    """Look over a concept set before it is used.

    \b
    mcd concepts lint birads
    mcd concepts lint my-words.yaml --dissector mammo-clip:FILE.tar

    It finds doubles, words for two things, negations and categories too small to compare, shows the share of every
    group, and ranks what to merge. With a dissector also: concepts that it hardly distinguishes, with what they cost
    each other under the scorer's softmax; terms it reads the start of only; words its tokenizer does not know.
    """
    from dataclasses import replace

    from mcd.errors import ConfigError
    from mcd.options import parse_pairs
    from mcd.study.vocabularies.lint import lint as look_over
    from mcd.study.vocabularies.loading import load_concepts

    host = _host(ctx)
    given = {"--dissector-arg": dissector_arg, "--scorer": scorer, "--scorer-arg": scorer_arg}
    lonely = next((flag for flag, value in given.items() if value and dissector is None), None)
    if lonely is not None:
        raise ConfigError(f"{lonely} without --dissector", "give --dissector NAME; see: mcd plugins list")
    concepts = load_concepts(host, reference, parse_pairs(concepts_arg, "--concepts-arg"))
    scorer = scorer or "soft-wpmi"
    temperature = _temperature(host, scorer, scorer_arg) if dissector is not None else None
    reading = _reading(host, concepts, dissector, dissector_arg, device) if dissector is not None else None
    found = look_over(concepts, reading, alike=alike, temperature=temperature, smallest=smallest)
    found = replace(found, findings=tuple(one for one in found.findings if one.kind not in ignore))
    if as_json:
        echo_lines(json.dumps(_plain(asdict(found)), indent=2, ensure_ascii=False))
    else:
        softmax = f"{scorer} at temperature {temperature:g}" if temperature is not None else ""
        _print(concepts, found, softmax, advice="" if reading is not None else " (give --dissector NAME)")
    if strict and found.findings:
        ctx.exit(4)


def _host(ctx: click.Context) -> PluginHost:
    state: HasHost = ctx.obj
    return state.host


def _temperature(host: PluginHost, scorer: str, arguments: tuple[str, ...]) -> float | None:
    from mcd.components import Kind
    from mcd.options import parse_pairs
    from mcd.study.resolve import resolve_options
    from mcd.study.study import Choice

    choice = Choice.model_validate({"plugin": scorer, "options": parse_pairs(arguments, "--scorer-arg")})
    _, options = resolve_options(host, Kind.SCORER, choice)
    value = getattr(options, "temperature", None)
    return float(value) if isinstance(value, int | float) else None


def _reading(host: PluginHost, concepts: ConceptSet, name: str, arguments: tuple[str, ...], device: str) -> Reading:
    from mcd.networks.running import pick_device
    from mcd.options import parse_pairs
    from mcd.study.preparer import Preparer
    from mcd.study.study import DissectorChoice
    from mcd.study.vocabularies.lint import embedded

    where = pick_device(device)
    choice = {"plugin": name, "options": parse_pairs(arguments, "--dissector-arg")}
    made = Preparer(host).image_text(DissectorChoice.model_validate(choice))
    return embedded(concepts.concepts, made, where)


def _plain(value: object) -> object:
    """Return data as JSON has it: null for what is not a number."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _print(concepts: ConceptSet, found: Lint, scorer: str, advice: str) -> None:
    from mcd.cli.tables import print_table

    echo(f"{concepts.name} {concepts.version}".strip() + f": {amount(len(concepts.concepts), 'concept')}\n")
    rows = [[one.name, str(one.concepts), f"{one.share:.1%}", str(one.categories)] for one in found.groups]
    print_table(["broad category", "concepts", "share", "categories"], rows, right=("concepts", "share", "categories"))
    _say("labels that mean nothing fall into a group as often as its share")
    for kind, title in TITLES.items():
        if kind != "alike":  # these are among what to merge, with their numbers
            _lines(title, [one.text for one in found.findings if one.kind == kind])
    compared = not math.isnan(found.unrelated)
    header = "score  1st to 2nd  2nd to 1st  concepts" if compared else "score  concepts"
    _lines("what to merge, the likeliest first", [_row(one, compared) for one in found.merges], header)
    if found.merges and compared:
        _say(
            "1st to 2nd: for an image that says the first, what part of the probability of both the second takes, "
            f"with {scorer}. A concept without anything in common takes {found.unrelated:.1%}."
        )
    echo()
    count = len(found.findings)
    _say(f"{count} finding{'s' * (count > 1)}" if count else "no findings")
    for text in found.not_checked:
        _say(f"not checked: {text}{advice}")


def _row(merge: Merge, compared: bool) -> str:
    words = f"{merge.score:5.2f}  "
    if compared:
        words += "".join(f"{'-' if math.isnan(one) else format(one, '.0%'):>10}  " for one in merge.taken)
    return words + " + ".join(merge.terms)


def _lines(title: str, lines: list[str], header: str = "") -> None:
    if not lines:
        return
    echo()
    _say(f"{title}: {len(lines)}")
    if header:
        echo(f"  {header}")
    for line in lines[:_MOST]:
        _say(line, "  ")
    if len(lines) > _MOST:
        echo(f"  … and {len(lines) - _MOST} more (--json has all)")


def _say(text: str, indent: str = "") -> None:
    further = indent + "  " * bool(indent)
    wrapped = textwrap.TextWrapper(_WIDTH, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False)
    echo_lines(wrapped.fill(text))


@click.command()
@click.argument("reference", metavar="NAME|FILE[,…]", shell_complete=CONCEPTS)
@click.option(
    "--dataset", required=True, metavar="NAME[:VALUE]", shell_complete=components(Kind.DATASET), help="The probe set."
)
@dataset_arg_flag
@study_flags(*SELECTION)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every concept.")
@click.pass_context
def coverage(
    ctx: click.Context,
    /,
    reference: str,
    dataset: str,
    dataset_arg: tuple[str, ...],
    as_json: bool,
    **_selection: object,
) -> None:
    """Count the images that show each concept.

    \b
    mcd concepts coverage birads --dataset vindr-mammo:DIR

    The labels of the data set are counted; no image is read. A concept that no image is said to show can still be
    shown: most data sets name few findings.
    """
    host = _host(ctx)
    choice = dataset_choice(host, dataset, dataset_arg)
    from mcd.api.dataset import Sample
    from mcd.cli.settings import chosen_selection
    from mcd.study.preparer import Preparer
    from mcd.study.vocabularies.coverage import coverage as count
    from mcd.study.vocabularies.loading import load_concepts

    concepts = load_concepts(host, reference)
    images, _ = Preparer(host).dataset(choice)
    samples = chosen_selection(ctx.params).choose([one for one in images.scan() if isinstance(one, Sample)])
    table = count(samples, concepts.concepts)
    if as_json:
        echo_lines(table.to_json(orient="records", indent=2, force_ascii=False))
    else:
        _print_coverage(concepts, table, len(samples))


def _print_coverage(concepts: ConceptSet, table: pd.DataFrame, images: int) -> None:
    import pandas as pd

    from mcd.cli.tables import print_table

    labelled = table[(table["positives"] > 0) | (table["negatives"] > 0)]
    rows = [["–" if value is pd.NA else str(value) for value in row] for row in labelled.itertuples(index=False)]
    if rows:
        header = ("concept", "shown", "absent", "unknown", "patients")  # short: terms are long, and 80 columns few
        print_table(header, rows, right=header[1:])
        echo()
    broad = [concept.broad_category for concept in concepts.concepts]
    for name, part in table.groupby(broad, sort=False):
        shown, absent = part["positives"] > 0, (part["positives"] == 0) & (part["negatives"] > 0)
        _say(
            f"{name}: {shown.sum()} shown, {absent.sum()} absent from all labelled images, "
            f"{len(part) - shown.sum() - absent.sum()} not labelled"
        )
    every = int((table["positives"] > 0).sum())
    echo()
    _say(f"by its labels, {every} of {amount(len(table), 'concept')} can be seen in {amount(images, 'image')}")
