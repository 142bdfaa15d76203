"""Standard output that is full, and Ctrl-C while modules are imported: one sentence, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")

INTERRUPTED = """
import os, runpy, signal, sys

def hook(event, arguments):
    if event == "import" and arguments[0] == os.environ["AT"]:
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
sys.addaudithook(hook)
sys.argv = ["mcd", "concepts", "lint", "birads"]
runpy.run_module("mcd", run_name="__main__")
"""


@pytest.mark.skipif(not FULL.is_char_device(), reason="no /dev/full on this system")
@pytest.mark.parametrize("arguments", [("plugins", "list"), ("--version",)])
def test_output_that_is_full_is_one_sentence(arguments: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mcd", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output cannot be written: No space left on device\n  hint: ")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("module", ["click", "mcd.host", "yaml"])
def test_an_interrupted_import_is_one_word(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "AT": module},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip().startswith("interrupted")
    assert len(done.stderr.strip().splitlines()) == 1
