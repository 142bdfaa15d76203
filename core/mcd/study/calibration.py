"""Significance: settings of a study."""

from __future__ import annotations

from typing import Literal

import pydantic

from mcd.options import Seed, Settings

__all__ = ["MOST_DRAWS", "Calibration", "Correction"]

Correction = Literal["benjamini-hochberg", "benjamini-yekutieli", "storey"]

MOST_DRAWS = 1_000_000
"""The smallest p is then 1e-6; the draws of a layer take minutes."""


class Calibration(Settings):
    """How significance is computed."""

    q: float = pydantic.Field(default=0.05, gt=0, lt=1, description="false discovery rate of significant labels")
    correction: Correction = pydantic.Field(
        default="benjamini-hochberg",
        description="for multiple testing over the neurons of a layer; benjamini-yekutieli is valid under any "
        "dependence, storey uses the estimated non-null fraction",
    )
    exchangeable: Literal["auto", "patient", "image"] = pydantic.Field(
        default="auto", description="the permutation unit of the null; auto is patient where patients are known"
    )
    draws: int = pydantic.Field(
        default=1000, ge=0, le=MOST_DRAWS, description="permutations drawn first; 0 leaves significance out"
    )
    most_draws: int = pydantic.Field(
        default=16_000,
        ge=1,
        le=MOST_DRAWS,
        description="drawing continues until every neuron is decided at q, up to this many; up to a quarter of it "
        "for scorers that use all activations",
    )
    nuisances: bool = pydantic.Field(
        default=True,
        description="also test labels with view × side × vendor and global image statistics held fixed: q_nuisance",
    )
    right: bool = pydantic.Field(
        default=True,
        description="also test labels with the data set's annotations, on half of the patients, which name nothing: "
        "q_right",
    )
    null_seed: Seed = pydantic.Field(default=0, description="seed of the draws, and of what breaks ties")
