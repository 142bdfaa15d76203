"""``mcd cards``: what readers wrote about neuron cards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.errors import amount
from mcd.plugins import PATH, SEED, echo, echo_lines, print_table, say

if TYPE_CHECKING:
    from mcd_plugins.cards.scoring import Score

__all__ = ["cards"]

_KAPPA = {"Cohen": "Cohen's kappa", "Fleiss": "Fleiss' kappa"}


@click.group()
def cards() -> None:
    """Blinded neuron cards for a reader study.

    \b
    mcd report RUN --reporter cards        # cards to answer in a browser, a key
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
    """Score the answers of one reader, or of several: a sheet each.

    KEY is the folder cards-key, or the key.json in it. Sheets are those that the page of cards saves, or copies of
    answers.csv; a reader whom the sheet does not name is called after the file. Printed are the share of cards for
    which a reader chose the neuron's label, with its 95 % interval and the chance of doing as well by guessing, for
    significant labels and for controls; how far readers agree beyond chance; how sure they were; and how many cards
    they described before they saw the choices.
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
    cards = amount(len(key.cards), "card")
    say(f"set {key.name}: {cards}, {key.choices} choices each; guessing is right in {found.chance:.0%}")
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
    _free_text(found)
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
        correct = f"{one.correct:.4g} of {one.answered:.4g}"
        share = "–" if one.share != one.share else f"{one.share:.0%}"
        rows.append([who, one.group, correct, share, _bounds(one.low, one.high, ".0%"), p])
        seen = one.reader
    print_table(("reader", "cards", "correct", "share", "95 % interval", "p"), rows, right=("correct", "share", "p"))
    say("interval: Clopper–Pearson, of a mean by drawing cards anew; p: exact binomial, one-sided, against guessing")
    _abstained(found)
    if any(one.group == "control" for one in found.correct):
        say(
            "control: neurons whose label is not significant. What readers get right there they get from the choices "
            "or from chance: compare with it, not with guessing alone."
        )


def _abstained(found: Score) -> None:
    """Say who did not choose a concept on some cards, and what that does to the numbers."""
    for reader in found.readers:
        one = [row for row in found.correct if row.reader == reader.name][-1]  # the last group is all cards
        cannot = one.cards - round(one.answered)
        if not one.answered:
            say(f"{reader.name} could not say on any of {_cards(one.cards)}: there is no share of correct choices")
        elif cannot or one.none_of_these:
            say(
                f"{reader.name}: 'none of these' on {one.none_of_these:g} of {_cards(one.cards)}, which counts as not "
                f"the label; 'cannot say' on {cannot}, which counts as no answer. Guessing on the others is right in "
                f"{one.chance:.0%} of the answers"
            )


def _cards(number: int) -> str:
    return amount(number, "card")


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
    say(f"interval: cards drawn anew {resamples} times; 'none of these' and 'cannot say' are choices here")
    if any(one.kappa != one.kappa for one in found.agreement):
        say("not defined: there is one card, or all readers gave the same answer to every card")


def _confidence(found: Score) -> None:
    if all(one.correct != one.correct and one.wrong != one.wrong for one in found.confidence):
        return
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


def _free_text(found: Score) -> None:
    echo("\nCards described in own words\n")
    rows = [[one.reader, *map(str, (one.before, one.after, one.unknown, one.empty))] for one in found.free_text]
    header = ("reader", "before choices", "after choices", "not recorded", "not described")
    print_table(header, rows, right=header[1:])
    late = [one.reader for one in found.free_text if one.after]
    if late:
        say(
            f"{len(late)} of {len(found.readers)} readers described cards after they had seen the choices "
            f"({', '.join(late)}): these texts are not blind"
        )
    if any(one.unknown for one in found.free_text):
        say("not recorded: sheets on paper, and sheets of mcd 0.1, do not say when a text was written")
