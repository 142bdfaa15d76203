"""Looking into a folder before a run, and running on a part of it, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.conftest import Outcome
from tests.plugins.cohorts.conftest import write_dicom, write_picture

import mcd
from mcd_plugins.phantom.dataset import PhantomDataset

Command = Callable[..., Outcome]


def test_pixel_identical_images_are_found(shared: Path, tmp_path: Path, mcd_command: Command) -> None:
    done = mcd_command(
        "data",
        "check",
        shared / "data" / "dmid" / "images",
        "--dataset",
        "images",
        "--json",
        tmp_path / "check.json",
        "--keep-identifiers",
    )
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "check.json").read_text())
    assert found["images"] == 510
    assert sorted(map(sorted, found["duplicates"])) == [
        ["IMG019.png", "IMG318.png"],
        ["IMG021.png", "IMG319.png"],
        ["IMG034.png", "IMG172.png"],
        ["IMG448.png", "IMG485.png"],
    ]
    assert "IMG034.png = IMG172.png" in done.out


def test_what_a_run_would_refuse_is_told(tmp_path: Path, mcd_command: Command) -> None:
    place = tmp_path / "mixed"
    write_dicom(place / "good.dcm", Manufacturer="HOLOGIC, Inc.", ImageLaterality="L", ViewPosition="MLO")
    write_dicom(place / "copy.dcm", Manufacturer="HOLOGIC, Inc.", ImageLaterality="L", ViewPosition="MLO")
    write_dicom(place / "blank.dcm", PixelData=np.full((64, 48), 7, np.uint16).tobytes())
    write_dicom(place / "chest.dcm", seed=3, Modality="CT")
    (place / "empty.dcm").write_bytes(b"")
    done = mcd_command("data", "check", place, "--json", tmp_path / "check.json")
    assert done.code == 4
    out = " ".join(done.out.split())
    assert "cannot be used: 2" in out
    assert "it is blank" in out
    assert "groups of images with the same pixels: 1" in out
    assert "chest.dcm: its modality is CT" in out
    found = json.loads((tmp_path / "check.json").read_text())
    assert found["counts"]["laterality"] == {"L": 2, "unknown": 1}
    assert len(found["unreadable"]) == 2


def test_a_folder_that_is_not_there(tmp_path: Path, mcd_command: Command) -> None:
    done = mcd_command("data", "check", tmp_path / "nothing")
    assert (done.code, "there is no file or folder" in done.err) == (4, True)


def test_a_folder_of_another_kind_of_images_is_told_from_an_empty_one(tmp_path: Path, mcd_command: Command) -> None:
    for number in range(3):
        write_picture(tmp_path / "pngs" / f"{number}.png")
    write_dicom(tmp_path / "dicoms" / "1.2.840.99")
    (tmp_path / "empty").mkdir()
    asked = {"pngs": "dicom", "dicoms": "images", "empty": "dicom"}
    said = {at: mcd_command("data", "check", tmp_path / at, "--dataset", kind) for at, kind in asked.items()}
    assert {done.code for done in said.values()} == {4}
    text = {at: " ".join(done.err.split()) for at, done in said.items()}
    assert f"no DICOM file in {tmp_path / 'pngs'}, but 3 PNG files" in text["pngs"]
    assert "--dataset images" in text["pngs"]
    assert f"no PNG, JPEG, TIFF, BMP or PGM file in {tmp_path / 'dicoms'}, but 1 other file" in text["dicoms"]
    assert "--dataset dicom" in text["dicoms"]
    assert f"no DICOM file in {tmp_path / 'empty'}: it holds no files" in text["empty"]


RUN = (
    "dissect",
    "--model-plugin",
    "phantom-mammo",
    "--layers",
    "stages.3",
    "--dissector",
    "phantom-clip",
    "--concepts",
    "phantom",
    "--scorer",
    "soft-wpmi:4",
    "--device",
    "cpu",
)


def test_a_run_on_a_part_of_a_data_set(tmp_path: Path, mcd_command: Command) -> None:
    done = mcd_command(
        *RUN,
        "--dataset",
        "phantom:25",
        "--where",
        'view == "MLO" and "mass" in findings',
        "--per-patient",
        1,
        "--limit",
        8,
        "--seed",
        3,
        "-o",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run")
    assert found.manifest.images == 8
    assert {entry["view"] for entry in found.probe_map} == {"MLO"}
    assert all("mass" in entry["findings"].split("|") for entry in found.probe_map)
    assert len({entry["patient"] for entry in found.probe_map}) == 8
    other = mcd_command(*RUN, "--dataset", "phantom:25", "--limit", 9, "-o", tmp_path / "run")
    assert other.code == 2
    assert "it differs in limit, per_patient, seed, where" in other.err


@pytest.mark.parametrize(
    ("condition", "said"),
    [("vew == 1", "view"), ('view == "XX"', "MLO"), ("view ==", "cannot be read"), ("__import__('os')", "where")],
)
def test_a_condition_that_cannot_be_meant(condition: str, said: str, tmp_path: Path, mcd_command: Command) -> None:
    done = mcd_command(*RUN, "--dataset", "phantom:5", "--where", condition, "-o", tmp_path / "run")
    assert done.code in (2, 4)
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_second_study_uses_the_cache(tmp_path: Path, mcd_command: Command) -> None:
    place = tmp_path / "pictures"
    for seed in range(8):
        write_picture(place / f"{seed}.png", seed=seed)
    common = (*RUN, "--dataset", f"images:{place}", "--cache", tmp_path / "cache", "--workers", 0)
    first = mcd_command(*common, "-o", tmp_path / "one")
    assert first.code == 0, first.err
    kept = sorted((tmp_path / "cache").rglob("*.image"))
    assert len(kept) == 8
    before = [path.stat().st_ino for path in kept]
    second = mcd_command(*common, "--batch-size", 4, "-o", tmp_path / "two")
    assert second.code == 0, second.err
    assert [path.stat().st_ino for path in sorted((tmp_path / "cache").rglob("*.image"))] == before
    one, two = (mcd.load(tmp_path / name).labels for name in ("one", "two"))
    assert one["concept"].tolist() == two["concept"].tolist()


def test_several_data_sets_are_one(tmp_path: Path, mcd_command: Command) -> None:
    for seed in range(8):
        write_picture(tmp_path / "Smith" / f"{seed}.png", seed=seed)
    parts = json.dumps(["phantom:3", {"plugin": "images:Smith", "share": 5, "name": "real"}])
    flags = ("--dataset", "combine", "--dataset-arg", f"parts={parts}")
    done = mcd_command(*RUN, *flags, "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "real: 5 of 8 images are taken" in " ".join(done.err.split())
    found = mcd.load(tmp_path / "run")
    assert found.manifest.images == 17
    assert [entry["own_id"].partition("/")[0] for entry in found.probe_map] == ["phantom"] * 12 + ["real"] * 5
    assert "Smith" not in (tmp_path / "run" / "manifest.json").read_text()
    wrong = mcd_command(*RUN, "--dataset", "combine", "--dataset-arg", 'parts=["imgaes:x"]', "-o", "x", cwd=tmp_path)
    assert (wrong.code, "did you mean 'images'" in wrong.err) == (2, True)


def test_a_scorer_is_a_function_in_a_file(tmp_path: Path, mcd_command: Command) -> None:
    (tmp_path / "mine.py").write_text(
        "def score(activations, similarity):\n"
        "    a, p = activations - activations.mean(0), similarity - similarity.mean(0)\n"
        "    return (a / a.norm(dim=0)).T @ (p / p.norm(dim=0))\n"
    )
    common = (
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--device",
        "cpu",
        "--dataset",
        "phantom:10",
    )
    done = mcd_command(*common, "--scorer", "mine.py:score", "--draws", 200, "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    ours, theirs = (
        mcd.load(tmp_path / "run"),
        mcd_command("score", "run", "--scorer", "pearson", "-o", "b", cwd=tmp_path),
    )
    assert theirs.code == 0, theirs.err
    assert ours.labels["concept"].tolist() == mcd.load(tmp_path / "b").labels["concept"].tolist()
    assert ours.labels["p"].notna().any()
    for scorer, said in (("mine.py:scor", "did you mean 'score'"), ("other.py:score", "there is no file other.py")):
        wrong = mcd_command(*common, "--scorer", scorer, "-o", "x", cwd=tmp_path)
        assert (wrong.code, said in wrong.err) == (2, True), wrong.err


def test_a_recipe_is_run_and_recorded(tmp_path: Path, mcd_command: Command) -> None:
    flags = ("--dataset", "phantom:5", "--recipe", "dicom-standard", "--recipe-arg", "outside=black")
    done = mcd_command(*RUN, *flags, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run").manifest
    assert found.preprocessing["recipe"]["outside"] == "black"
    plain = mcd_command(*RUN, "--dataset", "phantom:5", "-o", tmp_path / "plain")
    assert plain.code == 0, plain.err
    assert mcd.load(tmp_path / "plain").manifest.store.activations != found.store.activations
    wrong = mcd_command(*RUN, "--dataset", "phantom:5", "--recipe", "dicom-standart", "-o", tmp_path / "x")
    assert (wrong.code, "did you mean 'dicom-standard'" in wrong.err) == (2, True)


def test_layers_are_checked_on_an_image(mcd_command: Command) -> None:
    done = mcd_command("layers", "--model-plugin", "phantom-mammo", "--layers", "stages.{0..3}", "--check", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [one["neurons"] for one in found] == [24, 48, 96, 128]
    assert all(one["response"]["lowest"] <= one["response"]["highest"] for one in found)
    by_hand = mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="stages.3",
        dataset={"plugin": "phantom", "options": {"patients": 1}},
        concepts="phantom",
        scorer="cosine",
        device="cpu",
        progress=False,
    )
    first = by_hand.activations("stages.3")[0]
    assert found[3]["response"]["highest"] == pytest.approx(float(first.max()), rel=1e-4)
    assert found[3]["response"]["silent"] == int((first == 0).sum())
    misfit = mcd_command("layers", "--model-plugin", "phantom-mammo", "--check", "--pooling", "cls")
    assert "pooling does not fit" in misfit.out
    wrong = mcd_command("layers", "--model-plugin", "phantom-mammo", "--check", "--pooling", "mean")
    assert (wrong.code, "there is no pooling 'mean'" in wrong.err) == (2, True)


def test_phantom_findings_are_true_of_the_drawing() -> None:
    data = PhantomDataset(PhantomDataset.Options(patients=10))
    for sample in data.scan():
        assert isinstance(sample, mcd.Sample)
        assert sample.findings["left breast"] == (sample.laterality == "L")
        assert sample.findings["breast implant"] == sample.implant
        if not sample.findings["mass"]:
            assert not any(sample.findings[f"{shape} mass"] for shape in ("oval", "round", "irregular"))


def test_findings_and_boxes_are_shown(tmp_path: Path, mcd_command: Command) -> None:
    (tmp_path / "Info.txt").write_text(
        "mdb001 G CIRC B 50 900 10\nmdb001 G CIRC B 70 880 9\nmdb002 D NORM\nmdb003 F ASYM M\n"
    )
    for number in (1, 2, 3):
        drawn = PIL.Image.open(write_picture(tmp_path / "drawn.png", seed=number))
        drawn.resize((64, 64)).save(tmp_path / f"mdb00{number}.pgm")
    json_file = tmp_path / "check.json"
    done = mcd_command("data", "check", tmp_path, "--dataset", "mias", "--workers", "0", "--json", json_file)
    shown = [line.split() for line in done.out.splitlines()]
    assert ["finding", "present", "absent", "unknown"] in shown
    assert ["mass", "1", "1", "1"] in shown
    assert ["mass", "2", "1"] in shown
    report = json.loads(json_file.read_text())
    assert report["findings"]["asymmetry"] == {"present": 1, "absent": 1, "unknown": 1}
    assert report["boxes"] == {"mass": {"boxes": 2, "images": 1}}


def test_frames_in_which_no_breast_is_found_are_counted_with_reasons(tmp_path: Path, mcd_command: Command) -> None:
    folder, out = tmp_path / "films", tmp_path / "out"
    for seed in range(3):
        write_picture(folder / f"{seed}.png", seed=seed)
    for seed in range(2):
        pixels = np.asarray(PIL.Image.open(folder / f"{seed}.png"))
        PIL.Image.fromarray((255 - pixels).astype(np.uint8)).save(folder / f"negative{seed}.png")
    done = mcd_command(
        "data", "check", folder, "--dataset", "images", "--workers", "0", "--json", tmp_path / "check.json"
    )
    said = " ".join(done.out.split())
    assert "kept whole, since no breast is found: 2 " in said
    assert "note: the whole frame is kept in 2 of 5 images: what" in said
    kept = json.loads((tmp_path / "check.json").read_text())["kept_whole"]
    assert len(kept) == 2
    assert all(one["reason"].endswith("it looks like a negative") for one in kept)
    for _ in range(2):  # the second time, all pictures are there already
        done = mcd_command(
            "preprocess", folder, out, "--dataset", "images", "--recipe", "dicom-standard", "--workers", "0"
        )
        said = " ".join(done.out.split())
        assert "it looks like a negative: 2 images, first" in said
    assert "5 were there" in said


@pytest.mark.parametrize("kind", ["images", "dicom"])
@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["a.dcm.gz", "b.gz"], "unpack them first"),
        (["a.zip", "labels.csv"], "unpack them first"),
        (["a.tar.xz", "b.7z"], "unpack them first"),
        (["a.webp", "b.webp"], "save the WEBP files as PNG or TIFF first"),
        (["a.nii.gz"], "save the NII files as PNG"),
        (["labels.csv"], "--dataset csv"),
        (["a.zip", "b.jp2"], "; unpack them first"),
    ],
)
def test_a_folder_of_what_is_not_read_is_told_what_to_do(
    kind: str, names: list[str], hint: str, tmp_path: Path, mcd_command: Command
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x" * 200)
    done = mcd_command("data", "check", tmp_path, "--dataset", kind)
    assert done.code == 4
    text = " ".join(done.err.split())
    assert hint in text
    assert "--dataset images" not in text
    assert "--dataset dicom" not in text


def test_one_archive_is_told_to_be_unpacked(tmp_path: Path, mcd_command: Command) -> None:
    (tmp_path / "all.zip").write_bytes(b"PK\x03\x04")
    for kind in ("images", "dicom"):
        assert "unpack them first" in mcd_command("data", "check", tmp_path / "all.zip", "--dataset", kind).err
