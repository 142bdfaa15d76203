"""How often readers chose the label, against chance and against controls, and how far they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydantic
from numpy.typing import NDArray
from scipy.stats import binomtest

from mcd_plugins.cards.agreement import bootstrap, interval, kappa
from mcd_plugins.cards.answers import Reader
from mcd_plugins.cards.key import CONTROL, GROUPS, Card, Key, letters
from mcd_plugins.cards.page import AFTER, BEFORE, CANNOT_SAY, NONE_OF_THESE

__all__ = ["ALL", "Agreement", "Confidence", "Correct", "FreeText", "Score", "scored"]

ALL = "all cards"
_MEAN = "mean of readers"

_UNDEFINED = float("nan")

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Correct:
    """How often a reader chose the label, among the cards of a group.

    Of ``cards`` those with the answer *cannot say* are not ``answered``; ``share`` is ``correct / answered``, so
    *none of these* counts as another choice than the label. ``chance`` is that share by guessing: one in ``choices`` of
    the cards for which a concept was chosen. ``low`` and ``high`` bound the share with 95 %: Clopper and Pearson 1934
    for a reader, a bootstrap over cards for the mean of several. ``p`` is the exact binomial chance of as many correct
    choices or more by guessing where a concept was chosen; NaN for the mean, for readers who see the same cards are not
    independent. What is not defined is NaN.
    """

    reader: str
    group: str
    cards: int
    answered: float
    none_of_these: float
    correct: float
    share: float
    chance: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Agreement:
    """Kappa of the readers' choices among the cards of a group, with its interval; NaN where it is not defined.

    *None of these* and *cannot say* are choices like the others.
    """

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
class FreeText:
    """How many cards a reader described before seeing choices, after that, at an unknown time, and not at all."""

    reader: str
    before: int
    after: int
    unknown: int
    empty: int


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
    free_text: Sequence[FreeText]

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
            "free_text": [_json(vars(one)) for one in self.free_text],
            "cards": [
                {
                    **card.model_dump(mode="json", exclude={"images", "low", "options"}),
                    "answers": [
                        {
                            "reader": reader.name,
                            "free_text": answer.text,
                            "free_text_written": answer.written,
                            "choice": _in_words(card, answer.choice),
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


def _in_words(card: Card, choice: str) -> str:
    return card.options[ord(choice) - ord("a")] if len(choice) == 1 else choice


@dataclass(frozen=True)
class _Choices:
    """Choices as numbers ``(readers, cards)``: those of letters, then *none of these*, then *cannot say*."""

    codes: NDArray[np.int64]
    right: Flags
    choices: int

    @classmethod
    def of(cls, key: Key, readers: Sequence[Reader]) -> _Choices:
        number = {name: at for at, name in enumerate([*letters(key.choices), NONE_OF_THESE, CANNOT_SAY])}
        codes = np.array([[number[answer.choice] for answer in one.answers] for one in readers], dtype=np.int64)
        return cls(codes, codes == [number[card.answer] for card in key.cards], key.choices)

    @property
    def categories(self) -> int:
        return self.choices + 2

    @property
    def concept(self) -> Flags:
        """Where a concept was chosen."""
        return self.codes < self.choices

    @property
    def answered(self) -> Flags:
        """Where the answer is not *cannot say*."""
        return self.codes < self.choices + 1

    def on(self, inside: Flags) -> _Choices:
        """Return those on some cards."""
        return _Choices(self.codes[:, inside], self.right[:, inside], self.choices)


def scored(key: Key, readers: Sequence[Reader], seed: int) -> Score:
    """Return the results of the readers' answers.

    Parameters
    ----------
    seed
        Decides the resamples of cards.
    """
    found = _Choices.of(key, readers)
    groups = {group: found.on(inside) for group, inside in _members(key).items()}
    correct = [
        _correct(one.name, group, choices, at) for at, one in enumerate(readers) for group, choices in groups.items()
    ]
    several = len(readers) > 1
    if several:
        correct += [_mean(group, choices, seed) for group, choices in groups.items()]
    return Score(
        key=key,
        readers=readers,
        chance=1 / key.choices,
        correct=correct,
        method="" if not several else "Cohen" if len(readers) == 2 else "Fleiss",
        agreement=[_agreement(group, choices, seed) for group, choices in groups.items()] if several else [],
        confidence=[_confidence(key, one, found, at) for at, one in enumerate(readers)],
        free_text=[_free_text(one) for one in readers],
    )


def _members(key: Key) -> dict[str, Flags]:
    """Return which cards each group has; all cards together where there are two groups."""
    found: dict[str, Flags] = {group: np.array([card.group == group for card in key.cards]) for group in GROUPS}
    found = {group: inside for group, inside in found.items() if inside.any()}
    return found if len(found) == 1 else {**found, ALL: np.ones(len(key.cards), dtype=bool)}


def _correct(reader: str, group: str, choices: _Choices, at: int) -> Correct:
    count, answered, concept = (int(one[at].sum()) for one in (choices.right, choices.answered, choices.concept))
    low = high = p = _UNDEFINED
    if answered:
        around = binomtest(count, answered).proportion_ci(0.95, method="exact")
        low, high = float(around.low), float(around.high)
    if concept:
        p = float(binomtest(count, concept, 1 / choices.choices, alternative="greater").pvalue)
    return Correct(
        reader,
        group,
        cards=choices.codes.shape[1],
        answered=answered,
        none_of_these=answered - concept,
        correct=count,
        share=count / answered if answered else _UNDEFINED,
        chance=concept / choices.choices / answered if answered else _UNDEFINED,
        low=low,
        high=high,
        p=p,
    )


def _mean(group: str, choices: _Choices, seed: int) -> Correct:
    cards, readers = choices.codes.shape[1], len(choices.codes)
    answered, concept = float(choices.answered.sum()) / readers, float(choices.concept.sum()) / readers
    some = choices.answered.any(axis=1)  # a reader without any answer has no share
    low = high = share = chance = _UNDEFINED
    if some.any():
        share = float(_shares(choices.right[some], choices.answered[some]))
        chance = float(_shares(choices.concept[some], choices.answered[some])) / choices.choices
        if cards > 1:  # resamples of one card are all the same
            rows = bootstrap(cards, seed)
            low, high = interval(_shares(choices.right[some][:, rows], choices.answered[some][:, rows]))
    return Correct(
        _MEAN,
        group,
        cards=cards,
        answered=answered,
        none_of_these=answered - concept,
        correct=float(choices.right.sum()) / readers,
        share=share,
        chance=chance,
        low=low,
        high=high,
        p=_UNDEFINED,
    )


def _shares(some: Flags, among: Flags) -> Values:
    """Return the mean over readers of their shares, from flags ``(readers, …, cards)``; NaN where one has none."""
    counts = among.sum(axis=-1)
    shares = np.divide(some.sum(axis=-1), counts, out=np.full(counts.shape, _UNDEFINED), where=counts > 0)
    return np.asarray(shares.mean(axis=0), dtype=np.float64)


def _agreement(group: str, choices: _Choices, seed: int) -> Agreement:
    codes, categories = choices.codes, choices.categories
    cards = codes.shape[1]
    counts = (codes[:, :, None] == np.arange(categories)).sum(axis=0)
    pairs = len(codes) * (len(codes) - 1)
    same = float(((counts**2).sum(axis=1) - len(codes)).mean() / pairs)
    again = np.array([kappa(codes[:, rows], categories) for rows in bootstrap(cards, seed)])
    return Agreement(group, cards, same, kappa(codes, categories), *interval(again))


def _confidence(key: Key, reader: Reader, choices: _Choices, at: int) -> Confidence:
    sure = np.array(
        [_UNDEFINED if one.confidence is None else one.confidence for one in reader.answers], dtype=np.float64
    )
    known = choices.answered[at] & ~np.isnan(sure)
    right, control = choices.right[at], np.array([card.group == CONTROL for card in key.cards])
    parts = [
        float(sure[inside & known].mean()) if (inside & known).any() else _UNDEFINED
        for inside in (right, ~right, ~control, control)
    ]
    return Confidence(reader.name, *parts)


def _free_text(reader: Reader) -> FreeText:
    times = Counter(answer.written or "unknown" for answer in reader.answers if answer.text)
    return FreeText(
        reader.name,
        before=times[BEFORE],
        after=times[AFTER],
        unknown=times["unknown"],
        empty=sum(not answer.text for answer in reader.answers),
    )
