"""A run scored anew: what no flag names stays as it was in the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

import mcd
from mcd.runs.dissection import read_study
from mcd.runs.manifest import Manifest

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
scoring_device: auto
reporters: []
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., Outcome]) -> Path:
    """Return a run in which no setting of the scoring has its default."""
    folder = tmp_path_factory.mktemp("rescore")
    seen = "[{term: mass, synonyms: [lump]}, right breast, left breast]"
    words = f"name: words\nbroad_categories:\n  Breast:\n    Seen: {seen}\n"
    (folder / "words.yaml").write_text(words)
    (folder / "other.yaml").write_text(words.replace("left breast", "breast implant, calcification"))
    (folder / "study.yaml").write_text(OWN)
    done = mcd_command("run", "study.yaml", "-o", "run", cwd=folder)
    assert done.code == 0, done.err
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
    run: Path, tmp_path: Path, mcd_command: Callable[..., Outcome], flags: tuple[str, ...], changed: dict[str, object]
) -> None:
    before = settings(run) | {"scoring_device": "cpu"}  # where runs are scored anew, whatever they say
    done = mcd_command("score", run, "-o", tmp_path / "scored", *flags, cwd=run.parent)
    assert done.code == 0, done.err
    after = settings(tmp_path / "scored")
    differing = {key: after.get(key) for key in before | after if before.get(key) != after.get(key)}
    assert differing.keys() == changed.keys()
    for key, change in changed.items():
        if key == "concepts":
            (one,) = differing[key]
            assert Path(one["plugin"]).name == change
        else:
            assert differing[key] == merged(before[key], change)
    kept = mcd.load(tmp_path / "scored").labels.groupby("neuron")["rank"].max()
    assert kept.max() == after["labels_per_neuron"]


def scored_as(run: Path, mcd_command: Callable[..., Outcome], *flags: str) -> str:
    done = mcd_command("score", run, "--device", "cpu", *flags, cwd=run.parent)
    assert done.code == 0, done.err
    (line,) = [one for one in done.out.splitlines() if one.startswith("run folder: ")]
    return Path(line.removeprefix("run folder: ")).name


def test_other_settings_get_a_folder_of_their_own(run: Path, mcd_command: Callable[..., Outcome]) -> None:
    plain = scored_as(run, mcd_command)
    assert plain == "soft-wpmi-words"
    assert scored_as(run, mcd_command, "--scorer", "cosine") == "cosine-words"
    changes = (("--q", "0.1"), ("--scorer-arg", "top_k=9"), ("--scorer", "soft-wpmi", "--scorer-arg", "top_k=20"))
    names = [scored_as(run, mcd_command, *flags) for flags in changes]
    assert len({plain, *names}) == 1 + len(changes)
    assert all(name.startswith("soft-wpmi-words-") for name in names)
    assert scored_as(run, mcd_command, "--q", "0.1") == names[0]


def test_nothing_of_others_is_replaced(run: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    scored, theirs = tmp_path / "scored", tmp_path / "theirs"
    assert mcd_command("score", run, "-o", scored, cwd=run.parent).code == 0
    theirs.mkdir()
    (theirs / "labels.parquet").write_text("mine")
    copy = mcd.load(run).save(tmp_path / "copy")
    before = {path: path.read_bytes() for path in (*tmp_path.rglob("*"), *run.rglob("*")) if path.is_file()}
    for flags, reason in (
        ((run, "-o", copy), "holds another run"),
        ((run, "-o", run), "holds another run"),
        ((run, "-o", theirs), "holds no labels of mcd"),
        ((run, "-o", run / "activations"), "holds no labels of mcd"),
        ((copy, "-o", scored), "holds another run"),
        ((run, "-o", scored, "--q", "0.1"), "other labels of this run; they differ in calibration"),
        ((run, "-o", scored, "--scorer", "cosine"), "other labels of this run; they differ in scorer"),
        ((run, "-o", tmp_path / ("x" * 300)), "has 300 bytes"),
    ):
        done = mcd_command("score", *flags, cwd=run.parent)
        assert (done.code, reason in done.err) == (2, True), done.err
    assert mcd_command("run", run.parent / "study.yaml", "-o", scored, cwd=run.parent).code == 2
    after = {path: path.read_bytes() for path in (*tmp_path.rglob("*"), *run.rglob("*")) if path.is_file()}
    assert after == before
    assert mcd_command("score", run, "-o", scored, cwd=run.parent).code == 0


def test_what_was_said_of_images_is_kept_and_what_was_said_of_labels_made_anew(
    run: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    copy = mcd.load(run).save(tmp_path / "copy")
    manifest = Manifest.read(copy)
    manifest.warnings = ["images are dark", *(said for said in manifest.warnings), "an old scorer"]
    manifest.label_warnings = [*manifest.label_warnings, "an old scorer"]
    manifest.write(copy)
    assert mcd_command("score", copy, "--scorer", "auroc", "-o", tmp_path / "scored", cwd=run.parent).code == 0
    said = Manifest.read(tmp_path / "scored").warnings
    assert said[0] == "images are dark"
    assert "an old scorer" not in said
