"""Parts of a run: joined, they are to a bit what one process makes; what does not fit is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file as units
from tests.runs.in_parts import Command, Made, manifests, reports
from tests.runs.tiny import tree

import mcd
from mcd.errors import DataError
from mcd.files import MANIFEST
from mcd.runs.verifying import verify

SHARDS = 6
"""333 images in shards of 64; the last one has 13 images in batches of 8 and 5."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mcd_command: Command) -> Made:
    return Made(tmp_path_factory.mktemp("parts"), mcd_command)


@pytest.fixture(scope="module")
def whole(made: Made) -> Path:
    """The study in one process."""
    folder = made.folder / "whole"
    done = made.run(folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="module")
def alone(made: Made) -> Path:
    """The run of `Made.one` in one process."""
    folder = made.folder / "alone"
    done = made.one(folder)
    assert done.code == 0, done.err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("of", [5, *(pytest.param(of, marks=pytest.mark.nightly) for of in (1, 2, 3))])
def test_merged_parts_of_a_study_are_to_a_bit_what_one_process_makes(
    of: int, made: Made, whole: Path, tmp_path: Path
) -> None:
    parts = [tmp_path / str(number) for number in range(1, of + 1)]
    for number, part in enumerate(parts, start=1):
        done = made.run(part, "--part", f"{number}/{of}")
        assert done.code == 0, done.err
        assert not list(part.rglob("labels.*"))
    done = made.merge(tmp_path / "merged", *reversed(parts))
    assert done.code == 0, done.err
    assert len(list(whole.rglob("*.safetensors"))) > 8 * SHARDS
    assert reports(tree(tmp_path / "merged")) == tree(whole)
    assert manifests(tmp_path / "merged") == manifests(whole)
    assert all(one.sound for one in verify(tmp_path / "merged" / "first" / "tiny"))


@pytest.mark.parametrize("of", [1, 3])
def test_merged_parts_of_a_run_are_to_a_bit_what_one_process_makes(
    of: int, made: Made, alone: Path, tmp_path: Path
) -> None:
    done = made.merge(tmp_path / "merged", *(made.part(number, of) for number in range(1, of + 1)))
    assert done.code == 0, done.err
    assert reports(tree(tmp_path / "merged")) == tree(alone)
    assert manifests(tmp_path / "merged") == manifests(alone)
    said = manifests(alone)[MANIFEST]
    assert isinstance(said, dict)
    assert said["left_out"] == {"unreadable": 5, "not decoded": 3}
    assert "2 images repeat the bytes of another one; each still counts by itself" in said["warnings"]


@pytest.mark.slow
def test_a_part_without_an_image_that_can_be_read_is_merged_too(made: Made, tmp_path: Path) -> None:
    gap = "--dataset-arg", "gap=true"
    for number in range(1, SHARDS + 1):
        done = made.one(tmp_path / str(number), "--part", f"{number}/{SHARDS}", *gap)
        assert done.code == 0, done.err
    done = made.merge(tmp_path / "merged", *(tmp_path / str(number) for number in range(1, SHARDS + 1)))
    assert done.code == 0, done.err
    assert made.one(tmp_path / "alone", *gap).code == 0
    assert reports(tree(tmp_path / "merged")) == tree(tmp_path / "alone")
    assert manifests(tmp_path / "merged") == manifests(tmp_path / "alone")


def test_a_part_examines_and_decodes_its_own_images_only(made: Made, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    done = made.one(tmp_path / "part", "--part", "2/3", MCD_TEST_NOTES=str(notes))
    assert done.code == 0, done.err
    touched = {int(line.split()[1]) for line in notes.read_text().splitlines()}
    assert touched == set(range(128, 256))
    rows = json.loads((tmp_path / "part" / MANIFEST).read_text())["store"]
    assert (rows["first"], rows["shards"]) == (2, 2)


def test_a_merged_run_goes_on_as_that_of_one_process_does(
    made: Made, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged, notes = tmp_path / "merged", tmp_path / "notes"
    assert made.merge(merged, made.part(1, 2), made.part(2, 2)).code == 0
    shutil.copytree(alone, tmp_path / "alone")
    for folder in (merged, tmp_path / "alone"):
        notes.unlink(missing_ok=True)
        done = made.one(folder, "--maps", 1, MCD_TEST_NOTES=str(notes))
        assert done.code == 0, done.err
        assert notes.read_text().count("decoded") < 25  # those of the maps
    assert (merged / "maps.safetensors").is_file()
    assert reports(tree(merged)) == tree(tmp_path / "alone")


def test_a_part_that_ends_early_goes_on_where_it_was(made: Made, tmp_path: Path) -> None:
    folder, notes, flags = tmp_path / "part", tmp_path / "notes", ("--part", "1/2")
    stopped = made.one(folder, *flags, "--on-error", "stop", "--dataset-arg", "broken=false", MCD_TEST_BROKEN="130")
    assert stopped.code == 4
    refused = made.merge(tmp_path / "merged", folder, made.part(2, 2))
    assert refused.code == 4
    assert f"part 1/2 in {folder} is not finished (failed)" in refused.err
    notes.touch()
    again = made.one(folder, *flags, "--on-error", "stop", "--dataset-arg", "broken=false", MCD_TEST_NOTES=str(notes))
    assert again.code == 0, again.err
    decoded = {int(line.split()[1]) for line in notes.read_text().splitlines() if line.startswith("decoded")}
    assert decoded == set(range(128, 192))
    fresh = tmp_path / "fresh"
    assert made.one(fresh, *flags, "--on-error", "stop", "--dataset-arg", "broken=false").code == 0
    assert tree(fresh) == tree(folder)


def test_parts_that_make_no_run_are_refused_by_name(made: Made, alone: Path, tmp_path: Path) -> None:
    one, two = made.part(1, 3), made.part(2, 3)

    def refused(*parts: Path) -> str:
        done = made.merge(tmp_path / "merged", *parts)
        assert done.code == 4, done.err
        assert not (tmp_path / "merged").exists()
        return " ".join(done.err.split())

    assert "1 of 3 parts is missing: 3/3" in refused(one, two)
    copy = Path(shutil.copytree(one, tmp_path / "copy"))
    assert f"{one} and {copy} are both part 1/3" in refused(one, two, copy)
    assert f"{alone} holds no part of a run" in refused(one, alone)
    edited = json.loads((copy / MANIFEST).read_text())
    edited |= {"checksum": "", "store": edited["store"] | {"first": 1}}
    (copy / MANIFEST).write_text(json.dumps(edited))
    assert "is damaged: it holds other shards" in refused(copy, two, made.part(3, 3))
    said = "divide the run at other images: 3 parts, batches of 8, 2 parts, batches of 8"
    assert said in refused(one, made.part(2, 2))
    for name, flags in {
        "concepts, prompts": ("--concepts", "technical"),
        "labels_per_neuron": ("--labels", 3),
        "limit, the images that are chosen": ("--limit", 332),
        "models, layers": ("--layers", "one"),
        "they differ in untrained": ("--untrained", 10),
        "3 parts, batches of 8, 3 parts, batches of 96": ("--batch-size", 96),
    }.items():
        other = tmp_path / "other"
        done = made.one(other, "--part", "3/3", *flags)
        assert done.code == 0, done.err
        assert name in refused(one, two, other), name
        shutil.rmtree(other)


def test_parts_between_which_a_table_of_the_data_set_changed_are_refused(made: Made, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert made.one(other, "--part", "2/2", MCD_TEST_IMAGES_OF_A_PATIENT="5").code == 0
    done = made.merge(tmp_path / "merged", made.part(1, 2), other)
    assert done.code == 4
    assert "they differ in the images that are chosen, their order, or their metadata" in " ".join(done.err.split())


def test_parts_between_which_a_file_of_units_changed_are_refused(made: Made, tmp_path: Path) -> None:
    parts, file = [tmp_path / "1", tmp_path / "2"], tmp_path / "axes.safetensors"
    for number, part in enumerate(parts, start=1):
        units({"directions": number * torch.eye(5)}, file)
        done = made.one(part, "--part", f"{number}/2", "--units", f"directions:{file}")
        assert done.code == 0, done.err
    done = made.merge(tmp_path / "merged", *parts, "--allow-different")
    assert done.code == 4
    assert "they differ in units hint:" in " ".join(done.err.split())


def test_what_cannot_be_divided_is_said_before_anything_is_computed(made: Made, tmp_path: Path) -> None:
    for said, flags in {
        "333 images make 6 shards of 64 images, too few for 7 parts": ("--part", "1/7"),
        "--part '4/3' is no part of a run": ("--part", "4/3"),
    }.items():
        done = made.one(tmp_path / "part", *flags)
        assert done.code == 2
        assert said in " ".join(done.err.split())
        assert not list(tmp_path.rglob("*.safetensors"))
    held = made.one(made.part(1, 3), "--part", "2/3")
    assert held.code == 2
    assert "holds part 1/3 of a run" in held.err
    assert "holds part 1/3 of a run" in made.one(made.part(1, 3)).err


@pytest.mark.parametrize("command", ["report", "score", "compare", "figures", "evaluate"])
def test_commands_say_that_a_part_is_one_and_what_to_type(command: str, made: Made, tmp_path: Path) -> None:
    part = made.part(1, 3)
    more = [made.part(2, 3)] if command == "compare" else []
    done = made.command(command, part, *more, "-o", tmp_path / "out", "--plugin-file", made.plugin)
    assert done.code == 4
    assert "is part 1/3 of a run, and has no labels" in " ".join(done.err.split())
    assert "mcd merge PART… -o RUN" in done.err
    with pytest.raises(DataError, match="is part 1/3 of a run"):
        mcd.load(part)


def test_what_is_missing_or_in_the_way_is_said_before_anything_is_written(made: Made, tmp_path: Path) -> None:
    part, others = Path(shutil.copytree(made.part(1, 3), tmp_path / "part")), (made.part(2, 3), made.part(3, 3))
    done = made.merge(part / "merged", part, *others)
    assert done.code == 2
    assert f"{part} which is a part" in " ".join(done.err.split()).replace(",", "")
    next(part.glob("embeddings/*/00001.safetensors")).unlink()
    done = made.merge(tmp_path / "merged", part, *others)
    assert done.code == 4
    assert "00001.safetensors is missing" in " ".join(done.err.split())
    assert "compute that part again by its command" in " ".join(done.err.split())
    assert not (tmp_path / "merged").exists()


def interrupted(*_given: object, **_named: object) -> None:
    raise KeyboardInterrupt  # a signal may be ignored where the tests run in the background


def test_a_merge_that_is_interrupted_is_repeated(
    made: Made, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = made.part(1, 2), made.part(2, 2)
    with monkeypatch.context() as patch:
        patch.setattr("mcd.runs.merging.labelled", interrupted)
        assert made.merge(tmp_path / "merged", *parts).code == 130
    assert "is not finished (interrupted)" in made.command("report", tmp_path / "merged").err
    done = made.merge(tmp_path / "merged", *parts)
    assert done.code == 0, done.err
    assert reports(tree(tmp_path / "merged")) == tree(alone)
    assert manifests(tmp_path / "merged") == manifests(alone)


def test_what_was_computed_differently_is_refused_or_merged_and_said(made: Made, alone: Path, tmp_path: Path) -> None:
    one, two, flags = made.part(1, 2), tmp_path / "two", ("--part", "2/2", "--precision", "bf16")
    done = made.one(two, *flags, MCD_SALT="another salt of the same run", ONEDNN_MAX_CPU_ISA="SSE41")
    assert done.code == 0, done.err
    refused = made.merge(tmp_path / "merged", one, two)
    other = "variables (none in part 1, ONEDNN_MAX_CPU_ISA=SSE41 in part 2)"
    said = f"precision (fp32 in part 1, bf16 in part 2); {other}; salt"
    assert refused.code == 2
    assert said in " ".join(refused.err.split())
    assert not (tmp_path / "merged").exists()
    done = made.merge(tmp_path / "merged", one, two, "--allow-different")
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "merged")
    assert said in found.manifest.warnings[0]
    said_by = made.command("report", tmp_path / "merged", "--reporter", "markdown", "-o", tmp_path / "report")
    assert said_by.code == 0, said_by.err
    assert "precision (fp32 in part 1, bf16 in part 2)" in next((tmp_path / "report").rglob("*.md")).read_text()
    assert len(found.image_ids) == found.manifest.images == 325
    assert all(each.sound for each in verify(tmp_path / "merged"))
    done = made.merge(tmp_path / "merged", one, made.part(2, 2))  # computed again, alike
    assert done.code == 0, done.err
    assert reports(tree(tmp_path / "merged")) == tree(alone)


def test_a_merge_that_computes_otherwise_than_the_parts_says_so(made: Made, tmp_path: Path) -> None:
    parts = made.part(1, 2), made.part(2, 2)
    done = made.command("merge", "--plugin-file", made.plugin, *parts, "-o", tmp_path / "run", MKL_CBWR="COMPATIBLE")
    assert done.code == 0, done.err
    first = mcd.load(tmp_path / "run").manifest.warnings[0]
    assert "labels were made with other variables (MKL_CBWR=COMPATIBLE) than the parts (none)" in first


def test_parts_of_two_processors_of_one_instruction_set_are_merged_and_it_is_said(made: Made, tmp_path: Path) -> None:
    one, two = made.part(1, 2), Path(shutil.copytree(made.part(2, 2), tmp_path / "two"))
    record = json.loads((two / MANIFEST).read_text()) | {"checksum": ""}
    record["part"]["machine"] = "that of another processor"
    (two / MANIFEST).write_text(json.dumps(record))
    done = made.merge(tmp_path / "merged", one, two)
    assert done.code == 0, done.err
    assert "computed by different processors" in mcd.load(tmp_path / "merged").manifest.warnings[0]


def test_a_merge_writes_the_reports_of_the_study_and_leaves_parts_that_are_read_only(
    made: Made, tmp_path: Path
) -> None:
    parts = [tmp_path / str(number) for number in (1, 2)]
    for number, part in enumerate(parts, start=1):
        own = "--reporter", "csv:published", "--reporter", "json", "--reporter-arg", "json.images=1"
        done = made.one(part, "--part", f"{number}/2", *own)
        assert done.code == 0, done.err
        for path in part.rglob("*.safetensors"):
            path.chmod(0o444)
    done = made.command("merge", "--plugin-file", made.plugin, *parts, "-o", tmp_path / "merged")
    assert done.code == 0, done.err
    assert "neurons" not in done.out  # the summary, where the study names no reporter
    report = tmp_path / "merged" / "report"
    assert {one.name for one in report.iterdir()} == {"labels_published.csv", "labels.json", ".mcd-written"}
    layers = json.loads((report / "labels.json").read_text())["layers"]
    assert {len(one["images"]) for one in layers["two"]} == {1}


def test_a_scorer_of_a_file_runs_only_where_it_is_named(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def products(A, P):\n    return A.T @ P\n")
    own = f"{file}:products"
    parts = [tmp_path / str(number) for number in (1, 2)]
    for number, part in enumerate(parts, start=1):
        done = made.one(part, "--part", f"{number}/2", "--scorer", own)
        assert done.code == 0, done.err
    refused = made.merge(tmp_path / "merged", *parts)
    assert refused.code == 4
    assert "which is run only when it is named" in " ".join(refused.err.split())
    done = made.merge(tmp_path / "merged", *parts, "--scorer", own)
    assert done.code == 0, done.err
    assert mcd.load(tmp_path / "merged").manifest.scorer == "products"
    file.write_text("def products(A, P):\n    return A.T @ P + 1\n")
    other = made.merge(tmp_path / "other", *parts, "--scorer", own)
    assert other.code == 4
    assert "is not the scorer of" in " ".join(other.err.split())


def test_scripts_are_asked_for_with_their_parts(made: Made, tmp_path: Path, mcd_command: Command) -> None:
    given = "run", made.study, "--plugin-file", made.plugin, "-o", tmp_path / "run"
    for flags, said in {
        ("--emit", "slurm"): "--emit and --parts belong together",
        ("--parts", "4"): "--emit and --parts belong together",
        ("--emit", "slurm", "--parts", "4", "--part", "1/4"): "--part computes one part",
        ("--emit", "slurm", "--parts", "257"): "257 is not in the range 1<=x<=256",
    }.items():
        done = mcd_command(*given, *flags)
        assert done.code == 2
        assert said in " ".join(done.err.split())
    assert not list(tmp_path.iterdir())
    (tmp_path / "here").mkdir()
    done = mcd_command(*given[:4], "-o", ".", "--emit", "slurm", "--parts", 4, cwd=tmp_path / "here")
    assert done.code == 0, done.err
    assert (tmp_path / "here.parts" / "submit.sh").is_file()
    (tmp_path / "run.parts").mkdir()
    (tmp_path / "run.parts" / "merge.sh").write_text("mine")
    done = mcd_command(*given, "--emit", "slurm", "--parts", 4)
    assert done.code == 2
    assert "merge.sh is in the way" in " ".join(done.err.split())
