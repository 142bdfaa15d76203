"""A run that is killed goes on where it stopped and ends with the same bytes."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

RUN = (
    "--model-plugin",
    "phantom-mammo",
    "--layers",
    "stages.*",
    "--dataset",
    "phantom:50",
    "--dissector",
    "phantom-clip",
    "--concepts",
    "phantom",
    "--batch-size",
    "8",
    "--draws",
    "100",
    "--most-draws",
    "100",
    "--device",
    "cpu",
)

KILLER = '''
"""Sends a signal to its own process group at one event of the sweep or of scoring."""

import os
import signal

from mcd import events, hookimpl

seen = 0
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it


@hookimpl
def mcd_on_event(event):
    global seen
    if isinstance(event, events.LayerScored) or getattr(event, "stage", "") == "sweep":
        seen += 1
        if seen == int(os.environ["KILL_AT"]):
            os.killpg(os.getpgrp(), int(os.environ["KILL_WITH"]))
'''


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(mcd_command: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("whole") / "run"
    done = mcd_command("dissect", *RUN, "--output", folder)
    assert done.code == 0, done.err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [pytest.param(signal.SIGKILL, marks=pytest.mark.nightly), signal.SIGINT])
def test_killed_in_the_sweep_and_in_scoring_it_ends_with_the_same_bytes(
    how: signal.Signals,
    whole: Path,
    mcd_command: Callable[..., Outcome],
    mcd_process: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    (tmp_path / "killer.py").write_text(KILLER)
    # 200 images are 25 batches and 4 shards; one shard is stored when the twelfth batch is done
    for event, shards in ((1 + 12, 1), (1 + 17 + 1 + 2, 4)):
        done = mcd_process(
            "dissect",
            "--plugin-file",
            tmp_path / "killer.py",
            *RUN,
            "--output",
            folder,
            KILL_AT=str(event),
            KILL_WITH=str(int(how)),
        )
        assert done.code == (130 if how == signal.SIGINT else -how), done.err
        assert ("interrupted" in done.err) == (how == signal.SIGINT)
        assert "Traceback" not in done.err
        assert len(list(folder.glob("embeddings/*/0*.safetensors"))) == shards
    done = mcd_command("dissect", *RUN, "--output", folder)
    assert done.code == 0, done.err
    assert "are already stored" in done.err
    assert tree(folder) == tree(whole)


@pytest.mark.slow
def test_a_broken_shard_is_made_again(whole: Path, mcd_command: Callable[..., Outcome], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    shard = sorted(folder.glob("activations/*/*.safetensors"))[2]
    shard.write_bytes(shard.read_bytes()[:-100])
    assert mcd_command("dissect", *RUN, "--output", folder).code == 0
    assert tree(folder) == tree(whole)
