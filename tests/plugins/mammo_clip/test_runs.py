"""Mammo-CLIP through the command line: shared passes, vectors, zero-shot scores, PNGs, all as people type it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
import safetensors
import torch
import yaml
from pydicom.data import get_testdata_file
from tests.conftest import ROOT, Outcome
from tests.plugins.mammo_clip.conftest import classifier_state, saved_classifier

import mcd
from mcd.host import PluginHost
from mcd.networks.pooling import Pooling
from mcd.runs.plan import plan_of
from mcd.runs.prepared import Prepared, PreparedDissector, PreparedTarget
from mcd.runs.run import run
from mcd.study.equipment import equip
from mcd.study.preparer import Preparer
from mcd.study.study import Study
from mcd_plugins.mammo_clip.dissector import MammoClip
from mcd_plugins.mammo_clip.loader import MammoClipClassifier, MammoClipTower

State = dict[str, torch.Tensor]
Command = Callable[..., Outcome]
SMALL = {"height": 64, "width": 48}
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def flags(b2: Path, images: str = "phantom:2") -> list[object]:
    return [
        "--dissector",
        f"mammo-clip:{b2}",
        "--dissector-arg",
        f"preprocessing={json.dumps(SMALL)}",
        "--dataset",
        images,
        "--device",
        "cpu",
        "--workers",
        0,
    ]


@pytest.mark.slow
def test_a_study_of_five_models_costs_five_forward_passes_an_image(b2: Path, b2_state: State, tmp_path: Path) -> None:
    files = [
        saved_classifier(classifier_state(b2_state, classes, seed), tmp_path / f"{seed}.pth")
        for seed, classes in enumerate((4, 1, 1, 5))
    ]
    targets = [MammoClipTower(MammoClipTower.Options(checkpoint=b2, preprocessing=SMALL)).load()]
    targets += [
        MammoClipClassifier(MammoClipClassifier.Options(checkpoint=path, preprocessing=SMALL)).load() for path in files
    ]
    dissector = MammoClip(MammoClip.Options(checkpoint=b2, preprocessing=SMALL))
    dissector.load()
    assert dissector.image_tower is not None
    images: list[int] = []
    host = PluginHost.discover([], {"MCD_DISABLE_PLUGINS": "progress"})
    study = Study.model_validate(
        {
            "models": ["object"] * 5,
            "dissectors": "object",
            "dataset": "phantom:2",
            "concepts": "phantom",
            "device": "cpu",
            "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 2}},
            "batch_size": 8,
            "workers": 0,
        }
    )
    preparer = Preparer(host)
    (equipment,) = equip(preparer, [MammoClip], study.scorer, preparer.concepts(study.concepts))
    patterns = ["image_encoder._blocks[22]"]
    prepared = Prepared(
        host,
        study,
        plan_of(study, tmp_path, [f"run{at}" for at in range(len(targets))], [dissector.name]),
        [PreparedTarget(one, patterns, Pooling("avg")) for one in targets],
        [PreparedDissector(dissector, equipment)],
        preparer.dataset(study.dataset)[0],
    )
    for module in [dissector.image_tower, *(target.module for target in targets)]:
        module.get_submodule("conv_stem").register_forward_hook(lambda _m, _i, output: images.append(len(output)))
    found = run(prepared)
    trials = [2, 1] * (len(targets) + 1)  # of each target, then of the dissector: a batch of two, and one image alone
    assert images[: len(trials)] == trials
    assert sum(images[len(trials) :]) == 5 * 8
    shared = found[0].activations("blocks.6.1")
    assert found[4].activations("blocks.6.1").shape == shared.shape
    assert not torch.allclose(found[4].activations("blocks.6.1"), shared)


@pytest.mark.slow
def test_dissect_with_the_tower_as_target_works_from_the_path_alone(
    b2: Path, tmp_path: Path, mcd_command: Command
) -> None:
    arg = f"preprocessing={json.dumps(SMALL)}"
    done = mcd_command(
        "dissect",
        "--model-plugin",
        f"mammo-clip:{b2}",
        "--model-arg",
        arg,
        *flags(b2),
        "--layers",
        "image_encoder._blocks[{0..22}]",
        "--concepts",
        "phantom",
        "--draws",
        100,
        "--scorer-arg",
        "top_k=2",
        "-o",
        tmp_path / "run",
        **OFFLINE,
    )
    assert done.code == 0, done.err
    labels = mcd.load(tmp_path / "run").labels
    assert labels.groupby("layer", sort=False)["neuron"].nunique().sum() == 2824
    assert labels["layer"].iloc[-1] == "blocks.6.1"


def test_embed_writes_vectors_of_images_and_texts(b2: Path, tmp_path: Path, mcd_command: Command) -> None:
    (tmp_path / "words.txt").write_text("mass\n\ncalcification\n")
    out = tmp_path / "vectors.safetensors"
    done = mcd_command(
        "embed", *flags(b2), "--text", "no mass", "--texts", tmp_path / "words.txt", "-o", out, **OFFLINE
    )
    assert done.code == 0, done.err
    assert "images: 8 vectors of 32 numbers" in done.out
    with safetensors.safe_open(out, framework="pt") as file:
        images, texts, about = file.get_tensor("images"), file.get_tensor("texts"), json.loads(file.metadata()["mcd"])
    torch.testing.assert_close(images.norm(dim=1), torch.ones(8))
    assert about["texts"] == ["no mass", "mass", "calcification"]
    with (out.parent / "private" / f"{out.stem}.probe_map.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == about["image_ids"]
    assert [path.name for path in tmp_path.glob(".*")] == [".mcd-written"]
    dissector = MammoClip(MammoClip.Options(checkpoint=b2, preprocessing=SMALL))
    dissector.load()
    with torch.inference_mode():
        ours = torch.nn.functional.normalize(dissector.encode_texts(["mass"]), dim=1)[0]
    torch.testing.assert_close(texts[1], ours, atol=1e-5, rtol=1e-5)


def test_zero_shot_scores_each_image_by_each_pair(b2: Path, tmp_path: Path, mcd_command: Command) -> None:
    out = tmp_path / "scores.csv"
    done = mcd_command(
        "zero-shot",
        *flags(b2, "phantom:5"),
        "--pair",
        "no mass",
        "mass",
        "--pair",
        "no implant",
        "implant",
        "--finding",
        "*mass",
        "--finding",
        "breast implant",
        "-o",
        out,
        **OFFLINE,
    )
    assert done.code == 0, done.err
    assert "AUROC" in done.out
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    for row in rows:
        low, high = float(row["cosine_negative"]), float(row["cosine_positive"])
        assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(low - high)), abs=1e-6)
    wrong = mcd_command("zero-shot", *flags(b2), "--pair", "a", "b", "--finding", "mas", "-o", out, **OFFLINE)
    assert wrong.code == 4
    assert "no image of the data set has the finding 'mas'" in wrong.err


def test_what_is_missing_or_misplaced_is_said_at_once(b2: Path, tmp_path: Path, mcd_command: Command) -> None:
    def refused(*words: object) -> str:
        done = mcd_command(*words, cwd=tmp_path, **OFFLINE)
        assert done.code == 2, done
        assert "Traceback" not in done.err
        return done.err

    assert "nothing to embed" in refused("embed", "--dissector", f"mammo-clip:{b2}", "-o", "v.safetensors")
    assert "does not end in .safetensors" in refused("embed", *flags(b2), "-o", "v.npy")
    assert "no dissector given" in refused("embed", "--text", "x", "-o", "v.safetensors")
    assert "1 findings for 2 pairs" in refused(
        "zero-shot", *flags(b2), "--pair", "a", "b", "--pair", "c", "d", "--finding", "mass"
    )
    assert "no preprocessing named 'mamo-clip'" in refused("preprocess", ".", "out", "--recipe", "mamo-clip")
    wrong = refused(
        "embed",
        "--dissector",
        f"mammo-clip:{b2}",
        "--dissector-arg",
        'preprocessing={"crp":false}',
        "--text",
        "x",
        "-o",
        "v.safetensors",
    )
    assert "unknown setting 'crp'" in wrong
    assert "crop" in wrong


@pytest.fixture
def dicoms(tmp_path: Path) -> Path:
    """Four mammograms made of a real DICOM file's header and drawn pixels; one of them a negative, one broken."""
    folder = tmp_path / "dicoms"
    (folder / "sub").mkdir(parents=True)
    y, x = np.mgrid[0:300, 0:200]
    for number in range(3):
        file = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
        inside = ((y - 150) / 120) ** 2 + (x / (90 + 20 * number)) ** 2 < 1
        pixels = np.where(inside, 2000 + 5 * y, 10 + x % 7).astype(np.uint16)
        file.Rows, file.Columns, file.BitsStored, file.HighBit, file.PixelRepresentation = 300, 200, 12, 11, 0
        file.PhotometricInterpretation = "MONOCHROME1" if number == 1 else "MONOCHROME2"
        file.WindowCenter, file.WindowWidth = 50, 10  # a window that would hide everything
        file.PixelData = (4095 - pixels if number == 1 else pixels).tobytes()
        file.save_as(folder / ("sub" if number else ".") / f"{number}.dcm")
    return folder


def test_preprocess_writes_the_published_pngs_once(dicoms: Path, tmp_path: Path, mcd_command: Command) -> None:
    out = tmp_path / "pngs"
    done = mcd_command("preprocess", dicoms, out, "--recipe", "mammo-clip")
    assert done.code == 0, done.err
    assert f"{out}: 3 written" in done.out.replace("\n", "")
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert names == ["0.png", "sub/1.png", "sub/2.png"]
    for path in out.rglob("*.png"):
        with PIL.Image.open(path) as picture:
            assert (picture.mode, picture.size) == ("L", (912, 1520))
            pixels = np.asarray(picture)
        assert pixels[760, 100] > 150, f"{path}: the breast is bright, negative or not, whatever the window"
        assert pixels[20, 900] < 40
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    (out / "0.png").unlink()
    (dicoms / "sub" / "bad.dcm").write_bytes(b"DICM")
    again = mcd_command("preprocess", dicoms, out, "--recipe", "mammo-clip", "--on-error", "skip", "--workers", 0)
    assert "1 written, 2 were there, 1 left out" in " ".join(again.out.split())
    assert "bad.dcm: it is not a DICOM file" in " ".join(again.out.split())
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path.name != "0.png")
    changed = mcd_command(
        "preprocess", dicoms, out, "--recipe", "mammo-clip", "--on-error", "skip", "--recipe-arg", "crop=false"
    )
    assert "3 written, 1 left out" in " ".join(changed.out.split())


def test_preprocess_overwrites_nothing_that_is_not_its_own(dicoms: Path, tmp_path: Path, mcd_command: Command) -> None:
    out = tmp_path / "pngs"
    out.mkdir()
    PIL.Image.new("L", (9, 9)).save(out / "0.png")
    done = mcd_command("preprocess", dicoms, out, "--recipe", "mammo-clip")
    assert done.code == 2
    assert "is in the way: mcd did not write it" in done.err
    inside = mcd_command("preprocess", dicoms, dicoms / "out", "--recipe", "mammo-clip")
    assert inside.code == 2
    assert "lies in DIR" in inside.err
    refused = mcd_command("preprocess", tmp_path / "nowhere", out, "--recipe", "mammo-clip")
    assert refused.code == 4
    by_id = mcd_command("preprocess", dicoms, tmp_path / "ids", "--recipe", "mammo-clip", "--names", "id")
    assert by_id.code == 0
    assert all(len(path.stem) == 16 for path in (tmp_path / "ids").iterdir())


@pytest.mark.slow
def test_a_run_on_dicoms_and_one_on_their_pngs_show_the_model_the_same(
    dicoms: Path, tmp_path: Path, b2: Path, mcd_command: Command
) -> None:
    size = {"height": 380, "width": 228}
    sized = ("--recipe-arg", "height=380", "--recipe-arg", "width=228")
    assert mcd_command("preprocess", dicoms, tmp_path / "pngs", "--recipe", "mammo-clip", *sized).code == 0
    found = []
    for name in (f"dicom:{dicoms}", f"images:{tmp_path / 'pngs'}"):
        out = tmp_path / f"{name[:5]}.safetensors"
        model = ("--dissector", f"mammo-clip:{b2}", "--dissector-arg", f"preprocessing={json.dumps(size)}")
        done = mcd_command("embed", *model, "--dataset", name, "-o", out, **OFFLINE)
        assert done.code == 0, done.err
        with safetensors.safe_open(out, framework="pt") as file:
            found.append(file.get_tensor("images"))
    assert torch.equal(*found)


@pytest.mark.parametrize(("name", "models"), [("corrected", 6), ("published-m-c", 5), ("published-g", 1)])
def test_the_papers_studies_name_only_what_exists(name: str, models: int, mcd_command: Command, tmp_path: Path) -> None:
    study = ROOT / "examples" / "paper" / f"{name}.yaml"
    text = study.read_text(encoding="utf-8")
    (tmp_path / study.name).write_text(text, encoding="utf-8")
    (tmp_path / "pngs").mkdir()
    for file in re.findall(
        r"[\w.-]+\.(?:tar|pth|txt|yaml|bin|safetensors)", text
    ):  # what its README tells to put beside it
        (tmp_path / file).touch()
    done = mcd_command("run", tmp_path / study.name, "--dry-run")
    assert done.code == 0, done.err
    resolved = yaml.safe_load(done.out)
    assert len(resolved["models"]) == models
    assert resolved["dissectors"][0]["plugin"] == ("mammo-clip-random-heads" if name == "published-g" else "mammo-clip")
    readme = (study.parent / "README.md").read_text(encoding="utf-8")
    for choice in [*resolved["dissectors"], *resolved["models"]]:
        for setting in ("checkpoint", "text"):
            if setting in choice["options"]:
                assert f"`{Path(choice['options'][setting]).name}`" in readme
