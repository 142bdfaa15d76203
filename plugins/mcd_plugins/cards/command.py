"""``mcd cards``: what readers wrote about neuron cards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.plugins import PATH, SEED, echo, echo_lines, print_table, say

if TYPE_CHECKING:
    from mcd_plugins.cards.scoring import Score

__all__ = ["cards"]

_KAPPA = {"Cohen": "Cohen's kappa", "Fleiss": "Fleiss' kappa"}


@click.group()
def cards() -> None:
    """Blinded neuron cards for a reader study.

    \b
    mcd report RUN --reporter cards              # cards, a blank answer sheet, a key
    mcd cards score RUN/report/cards-key anna.csv ben.csv
    """


@cards.command()
@click.argument("key", type=PATH, metavar="KEY")
@click.argument("answers", nargs=-1, type=PATH, metavar="ANSWERS.csv…")
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Decides which cards are drawn for intervals.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, with every answer.")
def score(key: Path, answers: tuple[Path, ...], seed: int, as_json: bool) -> None:
    """Score the answers of one reader, or of several: a sheet each, called after the reader.

    KEY is the folder cards-key, or the key.json in it. Printed are the share of cards for which a reader chose the
    neuron's label, with its 95 % interval and the chance of doing as well by guessing, for significant labels and for
    controls; how far readers agree beyond chance; and how sure they were.
    """
    import json

    from mcd.errors import UsageError
    from mcd_plugins.cards.answers import read_answers
    from mcd_plugins.cards.key import Key
    from mcd_plugins.cards.scoring import scored

    if not answers:
        raise UsageError("no answers given", "mcd cards score KEY ANSWERS.csv")
    found = Key.read(key)
    result = scored(found, read_answers(found, answers), seed)
    if as_json:
        echo_lines(json.dumps(result.record(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        _print(result)


def _print(found: Score) -> None:
    from mcd_plugins.cards.agreement import RESAMPLES

    key = found.key
    say(f"set {key.name}: {len(key.cards)} cards, {key.choices} choices each; guessing is right in {found.chance:.0%}")
    for name in (
        "Target",
        "Dissector",
        "Concept set",
        "Probe set",
        "Images (n)",
        "Patients",
        "Scorer",
        "Top images (k)",
        "Null",
        "False discovery rate (q)",
    ):
        if key.conditions.get(name):
            say(f"{name}: {key.conditions[name]}")
    _correct(found)
    if found.agreement:
        _agreement(found, RESAMPLES)
    _confidence(found)
    echo()
    for caution in key.cautions:
        say(f"note: {caution}")


def _bounds(low: float, high: float, form: str) -> str:
    return "–" if low != low else f"{low:{form}} to {high:{form}}"


def _correct(found: Score) -> None:
    echo("\nThe neuron's label was chosen\n")
    seen = ""
    rows = []
    for one in found.correct:
        who, p = "" if one.reader == seen else one.reader, "" if one.p != one.p else f"{one.p:.2g}"
        correct = f"{one.correct:.4g} of {one.cards}"
        rows.append([who, one.group, correct, f"{one.share:.0%}", _bounds(one.low, one.high, ".0%"), p])
        seen = one.reader
    print_table(("reader", "cards", "correct", "share", "95 % interval", "p"), rows, right=("correct", "share", "p"))
    say("interval: Clopper–Pearson, of a mean by drawing cards anew; p: exact binomial, one-sided, against guessing")
    if any(one.group == "control" for one in found.correct):
        say(
            "control: neurons whose label is not significant. What readers get right there they get from the choices "
            "or from chance: compare with it, not with guessing alone."
        )


def _agreement(found: Score, resamples: int) -> None:
    echo(f"\nAgreement of {len(found.readers)} readers beyond chance ({_KAPPA[found.method]})\n")
    rows = [
        [
            one.group,
            str(one.cards),
            f"{one.same:.0%}",
            "not defined" if one.kappa != one.kappa else f"{one.kappa:.2f}",
            _bounds(one.low, one.high, ".2f"),
        ]
        for one in found.agreement
    ]
    print_table(("cards", "n", "same choice", "kappa", "95 % interval"), rows, right=("n", "same choice", "kappa"))
    say(f"interval: cards drawn anew {resamples} times")


def _confidence(found: Score) -> None:
    echo("\nMean confidence, 1 (a guess) to 5 (certain)\n")
    rows = [
        [
            one.reader,
            *(
                "–" if value != value else f"{value:.1f}"
                for value in (one.correct, one.wrong, one.significant, one.control)
            ),
        ]
        for one in found.confidence
    ]
    header = ("reader", "correct", "wrong", "significant", "control")
    print_table(header, rows, right=header[1:])
