"""How a model is trained: one declaration for Python and for the flags, whose help does not wait for torch."""

from __future__ import annotations

from typing import Literal

import pydantic

import mcd
from mcd.plugins import Seed

__all__ = ["Balance", "Precision", "Recipe"]

Json = pydantic.JsonValue
Balance = Literal["none", "published", "weighted"]
Precision = Literal["fp32", "bf16", "fp16"]


class Recipe(mcd.Options):
    """How a model is trained."""

    train: str = pydantic.Field(
        default="probe",
        pattern=r"^(probe|all|blocks:[1-9][0-9]{0,3})$",
        description="probe, a linear head on features; blocks:N, the last N blocks too; or all weights",
    )
    balance: Balance = pydantic.Field(
        default="none",
        description="weights of classes: none, those of the released scripts (published), or every class the same, "
        "with probabilities corrected (weighted)",
    )
    epochs: int = pydantic.Field(default=10, ge=1, le=10_000, description="most passes")
    patience: int = pydantic.Field(
        default=3, ge=1, le=10_000, description="passes without a better validation part after which training ends"
    )
    batch_size: int = pydantic.Field(default=8, ge=1, le=4096, description="images a step")
    learning_rate: float = pydantic.Field(
        default=5e-5,
        gt=0,
        le=100,
        description="of AdamW: rises over the first pass, then falls along a cosine to 0, as published",
    )
    weight_decay: float = pydantic.Field(default=1e-4, ge=0, le=100, description="of AdamW")
    precision: Precision = pydantic.Field(default="fp32", description="bf16 and fp16 use autocast")
    seed: Seed = pydantic.Field(
        default=0, description="decides parts, the head's first weights, the order of images and what dropout drops"
    )

    @property
    def blocks(self) -> int | None:
        """How many of the last blocks are trained; None for all weights, 0 for the head alone."""
        if self.train == "probe":
            return 0
        return None if self.train == "all" else int(self.train.partition(":")[2])

    def said(self) -> dict[str, Json]:
        """Return what decides the result; of a probe, which makes no passes, less."""
        whole: dict[str, Json] = self.model_dump(mode="json")
        probed = ("train", "balance", "precision", "batch_size", "seed")
        return {name: value for name, value in whole.items() if self.train != "probe" or name in probed}
