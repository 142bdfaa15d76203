"""``mcd report``: pages about runs that are done."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

import mcd

Run = Callable[..., Outcome]


@pytest.fixture
def stored(phantom: mcd.Dissection, tmp_path: Path) -> Path:
    shutil.copytree(phantom.folder, tmp_path / "run")
    return tmp_path / "run"


def test_a_page_lands_in_the_run_folder(mcd_command: Run, stored: Path) -> None:
    done = mcd_command("report", stored, "--reporter-arg", "images=2")
    assert done.code == 0, done.err
    assert done.out == f"written: {stored / 'report' / 'explorer.html'}\n"
    assert '"top":2' in (stored / "report" / "explorer.html").read_text(encoding="utf-8")


def test_several_runs_make_one_page_where_it_is_asked_for(mcd_command: Run, stored: Path, tmp_path: Path) -> None:
    refused = mcd_command("report", stored, stored)
    assert refused.code == 2
    assert "--output DIR" in refused.err
    done = mcd_command("report", stored, stored, "-o", tmp_path / "both")
    assert done.code == 0, done.err
    assert "2 runs side by side" in (tmp_path / "both" / "explorer.html").read_text(encoding="utf-8")
    alone = mcd_command("report", stored, stored, "--reporter", "csv", "-o", tmp_path / "both")
    assert alone.code == 2
    assert "nothing of several runs" in alone.err


def test_what_is_no_run_is_said(mcd_command: Run, tmp_path: Path) -> None:
    assert mcd_command("report").code == 2
    done = mcd_command("report", tmp_path)
    assert done.code == 4
    assert "is not a run folder" in done.err


def test_a_run_can_leave_its_page_at_once(mcd_command: Run, tmp_path: Path) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "head",
        "--dataset",
        "phantom",
        "--dataset-arg",
        "patients=25",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--reporter",
        "html",
        "--reporter-arg",
        "thumbnails=false",
        "-o",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    text = (tmp_path / "run" / "report" / "explorer.html").read_text(encoding="utf-8")
    assert "made without thumbnails" in text
