"""Under which conditions a run was made, as reports list them."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic

import mcd
from mcd.plugins import Manifest

__all__ = ["conditions_of", "files_of", "settings_at"]

Json = pydantic.JsonValue


def settings_at(values: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return the settings under a name; none where there are none."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _plugin(value: Json) -> str:
    """Return what a component of a study is called; of a path only the last part."""
    name = str(value.get("plugin", "")) if isinstance(value, dict) else str(value)
    return name.partition(":")[0].replace("\\", "/").rpartition("/")[2] if not name.endswith(".py") else name


def conditions_of(dissection: mcd.Dissection, judged: bool, patients: int | None) -> list[tuple[str, str]]:
    """Return the conditions of a run: name and value, in the order of reports.

    Parameters
    ----------
    judged
        Whether its significance was computed.
    patients
        Of how many its images are; None where that is not known.
    """
    manifest, study = dissection.manifest, dissection.manifest.study
    options = settings_at(settings_at(study, "scorer"), "options")
    settings = ", ".join(f"{name} {value}" for name, value in options.items() if isinstance(value, int | float | str))
    concepts = study.get("concepts")
    images = f"{manifest.images:,}" + "".join(f", {count} {why}" for why, count in manifest.left_out.items())
    if manifest.imported is not None:
        return _imported_conditions(manifest)
    return [
        ("Target", manifest.target),
        ("Pooling", _pooling(study)),
        ("Dissector", manifest.dissector),
        ("Concept set", ", ".join(map(_plugin, concepts)) if isinstance(concepts, list) else ""),
        ("Probe set", _probe_set(study)),
        ("Images (n)", images),
        ("Patients", "not known" if patients is None else f"{patients:,}"),
        ("Scorer", manifest.scorer + (f" ({settings})" if settings else "")),
        ("Top images (k)", str(options.get("top_k", "not used: the scorer uses all images"))),
        ("Concepts kept a neuron", str(study.get("labels_per_neuron", ""))),
        ("Null", _null(dissection) if judged else "not computed"),
        ("First labels beside untrained networks", _beside(manifest)),
        ("False discovery rate (q)", str(settings_at(study, "calibration").get("q", "")) if judged else "not computed"),
    ]


def files_of(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the files that labels were imported from, as pages show them: format and rows, digest."""
    files = manifest.imported.files if manifest.imported is not None else ()
    return [(f"{one.format}, {one.rows:,} rows", one.sha256[:16]) for one in files]


def _imported_conditions(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the same of labels that another tool made: of most nothing is known."""
    record = manifest.imported
    assert record is not None
    known = {
        "Target": manifest.target,
        "Dissector": manifest.dissector,
        "Concept set": record.concepts or "made of the labels",
        "Scorer": manifest.scorer,
    }
    unknown = dict.fromkeys(
        ("Probe set", "Images (n)", "Patients", "Top images (k)", "Null", "False discovery rate (q)"), "not known"
    )
    empty = dict.fromkeys(("Pooling", "Concepts kept a neuron", "First labels beside untrained networks"), "")
    return list({**known, **unknown, **empty}.items())


_LISTED = 6
"""Layers that are named one by one."""


def _beside(manifest: Manifest) -> str:
    """Return how layers compare with untrained networks, those alike together; empty where there are none."""
    layers: dict[str, list[str]] = {}
    for one in manifest.summary:
        if one.beside_untrained:
            layers.setdefault(one.beside_untrained, []).append(one.layer)
    return "; ".join(
        f"{said}: {', '.join(names) if len(names) <= _LISTED else f'{len(names)} layers'}"
        for said, names in layers.items()
    )


def _pooling(study: Mapping[str, Json]) -> str:
    models = study.get("models")
    return str(models[0].get("pooling", "")) if isinstance(models, list) and isinstance(models[0], dict) else ""


def _probe_set(study: Mapping[str, Json]) -> str:
    chosen = settings_at(study, "dataset")
    parts = settings_at(chosen, "options").get("parts")
    named = _plugin(dict(chosen)) + (f" of {', '.join(map(_plugin, parts))}" if isinstance(parts, list) else "")
    limits = [
        f"at most {study[name]} {what}"
        for name, what in (("limit", "images"), ("per_patient", "a patient"))
        if study.get(name)
    ]
    if study.get("where"):  # with identifiers kept, a condition may name patients
        hidden = study.get("keep_identifiers") or str(study["where"]).startswith("hidden:")
        limits.append("chosen by a condition" if hidden else f"where {study['where']}")
    return ", ".join([named, *limits])


def _null(dissection: mcd.Dissection) -> str:
    judged = [one for one in dissection.manifest.summary if one.draws is not None]
    calibration = settings_at(dissection.manifest.study, "calibration")
    correction = str(calibration.get("correction", "")).replace("-", " ").title().replace(" ", "–")
    null = f"{judged[0].permutation_unit}s permuted, {dissection.manifest.draws_said}"
    return f"{null}, seed {dissection.manifest.null_seed}; {correction} over the neurons of a layer"
