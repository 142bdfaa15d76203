"""What of the paper is in a folder: recognised by name and layout, or missing, with where it is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from tests.command_line import Outcome

import mcd
from mcd.errors import UsageError
from mcd_plugins.paper.inventory import inventory, look
from mcd_plugins.paper.studies import PaperSettings, plan

Run = Callable[..., Outcome]
WEIGHTS = ("b5-model-best-epoch-7.tar", "vocab.txt")
VINDR = ("vindr/breast-level_annotations.csv", "vindr/finding_annotations.csv")


def filled(folder: Path, *names: str) -> Path:
    """Put files of a few bytes into a folder: nothing is opened to recognise them."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["b5-model-best-epoch-7.tar"], {"mammo-clip": "b5-model-best-epoch-7.tar"}),
        (["w/b2-model-best-epoch-10.tar", "w/imagenet-b2.safetensors"], {"imagenet": "w/imagenet-b2.safetensors"}),
        (["imagenet-b2.safetensors"], {}),
        (
            ["a_seed_10_fold0_best_acc_Suspicious_Calcification_ver084.pth"],
            {"calcification": "a_seed_10_fold0_best_acc_"},
        ),
        (["best_acc_cancer_birads_ver084.pth", "best_acc_Mass_ver084.pth"], {"birads": "best", "mass": "best"}),
        (
            ["density/model.safetensors", "density/checkpoints/epoch-1.safetensors"],
            {"density": "density/model.safetensors"},
        ),
        (["Bio_ClinicalBERT/vocab.txt"], {"vocabulary": "Bio_ClinicalBERT/vocab.txt"}),
        (VINDR, {"vindr": "vindr"}),
        (["vindr_detection_v1_folds.csv"], {"vindr": ""}),
        (
            ["e/tables/EMBED_OpenData_metadata_reduced.csv", "e/tables/EMBED_OpenData_clinical.csv"],
            {"embed": "e"},
        ),
        (["csaw/CSAW-CC_breast_cancer_screening_data.csv"], {"csaw-cc": "csaw"}),
        (["natural/ImageNet_subset.txt"], {"imagenet-subset": "natural/ImageNet_subset.txt"}),
        ([".hidden/vocab.txt", "a/b/c/d/vocab.txt"], {}),
    ],
)
def test_names_and_layouts_are_recognised(tmp_path: Path, files: list[str], expected: dict[str, str]) -> None:
    found = look(filled(tmp_path, *files))
    there = {name: one for name, one in found.items() if one.usable}
    for name, begins in expected.items():
        assert str(there[name].path).startswith(str(tmp_path / begins))
    assert set(there) - set(expected) <= {"mammo-clip"}
    assert set(found) == {name for name, _ in inventory().items()}


def test_everything_that_is_missing_says_who_publishes_it(tmp_path: Path, mcd_command: Run) -> None:
    done = mcd_command("paper", tmp_path, "--list", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [row["id"] for row in rows] == [name for name, _ in inventory().items()]
    assert all(row["state"] == "missing" and row["source"] and row["licence"] and row["access"] for row in rows)
    printed = mcd_command("paper", tmp_path, "--list").out
    assert "PhysioNet, doi 10.13026/br2v-7517" in printed


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], ["Mammo-CLIP's checkpoint", "vocabulary", "a probe set"]),
        (VINDR, ["Mammo-CLIP's checkpoint", "vocabulary"]),
        (WEIGHTS, ["a probe set"]),
    ],
)
def test_a_folder_of_which_nothing_can_be_run_says_what_it_lacks(
    tmp_path: Path, mcd_command: Run, files: list[str], said: list[str]
) -> None:
    done = mcd_command("paper", filled(tmp_path, *files), cwd=tmp_path)
    assert done.code == 4, done.err
    missing = [line for line in done.err.splitlines() if line.startswith("  missing: ")]
    assert [one in line for one, line in zip(said, missing, strict=True)] == [True] * len(said)
    assert not (tmp_path / "mcd-paper").exists()


def test_what_is_there_and_cannot_be_used_is_named_and_nothing_is_run(tmp_path: Path, mcd_command: Run) -> None:
    filled(tmp_path, *WEIGHTS, *VINDR, "mass.pth", "e/tables/EMBED_OpenData_metadata.csv")
    (tmp_path / "mass.pth").write_bytes(b"")
    done = mcd_command("paper", tmp_path, "-o", tmp_path / "out")
    assert done.code == 4, done.err
    assert "mass.pth: it is empty" in done.err
    assert "tables/EMBED_OpenData_clinical*.csv is missing" in done.err
    states = {row["id"]: row["state"] for row in json.loads(mcd_command("paper", tmp_path, "--list", "--json").out)}
    assert (states["mass"], states["embed"]) == ("cannot be read", "incomplete")


def test_a_table_of_something_else_is_named(tmp_path: Path, mcd_command: Run) -> None:
    done = mcd_command("paper", filled(tmp_path, *WEIGHTS, *VINDR), "-o", tmp_path / "out")
    assert (done.code, "Traceback" in done.err) == (4, False), done.err
    assert "breast-level_annotations.csv, row 1: there is no column 'study_id'" in done.err


def test_several_files_that_could_be_one_are_not_chosen_from(tmp_path: Path) -> None:
    filled(tmp_path, "fold0_density.pth", "fold1_density.pth")
    with pytest.raises(UsageError, match="2 files could be the classifier of density") as caught:
        look(tmp_path)
    assert "files: {density: fold0_density.pth}" in caught.value.hint
    assert look(tmp_path, {"density": "fold1_density.pth"})["density"].path == tmp_path / "fold1_density.pth"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: {models: x}", "'models' follows from the folder"),
        ("studdy: {}", "Extra inputs"),
        ("- 1", "valid dictionary"),
        ("{", "is no YAML"),
        ("files: {densty: a.pth}", "nothing called 'densty'"),
    ],
)
def test_settings_that_are_none_are_refused(tmp_path: Path, mcd_command: Run, text: str, said: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    done = mcd_command("paper", tmp_path, "--settings", tmp_path / "settings.yaml")
    assert done.code == 2, done.err
    assert said in done.err


@pytest.mark.parametrize("arguments", [["nowhere"], ["--json", "."], []])
def test_what_makes_no_sense_is_said(mcd_command: Run, tmp_path: Path, arguments: list[str]) -> None:
    assert mcd_command("paper", *arguments, cwd=tmp_path).code == 2


def test_each_probe_set_has_a_study_with_all_that_is_there(tmp_path: Path) -> None:
    filled(tmp_path, *WEIGHTS, *VINDR, "imagenet-b5.safetensors", "density.pth", "imagenet.txt")
    vindr, natural = plan(look(tmp_path), PaperSettings(study={"batch_size": 2}), tmp_path / "out")
    assert vindr.names == natural.names == ("G", "M", "C-density")
    studies = [mcd.Study.model_validate(one.study) for one in (vindr, natural)]
    assert [one.where for one in studies] == ['split == "test"', None]
    assert {one.batch_size for one in studies} == {2}
    assert [one.concepts[0].plugin for one in studies] == ["birads-everyday"] * 2
    targets = [[model.options["preprocessing"] for model in one.models] for one in studies]
    assert targets == [[{}] * 3, [{"border": 0, "crop": False}] * 3]  # no breast is cut out of a natural image


def test_the_papers_concepts_are_imported_where_both_of_their_files_are_there(tmp_path: Path) -> None:
    filled(tmp_path, *WEIGHTS, *VINDR)
    (tmp_path / "Specific_concepts_sorted.txt").write_text("mass\nmembrane\nsky\n")
    book = openpyxl.Workbook()
    for title, head, words in (
        ("Findings", "Mass", ["mass"]),
        ("Environmental_and_Natural", "Natural", ["membrane", "sky"]),
    ):
        sheet = book.create_sheet(title)
        for row in (head, *words):
            sheet.append([row])
    del book["Sheet"]
    book.save(tmp_path / "Extended_Breast_text_categories.xlsx")
    (one,) = plan(look(tmp_path), PaperSettings(), tmp_path / "out")
    made = mcd.ConceptSet.from_file(Path(str(one.study["concepts"])))
    assert {concept.term: concept.mammographic for concept in made.concepts} == {
        "mass": True,
        "membrane": False,
        "sky": False,
    }
    mine = tmp_path / "out" / "concepts.yaml"
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"concepts\.yaml"):
        plan(look(tmp_path), PaperSettings(), tmp_path / "out")
    assert mine.read_text() == "mine"
