"""What is annotated of the images of a run, as P: 1 present, 0 absent, NaN not known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import safetensors
import torch
from safetensors.torch import load, save

from mcd.api.base import digest
from mcd.api.concepts import Concept, ConceptSet
from mcd.api.dataset import Sample
from mcd.api.dissector import AnnotationDissector
from mcd.errors import DataError, PluginLoadError, amount
from mcd.extraction.probe_map import PRIVATE, read_private, write_private
from mcd.networks.foreign import calling
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.study.digests import damaged

__all__ = ["COLUMNS", "Annotated", "AnnotationReader", "annotated", "as_recorded", "named_by", "own_concepts"]

COLUMNS = (
    "concept",
    "category",
    "broad_category",
    "assessable",
    "reason",
    "present",
    "absent",
    "unknown",
    "units_present",
    "units_absent",
)
"""Columns of the table of annotated concepts: whether each can be assessed, or else why not; in how many images it is
present, absent and not known; and how many patients (images where patients are not known) have it, and lack it, in some
image."""


@dataclass(frozen=True)
class Annotated:
    """What is annotated of images.

    Parameters
    ----------
    values
        ``(images, concepts)`` float32: 1, 0, or NaN.
    fewest
        See `mcd.AnnotationDissector`.
    """

    values: torch.Tensor
    fewest: int

    def table(self, concepts: Sequence[Concept], patients: Sequence[str]) -> pd.DataFrame:
        """Return for each concept whether it can be assessed; see `COLUMNS`."""
        known = any(patients)
        units = PermutationUnits.of(patients, "patient" if known else "image")
        there, lacking = (self.values == 1).numpy(), (self.values == 0).numpy()
        units_there, units_lacking = units.having(there), units.having(lacking)
        of = "patients" if known else "images"
        reasons = [
            _reason(one, other, self.fewest, of)
            for one, other in zip(units_there.tolist(), units_lacking.tolist(), strict=True)
        ]
        present, absent = there.sum(axis=0), lacking.sum(axis=0)
        values = {
            "concept": [one.term for one in concepts],
            "category": [one.category for one in concepts],
            "broad_category": [one.broad_category for one in concepts],
            "assessable": [not one for one in reasons],
            "reason": reasons,
            "present": present,
            "absent": absent,
            "unknown": len(self.values) - present - absent,
            "units_present": units_there,
            "units_absent": units_lacking,
        }
        return pd.DataFrame(values, columns=list(COLUMNS))

    def similarity(self, table: pd.DataFrame) -> torch.Tensor:
        """Return P ``(images, concepts)``: NaN everywhere for a concept that cannot be assessed, as `table` says."""
        return self.values.masked_fill(~torch.tensor(table["assessable"].tolist()), float("nan"))


def _reason(there: int, lacking: int, fewest: int, of: str) -> str:
    if not there and not lacking:
        return "not annotated"
    few = [
        f"{count} {of.removesuffix('s') if count == 1 else of} {how}"
        for count, how in ((there, "with it"), (lacking, "without it"))
        if count < fewest
    ]
    return f"{' and '.join(few)}, of {fewest} needed" if few else ""


def named_by(table: pd.DataFrame, name: str) -> list[str]:
    """Return the warnings of a run about a table of annotated concepts.

    Raises
    ------
    DataError
        When no concept can be assessed.
    """
    silent = table[table["reason"] == "not annotated"]
    few = table[~table["assessable"] & (table["reason"] != "not annotated")]
    if not table["assessable"].any():
        shown = "; ".join(f"{one.concept}: {one.reason}" for one in few.head(5).itertuples())
        raise DataError(
            f"{name}: none of {amount(len(table), 'concept')} can be assessed{': ' + shown if shown else ''}",
            "use more images, a data set with labels, or concepts that it annotates; see: mcd data check",
        )
    said = []
    if len(few):
        shown = "; ".join(f"{one.concept} ({one.reason})" for one in few.head(5).itertuples())
        more = f"; and {len(few) - 5} more" if len(few) > 5 else ""
        said.append(f"{name}: {len(few)} of {amount(len(table), 'concept')} are not assessable: {shown}{more}")
    if len(silent):
        words = ", ".join(silent["concept"].head(5))
        more = " …" if len(silent) > 5 else ""
        said.append(f"{name}: {len(silent)} of {amount(len(table), 'concept')} are not annotated: {words}{more}")
    return [f"{one}; annotations.csv lists all" for one in said]


def as_recorded(samples: Sequence[Sample]) -> list[Sample]:
    """Return samples as a stored run has them, so that their annotations are the same then."""
    return [replace(one, digest="", facts={}) for one in samples]


def annotated(dissector: AnnotationDissector, samples: Sequence[Sample], concepts: Sequence[Concept]) -> Annotated:
    """Return the annotations that a dissector has of images.

    Raises
    ------
    PluginLoadError
        When it breaks its contract.
    """
    with calling(f"dissector {dissector.name} failed on {amount(len(samples), 'image')}", kind=PluginLoadError):
        found: object = dissector.annotate(samples, concepts)
    wanted = (len(samples), len(concepts))
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != wanted:
        what = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise PluginLoadError(
            f"dissector {dissector.name} annotates with {what}, not a tensor of shape {wanted}",
            "a column of annotations is a tensor of 1, 0 and NaN: report it to its author",
        )
    values = found.detach().cpu().float()
    if not bool(((values == 0) | (values == 1) | values.isnan()).all()):
        raise PluginLoadError(
            f"dissector {dissector.name} annotates with other values than 1, 0 and NaN",
            "a column of annotations is a tensor of 1, 0 and NaN: report it to its author",
        )
    return Annotated(values, dissector.fewest)


class AnnotationReader:
    """Reads what is annotated of the images of a run; what was read before is kept beside its probe map.

    Parameters
    ----------
    folder
        The run folder.
    keys
        `mcd.networks.identity.Identity.key` of the dissectors whose annotations may be read from it.
    dissector
        Returns a dissector and its key; called only when its annotations are not kept.

    Attributes
    ----------
    keys
        Those given, and that of the dissector once it was asked.
    used
        Digests of files outside of the folder ``private``: none.
    """

    def __init__(
        self, folder: Path, keys: Sequence[str], dissector: Callable[[], tuple[AnnotationDissector, str]]
    ) -> None:
        self.keys = list(keys)
        self.used: dict[str, str] = {}
        self._folder, self._dissector = folder, dissector

    def of(self, samples: Sequence[Sample], concepts: Sequence[Concept]) -> Annotated:
        """Return what is annotated of the images of the run.

        Raises
        ------
        StoreError
            When what is kept is not what the run wrote.
        """
        for key in self.keys:
            kept = self._kept(_file(key, concepts), (len(samples), len(concepts)))
            if kept is not None:
                return kept
        dissector, key = self._dissector()
        found = annotated(dissector, samples, concepts)
        tensors = {"annotations": found.values.contiguous(), "fewest": torch.tensor([found.fewest])}
        write_private(self._folder / _file(key, concepts), save(tensors))
        if key not in self.keys:
            self.keys.append(key)
        return found

    def _kept(self, name: str, shape: tuple[int, int]) -> Annotated | None:
        """Return the annotations that a file keeps; None where there is none, or it is of other images."""
        try:
            data, own = read_private(self._folder, name)
            if not own:
                raise damaged(self._folder / name)
            tensors = load(data)
            values, fewest = tensors["annotations"], int(tensors["fewest"])
        except (OSError, KeyError, ValueError, RuntimeError, safetensors.SafetensorError):
            return None
        right = tuple(values.shape) == shape and values.dtype == torch.float32
        return Annotated(values, fewest) if right else None


def _file(key: str, concepts: Sequence[Concept]) -> str:
    words = json.dumps([[one.term, *one.synonyms] for one in concepts])
    return f"{PRIVATE}/annotations-{digest(key, words)[:16]}.safetensors"


def own_concepts(dissector: AnnotationDissector, samples: Sequence[Sample]) -> ConceptSet:
    """Return the concepts that are annotated of images.

    Raises
    ------
    PluginLoadError
        When the dissector breaks its contract.
    """
    with calling(f"dissector {dissector.name} failed to name its concepts", kind=PluginLoadError):
        found: object = dissector.concepts(samples)
    if not isinstance(found, ConceptSet):
        raise PluginLoadError(
            f"dissector {dissector.name} names its concepts with {type(found).__name__}",
            "its concepts are texts: report it to its author",
        )
    return found
