"""The contract of scorers: from activations and similarity to a score for every neuron and concept."""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeVar, get_args

from mcd.api.base import Configured
from mcd.api.probe import Probe
from mcd.api.ranking import Ties, ordered_top_k, random_rankings, rows_in
from mcd.errors import DataError, PluginLoadError

if TYPE_CHECKING:
    import torch

__all__ = ["Explanation", "Scorer", "TopKScorer", "depends_on"]


@dataclass(frozen=True)
class Explanation:
    """What several concepts say together of one neuron.

    Parameters
    ----------
    neuron
        Its column in the activations given.
    text
        In words: ``0.41 mass + 0.22 spiculated margin``, ``mass AND NOT implant``.
    concepts
        Numbers of the concepts in it.
    fit, held_out
        How well it holds for the patients it was found on, and for others.
    p
        Of ``held_out`` under the null. Nothing was selected on those patients, so the search needs no correction.
    """

    neuron: int
    text: str
    concepts: tuple[int, ...]
    fit: float
    held_out: float
    p: float


DependsOn = Literal["pair", "neuron", "layer"]
_DEPENDS_ON = get_args(DependsOn)
_NEEDS = ("similarity", "embeddings")
_RENAMED = {
    "pairwise": 'depends_on = "pair"',
    "neuronwise": 'depends_on = "neuron"',
    "reads": "needs",
    "on": "for_probe",
    "exchanged": "permuted",
    "unlabelled": "layer_problem",
}
"""Names of version 0.1, which would be ignored without a word."""


class Scorer(Configured, abc.ABC):
    """Base of scorers. The class attributes declare what a reader may do with the scores.

    Attributes
    ----------
    name
        What tables call it.
    score_range
        The smallest and the largest value a score can have.
    higher_is_better
        Whether the best concept has the largest score.
    comparable_across_layers
        Whether scores of different layers or targets may be compared as they are.
    depends_on
        What the score of a neuron and a concept depends on: this ``"pair"`` alone, so that the engine may score a large
        vocabulary in parts; on the ``"neuron"`` and all concepts, so that many permuted neurons may be scored at once;
        or on all neurons of the ``"layer"``, which is always right. A `TopKScorer` has no need of it.
    needs
        What of the dissector it is given: ``"similarity"`` P, or, for a `TopKScorer`, the normalised ``"embeddings"``
        ``(images, D)`` of its top images in place of P.
    takes_annotations
        Whether P may be what is annotated instead of cosines: 1 present, 0 absent, NaN not known; some images of a
        concept are then not known, and take no part in its score. A scorer that compares concepts by their cosines (a
        softmax) or reads embeddings cannot: the default, so that a run of annotations refuses it.
    takes_residuals
        Whether A and P may be residuals: of mean 0, and no cosines any more. It is then given those of both where
        nuisances are held fixed; any other scorer is tested by permutations within strata.
    caution
        What a reader of its labels must know; said in every run that uses it, and kept in the manifest.
    ties
        What breaks ties between images, once the engine has given it; see `top_images`.

    Raises
    ------
    PluginLoadError
        When the class is defined: it sets what follows from its base, or a name that there is not (any more).
    """

    name: str
    score_range: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    higher_is_better: ClassVar[bool] = True
    comparable_across_layers: bool = False
    depends_on: DependsOn = "layer"
    needs: ClassVar[Literal["similarity", "embeddings"]] = "similarity"
    takes_annotations: ClassVar[bool] = False
    takes_residuals: ClassVar[bool] = False
    caution: str = ""
    ties: Ties | None = None

    def __init_subclass__(cls, **keywords: object) -> None:
        super().__init_subclass__(**keywords)
        if cls.null is not Scorer.null:
            raise PluginLoadError(
                f"scorer class {cls.__qualname__} sets null, which follows from its base class",
                "leave it out: mcd.TopKScorer has the top-k null, every other mcd.Scorer the permutation null",
            )
        for name, instead in _RENAMED.items():
            if hasattr(cls, name):
                raise PluginLoadError(f"scorer class {cls.__qualname__} defines {name}", f"write {instead} instead")
        for name, known in (("depends_on", _DEPENDS_ON), ("needs", _NEEDS)):
            if getattr(cls, name) not in known:
                raise PluginLoadError(
                    f"scorer class {cls.__qualname__}: {name} is {getattr(cls, name)!r}", f"write one of {known}"
                )
        if cls.takes_annotations and cls.needs == "embeddings":
            raise PluginLoadError(
                f"scorer class {cls.__qualname__} sets takes_annotations, but needs embeddings, which annotations lack",
                "leave out one of the two",
            )

    @property
    def null(self) -> Literal["top-k", "permutation"]:
        """The null that scores are compared with: ``"top-k"`` for a `TopKScorer`, else ``"permutation"``."""
        return "top-k" if isinstance(self, TopKScorer) else "permutation"

    def for_probe(self, probe: Probe) -> Scorer:
        """Return this scorer for one probe set: by default itself.

        A scorer that needs more than A and P (embeddings, metadata, prompts of its own) returns a copy that keeps it.

        Raises
        ------
        mcd.errors.DataError
            When the probe set lacks what it needs.
        """
        return self

    def breaking_ties(self, ties: Ties) -> Self:
        """Return this scorer with what breaks ties between the images of the probe set."""
        made = copy.copy(self)
        made.ties = ties
        return made

    def top_images(self, columns: torch.Tensor, k: int) -> torch.Tensor:
        """Return the row numbers ``(k, columns)`` of the k largest values of ``(images, columns)``, largest first.

        Scorers take the top images of neurons or concepts by this. The engine breaks ties by seeded chance, so that the
        order of rows plays no part; a scorer that is called by itself takes the earlier row.
        """
        return ordered_top_k(columns, k, self.ties)

    def permuted(self, activations: torch.Tensor) -> torch.Tensor:
        """Return what of activations ``(images, neurons)`` the null permutes: by default they themselves.

        A scorer that holds something fixed permutes the residuals: its null is about the rest.
        """
        return activations

    def check(self, images: int) -> None:
        """Refuse a probe set of ``images`` images that is too small, before anything is computed.

        Raises
        ------
        mcd.errors.DataError
            Saying how many images are needed, with the setting that lowers the need as hint.
        """

    def layer_problem(self, neurons: int) -> str:
        """Return why a layer of ``neurons`` live neurons cannot be labelled, or an empty string."""
        return ""

    @abc.abstractmethod
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``, float32.

        A pair whose score is undefined is NaN; it never becomes a label. Both arrays are on one device, where a scorer
        computes; scores may be returned on any.

        Parameters
        ----------
        activations
            A, ``(images, neurons)`` float32, finite, no constant column.
        similarity
            P, ``(images, concepts)`` float32, finite: the cosine of image and concept, rows as in A; or what is
            annotated, see `takes_annotations`. Others are given the same tensor: not to be written to.
        """

    def explain(self, activations: torch.Tensor, similarity: Callable[[], torch.Tensor]) -> Sequence[Explanation]:
        """Return explanations of neurons by several concepts together; by default none.

        Called only for scorers that use all activations.

        Parameters
        ----------
        activations
            As in `score`.
        similarity
            Returns P as a whole.
        """
        return ()


Chance = Callable[[], "torch.Tensor"]
"""Returns the evidence of rankings drawn at random, ``(draws, concepts)``."""


class TopKScorer(Scorer):
    """Base of scorers that see a neuron only through its k most activating images, in order.

    A subclass computes the evidence of one ranking, in `evidence`. All neurons of all layers share one null for it,
    which the engine draws by itself: the evidence of random rankings. Where the score of a neuron also depends on the
    other neurons of its layer, `context` summarises their evidence, and `scores` combines both. That decides which
    concept comes first, never whether it is significant.
    """

    @property
    @abc.abstractmethod
    def top_k(self) -> int:
        """How many images a neuron is seen through."""

    @abc.abstractmethod
    def evidence(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores of rankings alone, ``(neurons, concepts)`` float32.

        Parameters
        ----------
        ranked
            ``(top_k, neurons)`` int64: row numbers, best first.
        similarity
            P, ``(images, concepts)`` float32; or as `needs` declares. Which images it has besides those in ``ranked``
            is left open; others may be given the same tensor, so it is not to be written to.
        """

    def context(self, evidence: torch.Tensor, chance: Chance) -> torch.Tensor:
        """Return the term that the neurons of a layer share, ``(concepts,)``; by default zeros.

        Parameters
        ----------
        evidence
            Of the layer's live neurons, ``(neurons, concepts)``.
        chance
            For a context that is that of random rankings instead.
        """
        return evidence.new_zeros(evidence.shape[1])

    def scores(self, evidence: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)`` of evidence seen against a context; by default the evidence."""
        return evidence

    def check(self, images: int) -> None:
        """Refuse fewer images than ``top_k``."""
        if images < self.top_k:
            raise DataError(
                f"{self.name} looks at the top {self.top_k} images of a neuron, but the probe set has {images}",
                f"use more images, or --scorer-arg top_k={max(1, images // 5)}",
            )

    def score_ranked(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)`` of one layer, given ``ranked`` ``(top_k, neurons)``."""
        evidence = self._evidence_of(ranked, similarity)
        order = None if self.ties is None else self.ties.order
        by_chance = partial(random_rankings, len(similarity), self.top_k, order=order)
        return self.scores(
            evidence, self.context(evidence, lambda: self._evidence_of(by_chance().to(ranked.device), similarity))
        )

    def _evidence_of(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the evidence of rankings, shown no images but theirs where these are few."""
        images, places = rows_in(ranked, len(similarity))
        few = 2 * len(images) <= len(similarity)  # to leave the others out costs a copy
        return self.evidence(places, similarity[images]) if few else self.evidence(ranked, similarity)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Rank the images by activation, then score the ranking."""
        return self.score_ranked(self.top_images(activations, self.top_k), similarity)


FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def depends_on(what: DependsOn) -> Callable[[FunctionT], FunctionT]:
    """Return a decorator that declares of a function ``(A, P) -> S`` what `Scorer.depends_on` does of a class.

    Without it the engine gives such a function whole layers, which is always right; with it, parts of what size suits.
    `mcd.testing.check_scorer` says whether a function is what it declares.

    Parameters
    ----------
    what
        ``"pair"``, ``"neuron"`` or ``"layer"``.

    Raises
    ------
    PluginLoadError
        For anything else.

    Examples
    --------
    >>> @depends_on("pair")
    ... def product(activations, similarity):
    ...     return activations.T @ similarity
    """
    if what not in _DEPENDS_ON:
        raise PluginLoadError(f"depends_on({what!r})", f"write one of {_DEPENDS_ON}")

    def declare(function: FunctionT) -> FunctionT:
        setattr(function, DECLARED, what)
        return function

    return declare


DECLARED = "mcd_depends_on"
"""The attribute of a function that `depends_on` sets."""
