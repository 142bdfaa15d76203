"""Scripts for SLURM of studies and folders that are called unusually, and what is refused before any is written."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from tests.runs.in_parts import Command, Made
from tests.runs.tiny import tree

ODD = '-a "run" of $HOME\'s `50%j`; é'
REPORTERS = (
    "\nreporters: [{plugin: csv, options: {style: published, images: 2}}, {plugin: json, options: {images: 1}}]\n"
)

SBATCH = """#!/bin/sh
# In the place of SLURM's: runs what is submitted, an array job task by task, and notes how.
echo "$@" >> {log}
for script in "$@"; do :; done
array=$(sed -n 's/^#SBATCH --array=1-//p' "$script")
export SLURM_ARRAY_TASK_ID SLURM_CPUS_PER_TASK=1
for SLURM_ARRAY_TASK_ID in $(seq 1 "${{array:-1}}"); do sh "$script" >> {log}.out 2>&1; done
echo "4242;cluster"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mcd_command: Command) -> Made:
    return Made(tmp_path_factory.mktemp("slurm"), mcd_command)


def study(made: Made, path: Path, images: int = 150) -> Path:
    """Write a study of one small run, with reporters that have settings."""
    text = made.study.read_text().replace("[tiny, annotations]", "tiny").replace("controls: true", "controls: false")
    text = text.replace("  - {plugin: second, layers: two}\n", "").replace("tiny-images", f"tiny-images:{images}")
    path.write_text(f"{text}{REPORTERS}")
    return path


def submitted(script: str, *flags: str, cwd: Path, log: Path) -> str:
    """Run a script that submits others, with a stand-in of sbatch that runs them; return what sbatch was given."""
    stub = cwd / "bin" / "sbatch"
    stub.parent.mkdir()
    stub.write_text(SBATCH.format(log=shlex.quote(str(log))))
    stub.chmod(0o755)
    path = f"{stub.parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["sh", script, *flags], cwd=cwd, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    said = log.with_suffix(".out").read_text() if log.with_suffix(".out").exists() else ""
    assert ran.returncode == 0, ran.stderr + said
    return log.read_text()


@pytest.mark.slow
def test_scripts_hold_whatever_a_path_is_called_and_end_in_the_reports_of_one_process(
    made: Made, tmp_path: Path
) -> None:
    here = tmp_path / ODD
    here.mkdir()
    given = f"./{study(made, here / '-study.yaml').name}", "--plugin-file", made.plugin, "--store", "off", "--no-tf32"
    done = made.command("run", *given, "-o", f"./{ODD}", "--emit", "slurm", "--parts", 2, cwd=here)
    assert done.code == 0, done.err
    assert f"sh {shlex.quote(f'./{ODD}.parts/submit.sh')}" in " ".join(done.out.split())
    log = submitted(f"./{ODD}.parts/submit.sh", "--partition=gpu", "--gres=gpu:1", cwd=here, log=tmp_path / "log")
    assert log.splitlines() == [
        f"--parsable --partition=gpu --gres=gpu:1 ./{ODD}.parts/part.sh",
        f"--kill-on-invalid-dep=yes --dependency=afterok:4242 ./{ODD}.parts/merge.sh",
    ]
    logs = next(one for one in (here / f"{ODD}.parts" / "part.sh").read_text().splitlines() if "--output=" in one)
    assert shlex.split(logs)[1] == f"--output={here / ODD}.parts/%a.log".replace("%j", "%%j")
    done = made.command("run", *given, "-o", "whole", "-q", cwd=here)
    assert done.code == 0, done.err
    assert (here / "whole" / "report" / "labels_published.csv").is_file()
    assert tree(here / ODD) == tree(here / "whole")


def test_a_path_that_is_no_utf8_stands_in_scripts_as_it_is(made: Made, tmp_path: Path) -> None:
    here = tmp_path / os.fsdecode(b"caf\xe9")
    here.mkdir()
    given = study(made, here / "study.yaml").name, "--plugin-file", made.plugin, "-o", "run"
    done = made.command("run", *given, "--emit", "slurm", "--parts", 2, cwd=here)
    assert done.code == 0, done.err
    assert b"caf\xe9" in (here / "run.parts" / "part.sh").read_bytes()


def test_what_no_script_can_do_is_refused_before_any_is_written(made: Made, tmp_path: Path) -> None:
    given = "run", study(made, tmp_path / "study.yaml"), "--plugin-file", made.plugin, "--emit", "slurm"
    for flags, said in {
        ("--parts", "4", "-o", "run"): "150 images make 3 shards of 64 images, too few for 4 parts",
        ("--parts", "3", "--limit", "70", "-o", "run"): "70 images make 2 shards of 64 images, too few for 3 parts",
        ("--parts", "2", "-o", "a\nrun"): "cannot hold a path with a line break",
    }.items():
        done = made.command(*given, *flags, cwd=tmp_path)
        assert done.code == 2, done.err
        assert said in " ".join(done.err.split())
    done = made.command(*given, "--parts", "2", "-o", "run", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "What this study does" in done.out
    assert [one.name for one in tmp_path.iterdir()] == ["study.yaml"]
