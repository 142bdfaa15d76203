"""Wording: what templates, synonyms and a reference prompt do to labels.

How many labels are right, on phantoms whose truth is known. The table is in
[concept sets](../docs/reference/concept-sets.md#how-concepts-become-prompts).
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mcd
from benchmarks.report import Report, Table
from mcd.host import PluginHost
from mcd.runs.rescore import rescore
from mcd.study.study import Choice
from mcd.study.vocabularies.loading import load_concepts
from mcd.study.wording import Wording
from mcd_plugins.phantom.truth import right_labels

DOCUMENT = "../docs/reference/concept-sets.md"
TEMPLATES = ("a mammogram with {concept}", "a mammogram showing {concept}", "{concept} in a breast")
WORDINGS = {
    "as published": Wording(),
    "one template": Wording(templates=TEMPLATES[:1]),
    "three templates": Wording(templates=TEMPLATES),
    "synonyms, max": Wording(synonyms="max"),
    "synonyms, log-mean-exp": Wording(synonyms="log-mean-exp"),
    "reference": Wording(reference="a mammogram"),
    "three templates, reference": Wording(templates=TEMPLATES, reference="a mammogram"),
}


def with_synonyms(host: PluginHost, folder: Path) -> Path:
    """Write the phantoms' words with the synonyms that birads gives them, where it has them."""
    import yaml

    names: dict[str, list[str]] = {}
    for one in load_concepts(host, "birads").concepts:
        every = (one.term, *one.synonyms)
        names |= {name: [other for other in every if other != name] for name in every}
    sets: dict[str, dict[str, list[object]]] = {}
    for one in load_concepts(host, "phantom").concepts:
        entry = {"term": one.term, "synonyms": names.get(one.term, [])}
        sets.setdefault(one.broad_category, {}).setdefault(one.category, []).append(entry)
    path = folder / "phantom.yaml"
    path.write_text(yaml.safe_dump({"name": "phantom-synonyms", "broad_categories": sets}, sort_keys=False))
    return path


@dataclass(frozen=True)
class Settings:
    """Phantom patients, the scorer, and how many wordings."""

    patients: int = 100
    scorer: str = "soft-wpmi"
    wordings: int = len(WORDINGS)


TOY = Settings(patients=8, scorer="pearson", wordings=1)


def measure(settings: Settings) -> Report:
    """Return a row for each wording."""
    host = PluginHost.discover([], {**os.environ, "MCD_DISABLE_PLUGINS": "progress"})
    rows: list[tuple[str, int, int, float, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        concepts = with_synonyms(host, folder)
        run = mcd.dissect(
            "phantom-mammo",
            dissector="phantom-clip",
            layers=["stages.*", "head"],
            concepts="phantom",
            output=folder / "run",
            progress=False,
            store="off",
            workers=0,
            dataset={"plugin": "phantom", "options": {"patients": settings.patients}},
            scorer=settings.scorer,
        )
        neurons = sum(one.neurons for one in run.manifest.summary)
        for name, wording in list(WORDINGS.items())[: settings.wordings]:
            found = rescore(
                run, concepts=[Choice(plugin=str(concepts))], prompts=wording, output=folder / name.replace(" ", "-")
            )
            judged = right_labels(found)
            rows.append((name, len(judged), judged.right, judged.right / max(1, len(judged)), judged.by_chance))
    title = f"phantom-mammo, {settings.patients} patients, {neurons} neurons, {settings.scorer}, q = 0.05"
    return Report([Table(title, ("wording", "significant", "right", "share", "by chance"), rows)])
