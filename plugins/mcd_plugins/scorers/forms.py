"""Logical forms of concepts, and the beam search for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mcd.plugins import ordered_top_k

__all__ = ["Form", "Search"]

_OPERATORS = ("AND", "OR", "AND NOT")

_CHUNK = 2**25
"""Floats that are held at once: 128 MiB."""

_SPARE = 3
"""How many times the beam is searched for forms that are true on different images."""


@dataclass(frozen=True)
class Form:
    """Concepts joined one after the other, from the left: ``(mass OR calcifications) AND NOT implant``.

    Parameters
    ----------
    concepts
        Their numbers.
    operators
        Numbers of what joins them, one fewer: AND, OR, AND NOT.
    """

    concepts: tuple[int, ...]
    operators: tuple[int, ...] = ()

    def true(self, labels: torch.Tensor) -> torch.Tensor:
        """Return 1 for the images it is true on, ``(images,)`` float32, given the concepts' ``(images, concepts)``."""
        found = labels[:, self.concepts[0]]
        for operator, concept in zip(self.operators, self.concepts[1:], strict=True):
            found = _joined(found, operator, labels[:, concept])
        return found

    def text(self, terms: Sequence[str]) -> str:
        """Return it in words."""
        text = terms[self.concepts[0]]
        for at, (operator, concept) in enumerate(zip(self.operators, self.concepts[1:], strict=True)):
            # AND and AND NOT may stand beside one another, and so may OR; where they mix, brackets say what is first.
            mixed = at > 0 and (operator == 1) != (self.operators[at - 1] == 1)
            text = f"({text})" if mixed else text
            text += f" {_OPERATORS[operator]} {terms[concept]}"
        return text

    def longer(self, operator: int, concept: int) -> Form:
        """Return it with one concept more."""
        return Form((*self.concepts, concept), (*self.operators, operator))


def _joined(found: torch.Tensor, operator: int, concept: torch.Tensor) -> torch.Tensor:
    both = found * concept
    return (both, found + concept - both, found - both)[operator]


class Search:
    """Finds for each neuron the form that is true on most nearly its images.

    Parameters
    ----------
    labels
        ``(images, concepts)`` float32: 1 where a concept is true, 0 elsewhere.
    usable
        ``(concepts,)`` bool: which may take part. Of concepts that are true on the same images, the first one does.
    length, beam
        How many concepts a form holds at most, and how many forms of each length are kept.
    penalty
        What each further concept multiplies a form's score by.
    """

    def __init__(self, labels: torch.Tensor, usable: torch.Tensor, length: int, beam: int, penalty: float) -> None:
        self._labels = labels
        self._length, self._beam, self._penalty = length, beam, penalty
        self._sizes = labels.sum(dim=0)
        self._by_concept = labels.T.contiguous().bool()
        self._usable = usable & _first_of_equal(self._by_concept)

    def best(self, active: torch.Tensor) -> list[tuple[float, Form]]:
        """Return for each neuron the IoU of its form, and the form.

        Parameters
        ----------
        active
            ``(images, neurons)`` float32: 1 for a neuron's images; as many for each, and at least one.
        """
        if not active.shape[1] or not self._usable.any():
            return []
        images, concepts = self._labels.shape
        rows = active.T.nonzero()[:, 1].view(active.shape[1], -1)
        # What a neuron holds at once: concepts on its images, counts of all new forms, images of the candidates.
        each = (rows.shape[1] + 4 * len(_OPERATORS) * self._beam) * concepts + _SPARE * self._beam * images
        found = []
        for part in torch.split(rows, max(1, _CHUNK // each)):
            found += self._searched(part)
        return found

    def _searched(self, rows: torch.Tensor) -> list[tuple[float, Form]]:
        """Return the best form of each neuron, given the images of each, ``(neurons, images of one)``."""
        inside = self._labels[rows]
        beams = _Beams(len(rows), self._penalty)
        score = self._iou(inside.sum(dim=1), self._sizes, rows.shape[1]).masked_fill_(~self._usable, float("-inf"))
        self._kept(beams, score[:, None, None])
        for _ in range(1, self._length):
            self._kept(beams, self._longer(beams, rows, inside))
        return beams.best

    @staticmethod
    def _iou(common: torch.Tensor, size: torch.Tensor, active: int) -> torch.Tensor:
        return common / (active + size - common)

    def _longer(self, beams: _Beams, rows: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Return the IoU of every form with one concept more, ``(neurons, beam, operators, concepts)``."""
        true = beams.true
        own = true.gather(2, rows[:, None].expand(-1, true.shape[1], -1)).float()
        with_concept, own_size = torch.bmm(own, inside), own.sum(dim=2)[:, :, None]
        both, size = (true.flatten(0, 1).float() @ self._labels).view_as(with_concept), true.sum(dim=2)[:, :, None]
        score = torch.stack(
            [
                self._iou(with_concept, both, rows.shape[1]),
                self._iou(
                    own_size + inside.sum(dim=1)[:, None] - with_concept, size + self._sizes - both, rows.shape[1]
                ),
                self._iou(own_size - with_concept, size - both, rows.shape[1]),
            ],
            dim=2,
        )
        # A concept that changes nothing would only fill the beam: the images stay as many, so they are the same ones.
        idle = torch.stack([both == size, both == self._sizes, both == 0], dim=2)
        score.masked_fill_(idle | ~self._usable, float("-inf"))
        for neuron, forms in enumerate(beams.forms):
            score[neuron, len(forms) :] = float("-inf")
        return score

    def _kept(self, beams: _Beams, score: torch.Tensor) -> None:
        """Let the best new forms be the beam, of those that are true on the same images only the first."""
        candidates = score.flatten(1).T
        wanted = min(_SPARE * self._beam, len(candidates))
        chosen = ordered_top_k(candidates, wanted).T
        values = score.flatten(1).gather(1, chosen)
        shape = score.shape[1:]
        parent = chosen // (shape[1] * shape[2])
        operator, concept = chosen // shape[2] % shape[1], chosen % shape[2]
        true = self._by_concept[concept]
        if beams.forms:
            before = beams.true.gather(1, parent[:, :, None].expand(-1, -1, true.shape[2]))
            which = operator[:, :, None]
            true = torch.where(which == 0, before & true, torch.where(which == 1, before | true, before & ~true))
        beams.renew(true, values, parent, operator, concept, self._beam)


def _first_of_equal(rows: torch.Tensor) -> torch.Tensor:
    """Return for each row of bools whether no row before it is the same, ``(rows,)`` bool."""
    first = torch.zeros(len(rows), dtype=torch.bool)
    first[np.unique(np.packbits(rows.numpy(), axis=1), axis=0, return_index=True)[1]] = True
    return first


class _Beams:
    """The forms of one length that are kept for each neuron, and the best so far.

    Attributes
    ----------
    true
        On which images, ``(neurons, beam, images)`` bool.
    forms
        For each neuron its forms, best first; may be fewer than the beam.
    best
        The IoU of the best form of any length, and the form.
    """

    def __init__(self, neurons: int, penalty: float) -> None:
        self._penalty = penalty
        self._seen: list[set[bytes]] = [set() for _ in range(neurons)]
        self._height = [-1.0] * neurons
        self.true = torch.empty(0)
        self.forms: list[list[Form]] = []
        self.best: list[tuple[float, Form]] = [(0.0, Form((0,)))] * neurons

    def renew(
        self,
        true: torch.Tensor,
        values: torch.Tensor,
        parent: torch.Tensor,
        operator: torch.Tensor,
        concept: torch.Tensor,
        beam: int,
    ) -> None:
        """Take the first of the candidates ``(neurons, candidates)`` that are true on other images than all before."""
        kept = torch.zeros(len(true), beam, dtype=torch.int64)
        packed = np.packbits(true.numpy(), axis=2)
        origin = list(zip(values.tolist(), parent.tolist(), operator.tolist(), concept.tolist(), strict=True))
        forms: list[list[Form]] = []
        for neuron, candidates in enumerate(origin):
            mine: list[Form] = []
            for at, (value, old, how, what) in enumerate(zip(*candidates, strict=True)):
                images = packed[neuron, at].tobytes()
                if value == float("-inf") or images in self._seen[neuron]:
                    continue
                self._seen[neuron].add(images)
                form = self.forms[neuron][old].longer(how, what) if self.forms else Form((what,))
                kept[neuron, len(mine)] = at
                mine.append(form)
                self._improve(neuron, value, form)
                if len(mine) == beam:
                    break
            forms.append(mine)
        self.true = true.gather(1, kept[:, :, None].expand(-1, -1, true.shape[2]))
        self.forms = forms

    def _improve(self, neuron: int, value: float, form: Form) -> None:
        height = value * self._penalty ** (len(form.concepts) - 1)
        if height > self._height[neuron]:
            self._height[neuron], self.best[neuron] = height, (value, form)
