"""From a stored run to what scorers are given: P, and what else is known of the probe set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as functional

from mcd.api.concepts import ConceptSet
from mcd.api.probe import FACTS, Probe
from mcd.api.scorer import Scorer
from mcd.errors import UsageError, printable
from mcd.extraction.texts import TextEncoder
from mcd.networks.foreign import calling_scorer
from mcd.runs.annotations import AnnotationReader
from mcd.runs.recorded import Recorded
from mcd.scoring.similarity import Cosines, Matrix, Part, Pooled, Similarity
from mcd.study.wording import Wording

__all__ = ["Material", "bound", "facts_of", "gather"]


@dataclass(frozen=True)
class Material:
    """What scorers are given besides activations.

    Parameters
    ----------
    similarity
        P.
    probe
        What else is known; see `mcd.Scorer.for_probe`.
    annotations
        Which concepts can be assessed, where P is what is annotated; see `mcd.runs.annotations.COLUMNS`.
    """

    similarity: Similarity
    probe: Probe
    annotations: pd.DataFrame = field(default_factory=pd.DataFrame)

    def part(self, rows: Sequence[int]) -> Material:
        """Return the same of some of the images, by row number."""
        similarity = Part(self.similarity, torch.tensor(rows, dtype=torch.int64))
        return replace(self, similarity=similarity, probe=self.probe.part(rows))


def gather(
    recorded: Recorded, concepts: ConceptSet, wording: Wording, encoder: TextEncoder | AnnotationReader
) -> Material:
    """Return what a run is scored with.

    Raises
    ------
    DataError
        When an embedding is zero or not finite.
    """
    if isinstance(encoder, AnnotationReader):
        said = encoder.of(recorded.samples, concepts.concepts)
        table = said.table(concepts.concepts, recorded.patients)
        known = Probe(concepts.concepts, None, None, lambda: facts_of(recorded), None)
        return Material(Matrix(said.similarity(table)), known, table)
    found = encoder.concepts(concepts.concepts, wording)
    terms = [concept.term for concept in concepts.concepts]
    names = Cosines(
        recorded.image_embeddings(),
        found.names,
        recorded.image_ids,
        [terms[owner] for owner in found.owner],
        found.reference,
    )
    similarity: Similarity = names
    if wording.synonyms != "off":
        similarity = Pooled(names, found.owner, wording.synonyms, wording.sharpness)
    first = np.unique(found.owner, return_index=True)[1].tolist()
    probe = Probe(
        concepts.concepts,
        names.unit_images,
        functional.normalize(found.names[first], dim=1),
        lambda: facts_of(recorded),
        encoder.texts,
    )
    return Material(similarity, probe)


def bound(scorer: Scorer, material: Material, wording: Wording) -> Scorer:
    """Return a scorer for the probe set of a run.

    Raises
    ------
    UsageError
        When the wording asks for what the scorer does not use, or does by itself.
    DataError
        When the probe set lacks what the scorer needs.
    """
    if scorer.needs == "embeddings" and (wording.synonyms != "off" or wording.reference):
        raise UsageError(
            f"{scorer.name} compares embeddings: synonyms and a reference prompt of the study have no part in it",
            "leave out --synonyms and --reference-prompt; see: mcd plugins show " + scorer.name,
        )
    if wording.reference and getattr(scorer.options, "reference", ""):
        raise UsageError(
            f"a reference prompt would be subtracted twice: by {scorer.name} and by the study",
            "give --reference-prompt or --scorer-arg reference=TEXT, not both",
        )
    with calling_scorer(scorer):
        return scorer.for_probe(material.probe)


def facts_of(recorded: Recorded) -> pd.DataFrame:
    """Return what is known about each image, a row each; see `mcd.api.probe.Probe`."""
    rows = []
    for entry in recorded.probe_map:
        if entry["left_out"]:
            continue
        labels = json.loads(entry["labels"]) if entry["labels"] else {}
        row = {str(name): str(value) for name, value in labels.items()}
        row |= {name: "yes" for name in entry["findings"].split("|") if name}
        row |= {name: "no" for name in entry["absent"].split("|") if name}
        row |= {name: entry[name] for name in FACTS}
        rows.append({printable(name): printable(value) for name, value in row.items()})  # tables hold UTF-8 only
    table = pd.DataFrame(rows).fillna("")
    return table.reindex(columns=[*FACTS, *(name for name in table if name not in FACTS)], fill_value="")
