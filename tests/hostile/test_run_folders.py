"""Edited run folders are refused in one sentence with exit code 4; a report says what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome
from tests.hostile.run_folders import EDITS, READERS, VECTORS, copied, made, one, refused, without_digests


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("folders") / "run")


@pytest.fixture(scope="module")
def older(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copied(run, tmp_path_factory.mktemp("older") / "run")
    without_digests(folder)
    return folder


def needed(name: str) -> bool:
    """Say whether whoever opens a run needs what an edit is of."""
    return not any(part in name for part in ("texts", "study", "private/*.json", "an unknown concept"))


def test_a_run_that_is_whole_is_read_with_digests_and_without(run: Path, older: Path, tmp_path: Path) -> None:
    assert refused(lambda: READERS["load"](run, tmp_path)) == ""
    assert refused(lambda: READERS["load"](older, tmp_path)) == ""


@pytest.mark.parametrize("digests", [True, False])
def test_what_a_run_folder_must_not_hold_is_one_sentence(run: Path, older: Path, tmp_path: Path, digests: bool) -> None:
    for number, (name, edit) in enumerate(EDITS.items()):
        folder = copied(run if digests else older, tmp_path / str(number))
        edit(folder)
        said = refused(lambda folder=folder: READERS["load"](folder, tmp_path))
        assert said.startswith("4 ") or not needed(name), f"{name}: {said}"
        assert "\n" not in said
        assert len(said) < 400 + len(str(folder)), said


@pytest.mark.slow
def test_scoring_anew_refuses_what_opening_does_not_need(older: Path, tmp_path: Path) -> None:
    for number, name in enumerate(name for name in EDITS if not needed(name)):
        folder = copied(older, tmp_path / str(number))
        EDITS[name](folder)
        said = refused(lambda folder=folder: READERS["score"](folder, tmp_path / f"out{folder.name}"))
        assert said.startswith("4 ") or "texts" in name, f"{name}: {said}"  # texts that are no good are made again


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [f"nothing as {VECTORS}", "shard: NaN", "shard: a row fewer", "manifest: shards that are not there"]
)
def test_a_report_says_what_it_leaves_out(
    older: Path, tmp_path: Path, name: str, mcd_command: Callable[..., Outcome]
) -> None:
    folder = copied(older, tmp_path / "run")
    EDITS[name](folder)
    done = mcd_command("report", folder)
    assert done.code == 0, done.err
    assert "note: left out: " in done.err
    assert "top images: " in done.err
    assert "0000" in done.err.replace("\n", "")


@pytest.mark.slow
def test_a_report_on_a_run_with_another_shard_stops(
    run: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    folder = copied(run, tmp_path / "run")
    EDITS["shard: NaN"](folder)
    done = mcd_command("report", folder)
    assert done.code == 4
    assert str(one(folder, "activations/*/0*.safetensors")) in done.err
    assert not (folder / "report" / "explorer.html").exists()
    one(folder, "activations/*/0*.safetensors").unlink()
    done = mcd_command("report", folder)
    assert done.code == 0, done.err
    assert "note: left out: activations and top images: " in done.err
