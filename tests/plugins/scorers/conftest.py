"""Scorers by their settings, and probe sets for those that need more than activations and similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import pytest
import torch
import torch.nn.functional as functional

from mcd import Concept, Probe
from mcd.api.scorer import Scorer
from mcd.options import validate_options

ProbeMaker = Callable[..., Probe]


def made(cls: type[Scorer], **options: object) -> Scorer:
    return cls(validate_options(cls.Options, options, cls.__name__))


@pytest.fixture(scope="session")
def probe_of() -> ProbeMaker:
    """Make a probe set of images and texts; facts by name, and texts beside the concepts by what is encoded."""

    def make(
        images: torch.Tensor,
        texts: torch.Tensor,
        facts: dict[str, list[str]] | None = None,
        encoded: dict[str, list[float]] | None = None,
    ) -> Probe:
        def encode(wanted: Sequence[str]) -> torch.Tensor:
            return torch.tensor([(encoded or {})[text] for text in wanted])

        table = {"patient": [""] * len(images), **(facts or {})}
        concepts = [Concept(f"word {number}", "", "") for number in range(len(texts))]
        unit = [functional.normalize(rows, dim=1) for rows in (images, texts)]
        return Probe(concepts, *unit, lambda: pd.DataFrame(table), encode)

    return make
