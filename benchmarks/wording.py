"""What templates, synonyms and a reference prompt do to labels: how many are right, on phantoms whose truth is known.

python benchmarks/wording.py [--patients 100] [--scorer soft-wpmi]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import mcd
from mcd.host import PluginHost
from mcd.runs.rescore import rescore
from mcd.study.study import Choice
from mcd.study.vocabularies.loading import load_concepts
from mcd.study.wording import Wording
from mcd_plugins.phantom.truth import right_labels

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

    names = {}
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


def main(patients: int, scorer: str) -> None:
    host = PluginHost.discover([], {**os.environ, "MCD_DISABLE_PLUGINS": "console"})
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
            dataset={"plugin": "phantom", "options": {"patients": patients}},
            scorer=scorer,
        )
        neurons = sum(one.neurons for one in run.manifest.summary)
        print(f"phantom-mammo, {patients} patients, {neurons} neurons, {scorer}, q = 0.05")
        print(f"{'wording':<28}{'significant':>13}{'right':>7}{'share':>8}{'chance':>9}")
        for name, wording in WORDINGS.items():
            found = rescore(
                run, concepts=[Choice(plugin=str(concepts))], prompts=wording, output=folder / name.replace(" ", "-")
            )
            judged = right_labels(found)
            share = judged.right / max(1, len(judged))
            print(f"{name:<28}{len(judged):>13}{judged.right:>7}{share:>8.1%}{judged.by_chance:>9.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--scorer", default="soft-wpmi")
    chosen = parser.parse_args()
    main(chosen.patients, chosen.scorer)
