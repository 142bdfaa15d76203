"""Nothing that tells who somebody is leaves the folder ``private``: a marker is planted everywhere and looked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag
from tests.conftest import Outcome
from tests.plugins.cohorts.conftest import write_dicom

import mcd

MARKER = "Zyxwvut"
DATE = "19870605"
UID = "1.2.826.9.8.7.6.5.4"
_TEXTS = {"LO", "LT", "SH", "ST", "UT", "UC", "PN"}


def planted(path: Path, seed: int) -> None:
    """Write a mammogram whose every text, date and UID that DICOM allows here tells who it is."""
    elements: dict[str, object] = {"ImageLaterality": "LR"[seed % 2], "ViewPosition": "CC"}
    for tag in pydicom.datadict.DicomDictionary:
        keyword = keyword_for_tag(tag)
        if keyword and 0x0008 <= tag >> 16 <= 0x0040 and keyword not in ("ImageLaterality", "ViewPosition"):
            value = {"DA": DATE, "DT": f"{DATE}101112", "UI": UID}.get(dictionary_VR(tag))
            if dictionary_VR(tag) in _TEXTS:
                value = f"{MARKER}^{keyword}"[:16]
            if value is not None and keyword not in ("TransferSyntaxUID", "SOPClassUID", "SOPInstanceUID"):
                elements[keyword] = value
    elements["SOPInstanceUID"] = f"{UID}.{seed}"
    write_dicom(path, seed=seed, **elements)
    dataset = pydicom.dcmread(path)
    block = dataset.private_block(0x0029, f"{MARKER} PRIVATE", create=True)
    block.add_new(0x01, "LO", f"{MARKER} note")
    dataset.save_as(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("archive") / f"{MARKER}_clinic"
    for number in range(12):
        planted(place / f"{MARKER}{number // 4}" / f"{MARKER}-{DATE}-{number}.dcm", number)
    return place


def tells(text: bytes) -> list[str]:
    return [what for what in (MARKER, MARKER.upper(), DATE, UID) if what.encode() in text]


def leaks(place: Path, private: bool = False) -> list[str]:
    """Return the files below a folder whose name or bytes tell something, those in ``private`` aside."""
    found = []
    for path in place.rglob("*"):
        relative = path.relative_to(place).as_posix()
        if path.is_file() and (private or "private" not in path.relative_to(place).parts):
            what = [*tells(path.read_bytes()), *tells(relative.encode())]
            found += [f"{relative}: {', '.join(what)}"] if what else []
    return found


SCORER = ("--scorer", "soft-wpmi:4", "--reporter", "console", "--reporter", "csv:published", "--reporter", "json")


def test_a_run_tells_nobodys_name(folder: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--dataset",
        f"dicom:{folder}",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--recipe",
        "dicom-standard",
        *SCORER,
        "--cache",
        tmp_path / "cache",
        "--device",
        "cpu",
        "-o",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    assert tells(done.out.encode()) == []
    assert tells(done.err.encode()) == []
    assert leaks(tmp_path / "run") == []
    assert leaks(tmp_path / "cache") == []
    assert leaks(tmp_path / "run", private=True) != []  # where it is kept
    private = tmp_path / "run" / "private"
    assert private.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in private.iterdir())
    again = mcd_command("score", tmp_path / "run", "--scorer", "cosine", "-o", tmp_path / "scored")
    assert again.code == 0, again.err
    assert leaks(tmp_path / "scored") == []
    shown = [
        json.loads((tmp_path / name / "manifest.json").read_text())["study"]["dataset"] for name in ("run", "scored")
    ]
    assert shown[0] == shown[1]


def test_a_condition_on_a_label_is_shown_nowhere(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    (tmp_path / "data").mkdir()
    lines = ["file,who"]
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
        lines.append(f"{number}.png,{MARKER if number else 'other'}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    flags = ["--model", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip", "--scorer", "cosine"]
    flags += ["--dataset", "csv:table.csv", "--dataset-arg", "root=data", "--dataset-arg", "path=file"]
    flags += ["--where", f'label["who"] == "{MARKER}"', "--reporter", "html", "--reporter", "console", "--draws", "0"]
    planned = mcd_command("dissect", *flags, "--dry-run", cwd=tmp_path)
    assert planned.code == 0, planned.err
    assert "# where: not shown" in planned.out
    done = mcd_command("dissect", *flags, "--device", "cpu", "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "chosen by a condition" in (tmp_path / "run" / "report" / "explorer.html").read_text()
    for said in (planned, done):
        assert tells(said.out.encode() + said.err.encode()) == []
    assert leaks(tmp_path / "run") == []


def test_a_run_shared_without_its_private_folder_has_its_labels(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--dataset",
        "phantom:5",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        *SCORER,
        "--device",
        "cpu",
        "-o",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    shutil.rmtree(tmp_path / "run" / "private")
    assert len(mcd.load(tmp_path / "run").labels) > 100
    again = mcd_command("score", tmp_path / "run", "--scorer", "cosine")
    assert (again.code, "shared without its folder private" in again.err) == (4, True)
    assert "Traceback" not in again.err


def test_what_was_asked_for_is_kept(folder: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--dataset",
        f"dicom:{folder}",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        *SCORER,
        "--keep-identifiers",
        "--device",
        "cpu",
        "-o",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    assert str(folder) in (tmp_path / "run" / "manifest.json").read_text()


def test_vectors_and_scores_tell_nobodys_name(
    folder: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    common = ("--dissector", "phantom-clip", "--dataset", f"dicom:{folder}", "--device", "cpu")
    done = mcd_command("embed", *common, "-o", tmp_path / "v.safetensors")
    assert done.code == 0, done.err
    assert tells((tmp_path / "v.safetensors").read_bytes()) == []
    assert tells((tmp_path / "private" / "v.probe_map.csv").read_bytes()) != []
    assert leaks(tmp_path) == []
    done = mcd_command("zero-shot", *common, "--pair", "no mass", "mass", "-o", tmp_path / "z.csv")
    assert done.code == 0, done.err
    assert tells((tmp_path / "z.csv").read_bytes() + done.out.encode() + done.err.encode()) == []


def test_a_data_check_writes_ids(folder: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command("data", "check", folder, "--json", tmp_path / "check.json")
    assert done.code == 0, done.err
    assert tells(done.out.encode()) == []
    assert tells((tmp_path / "check.json").read_bytes()) == []
