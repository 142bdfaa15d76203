"""Significance: settings of a study."""

from __future__ import annotations

from typing import Literal

import pydantic

from mcd.options import Settings

__all__ = ["Calibration", "Correction"]

Correction = Literal["benjamini-hochberg", "benjamini-yekutieli", "storey"]


class Calibration(Settings):
    """How significance is computed."""

    q: float = pydantic.Field(default=0.05, gt=0, lt=1, description="false discovery rate that labels are held to")
    correction: Correction = pydantic.Field(
        default="benjamini-hochberg",
        description="over the neurons of a layer; benjamini-yekutieli holds under any dependence, storey spends what "
        "the share of null neurons leaves over",
    )
    exchangeable: Literal["auto", "patient", "image"] = pydantic.Field(
        default="auto", description="what may be exchanged under chance; auto is patient where patients are known"
    )
    draws: int = pydantic.Field(
        default=1000, ge=0, description="rankings drawn to begin with; 0 leaves significance out"
    )
    most_draws: int = pydantic.Field(
        default=16_000,
        ge=1,
        description="draws go on until every neuron is decided at q, up to so many; for scorers that look at all "
        "activations up to a quarter of it",
    )
    null_seed: int = pydantic.Field(default=0, ge=0, description="decides the draws")
