"""What a reader may choose from, so that how often a concept is offered does not tell which one is the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcd.errors import UsageError

__all__ = ["offered"]

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def offered(
    labels: Sequence[str],
    true: Sequence[Collection[str]],
    vocabulary: Sequence[str],
    choices: int,
    rng: np.random.Generator,
) -> list[tuple[str, ...]]:
    """Return the concepts that each card offers, its own label among them, in random order.

    Whoever looks for what stands on many cards, or on few, is not to find the labels that way, however many cards have
    the same one. So concepts come in groups that are offered equally often, of which one in ``choices`` is the label of
    its card: labels, and as many concepts that are no card's label as that takes.

    Parameters
    ----------
    labels
        Of each card.
    true
        For each card concepts that would be right too; they are not offered.
    vocabulary
        Concepts to choose from.

    Raises
    ------
    UsageError
        When a card has too few concepts to offer.
    """
    own = set(labels)
    decoys = [term for term in sorted(set(vocabulary)) if term not in own]
    decoys = [decoys[at] for at in rng.permutation(len(decoys))]
    terms = [*sorted(own), *decoys]
    may = np.array(
        [[term != label and term not in too for term in terms] for label, too in zip(labels, true, strict=True)]
    )
    if (may.sum(axis=1) < choices - 1).any():
        raise UsageError(
            f"the vocabulary has too few concepts for {choices} choices a card", "give --reporter-arg choices=N"
        )
    count = Counter(labels)
    number = np.array([count[term] for term in terms])
    wanted = _Groups(number, may.sum(axis=0), len(labels), choices, rng).often() - number
    chosen = _placed(may, wanted, choices - 1, rng)
    return [_shuffled([label, *(terms[at] for at in row)], rng) for label, row in zip(labels, chosen, strict=True)]


def _shuffled(options: list[str], rng: np.random.Generator) -> tuple[str, ...]:
    return tuple(options[at] for at in rng.permutation(len(options)))


@dataclass(frozen=True)
class _Groups:
    """Divides concepts into groups that are offered equally often.

    Parameters
    ----------
    number, room
        ``(concepts,)``: of how many cards each is the label, and on how many others it may be offered; labels first.
    cards, choices
        How many there are.
    rng
        Decides between equals.
    """

    number: Numbers
    room: Numbers
    cards: int
    choices: int
    rng: np.random.Generator

    def often(self) -> Numbers:
        """Return on how many cards each concept is to be offered, ``(concepts,)``; 0 for those that are not used."""
        found = np.zeros(len(self.number), dtype=np.int64)
        labels = int((self.number > 0).sum())
        free = list(range(labels, len(self.number)))
        left = sorted(range(labels), key=lambda at: -self.number[at])
        while left:
            group: list[int] = []
            for at in left:
                if not group or self._width([*group, at], len(free)):
                    group.append(at)
            left = [at for at in left if at not in group]
            slots = self.choices * int(self.number[group].sum())
            width = self._width(group, len(free)) or min(len(group) + len(free), slots // int(self.number[group].max()))
            some = sorted(free, key=lambda at: self.room[at] * width < slots)[: width - len(group)]
            free = [at for at in free if at not in some]
            members = np.array([*group, *some])
            found[members] = slots // width
            found[self.rng.permutation(members)[: slots % width]] += 1
        return found

    def _width(self, group: Sequence[int], free: int) -> int:
        """Return how many concepts, these labels among them, are to be offered equally often; 0 where none will do."""
        number = self.number[group]
        slots, most = self.choices * int(number.sum()), int(number.max())
        largest = min(slots // most, len(group) + free)
        few = max(len(group), -(-slots // (1 + self.choices // 2)), -(-slots // self.cards))
        room = int((number + self.room[group]).min())
        for width in (min(few, largest), largest):
            if len(group) <= width and -(-slots // width) <= min(room, self.cards):
                return width
        return 0


def _placed(may: Flags, wanted: Numbers, places: int, rng: np.random.Generator) -> list[list[int]]:
    """Return the concepts of each card ``(cards, places)``: each as often as wanted, as far as cards may offer it."""
    cards = len(may)
    left, on = wanted.copy(), np.zeros(may.shape, dtype=bool)
    free = np.full(cards, places)
    for at in sorted(rng.permutation(len(wanted)).tolist(), key=lambda at: may[:, at].sum() - wanted[at]):
        fits = rng.permutation(np.flatnonzero(may[:, at] & (free > 0)))
        some = fits[np.argsort(-free[fits], kind="stable")][: left[at]]
        on[some, at] = True
        free[some] -= 1
        left[at] -= len(some)
    for card in rng.permutation(np.repeat(np.arange(cards), free)).tolist():
        _fill(card, may & ~on, on, left, rng)
    return [np.flatnonzero(row).tolist() for row in on]


def _fill(card: int, fits: Flags, on: Flags, left: Numbers, rng: np.random.Generator) -> None:
    """Put one more concept on a card: one that is wanted, if need be by moving another here from another card."""
    for at in np.flatnonzero(left > 0).tolist():
        if fits[card, at]:
            on[card, at] = True
            left[at] -= 1
            return
        for other in rng.permutation(np.flatnonzero(fits[:, at])).tolist():
            moved = np.flatnonzero(on[other] & fits[card])
            if len(moved):
                on[other, moved[0]], on[other, at], on[card, moved[0]] = False, True, True
                left[at] -= 1
                return
    spare = np.flatnonzero(fits[card])
    on[card, spare[np.argmax(left[spare])]] = True
    left[spare[np.argmax(left[spare])]] -= 1
