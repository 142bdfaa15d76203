"""Cosine of the mean embedding of the top images and of a text."""

from __future__ import annotations

import copy

import pydantic
import torch
import torch.nn.functional as functional

import mcd
from mcd_plugins.scorers.evidence import TopK

__all__ = ["Embedding"]


class Embedding(mcd.TopKScorer):
    """How near the middle of a neuron's top images is to a text, in the dissector's space.

    With e the normalised embeddings of images, t those of concepts, T a neuron's k most activating images::

        S[c] = ⟨mean over T of e_i - mean over all images of e_i, u_c⟩,   u_c = (t_c - t_0) / |t_c - t_0|

    t_0 is the normalised embedding of ``reference``, a prompt without a concept; without one, it is 0, and S the gain
    in cosine over the average image. With ``centre=false``, ``S[c] = cos(mean over T of e_i, u_c)`` as published:
    SemanticLens (Dreyer et al., Nat. Mach. Intell. 2025), which subtracts its template without a word. Mammograms lie
    close together beside everyday images, so that then most neurons of a layer get the same few concepts. What is
    left of the middle is not normalised: of random images it is short; scaled to length 1, it would seem informative.

    Between -2 and 2, with ``centre=false`` between -1 and 1, higher is better. Not comparable across layers or models:
    the level follows how far the top images lie apart, and where a dissector has its images and texts. Which images
    are on top counts, neither their order nor how strongly they activate; the null is that of the top k. NeuronEval's
    sanity checks, which are about labels given, do not apply. Where synonyms are pooled, only the first name of a
    concept takes part.

    Examples
    --------
    >>> from mcd import Concept, Probe
    >>> words = [Concept("mass", "", ""), Concept("implant", "", "")]
    >>> probe = Probe(words, torch.eye(2), torch.eye(2), facts=None, encode=None)
    >>> scorer = Embedding(Embedding.Options(top_k=1)).for_probe(probe)
    >>> scorer.score(torch.tensor([[0.1], [0.9]]), probe.embeddings)
    tensor([[-0.5000,  0.5000]])
    """

    class Options(mcd.Options):
        """Settings of the embedding score."""

        top_k: TopK = 30
        reference: str = pydantic.Field(
            default="", description="a prompt without a concept ('a mammogram') that is subtracted from every text"
        )
        centre: bool = pydantic.Field(
            default=True, description="whether the mean image of the probe set is subtracted; as published, it is not"
        )

    options: Options
    name = "embedding"
    score_range = (-2.0, 2.0)
    needs = "embeddings"
    _texts: torch.Tensor | None = None
    _middle: torch.Tensor | None = None

    @property
    def top_k(self) -> int:
        """How many images a neuron is seen through."""
        return self.options.top_k

    def for_probe(self, probe: mcd.Probe) -> Embedding:
        """Return this scorer with the texts of a probe set."""
        made, texts = copy.copy(self), probe.texts
        if self.options.reference:
            texts = texts - probe.encoded([self.options.reference])
        # A concept that is the reference has no direction left: NaN, where `normalize` would leave zeros.
        made._texts = functional.normalize(texts, dim=1).masked_fill(
            (texts == 0).all(dim=1, keepdim=True), float("nan")
        )
        made._middle = probe.embeddings.mean(dim=0) if self.options.centre else None
        return made

    def evidence(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the cosines, given ``similarity`` as the embeddings ``(images, D)``."""
        if self._texts is None:
            raise mcd.errors.UsageError(
                f"{self.name} needs the dissector's texts", "call scorer.for_probe(probe) first"
            )
        mean = functional.embedding_bag(ranked.T.contiguous(), similarity, mode="mean")
        # Less the middle, what is left of a random mean is short: scaled to length 1, it would seem informative.
        away = functional.normalize(mean, dim=1) if self._middle is None else mean - self._middle.to(mean.device)
        return (away @ self._texts.T.to(away.device)).clamp(*self.score_range)  # rounding may pass 1
