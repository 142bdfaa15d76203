"""The command line: what people type, what they see, and what happens when they get it wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import mcd
from mcd.scoring.verdicts import SIGNIFICANT

ROOT = Path(__file__).resolve().parents[2]
MODEL = ("--model-plugin", "phantom-mammo", "--layers", "stages.*")
REST = ("--dissector", "phantom-clip", "--concepts", "phantom")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(30):
        Image.fromarray(rng.integers(0, 255, (40, 30), dtype=np.uint8)).save(folder / f"Jane_Doe_{number:02d}.png")
    return folder


@pytest.fixture
def demo(mcd_command: Callable, tmp_path: Path) -> tuple[Path, str]:
    """The folder that ``mcd demo`` writes, and what it prints."""
    if "MCD_DEMO" in os.environ:  # .ci/run has run it
        folder = Path(os.environ["MCD_DEMO"])
        return folder / "mcd-demo", (folder / "demo.txt").read_text(encoding="utf-8")
    done = mcd_command("demo", cwd=tmp_path)
    assert done.code == 0, done.err
    return tmp_path / "mcd-demo", done.out


@pytest.mark.slow
def test_the_demo_answers_the_three_questions(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    assert max(map(len, printed.splitlines())) <= 80
    general, mammo, calc = (mcd.load(folder / name) for name in ("phantom-general", "phantom-mammo", "phantom-calc"))
    assert mammo.layers == ["stages.0", "stages.1", "stages.2", "stages.3", "head"]
    # the outputs of the classifier are named after what they were trained to find
    best = mammo.labels[(mammo.labels["layer"] == "head") & (mammo.labels["rank"] <= 3)]
    named = best.groupby("neuron")["concept"].agg(list)
    assert "breast implant" in named[8]
    assert "skin thickening" in named[6]
    # benchmarks/calibration.md says why it is not among the first three of the output for it
    ninth = mammo.labels.query("layer == 'head' and neuron == 9 and q <= 0.05")["concept"]
    assert "biopsy clip" in set(ninth)

    # the story: everyday pictures teach what any picture has, training on mammograms what breasts are made of and some
    # findings, training on for calcifications these at the cost of others
    kinds = [first_labels(one)["broad_category"].value_counts() for one in (general, mammo)]
    assert kinds[0]["Acquisition and quality"] > 1.4 * kinds[1]["Acquisition and quality"]
    assert kinds[1]["Anatomy and composition"] > 2 * kinds[0]["Anatomy and composition"]
    calcium = [first_labels(one)["category"].str.startswith("Calcification").sum() for one in (general, mammo)]
    assert calcium[1] > 5 * calcium[0]
    for category, grows in (("Calcification morphology", True), ("Density", False)):
        before, after = (first_labels(one)["category"].eq(category).sum() for one in (mammo, calc))
        assert (after > 1.5 * before) if grows else (before > 1.5 * after)
    for said in (
        "1. What does training",
        "Acquisition and quality: -",
        "Anatomy and composition: +",
        "Calcification morphology",
        "3. Which concepts",
        "phantom-general: ",
    ):
        assert said in printed
    assert (folder / "report" / "explorer.html").stat().st_size > 100_000


@pytest.mark.slow
def test_a_demo_too_small_for_intervals_gives_differences_without(mcd_command: Callable, tmp_path: Path) -> None:
    done = mcd_command("demo", "--patients", 25, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "points of all neurons" in done.out
    assert "nan" not in done.out


def first_labels(run: mcd.Dissection) -> pd.DataFrame:
    return run.labels[(run.labels["rank"] == 1) & run.labels["verdict"].isin(SIGNIFICANT)]


def test_layers_are_listed_with_type_and_neurons(mcd_command: Callable) -> None:
    done = mcd_command("layers", "--model-plugin", "timm:resnet18", "--layers", "layer{1..4}[1].conv2", "--json")
    assert [(one["name"], one["type"], one["neurons"]) for one in json.loads(done.out)] == [
        (f"layer{stage}.1.conv2", "Conv2d", 2 ** (5 + stage)) for stage in (1, 2, 3, 4)
    ]
    table = mcd_command("layers", "--model-plugin", "timm:vit_tiny_patch16_224", "--layers", "blocks[0]")
    assert "tokens" in table.out
    assert "192" in table.out


def test_versions_name_what_decides_numbers(mcd_command: Callable) -> None:
    out = mcd_command("--version").out
    assert all(name in out for name in ("mcd ", "python ", "torch ", "timm ", "transformers ", "pydicom "))


def test_a_study_file_is_a_run_and_flags_overrule_it(mcd_command: Callable, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "data" / "pictures")
    (tmp_path / "data" / "study.yaml").write_text(
        "schema: mcd.study/1\n"
        "models: {plugin: phantom-mammo, layers: ['stages.*']}\n"
        "dissectors: phantom-clip\n"
        "dataset: images:pictures\n"  # from the study file, not from where mcd runs
        "concepts: phantom\n"
        "scorer: {plugin: soft-wpmi, options: {top_k: 10}}\n"
    )
    planned = mcd_command("run", "data/study.yaml", "--dry-run", cwd=tmp_path)
    assert planned.code == 0, planned.err
    plan = yaml.safe_load(planned.out)
    assert plan["scorer"]["options"]["temperature"] == 10.0  # defaults are spelled out
    assert not (tmp_path / "runs").exists()
    done = mcd_command("run", "data/study.yaml", "--scorer-arg", "top_k=5", "--labels", "2", cwd=tmp_path)
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "runs" / "study")
    assert found.manifest.study["labels_per_neuron"] == 2
    assert found.manifest.study["scorer"]["options"]["top_k"] == 5


def test_several_models_are_dissected_in_one_pass(mcd_command: Callable, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        "models:\n"
        "  - {plugin: phantom-mammo, layers: head}\n"
        "  - {plugin: phantom-clip, name: tower, layers: 'stages.*'}\n"
        "dissectors: phantom-clip\n"
        "dataset: {plugin: phantom, options: {patients: 25}}\n"
        "concepts: phantom\n"
    )
    done = mcd_command("run", "study.yaml", "-o", "both", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.err.count("sweep: 100 in") == 1
    one, two = mcd.load(tmp_path / "both" / "phantom-mammo"), mcd.load(tmp_path / "both" / "tower")
    assert one.image_ids == two.image_ids
    assert two.layers == [f"stages.{number}" for number in range(4)]


def test_the_published_schema_is_the_study(mcd_command: Callable) -> None:
    import jsonschema

    published = (ROOT / "docs" / "reference" / "study.schema.json").read_text()
    assert mcd_command("run", "--schema").out == published
    readme = (ROOT / "README.md").read_text()
    example = readme.split("```yaml\n")[1].split("```")[0]
    jsonschema.validate(yaml.safe_load(example), json.loads(published))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**yaml.safe_load(example), "modles": []}, json.loads(published))


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (4, "dissektors: phantom-clip", "study.yaml:4: unknown setting 'dissektors': did you mean 'dissectors'"),
        (4, "batch_size: many", "study.yaml:4: setting 'batch_size'"),
        (4, "scorer: [", "study.yaml:"),
        (4, "scorer: {plugin: wpmi, optoins: {}}", "did you mean 'options'"),
    ],
)
def test_a_wrong_study_file_is_told_with_its_line(
    line: int,
    text: str,
    message: str,
    mcd_command: Callable,
    tmp_path: Path,
) -> None:
    (tmp_path / "study.yaml").write_text(f"models: phantom-mammo\ndataset: phantom\ndissectors: phantom-clip\n{text}\n")
    done = mcd_command("run", "study.yaml", cwd=tmp_path)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("disect",), 2, "did you mean 'dissect'"),
        (("dissect",), 2, "no model given"),
        (("dissect", *MODEL, "--dissector", "phantom-clip"), 2, "no dataset given"),
        (("dissect", "--model-plugin", "tim:x", "--dataset", "phantom", *REST), 2, "did you mean 'timm'"),
        (
            ("dissect", *MODEL, "--dataset", "phantom", "--dissector", "phantom-clip", "--concepts", "birad"),
            2,
            "did you mean 'birads'",
        ),
        (("dissect", *MODEL[:2], "--layers", "stage.*", "--dataset", "phantom", *REST), 2, "no layer matches"),
        (
            ("dissect", *MODEL, "--dataset", "phantom", "--dataset-arg", "patience=3", *REST),
            2,
            "did you mean 'patients'",
        ),
        (("dissect", *MODEL, "--dataset", "phantom", "--dataset-arg", "patients=many", *REST), 2, "patients"),
        (("dissect", *MODEL, "--dataset", "phantom", "--dataset-arg", "patients", *REST), 2, "is not key=value"),
        (
            ("dissect", *MODEL, "--dataset", "images:nowhere", *REST),
            4,
            "there is no file or folder nowhere, which is path of dataset 'images'",
        ),
        (("dissect", *MODEL, "--dataset", "phantom", "--dataset-arg", "patients=1", *REST), 4, "top_k"),
        (
            (
                "dissect",
                "--model",
                "timm:resnet18",
                "--model-arg",
                "checkpoint=none.pth",
                "--layers",
                "layer1",
                "--dataset",
                "phantom",
                *REST,
            ),
            4,
            "there is no file or folder none.pth, which is checkpoint of model 'timm'",
        ),
        (
            ("dissect", "--model", "timm:resnet181", "--layers", "layer1", "--dataset", "phantom", *REST),
            2,
            "did you mean 'resnet18",
        ),
        (("layers", "--model-plugin", "module:nofile.py:make"), 2, "there is no file nofile.py"),
        (("score", "nowhere"), 4, "is not a run folder"),
        (("run", "nothing.yaml"), 2, "nothing.yaml"),
        (("--plugin-file", "no.py", "plugins", "list"), 3, "no.py"),
        (("dissect", *MODEL, "--dataset", "phantom", *REST, "--reporter", "csv:publisht"), 2, "published"),
        (("dissect", *MODEL, "--dataset", "phantom", *REST, "--output", "/proc/mcd"), 4, "/proc/mcd"),
    ],
)
def test_mistakes_get_one_clear_message_and_a_documented_exit_code(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    mcd_command: Callable,
    tmp_path: Path,
) -> None:
    done = mcd_command(*arguments, cwd=tmp_path)
    assert (done.code, message in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())  # no empty folder of a run that was refused


def test_debug_shows_the_traceback_wherever_it_is_written(mcd_command: Callable, tmp_path: Path) -> None:
    for arguments in (("score", "nowhere", "--debug"), ("--debug", "score", "nowhere")):
        done = mcd_command(*arguments, cwd=tmp_path)
        assert done.code == 4
        assert "Traceback" in done.err
        assert "error: nowhere is not a run folder" in done.err


def test_broken_images_are_refused_by_default_and_skipped_when_asked(
    mcd_command: Callable,
    pictures: Path,
    tmp_path: Path,
) -> None:
    shutil.copytree(pictures, tmp_path / "images")
    (tmp_path / "images" / "empty.png").write_bytes(b"")
    (tmp_path / "images" / "note.png").write_text("not an image")
    whole = (tmp_path / "images" / "Jane_Doe_00.png").read_bytes()
    (tmp_path / "images" / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (40, 30), 9).save(tmp_path / "images" / "blank.png")
    run = ("dissect", *MODEL, "--dataset", "images:images", *REST, "--scorer-arg", "top_k=10", "-o", "run")
    refused = mcd_command(*run, cwd=tmp_path)
    assert refused.code == 4
    assert all(
        name in refused.err for name in ("3 of 34 images", "empty.png: the file is empty", "note.png", "cut.png")
    )
    assert "--on-error skip" in refused.err
    for name in ("empty.png", "note.png", "cut.png"):
        (tmp_path / name).write_bytes((tmp_path / "images" / name).read_bytes())
        (tmp_path / "images" / name).unlink()
    blank = mcd_command(*run[:-1], "run2", cwd=tmp_path)  # only decoding can tell, and then what is computed is kept
    assert blank.code == 4
    assert "blank.png: it is blank: every pixel is 9" in blank.err
    for name in ("empty.png", "note.png", "cut.png"):
        (tmp_path / name).rename(tmp_path / "images" / name)
    done = mcd_command(*run[:-1], "run3", "--on-error", "skip", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "30 images (3 unreadable, 1 not decoded)" in " ".join(done.out.split())
    found = mcd.load(tmp_path / "run3")
    assert found.manifest.left_out == {"unreadable": 3, "not decoded": 1}
    left_out = {Path(entry["source"]).name: entry["left_out"] for entry in found.probe_map if entry["left_out"]}
    assert left_out["blank.png"] == "it is blank: every pixel is 9"
    assert len(left_out) == 4
    assert "Jane" not in (tmp_path / "run3" / "labels.csv").read_text()


def test_a_local_plugin_file_is_a_plugin(mcd_command: Callable, tmp_path: Path) -> None:
    done = mcd_command(
        "dissect",
        *MODEL,
        "--dataset",
        "phantom",
        "--dataset-arg",
        "patients=2",
        *REST,
        "--scorer",
        "centred-cosine",
        "--plugin-file",
        ROOT / "examples" / "custom_scorer.py",
        "-o",
        "run",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run")
    assert found.manifest.scorer == "centred-cosine"
    best = found.labels[found.labels["rank"] == 1].iloc[0]
    similarity = found.activations(best["layer"])[:, int(best["neuron"])]
    assert -1 <= best["score"] <= 1
    assert similarity.shape == (8,)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("plugins", "list"), ("dissect", "--help")])
def test_looking_around_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    heavy = [
        "torch",
        "torchvision",
        "timm",
        "open_clip",
        "transformers",
        "pydicom",
        "numpy",
        "pandas",
        "pydantic",
        "rich",
        "yaml",
    ]
    if arguments[0] == "dissect":
        heavy.remove("pydantic")  # its flags are made from Study
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {heavy!r}: raise AssertionError('imported ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from mcd.cli import main\n"
        f"main({list(arguments)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_mistyped_pooling_is_told_by_its_flag_and_nothing_else(mcd_command: Callable, tmp_path: Path) -> None:
    done = mcd_command("dissect", *MODEL, *REST, "--dataset", "phantom", "--pooling", "avgg", cwd=tmp_path)
    assert done.code == 2
    assert done.err.splitlines()[0] == "error: --pooling avgg: there is no such pooling"
    assert "did you mean 'avg'? There is: avg, cls, gem, masked-avg" in done.err
    assert "Tuple" not in done.err
    number = mcd_command("dissect", *MODEL, *REST, "--dataset", "phantom", "--pooling", "cls:3", cwd=tmp_path)
    said = "error: --pooling cls:3: pooling cls takes no number, but got '3'\n"
    assert number.err == f"{said}  hint: see the poolings with: mcd dissect --help\n"


def test_an_output_that_is_a_file_is_refused_before_the_model_is_loaded(mcd_command: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for output in ("file", "file/below"):
        done = mcd_command("dissect", *MODEL, *REST, "--dataset", "images:nowhere", "-o", output, cwd=tmp_path)
        assert (done.code, done.err) == (2, "error: file is a file\n  hint: choose another --output\n")
