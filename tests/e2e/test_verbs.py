"""Each verb of the public face leaves the same files as its command, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import mcd

STUDY = {
    "schema": "mcd.study/1",
    "models": [{"plugin": name, "layers": ["stages.2", "head"]} for name in ("phantom-general", "phantom-mammo")],
    "dissectors": "phantom-clip",
    "dataset": {"plugin": "phantom", "options": {"patients": 5}},
    "concepts": "phantom",
    "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 4}},
    "calibration": {"draws": 200, "most_draws": 400},
    "device": "cpu",
}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its path; of a manifest all but the times."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, data in found.items():
        if name.endswith("manifest.json"):
            record = json.loads(data)
            record.pop("seconds")
            found[name] = json.dumps(record).encode()
    return found


def assert_same(one: Path, other: Path) -> None:
    first, second = contents(one), contents(other)
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []
    assert first


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one study, made by the verb."""
    folder = tmp_path_factory.mktemp("verbs")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    mcd.run(folder / "study.yaml", output=folder / "by-verb", progress=False)
    return folder


def test_run(runs: Path, mcd_command: Callable) -> None:
    done = mcd_command("run", runs / "study.yaml", "--output", runs / "by-command")
    assert done.code == 0, done.err
    assert_same(runs / "by-verb", runs / "by-command")
    found = mcd.run(STUDY, output=runs / "by-mapping", progress=False)
    assert [one.manifest.target for one in found] == ["phantom-general", "phantom-mammo"]
    assert_same(runs / "by-verb", runs / "by-mapping")


def test_compare(runs: Path, tmp_path: Path, mcd_command: Callable) -> None:
    both = [runs / "by-verb" / name for name in ("phantom-general", "phantom-mammo")]
    found = mcd.compare([mcd.load(both[0]), both[1]], resamples=20, output=tmp_path / "verb")
    done = mcd_command("compare", *both, "--bootstrap", 20, "--output", tmp_path / "command")
    assert done.code == 0, done.err
    assert_same(tmp_path / "verb", tmp_path / "command")
    assert set(found.tables()) == {path.stem for path in (tmp_path / "verb").glob("*.csv")}


def test_report(runs: Path, tmp_path: Path, mcd_command: Callable) -> None:
    run = runs / "by-verb" / "phantom-mammo"
    written = mcd.report(run, reporters=["csv:published", {"plugin": "json"}], output=tmp_path / "verb")
    flags = ("--reporter", "csv:published", "--reporter", "json")
    done = mcd_command("report", run, *flags, "--output", tmp_path / "command")
    assert done.code == 0, done.err
    assert_same(tmp_path / "verb", tmp_path / "command")
    assert sorted(written) == sorted((tmp_path / "verb").glob("[!.]*"))


def test_dissect(tmp_path: Path, mcd_command: Callable) -> None:
    verb = mcd.dissect(
        "phantom-mammo",
        layers="head",
        dataset={"plugin": "phantom", "options": {"patients": 5}},
        concepts="phantom",
        dissector="phantom-clip",
        scorer={"plugin": "soft-wpmi", "options": {"top_k": 4}},
        calibration={"draws": 100},
        output=tmp_path / "verb",
        device="cpu",
        progress=False,
    )
    done = mcd_command(
        "dissect",
        "--model",
        "phantom-mammo",
        "--layers",
        "head",
        "--dataset",
        "phantom",
        "--dataset-arg",
        "patients=5",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--scorer-arg",
        "top_k=4",
        "--draws",
        100,
        "--device",
        "cpu",
        "--output",
        tmp_path / "command",
    )
    assert done.code == 0, done.err
    assert verb.folder == tmp_path / "verb"
    assert_same(tmp_path / "verb", tmp_path / "command")


def test_score(runs: Path, tmp_path: Path, mcd_command: Callable) -> None:
    run = runs / "by-verb" / "phantom-mammo"
    options = {"plugin": "wpmi", "options": {"top_k": 4}}
    found = mcd.score(run, scorer=options, calibration={"q": 0.1}, output=tmp_path / "verb", progress=False)
    flags = ("--scorer", "wpmi", "--scorer-arg", "top_k=4", "--q", 0.1)
    done = mcd_command("score", run, *flags, "--output", tmp_path / "command")
    assert done.code == 0, done.err
    assert_same(tmp_path / "verb", tmp_path / "command")
    again = mcd.score(found, scorer=lambda a, p: (a.T @ p).relu(), concepts=["mass", "calcification"], progress=False)
    assert set(again.labels["concept"]) - {""} <= {"mass", "calcification"}
    assert again.manifest.study["calibration"] == found.manifest.study["calibration"]


def test_embed(tmp_path: Path, mcd_command: Callable) -> None:
    phantoms = {"plugin": "phantom", "options": {"patients": 2}}
    (tmp_path / "verb").mkdir()
    (tmp_path / "command").mkdir()
    found = mcd.embed(
        "phantom-clip",
        dataset=phantoms,
        texts=["mass", "no mass"],
        device="cpu",
        progress=False,
        output=tmp_path / "verb" / "vectors.safetensors",
    )
    done = mcd_command(
        "embed",
        "--dissector",
        "phantom-clip",
        "--dataset",
        "phantom",
        "--dataset-arg",
        "patients=2",
        "--text",
        "mass",
        "--text",
        "no mass",
        "--device",
        "cpu",
        "--output",
        tmp_path / "command" / "vectors.safetensors",
    )
    assert done.code == 0, done.err
    assert_same(tmp_path / "verb", tmp_path / "command")
    assert found.images is not None
    assert found.texts is not None
    assert (len(found.images), len(found.texts), len(found.image_ids)) == (8, 2, 8)
    kept_nothing = mcd.embed("phantom-clip", texts=["mass", "no mass"], device="cpu", progress=False)
    assert kept_nothing.texts is not None
    assert (kept_nothing.texts == found.texts).all()
    assert kept_nothing.images is None
