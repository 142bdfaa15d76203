"""A run that is killed goes on where it stopped and ends with the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RUN = (
    "dissect",
    "--model-plugin",
    "phantom-mammo",
    "--layers",
    "stages.*",
    "--dataset",
    "phantom",
    "--dataset-arg",
    "patients=100",
    "--dissector",
    "phantom-clip",
    "--concepts",
    "phantom",
    "--batch-size",
    "8",
)


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(mcd_command: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:  # type: ignore[type-arg]
    folder: Path = tmp_path_factory.mktemp("whole") / "run"
    assert mcd_command(*RUN, "--output", folder).code == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_random_points_it_ends_with_the_same_bytes(
    how: signal.Signals,
    whole: Path,
    mcd_command: Callable,
    tmp_path: Path,  # type: ignore[type-arg]
) -> None:
    folder = tmp_path / "run"
    drawn = random.Random(how)
    stored = lambda: len(list(folder.rglob("embeddings/*/0*.safetensors")))  # noqa: E731
    for more in drawn.choices((1, 2), k=2):  # so many more of its seven shards are there when it dies
        target = stored() + more
        process = subprocess.Popen(
            [sys.executable, "-m", "mcd", *RUN, "--output", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        while process.poll() is None and stored() < target:
            pass
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        os.killpg(process.pid, how)
        _, err = process.communicate()
        if how == signal.SIGINT:
            assert process.returncode == 130
            assert b"interrupted" in err
            assert b"Traceback" not in err
    done = mcd_command(*RUN, "--output", folder)
    assert done.code == 0, done.err
    assert "are already stored" in done.err
    assert tree(folder) == tree(whole)


def test_a_broken_shard_is_made_again(whole: Path, mcd_command: Callable) -> None:  # type: ignore[type-arg]
    before = tree(whole)
    shard = sorted(whole.glob("activations/*/*.safetensors"))[2]
    shard.write_bytes(shard.read_bytes()[:-100])
    assert mcd_command(*RUN, "--output", whole).code == 0
    assert tree(whole) == before
