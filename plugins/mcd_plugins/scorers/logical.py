"""A neuron as a logical form of concepts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import responds
from mcd_plugins.scorers.forms import Search
from mcd_plugins.scorers.held_out import Halves, Seed
from mcd_plugins.scorers.overlap import IoU, Overlap
from mcd_plugins.scorers.ranks import counted, top_labels

__all__ = ["Logical"]


class Logical(IoU):
    """The logical form of concepts whose images are most nearly the neuron's: ``mass AND NOT implant``.

    The score of a concept is its `IoU` with the neuron. `explain` searches forms, each a shorter one with one concept
    more: ``F AND c``, ``F OR c``, ``F AND NOT c``. With A the alpha · n most activating images and F the images on
    which a form is true, a concept being true on the (1 - quantile) · n most similar ones::

        S = |A ∩ F| / |A ∪ F|

    A beam keeps the best few forms of each length; of forms true on the same images, and of equally good ones, it
    keeps the first: the better shorter form's, then AND, OR, AND NOT, then the order of concepts. The form said is the
    one of the highest S · penalty^(length - 1), of equal ones the shorter. Source: Mu & Andreas, Compositional
    Explanations of Neurons, NeurIPS 2020, there of pixels; La Rosa et al., NeurIPS 2023.

    Between 0 and 1, higher is better. As for `IoU`, the scores are: comparable across layers on the same
    images, both sanity checks passed. A search always finds something, so a form is found on half of the patients, and
    what counts is how it does on the others.

    Examples
    --------
    >>> mass, implant = torch.tensor([1.0, 1, 0, 0] * 50), torch.tensor([0.0, 1, 1, 0] * 50)
    >>> neuron, concepts = (mass * (1 - implant))[:, None], torch.stack([mass, implant], dim=1)
    >>> scorer = Logical(Logical.Options(alpha=0.25, quantile=0.5))
    >>> scorer.score(neuron, concepts)
    tensor([[0.5000, 0.0000]])
    >>> scorer.explain(neuron, lambda: concepts)[0].text
    'concept 0 AND NOT concept 1'
    """

    class Options(Overlap.Options):
        """Settings of logical forms."""

        length: int = pydantic.Field(default=3, ge=1, le=6, description="how many concepts a form holds at most")
        beam: int = pydantic.Field(default=10, ge=1, le=100, description="how many forms of each length are kept")
        penalty: float = pydantic.Field(
            default=0.99, gt=0, le=1, description="what each further concept multiplies the score of a form by"
        )
        seed: Seed = 0

    options: Options
    name = "logical"
    _patients: Sequence[str] = ()
    _terms: Sequence[str] = ()

    def for_probe(self, probe: mcd.Probe) -> Logical:
        """Return this scorer with the patients and words of a probe set."""
        made = copy.copy(self)
        made._patients, made._terms = probe.patients, [concept.term for concept in probe.concepts]
        return made

    def explain(self, activations: torch.Tensor, similarity: Callable[[], torch.Tensor]) -> Sequence[mcd.Explanation]:
        """Return for each neuron its form, found on half of the patients, and its IoU on the others.

        In either half a neuron's and a concept's images are counted anew. ``p`` is that of ``held_out`` when the other
        patients change places, out of `held_out.DRAWS` draws. A neuron or concept that is the same on all images of a
        half takes no part, and where a half is too small to separate images, there is no explanation.
        """
        own, whole = self.options, similarity()
        halves = Halves.of(self._patients or [""] * len(whole), own.seed)
        try:
            for half in (halves.fit, halves.held):
                self.check(len(half))
        except mcd.errors.DataError:
            return ()
        rows = (halves.fit, halves.held)
        known = torch.stack([responds(activations[half]) for half in rows]).all(dim=0).nonzero().flatten()
        usable = torch.stack([responds(whole[half]) for half in rows]).all(dim=0)
        active = [self._top(activations[:, known], half, own.alpha) for half in rows]
        labels = [torch.nan_to_num(self._top(whole, half, 1 - own.quantile)) for half in rows]
        forms = Search(labels[0], usable, own.length, own.beam, own.penalty).best(active[0])
        true = torch.stack([form.true(labels[1]) for _, form in forms], dim=1) if forms else labels[1][:, :0]
        held = _iou(active[1], true)
        p = halves.p(held, lambda order: _iou(active[1][order], true))
        terms = self._terms or [f"concept {number}" for number in range(whole.shape[1])]
        return [
            mcd.Explanation(neuron, form.text(terms), form.concepts, fit, float(tried), chance)
            for neuron, (fit, form), tried, chance in zip(known.tolist(), forms, held, p, strict=True)
        ]

    def _top(self, columns: torch.Tensor, half: torch.Tensor, share: float) -> torch.Tensor:
        alone = self if self.ties is None else self.breaking_ties(self.ties.among(half.numpy()))
        return top_labels(alone, columns[half], counted(len(half), share))


def _iou(active: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the intersection over union of columns of the one and the other, one by one, ``(columns,)``."""
    common = (active * true).sum(dim=0)
    return common / (active.sum(dim=0) + true.sum(dim=0) - common)
