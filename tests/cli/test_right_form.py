"""A file or folder in the place of a name, and a folder of runs in that of a run: the message says what to type."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Outcome
from tests.plugins.cohorts import (
    cbis_tables,
    cesm_tables,
    cmmd_tables,
    csaw_tables,
    dmid_tables,
    embed_tables,
    inbreast_tables,
    mias_tables,
    rsna_tables,
    vindr_tables,
)

import mcd
from mcd.errors import StoreError

Command = Callable[..., Outcome]
MODEL = "--model phantom-mammo --layers head"
REST = "--dissector phantom-clip --dataset phantom:2"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what people have: images, weights, tables, code, runs."""
    folder: Path = tmp_path_factory.mktemp("made")
    files = ("FILE.pth", "b5-model-best-epoch-7.tar", "medclip-vit/pytorch_model.bin", "table.csv", "list.txt")
    for name in ("pngs/a.png", "dicoms/1.dcm", "numbered/0001", *files):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "scorer.py").write_text("def by_mean(A, P):\n    return (A.T @ P) / len(A)\n")
    mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="phantom-clip",
        dataset="phantom:2",
        concepts="phantom",
        calibration={"draws": 0},
        device="cpu",
        workers=0,
        progress=False,
        output=folder / "runs" / "a",
        scorer={"plugin": "cosine", "options": {}},
    )
    return folder


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (f"dissect {MODEL} --dissector phantom-clip --dataset pngs", "--dataset images:pngs"),
        (f"dissect {MODEL} --dissector phantom-clip --dataset dicoms", "--dataset dicom:dicoms"),
        (f"dissect {MODEL} --dissector phantom-clip --dataset numbered", "--dataset dicom:numbered"),
        (f"dissect {MODEL} --dissector phantom-clip --dataset table.csv", "--dataset csv:table.csv"),
        (f"dissect {MODEL} --dissector phantom-clip --dataset pngs/a.png", "--dataset images:pngs"),
        (f"layers {MODEL} --check --dataset pngs", "--dataset images:pngs"),
        ("embed --dissector phantom-clip --dataset pngs -o x.safetensors", "--dataset images:pngs"),
        (f"dissect --model FILE.pth --layers x {REST}", "--model-plugin timm:NAME --model-arg checkpoint=FILE.pth"),
        (f"dissect --model missing.safetensors --layers x {REST}", "checkpoint=missing.safetensors"),
        (
            f"dissect --model b5-model-best-epoch-7.tar --layers x {REST}",
            "--model-plugin mammo-clip:b5-model-best-epoch-7.tar",
        ),
        (f"dissect --model medclip-vit --layers x {REST}", "--model-plugin medclip:medclip-vit"),
        (
            "embed --dissector medclip-vit/pytorch_model.bin --text mass -o x.safetensors",
            "--dissector medclip:medclip-vit",
        ),
        (f"dissect {MODEL} --dissector phantom-clip --dataset list.txt", "--dataset imagenet-subset:list.txt"),
        ("layers --model scorer.py", "--model-plugin module:scorer.py:by_mean"),
        (f"dissect {MODEL} --dissector x.tar --dataset phantom:2", "--dissector mammo-clip:x.tar"),
        (f"dissect {MODEL} {REST} --scorer scorer.py", "--scorer scorer.py:by_mean"),
        ("score runs/a --scorer scorer.py", "--scorer scorer.py:by_mean"),
        (f"dissect {MODEL} {REST} --recipe recipe.yaml", "--recipe dicom-standard --recipe-arg KEY=VALUE"),
        ("report runs/a --reporter page.html", "--reporter html"),
        ("report runs", "mcd report runs/a"),
        ("figures runs -o x", "mcd figures runs/a -o x"),
        ("figures runs/a/labels.csv -o x", "mcd figures runs/a -o x"),
        ("score runs --scorer cosine", "mcd score runs/a --scorer cosine"),
        ("evaluate runs/a/labels.csv --draws 0", "mcd evaluate runs/a --draws 0"),
        ("runs verify runs/a/manifest.json", "mcd runs verify runs/a"),
        ("run runs/a", "mcd score runs/a"),
    ],
)
def test_the_right_form_is_said(line: str, hint: str, made: Path, mcd_command: Command) -> None:
    done = mcd_command(*line.split(), cwd=made)
    assert done.code in (2, 4), done.err
    message, _, shown = done.err.partition("\n  hint: ")
    assert message.startswith("error: ")
    assert "\n" not in message
    assert hint in shown


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"dissect {MODEL} {REST} --scorer scorer.py --dry-run", 0),
        ("runs verify runs", 0),
        ("score runs/a/labels.csv --scorer cosine-cubed --draws 0", 0),
    ],
)
def test_the_hint_works_when_it_is_typed(line: str, code: int, made: Path, mcd_command: Command) -> None:
    shown = mcd_command(*line.split(), cwd=made).err.partition("hint: ")[2].splitlines()[0]
    if shown.startswith("--"):
        flag = shown.split()[0]
        at = line.split().index(flag)
        words = [*line.split()[:at], *shlex.split(shown), *line.split()[at + 2 :]]
    else:
        words = shlex.split(shown)[1:]
    done = mcd_command(*words, cwd=made)
    assert done.code == code, done.err


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("cbis-ddsm", cbis_tables.released),
        ("cdd-cesm", cesm_tables.released),
        ("cmmd", cmmd_tables.released),
        ("csaw-cc", csaw_tables.released),
        ("dmid", dmid_tables.released),
        ("embed", embed_tables.released),
        ("inbreast", inbreast_tables.released),
        ("mias", mias_tables.released),
        ("rsna-bcd", rsna_tables.released),
        ("vindr-mammo", vindr_tables.released),
        ("vindr-png", vindr_tables.released_as_png),
    ],
)
@pytest.mark.parametrize("given", [".", "public", "public/2026"])
def test_a_public_data_set_is_known_by_its_files(
    name: str, write: Callable[[Path], Path], given: str, tmp_path: Path, mcd_command: Command
) -> None:
    write(tmp_path / "public" / "2026")
    done = mcd_command("embed", "--dissector", "phantom-clip", "--dataset", given, "-o", "x.safetensors", cwd=tmp_path)
    assert done.err.partition("hint: ")[2] == f"--dataset {name}:public/2026\n"


def test_a_file_deep_in_a_release_names_the_folder_of_the_release(tmp_path: Path, mcd_command: Command) -> None:
    folder = embed_tables.released(tmp_path / "data set") / "tables"
    line = f"embed --dissector phantom-clip -o x.safetensors --dataset {embed_tables.CLINICAL}"
    assert mcd_command(*line.split(), cwd=folder).err.endswith("hint: --dataset embed:..\n")


def test_tables_are_seen_before_the_many_images_of_a_release(tmp_path: Path, mcd_command: Command) -> None:
    (tmp_path / "a" / "images" / "1").mkdir(parents=True)
    for number in range(1001):
        (tmp_path / "a" / "images" / "1" / f"{number}.dcm").touch()
    (tmp_path / "a" / "tables").mkdir()
    (tmp_path / "a" / "tables" / embed_tables.CLINICAL).touch()
    done = mcd_command("embed", "--dissector", "phantom-clip", "--dataset", "a", "-o", "x.safetensors", cwd=tmp_path)
    assert "--dataset embed:a\n" in done.err


PLUGIN = """\
import mcd


@mcd.hookimpl
def mcd_register_datasets():
    return [mcd.Component("acme-arrays", "acme:Arrays", files=("*/*.NPY", "*.npz"))]


@mcd.hookimpl
def mcd_register_models():
    return [
        mcd.Component("acme-net", "acme:Net", "A network of ACME", files=("weights=*.onnx",)),
        mcd.Component("acme-other", "acme:Net", files=("*.onnx", "weights=*-tiny.onnx")),
    ]


class Arrays(mcd.Dataset):
    pass


class Net(mcd.ModelLoader):
    class Options(mcd.Options):
        variant: str
        weights: str = ""
"""


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (f"dissect {MODEL} --dissector phantom-clip --dataset mixed", "--dataset acme-arrays:mixed\n"),
        (f"dissect {MODEL} --dissector phantom-clip --dataset mixed/one.npy", "--dataset acme-arrays:mixed\n"),
        (f"dissect {MODEL} --dissector phantom-clip --dataset 'my x.npz'", "--dataset acme-arrays:'my x.npz'\n"),
        (
            "layers --model x.onnx",
            "A network of ACME: --model-plugin acme-net:VARIANT --model-arg weights=x.onnx\n"
            "        acme/acme-other: --model-plugin acme-other:x.onnx\n",
        ),
        ("layers --model x-tiny.onnx", "--model-plugin acme-other:VARIANT --model-arg weights=x-tiny.onnx\n"),
    ],
)
def test_a_plugin_says_itself_which_files_are_its_own(
    line: str, hint: str, tmp_path: Path, mcd_command: Command
) -> None:
    (tmp_path / "acme.py").write_text(PLUGIN)
    for name in ("mixed/deep/one.npy", "mixed/two.npy", "mixed/photo.png", "mixed/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    done = mcd_command(*shlex.split(line), "--plugin-file", "acme.py", cwd=tmp_path)
    assert done.err.partition("hint: ")[2] == hint


def test_several_runs_are_named_and_reported_side_by_side(tmp_path: Path, mcd_command: Command) -> None:
    for name in ("a", "my run"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "manifest.json").write_text(json.dumps({}))
    done = mcd_command("report", "runs", cwd=tmp_path)
    assert done.err == (
        "error: runs is not a run folder, but holds 2 runs\n  hint: mcd report runs/a 'runs/my run' -o runs/report\n"
    )
    assert "mcd compare runs/a 'runs/my run'" in mcd_command("compare", "runs", cwd=tmp_path).err


def test_python_names_the_runs_too(made: Path) -> None:
    with pytest.raises(StoreError, match="holds 1 run") as caught:
        mcd.load(made / "runs")
    assert str(made / "runs" / "a") in str(caught.value.hint)
    with pytest.raises(StoreError, match="is in the run folder"):
        mcd.load(made / "runs" / "a" / "manifest.json")
