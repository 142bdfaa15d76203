"""How often readers chose the label, against chance and against controls, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydantic
from numpy.typing import NDArray
from scipy.stats import binomtest

from mcd_plugins.cards.agreement import bootstrap, interval, kappa
from mcd_plugins.cards.answers import Reader
from mcd_plugins.cards.key import CONTROL, GROUPS, Key, letters

__all__ = ["ALL", "Agreement", "Confidence", "Correct", "Score", "scored"]

ALL = "all cards"
_MEAN = "mean of readers"

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Correct:
    """How often a reader chose the label, among the cards of a group.

    ``low`` and ``high`` bound the share with 95 %: Clopper and Pearson 1934 for a reader, a bootstrap over cards for
    the mean of several. ``p`` is the exact binomial chance of as many correct choices or more by guessing; NaN for the
    mean, for readers who see the same cards are not independent.
    """

    reader: str
    group: str
    cards: int
    correct: float
    share: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Agreement:
    """Kappa of the readers' choices among the cards of a group, with its interval; NaN where it is not defined."""

    group: str
    cards: int
    same: float
    kappa: float
    low: float
    high: float


@dataclass(frozen=True)
class Confidence:
    """Mean confidence of a reader: in correct and in wrong choices, and by group; NaN where there is none."""

    reader: str
    correct: float
    wrong: float
    significant: float
    control: float


@dataclass(frozen=True)
class Score:
    """What readers wrote about a set of cards, scored.

    ``chance`` is the share of correct choices by guessing. ``method`` names the kappa; empty for one reader.
    """

    key: Key
    readers: Sequence[Reader]
    chance: float
    correct: Sequence[Correct]
    method: str
    agreement: Sequence[Agreement]
    confidence: Sequence[Confidence]

    def record(self) -> dict[str, pydantic.JsonValue]:
        """Return everything as JSON has it; numbers that are not defined are null."""
        return {
            "schema": "mcd.cards-score/2",
            "set": self.key.name,
            "conditions": dict(self.key.conditions),
            "cautions": list(self.key.cautions),
            "choices": self.key.choices,
            "chance": self.chance,
            "correct": [_json(vars(one)) for one in self.correct],
            "kappa": self.method or None,
            "agreement": [_json(vars(one)) for one in self.agreement],
            "confidence": [_json(vars(one)) for one in self.confidence],
            "cards": [
                {
                    **card.model_dump(mode="json", exclude={"images", "low", "options"}),
                    "answers": [
                        {
                            "reader": reader.name,
                            "free_text": answer.text,
                            "choice": card.options[ord(answer.choice) - ord("a")],
                            "correct": answer.choice == card.answer,
                            "confidence": answer.confidence,
                        }
                        for reader in self.readers
                        for answer in [reader.answers[at]]
                    ],
                }
                for at, card in enumerate(self.key.cards)
            ],
        }


def _json(values: dict[str, str | int | float]) -> dict[str, pydantic.JsonValue]:
    return {name: None if isinstance(one, float) and np.isnan(one) else one for name, one in values.items()}


def scored(key: Key, readers: Sequence[Reader], seed: int) -> Score:
    """Return the results of the readers' answers.

    Parameters
    ----------
    seed
        Decides the resamples of cards.
    """
    chance = 1 / key.choices
    right = np.array(
        [[answer.choice == card.answer for answer, card in zip(one.answers, key.cards, strict=True)] for one in readers]
    )
    number = {letter: at for at, letter in enumerate(letters(key.choices))}
    choices = np.array([[number[answer.choice] for answer in one.answers] for one in readers], dtype=np.int64)
    members = _members(key)
    correct = [
        _correct(one.name, group, right[at, inside], chance)
        for at, one in enumerate(readers)
        for group, inside in members.items()
    ]
    several = len(readers) > 1
    if several:
        correct += [_mean(group, right[:, inside], seed) for group, inside in members.items()]
    return Score(
        key=key,
        readers=readers,
        chance=chance,
        correct=correct,
        method="" if not several else "Cohen" if len(readers) == 2 else "Fleiss",
        agreement=[_agreement(group, choices[:, inside], key.choices, seed) for group, inside in members.items()]
        if several
        else [],
        confidence=[_confidence(key, one, right[at]) for at, one in enumerate(readers)],
    )


def _members(key: Key) -> dict[str, Flags]:
    """Return which cards each group has; all cards together where there are two groups."""
    found: dict[str, Flags] = {group: np.array([card.group == group for card in key.cards]) for group in GROUPS}
    found = {group: inside for group, inside in found.items() if inside.any()}
    return found if len(found) == 1 else {**found, ALL: np.ones(len(key.cards), dtype=bool)}


def _correct(reader: str, group: str, right: Flags, chance: float) -> Correct:
    count = int(right.sum())
    around = binomtest(count, len(right)).proportion_ci(0.95, method="exact")
    p = binomtest(count, len(right), chance, alternative="greater").pvalue
    return Correct(
        reader, group, len(right), count, count / len(right), float(around.low), float(around.high), float(p)
    )


def _mean(group: str, right: Flags, seed: int) -> Correct:
    by_card = right.mean(axis=0)
    low, high = interval(by_card[bootstrap(len(by_card), seed)].mean(axis=1))
    share = float(by_card.mean())
    return Correct(_MEAN, group, len(by_card), share * len(by_card), share, low, high, float("nan"))


def _agreement(group: str, choices: NDArray[np.int64], categories: int, seed: int) -> Agreement:
    cards = choices.shape[1]
    counts = (choices[:, :, None] == np.arange(categories)).sum(axis=0)
    pairs = len(choices) * (len(choices) - 1)
    same = float(((counts**2).sum(axis=1) - len(choices)).mean() / pairs)
    again = np.array([kappa(choices[:, rows], categories) for rows in bootstrap(cards, seed)])
    return Agreement(group, cards, same, kappa(choices, categories), *interval(again))


def _confidence(key: Key, reader: Reader, right: Flags) -> Confidence:
    sure = np.array([one.confidence for one in reader.answers], dtype=np.float64)
    control = np.array([card.group == CONTROL for card in key.cards])
    parts = [
        float(sure[inside].mean()) if inside.any() else float("nan") for inside in (right, ~right, ~control, control)
    ]
    return Confidence(reader.name, *parts)
