"""The heading of a comparison: conditions and limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from mcd.comparison.outcomes import significance
from mcd.errors import amount
from mcd.runs.dissection import Dissection
from mcd.runs.limits import has_probe_map, limits_of
from mcd.runs.manifest import ScoreRecord
from mcd.runs.records import NO_SCORES, NOT_STATED

__all__ = ["Heading", "heading_of", "names_of", "notes_of"]


@dataclass(frozen=True)
class Heading:
    """What went in.

    Parameters
    ----------
    runs
        A row for each run: ``run``, ``target``, ``dissector``, ``scorer``, ``probe_set``, ``images`` (0 where labels
        were imported), ``patients`` (-1 where they are not known), ``top_k`` (-1 where the scorer looks at all images),
        ``null``, ``permutation_unit``, ``draws`` (the fewest of a layer; -1 where no neuron has a label),
        ``layer_draws`` (in words), ``q``, ``correction``, ``comparable`` (whether its scores may be compared across
        layers and models), ``layers``, ``neurons``.
    """

    runs: pd.DataFrame

    def lines(self) -> list[str]:
        """Return it as sentences, with what may not be compared; what is the same for all runs is said once."""
        known = self.runs[self.runs["images"] > 0]
        said = [_probe_set(known.iloc[0])] if len(known) else []
        seen: dict[str, None] = {}
        alike = len(set(self.runs["layer_draws"])) == 1
        for _, run in self.runs.iterrows():
            if not run["images"]:
                seen[_imported(run)] = None
                continue
            k = "all images" if run["top_k"] < 0 else f"top {amount(int(run['top_k']), 'image')}"
            seen[f"dissector {run['dissector']}, scorer {run['scorer']} ({k})"] = None
            seen[_null(run) if alike else f"run {run['run']}: {_null(run)}"] = None
            if run["draws"] > 0:
                seen[f"significant: q = {run['q']:g} ({run['correction']})"] = None
        if not self.runs["comparable"].all():
            more = "; z and shares of significant neurons may" if len(known) else ""
            seen[f"scores may not be compared across layers or models{more}"] = None
        return said + list(seen)


def _probe_set(run: pd.Series) -> str:
    people = "patients are not known" if run["patients"] < 0 else amount(int(run["patients"]), "patient")
    return f"probe set {run['probe_set']}: {amount(int(run['images']), 'image')}, {people}"


def _imported(run: pd.Series) -> str:
    scores = "no scores" if run["scorer"] == NO_SCORES else f"scores: {run['scorer']}"
    return f"labels by {run['dissector']}, imported ({scores}); probe set, images and significance are not known"


def _null(run: pd.Series) -> str:
    if run["draws"] <= 0:
        return "no neuron has a label" if run["draws"] else "significance was not computed"
    return f"null: {run['null']}, {run['permutation_unit']}s permuted, {run['layer_draws']}"


def heading_of(runs: Sequence[Dissection], names: Sequence[str], readings: Sequence[ScoreRecord]) -> Heading:
    """Return the heading of a comparison, given how the scores of each run are to be read."""
    return Heading(pd.DataFrame([_row(*one) for one in zip(runs, names, readings, strict=True)]))


def _row(run: Dissection, name: str, scores: ScoreRecord) -> dict[str, object]:
    record = run.manifest
    dataset, calibration = record.study.get("dataset"), record.study.get("calibration")
    judged = [one for one in record.summary if one.draws]
    labelled = any(one.labelled for one in record.summary)
    return {
        "run": name,
        "target": record.target,
        "dissector": record.dissector,
        "scorer": record.scorer,
        "probe_set": str(dataset.get("plugin", "")) if isinstance(dataset, dict) else "",
        "images": record.images,
        "patients": _people(run),
        "top_k": -1 if scores.top_k is None else scores.top_k,
        "null": scores.null,
        "permutation_unit": judged[0].permutation_unit if judged else "",
        "draws": min((one.draws or 0 for one in judged), default=0 if labelled else -1),
        "layer_draws": record.draws_said,
        "q": significance(run),
        "correction": str(calibration.get("correction", "")) if isinstance(calibration, dict) else "",
        "comparable": scores.comparable,
        "layers": len(record.layers),
        "neurons": sum(layer.neurons for layer in record.layers),
    }


def _people(run: Dissection) -> int:
    known = set(run.patients) - {""} if has_probe_map(run) else set()
    return len(known) or -1


def names_of(runs: Sequence[Dissection]) -> tuple[str, ...]:
    """Return what the runs are called: by what they differ in; a single one by its target."""
    records = [run.manifest for run in runs]
    candidates = (
        [one.target if one.target != NOT_STATED else one.dissector for one in records],
        [one.dissector for one in records],
        [f"{one.dissector} with {one.scorer}" for one in records],
        [f"{one.target} in {run.folder.name}" for one, run in zip(records, runs, strict=True)],
    )
    targets = {one.fingerprints.get("target") for one in records}
    same = len(runs) > 1 and len(targets) == 1 and None not in targets
    for names in candidates[1 if same else 0 :]:
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name} ({at})" for at, name in enumerate(candidates[2], start=1))


def notes_of(runs: Sequence[Dissection], names: Sequence[str]) -> Iterator[str]:
    """Yield what the runs do not allow."""
    for run, name in zip(runs, names, strict=True):
        if run.manifest.imported is not None:
            yield from (f"{name}: {said}" for said in run.manifest.warnings)
    yield from limits_of(next((one for one in runs if one.manifest.imported is None), runs[0]))
    for run, name in zip(runs, names, strict=True):
        said, command = run.manifest.more_draws()
        if said:
            yield f"{name}: {said}" + (f" ({command})" if command else "")
