"""Files of dictionaries: the tensors of the unit source, what is known of them, and how they were trained."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pydantic
import torch
from safetensors import safe_open

import mcd
from mcd.errors import DataError, UsageError
from mcd.plugins import Schema, Seed, check_writable, outputs, read_record
from mcd_plugins.dictionary.kinds import ACTIVATIONS, Fitted, Recipe
from mcd_plugins.units.dictionary import Dictionary
from mcd_plugins.units.writing import unit_bytes

__all__ = ["MOST_POSITIONS", "SCHEMA", "Stored", "Training", "check_output", "read_dictionary", "write_dictionary"]

SCHEMA = Schema("dictionary", remedy="train it again: mcd dictionary train")
MOST_POSITIONS = 1_000_000
"""Of a patient."""
_ENTRY = "mcd"
"""The entry of the metadata that says how a dictionary was trained."""


class Training(pydantic.BaseModel):
    """How a dictionary was trained, without a path or a patient.

    Parameters
    ----------
    layer, network
        The layer, and a digest of the network and of its preprocessing.
    images, preparation
        A digest of the bytes of all images that were chosen, in order, and of the recipe that prepared them.
    model, dataset
        As `mcd.plugins.TargetImages` records them; with the data set, which images were chosen.
    recipe
        What it was fitted by.
    positions, share, seed
        How many positions of a patient, on which share of patients, and what decided the draws.
    versions
        Of mcd and torch.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["mcd.dictionary/1"] = pydantic.Field(default="mcd.dictionary/1", alias="schema")
    layer: str
    network: str
    images: str
    preparation: str
    model: dict[str, pydantic.JsonValue]
    dataset: dict[str, pydantic.JsonValue]
    recipe: Recipe
    positions: int = pydantic.Field(ge=1, le=MOST_POSITIONS)
    share: float = pydantic.Field(gt=0, le=1)
    seed: Seed
    versions: dict[str, str] = pydantic.Field(
        default_factory=lambda: {"mcd": mcd.__version__, "torch": str(torch.__version__)}
    )

    @pydantic.field_validator("dataset")
    @classmethod
    def _counts(cls, said: dict[str, pydantic.JsonValue]) -> dict[str, pydantic.JsonValue]:
        """Refuse numbers of images that are none: images are chosen by them again."""
        for name in ("limit", "per_patient"):
            count = said.get(name, 1)
            if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 10**9:
                raise ValueError(f"{name} is no number of images")
        return said


@dataclass(frozen=True)
class Stored:
    """A dictionary that was trained here, as its file has it.

    Parameters
    ----------
    path
        The file.
    training
        How it was trained.
    fitted
        Its tensors.
    facts
        What is known of its units, in the order shown.
    images
        Digests of the images that it was fitted on.
    """

    path: Path
    training: Training
    fitted: Fitted
    facts: Mapping[str, str]
    images: frozenset[str]


def check_output(path: Path) -> None:
    """Make sure that a dictionary can be written, before anything is computed.

    Raises
    ------
    UsageError
        When the name is none of such a file, or something is in the way that mcd did not write.
    StoreError
        When the folder may not be written.
    """
    if path.suffix != ".safetensors":
        raise UsageError(f"{path} is no name of a dictionary", f"write -o {path.stem or 'sae'}.safetensors")
    check_writable(path)


def write_dictionary(
    path: Path, fitted: Fitted, training: Training, facts: Mapping[str, str], images: Collection[str]
) -> None:
    """Write a dictionary, whole or not at all; the same one makes the same bytes.

    Parameters
    ----------
    images
        Digests of the images that it was fitted on.

    Raises
    ------
    UsageError
        When a file is in the way that mcd did not write.
    StoreError
        When it cannot be written.
    """
    about = {
        "layer": training.layer,
        "activation": fitted.activation,
        **({} if fitted.k is None else {"k": str(fitted.k)}),
        "facts": json.dumps(dict(facts), ensure_ascii=False),
        "fitted": json.dumps(sorted(set(images) - {""})),
        _ENTRY: training.model_dump_json(by_alias=True),
    }
    with outputs(path.parent) as folder:
        (folder / path.name).write_bytes(unit_bytes(fitted.tensors(), about))


def read_dictionary(path: Path) -> Stored:
    """Read a dictionary that ``mcd dictionary train`` wrote.

    Raises
    ------
    DataError
        When it is no file of a dictionary, does not say how it was trained, or says something else than its record.
    """
    units = Dictionary(Dictionary.Options(file=path)).load()  # refuses what is none
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata()  # it says the activation
        names = file.keys()
        tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in names}
    if _ENTRY not in metadata:
        raise DataError(
            f"{path} does not say how it was trained: it was not made by mcd dictionary train",
            "train one: mcd dictionary train",
        )
    training = read_record(metadata[_ENTRY].encode(), SCHEMA, Training, f"the record in {path}", DataError)
    return Stored(path, training, _fitted(path, tensors, metadata, training), units.facts, units.fitted)


def _fitted(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str], training: Training) -> Fitted:
    decoder, recipe = tensors["decoder"], training.recipe
    k = recipe.k if recipe.kind == "topk" else None
    said = {"latents": str(len(decoder)), **{name: metadata.get(name) for name in ("layer", "activation", "k")}}
    recorded = {
        "latents": str(recipe.latents),
        "layer": training.layer,
        "activation": ACTIVATIONS[recipe.kind],
        "k": None if k is None else str(k),
    }
    other = next((name for name in said if said[name] != recorded[name]), None)
    if other is not None:
        raise DataError(f"{path}: its {other} is {said[other]}, and its record says {recorded[other]}", SCHEMA.remedy)
    return Fitted(
        tensors.get("encoder"),
        decoder,
        tensors.get("encoder_bias"),
        tensors.get("decoder_bias"),
        tensors.get("threshold"),
        metadata["activation"],
        k,
        recipe.kind,
    )
