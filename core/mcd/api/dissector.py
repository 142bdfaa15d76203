"""The contracts of dissectors: image–text models, or the annotations of a data set, give concepts meaning."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from mcd.api.base import Configured
from mcd.api.image import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mcd.api.concepts import Concept, ConceptSet
    from mcd.api.dataset import Sample

__all__ = ["AnnotationDissector", "AnyDissector", "Dissector"]


class Dissector(Configured, abc.ABC):
    """Base of dissectors. Creating one only takes its options; `load` loads its weights.

    Attributes
    ----------
    name
        What tables call it.
    module
        All of its weights: moved to the run's device, put in eval mode, fingerprinted. Set by `load`.
    preprocessing
        How an image becomes the input of `encode_images`.
    image_tower
        The module inside `module` that `encode_images` calls once a batch with that same input, if there
        is one. Where it is also the target, one forward pass serves both.
    caution
        What a reader of its labels must know; said in every run that uses it, and kept in the manifest.
    revision
        Where fetched weights came from, ``OWNER/NAME@COMMIT`` on the hub; the manifest records it.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    image_tower: nn.Module | None = None
    caution: str = ""
    revision: str = ""

    def load(self) -> None:
        """Load the weights, on the CPU, and set `module`, `name`, `preprocessing` and what else follows from them.

        The engine calls it once, before it uses anything else of the dissector; not where `module` is set already.
        The default does nothing.

        Raises
        ------
        mcd.errors.CheckpointError
            When the weights are missing or do not fit.
        """

    @abc.abstractmethod
    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the image embeddings ``(B, D)`` of a batch ``(B, C, H, W)``, on its device. Need not be normalised."""

    @abc.abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the text embeddings ``(len(texts), D)``, on the module's device. Need not be normalised."""

    def too_long(self, texts: Sequence[str]) -> list[str]:
        """Return those of the texts that are longer than what is read of them; the engine says so to the user."""
        return []

    def unknown(self, texts: Sequence[str]) -> Mapping[str, Sequence[str]] | None:
        """Return text → the words of it that the tokenizer does not know; None where that cannot be determined."""
        return None


class AnnotationDissector(Configured, abc.ABC):
    """Base of dissectors that read what is annotated of an image, and no pixels.

    They have no weights. P is 1 where a concept is annotated as present, 0 where it is annotated as absent, and NaN
    where nothing is known of it, which is not absent. Only scorers with `mcd.Scorer.takes_annotations` can be used.

    Attributes
    ----------
    name
        What tables call it. Set by `load`, where the class does not.
    default_scorer
        Name of the scorer where the study names none.
    fewest
        How many patients, or images where patients are not known, must be annotated with a concept, and how many
        without it, for it to be assessed. A concept with fewer is listed and labels no neuron.
    caution
        What a reader of its labels must know; said in every run that uses it, and kept in the manifest.
    """

    name: str
    default_scorer: ClassVar[str] = "auroc"
    fewest: int = 10
    caution: str = ""

    def load(self) -> None:
        """Read what it needs besides the samples, such as a table of its own; the default does nothing.

        Raises
        ------
        mcd.errors.DataError
            When that is missing or not as it should be.
        """

    @abc.abstractmethod
    def concepts(self, samples: Sequence[Sample]) -> ConceptSet:
        """Return the concepts that are annotated: those of a run for which the study names none.

        Parameters
        ----------
        samples
            The probe set, as in `annotate`.

        Raises
        ------
        mcd.errors.DataError
            When nothing is annotated.
        """

    @abc.abstractmethod
    def annotate(self, samples: Sequence[Sample], concepts: Sequence[Concept]) -> torch.Tensor:
        """Return what is known of each concept in each image, ``(images, concepts)`` float32: 1, 0, or NaN.

        Parameters
        ----------
        samples
            Images with the labels of the data set, but without `mcd.Sample.digest` and `mcd.Sample.facts`, which a
            stored run does not keep.
        concepts
            Those of `concepts`, or of a vocabulary that the study names; NaN for one that it cannot answer.
        """


AnyDissector = Dissector | AnnotationDissector
"""What gives concepts meaning."""
