"""Every command that writes: nothing of somebody else's is replaced, and a name that is too long is said at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.conftest import Outcome
from tests.plugins.dictionary.saved_files import SAVED, write_saved

import mcd
from mcd.cli import _COMMANDS

SMALL = ("--model-plugin", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip", "--dataset", "phantom:3")
FEW = ("--scorer-arg", "top_k=3", "--draws", 20, "--most-draws", 20)
STUDY = """
models: [{plugin: phantom-mammo, layers: head}, {plugin: phantom-general, layers: head}]
dissectors: phantom-clip
dataset: phantom:3
concepts: phantom
"""

WRITES = {
    "bench": (("bench", "--size", "toy", "-o", "OUT"), "bench.csv"),
    "cav": (
        (*("cav", *SMALL[:4], *SMALL[6:], "--concepts", "mass", "--classes", "0", "--sets", "19"), "-o", "OUT"),
        "cav.csv",
    ),
    "compare": (("compare", "RUN", "SCORED", "--bootstrap", "0", "-o", "OUT"), "notes.txt"),
    "concepts": (("concepts", "import", "WORDS", "-o", "OUT/words.yaml"), "words.yaml"),
    "data": (("data", "check", "IMAGES", "--dataset", "images", "--workers", "0", "--json", "OUT/x.json"), "x.json"),
    "demo": (("demo", "-o", "OUT"), "notes.txt"),
    "dissect": (("dissect", *SMALL, "-o", "OUT"), "labels.csv"),
    "dictionary import": (("dictionary", "import", "SAE", "-o", "OUT/sae.safetensors"), "sae.safetensors"),
    "embed": (("embed", "--dissector", "phantom-clip", "--text", "mass", "-o", "OUT/v.safetensors"), "v.safetensors"),
    "evaluate": (("evaluate", "RUN", "--draws", "0", "-o", "OUT"), "summary.csv"),
    "figures": (("figures", "RUN", "--only", "depth", "--bootstrap", "0", "-o", "OUT"), "depth.png"),
    "paper": (("paper", "PAPER", "-o", "OUT"), "paper.md"),
    "finetune": (
        ("finetune", "--model", "phantom-mammo", "--dataset", "phantom:3", "--task", "mass", "-o", "OUT"),
        "notes.txt",
    ),
    "dictionary": (
        (
            *("dictionary", "train", "--model", "phantom-mammo", "--dataset", "phantom:3"),
            *("--layers", "head", "-o", "OUT/sae.safetensors"),
        ),
        "sae.safetensors",
    ),
    "import": (("import", "LABELS", "--layer", "head", "-o", "OUT"), "labels.csv"),
    "merge": (("merge", "PART", "-o", "OUT"), "labels.csv"),
    "phantoms": (("phantoms", "OUT", "--patients", "1"), "labels.csv"),
    "preprocess": (("preprocess", "IMAGES", "OUT", "--dataset", "images", "--recipe", "mammo-clip"), "a.png"),
    "reproduce": (("reproduce", "--only", "mammo-clip-dissect/blocks", "-o", "OUT"), "reproduced.md"),
    "report": (("report", "RUN", "--reporter", "json", "-o", "OUT"), "labels.json"),
    "run": (("run", "STUDY", "-o", "OUT"), "notes.txt"),
    "score": (("score", "RUN", "-o", "OUT"), "labels.csv"),
    "zero-shot": (
        ("zero-shot", "--dissector", "phantom-clip", "--dataset", "phantom:1", "--pair", "a", "b", "-o", "OUT/z.csv"),
        "z.csv",
    ),
}
"""Commands, and a file that they would write, or must not be among."""

WRITE_NOTHING = {"completion", "install", "layers", "plugins", "runs", "store", "uninstall"}
"""They print or call pip; ``plugins new`` refuses a folder that is not empty, ``store`` removes what is the store's."""


def test_every_command_is_tried_or_writes_nothing() -> None:
    assert {*(name.partition(" ")[0] for name in WRITES), *WRITE_NOTHING} == {
        *_COMMANDS,
        *("bench", "cav", "demo", "dictionary", "finetune", "paper", "phantoms", "reproduce"),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., Outcome]) -> dict[str, Path]:
    """Return what commands read: a run, a part of one, the run scored anew, a study, words, images."""
    folder = tmp_path_factory.mktemp("made")
    scorer = {"plugin": "soft-wpmi", "options": {"top_k": 3}}
    run = mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="phantom-clip",
        dataset="phantom:3",
        concepts="phantom",
        scorer=scorer,
        calibration={"draws": 20, "most_draws": 20},
        device="cpu",
        workers=0,
        output=folder / "run",
        progress=False,
    )
    part = folder / "part"
    done = mcd_command("dissect", *SMALL, "--device", "cpu", "--workers", 0, *FEW, "--part", "1/1", "-o", part)
    assert done.code == 0, done.err
    scored = mcd.score(run, scorer="cosine", device="cpu", progress=False)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "words.txt").write_text("mass\ncyst\n")
    (folder / "others.csv").write_text("unit,description\n0,mass\n")
    (folder / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 48), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(folder / "images" / "a.png")
    papers = folder / "paper"
    papers.mkdir()
    for name in ("b5-model-best-epoch-7.tar", "vocab.txt", "vindr_detection_v1_folds.csv"):
        (papers / name).write_text("refused before it is read")
    files = {
        "PAPER": papers,
        "STUDY": folder / "study.yaml",
        "WORDS": folder / "words.txt",
        "IMAGES": folder / "images",
        "LABELS": folder / "others.csv",
        "SAE": write_saved(folder, SAVED["Mammo-SAE"].tensors),
    }
    return {"RUN": run.folder, "PART": part, "SCORED": scored.folder, **files}


def filled(arguments: tuple[str, ...], made: dict[str, Path], output: Path) -> list[str]:
    """Return arguments with the paths that their words stand for."""
    return [str(made[one]) if one in made else one.replace("OUT", str(output), 1) for one in arguments]


@pytest.mark.parametrize("name", WRITES)
def test_what_somebody_else_wrote_stays(
    name: str, made: dict[str, Path], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    arguments, file = WRITES[name]
    theirs = tmp_path / file
    PIL.Image.new("L", (8, 8)).save(theirs) if file == "a.png" else theirs.write_text("mine")
    before = theirs.read_bytes()
    done = mcd_command(*filled(arguments, made, tmp_path), cwd=tmp_path)
    assert done.code == 2, done.err
    assert file in done.err or "is not empty" in done.err
    assert theirs.read_bytes() == before
    assert [path.name for path in tmp_path.rglob("*")] == [file]


@pytest.mark.parametrize("name", WRITES)
def test_a_name_that_is_too_long_is_said_before_anything_is_computed(
    name: str, made: dict[str, Path], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command(*filled(WRITES[name][0], made, tmp_path / ("x" * 300)), cwd=tmp_path)
    assert done.code == 2, done.err
    assert "has 300 bytes; a file system takes 255" in done.err
    assert done.out == ""
    assert not list(tmp_path.iterdir())
