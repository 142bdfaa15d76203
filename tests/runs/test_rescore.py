"""A run scored anew: what no flag names stays as it was in the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mcd
from mcd.runs.dissection import read_study

OWN = """
models: [{plugin: phantom-mammo, layers: head}]
dataset: {plugin: phantom, options: {patients: 20}}
dissectors: phantom-clip
concepts: [{plugin: words.yaml}]
scorer: {plugin: soft-wpmi, options: {top_k: 20, temperature: 7.0}}
prompts: {templates: ["a photo of {concept}"], synonyms: max, reference: a mammogram}
calibration: {q: 0.2, correction: storey, exchangeable: image, draws: 50, most_draws: 60, null_seed: 5}
labels_per_neuron: 3
device: cpu
reporters: []
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., object]) -> Path:
    """Return a run in which no setting of the scoring has its default."""
    folder = tmp_path_factory.mktemp("rescore")
    seen = "[{term: mass, synonyms: [lump]}, right breast, left breast]"
    words = f"name: words\nbroad_categories:\n  Breast:\n    Seen: {seen}\n"
    (folder / "words.yaml").write_text(words)
    (folder / "other.yaml").write_text(words.replace("left breast", "breast implant, calcification"))
    (folder / "study.yaml").write_text(OWN)
    done = mcd_command("run", "study.yaml", "-o", "run", cwd=folder)
    assert done.code == 0, done.err  # type: ignore[attr-defined]
    return folder / "run"


def settings(folder: Path) -> dict[str, object]:
    return {**read_study(folder, mcd.load(folder).manifest).settings()}


def merged(before: object, change: object) -> object:
    """Return settings with a change; a component that is named starts from its own defaults."""
    if not isinstance(before, dict) or not isinstance(change, dict) or "plugin" in change:
        return change
    return before | {key: merged(before.get(key), value) for key, value in change.items()}


@pytest.mark.parametrize(
    ("flags", "changed"),
    [
        ((), {}),
        (("--device", "cpu"), {}),
        (("--labels", "2"), {"labels_per_neuron": 2}),
        (("--q", "0.1"), {"calibration": {"q": 0.1}}),
        (("--correction", "benjamini-yekutieli"), {"calibration": {"correction": "benjamini-yekutieli"}}),
        (("--exchangeable", "patient"), {"calibration": {"exchangeable": "patient"}}),
        (("--draws", "40"), {"calibration": {"draws": 40}}),
        (("--null-seed", "0"), {"calibration": {"null_seed": 0}}),
        (("--template", "{concept}"), {"prompts": {"templates": ["{concept}"]}}),
        (("--synonyms", "off"), {"prompts": {"synonyms": "off"}}),
        (("--reference-prompt", "a photo"), {"prompts": {"reference": "a photo"}}),
        (("--scorer-arg", "top_k=10"), {"scorer": {"options": {"top_k": 10}}}),
        (("--scorer", "cosine"), {"scorer": {"plugin": "cosine", "options": {}}}),
        (("--concepts", "other.yaml"), {"concepts": "other.yaml"}),
    ],
)
def test_scoring_anew_changes_what_a_flag_names_and_nothing_else(
    run: Path, tmp_path: Path, mcd_command: Callable[..., object], flags: tuple[str, ...], changed: dict[str, object]
) -> None:
    before = settings(run)
    done = mcd_command("score", run, "-o", tmp_path / "scored", *flags, cwd=run.parent)
    assert done.code == 0, done.err  # type: ignore[attr-defined]
    after = settings(tmp_path / "scored")
    differing = {key: after.get(key) for key in before | after if before.get(key) != after.get(key)}
    assert differing.keys() == changed.keys()
    for key, change in changed.items():
        if key == "concepts":
            (one,) = differing[key]  # type: ignore[misc]
            assert Path(one["plugin"]).name == change
        else:
            assert differing[key] == merged(before[key], change)
    kept = mcd.load(tmp_path / "scored").labels.groupby("neuron")["rank"].max()
    assert kept.max() == after["labels_per_neuron"]
